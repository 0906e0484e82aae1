"""Luo et al. 2024 (bbad534): single-label Swiss-Prot proteins, tests from Swiss-Prot (S) and TrEMBL (T, N inside T)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from halo_utils.core.errors import DataError
from halo_utils.data.record import Dataset
from halo_utils.data.tables import Read, _check_rows, _finish, _refuse_clashes, _refuse_first, read_csv

# Row order of HALO's Table 4, spelled as in the label column of the files.
LUO2024 = (
    "Cell junction", "Cell membrane", "Cell projection", "Cytoplasm", "Endoplasmic reticulum", "Golgi apparatus",
    "Lysosome", "Mitochondrion", "Nucleus", "Secreted",
)  # fmt: skip
FILES = ("Swiss_train", "Swiss_test", "TrEMBL_independent_test", "non_homology_TrEMBL_independent_test")
VALIDATION_SHARE = 0.15  # of Swiss_train; Luo et al. publish no validation set


def _read_file(path: Path) -> pd.DataFrame:
    raw = read_csv(path, ["Entry_ID", "Sequence", "label"], optional=("",))
    _check_rows(path, raw["Entry_ID"], raw["Sequence"])
    problem = f"label {{!r}}; expected one of {', '.join(LUO2024)}".format
    _refuse_first(path, raw["Entry_ID"], ~raw["label"].isin(LUO2024), lambda row: problem(raw["label"].iloc[row]))
    labels = pd.get_dummies(raw["label"]).reindex(columns=list(LUO2024), fill_value=0).astype("int8")
    table = pd.DataFrame({"accession": raw["Entry_ID"], "sequence": raw["Sequence"]}).join(labels)
    _refuse_clashes(path, table, LUO2024)
    return table


def _validation_rows(path: Path, train: pd.DataFrame) -> np.ndarray:
    """Return the rows of a stratified validation set; a location with a single protein has none there."""
    label = train[list(LUO2024)].to_numpy().argmax(axis=1)
    rows = np.flatnonzero(np.bincount(label, minlength=len(LUO2024))[label] > 1)
    try:
        return train_test_split(rows, test_size=VALIDATION_SHARE, stratify=label[rows], random_state=0)[1]
    except ValueError as error:
        problem = f"{len(train)} proteins are too few for a validation set with every location"
        raise DataError(f"{path.name}: {problem}; expected the published file of 5,549, fetch it again") from error


def read_luo2024(paths: Sequence[Path]) -> Read:
    """Read the four luo2024 ``FILES``: train and val (of Swiss_train, stratified), tests S and T, with N inside T.

    A test protein that repeats an accession of an earlier file is dropped; DataError if the files are not as published.
    """
    train, swiss, trembl, distant = map(_read_file, paths)
    train["split"] = "train"
    train.loc[_validation_rows(paths[0], train), "split"] = "val"
    if stray := sorted(set(distant["accession"]) - set(trembl["accession"])):
        raise DataError(f"{paths[3].name}: {len(stray)} proteins such as {stray[0]} not in T")
    trembl["subset"] = np.where(trembl["accession"].isin(distant["accession"]), "N", "")
    table = pd.concat([train, swiss.assign(split="S"), trembl.assign(split="T")], ignore_index=True)
    table = table.assign(kingdom="", subset=table["subset"].fillna(""))
    sequences = table.groupby("accession")["sequence"].nunique()
    if (sequences > 1).any():
        example = sequences.index[sequences > 1][0]
        raise DataError(f"luo2024: {example} has different sequences in two of the files; fetch them again")
    return _finish(table, LUO2024, "luo2024")


PATHS = tuple(f"luo2024/{name}.csv" for name in FILES)
LUO = Dataset("luo2024", "luo2024", LUO2024, PATHS, read_luo2024, test_sets=("S", "T", "N"))
