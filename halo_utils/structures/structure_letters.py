"""Structure letters: every residue's state in Foldseek's 3Di alphabet and its secondary structure (SS8), one-hot."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest, sha256
from halo_utils.core.paths import shown
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.tables import open_text

DI = "ACDEFGHIKLMNPQRSTVWY"  # van Kempen et al. 2024: 20 states, written with the letters of the amino acids
SS8 = "BEGHILST"  # DSSP's states (Kabsch and Sander 1983); L, a loop, is what DSSP leaves blank
ALPHABETS = {"foldseek_3di": DI, "ss8": SS8}
WIDTH = len(DI) + len(SS8)
SOURCES = ("AlphaFold2", "ESMFold")  # the first that a protein has is read


def read_letters(file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield accession, structure source, 3Di and SS8 of every row of a (compressed) TSV; DataError if damaged."""
    columns = ("acc", "structure_source", *ALPHABETS)
    with open_text(file) as handle:
        rows = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := [name for name in columns if name not in (rows.fieldnames or ())]:
            raise DataError(f"{shown(file)}: no column {', '.join(missing)}, expected {', '.join(columns)}")
        for number, row in enumerate(rows, 2):
            values = tuple(row[name] for name in columns)
            if None in values:
                raise DataError(f"{shown(file)} row {number}: fields are missing; fetch the file again")
            if row["structure_source"] not in SOURCES:
                expected = f"expected {' or '.join(SOURCES)}"
                raise DataError(f"{shown(file)} row {number}: structures of {row['structure_source']!r}, {expected}")
            yield values


def one_hot(accession: str, di: str, ss8: str) -> np.ndarray:
    """Return the letters of L residues, [L, 28] uint8, 3Di then SS8; DataError naming the first letter that is none."""
    if len(di) != len(ss8):
        raise DataError(f"{accession}: {len(di)} 3Di letters and {len(ss8)} of SS8, expected as many of both")
    parts = []
    for name, text in zip(ALPHABETS, (di, ss8), strict=True):
        alphabet = ALPHABETS[name]
        if strange := [i for i, letter in enumerate(text) if letter not in alphabet]:
            found = f"{accession}: {name} has {text[strange[0]]!r} at residue {strange[0] + 1}"
            raise DataError(f"{found}, expected one of {alphabet}: correct the row, or make the strings again")
        codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
        parts.append(codes[:, None] == np.frombuffer(alphabet.encode(), dtype=np.uint8))
    return np.concatenate(parts, axis=1).astype(np.uint8)


def store_letters(path: Path, table: pd.DataFrame, file: Path, sources: Sequence[str] = SOURCES) -> ResidueStore:
    """Return the store of the structure letters of the proteins of ``table``, [L, 28] uint8, made once.

    Of a protein with several rows the first of ``sources`` is read whose strings are as long as its sequence. Where
    none is, they are another isoform's: the protein has no letters, which is said.
    """
    lengths = dict(zip(table["accession"], table["sequence"].str.len().astype(int), strict=True))
    asked = [] if tuple(sources) == SOURCES else [list(sources)]
    key = digest("letters", lengths, sha256(file), ALPHABETS, *asked)

    def make() -> ResidueStore:
        chosen: dict[str, tuple[int, str, str]] = {}
        unlike = set()
        for accession, source, di, ss8 in read_letters(file):
            rank = sources.index(source) if source in sources else len(sources)
            if accession not in lengths or rank >= chosen.get(accession, (len(sources),))[0]:
                continue
            if len(di) == lengths[accession]:
                chosen[accession] = (rank, di, ss8)
            else:
                unlike.add(accession)
        if unlike := sorted(unlike - set(chosen)):
            named = f"{', '.join(unlike[:5])}{' ...' if len(unlike) > 5 else ''}"
            print(f"structure letters of {len(unlike):,} proteins are of another length and are not used: {named}")
        names = [accession for accession in lengths if accession in chosen]
        arrays = ((k, one_hot(name, *chosen[name][1:])) for k, name in enumerate(names))
        return write_store(path, key, names, [lengths[name] for name in names], WIDTH, arrays, "uint8")

    return store_of(path, key, make)
