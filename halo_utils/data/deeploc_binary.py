"""DeepLoc-Binary, soluble or membrane: GwR's official validation and test sets, and training proteins far from them.

The published files hold structure letters of two predictors. They may be used for evaluation alone (CC BY-NC-ND 4.0).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.data.overlap import COPY, NEAR, closeness, count_left_out
from halo_utils.data.registry import local_copy
from halo_utils.data.tables import AGAIN, check_protein, open_text

SOLUBLE = "Soluble"  # the one label: 1 soluble, 0 membrane; DeepLoc 2.0's column Membrane is the opposite
FILE = "gwr/DeepLocBinary_{source}_{split}.json.xz"
SPLITS = {"valid": "val", "test": "test"}  # of the files' names, and as training calls them
TEXTS = {"aa_seq": "sequence", "foldseek_seq": "foldseek_3di", "ss8_seq": "ss8"}
LOCATION = {1: "S", 0: "M"}  # what the files write beside the label


def read_binary(path: Path) -> pd.DataFrame:
    """Return accession, sequence, foldseek_3di, ss8, Soluble (int8) of every line; DataError naming the first bad one.

    A line is a JSON object. Its strings must be as long as the sequence, its label 0 or 1 and of its location, its name
    the only one of the file; which letters a structure may have, ``structure_letters.one_hot`` knows.
    """
    rows = [_row(f"{path.name} row {number}", line) for number, line in _lines(path)]
    if not rows:
        raise DataError(f"{path.name} holds no protein: {AGAIN}")
    table = pd.DataFrame(rows).astype({SOLUBLE: "int8"})
    if (repeated := table["accession"].duplicated()).any():
        name = table.loc[repeated, "accession"].iloc[0]
        raise DataError(f"{path.name}: {name} occurs twice, expected once; remove one of its rows, or {AGAIN}")
    return table


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open_text(path) as handle:
            yield from ((number, line) for number, line in enumerate(handle, 1) if line.strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: bytes that are not UTF-8 text ({error}); {AGAIN}") from error


def _row(where: str, line: str) -> dict[str, Any]:
    """Return a protein's row; DataError, with file, row and protein, for what is not as published."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: no JSON ({error}); expected one object per row; {AGAIN}") from error
    fields = ("name", *TEXTS, "label", "location")
    if missing := [name for name in fields if not isinstance(found, dict) or name not in found]:
        raise DataError(f"{where}: no {', '.join(missing)}; expected {', '.join(fields)}; {AGAIN}")
    if strange := [name for name in ("name", *TEXTS) if not isinstance(found[name], str)]:
        raise DataError(f"{where}: {strange[0]} is {found[strange[0]]!r}, expected a text; {AGAIN}")
    check_protein(where, found["name"], found["aa_seq"])
    where, length = f"{where} ({found['name']})", len(found["aa_seq"])
    for name in TEXTS:
        if len(found[name]) != length:
            problem = f"{name} has {len(found[name])} letters, expected {length} as in aa_seq"
            raise DataError(f"{where}: {problem}; correct the row, or {AGAIN}")
    if type(found["label"]) is not int or found["label"] not in LOCATION:
        raise DataError(f"{where}: label is {found['label']!r}, expected 0 (membrane) or 1 (soluble); correct the row")
    if found["location"] != LOCATION[found["label"]]:
        expected = f"expected {LOCATION[found['label']]!r} for label {found['label']}"
        raise DataError(f"{where}: location is {found['location']!r}, {expected}; correct the row")
    return (
        {"accession": found["name"]} | {ours: found[name] for name, ours in TEXTS.items()} | {SOLUBLE: found["label"]}
    )


def files_at_hand(source: str) -> list[Path] | None:
    """Return the files of a predictor's letters, validation and test; None where one is not on this machine."""
    paths = [local_copy(FILE.format(source=source, split=split)) for split in SPLITS]
    return [path for path in paths if path] if all(paths) else None


def read_sets(paths: list[Path]) -> pd.DataFrame:
    """Return both sets as one table with column split, val or test; DataError for a protein that is in both."""
    parts = [read_binary(path).assign(split=split) for path, split in zip(paths, SPLITS.values(), strict=True)]
    table = pd.concat(parts, ignore_index=True)
    for column in ("accession", "sequence"):
        if (repeated := table[column].duplicated()).any():
            name = table.loc[repeated, "accession"].iloc[0]
            problem = f"{name}: its {column} is in {paths[0].name}, too, or twice here"
            raise DataError(f"{paths[1].name}: {problem}; expected once in both files: remove one, or {AGAIN}")
    return table


def leave_out(training: pd.DataFrame, official: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training proteins that are far from every official one, and how many were left out, per set.

    ``training`` has accession, sequence and split, ``official`` a split, val or test; a protein may stand in it twice,
    with two sequences. A copy has the accession or the sequence of an official protein. Counts are
    ``overlap.count_left_out``'s; relatives stay.
    """
    levels = {}
    for name, split in (("validation", "val"), ("test", "test")):
        members = official[official["split"] == split]
        same_name = training["accession"].isin(members["accession"])
        levels[name] = np.where(same_name, COPY, closeness(list(training["sequence"]), list(members["sequence"])))
    near = pd.DataFrame(levels, index=training.index)
    kept = training[(near < NEAR).all(axis=1)].reset_index(drop=True)
    return kept, count_left_out(training["split"], near, NEAR)
