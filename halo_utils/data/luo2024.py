"""TODO."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from halo_utils.core.errors import DataError
from halo_utils.data.locations import LUO2024
from halo_utils.data.tables import Read, _check_rows, _finish, _refuse_clashes, _where, read_csv

LUO_VALIDATION_SHARE = 0.15  # of Swiss_train; Luo et al. publish no validation set


def _read_luo_file(path: Path) -> pd.DataFrame:
    """Read one luo2024 file into accession, sequence and ten 0/1 columns."""
    raw = read_csv(path, ["Entry_ID", "Sequence", "label"], optional=("",))
    _check_rows(path, raw["Entry_ID"], raw["Sequence"])
    unknown = ~raw["label"].isin(LUO2024)
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        found = raw["label"].iloc[row]
        raise DataError(f"{_where(path, raw['Entry_ID'], row)}: label {found!r}; expected one of {', '.join(LUO2024)}")
    labels = pd.get_dummies(raw["label"]).reindex(columns=list(LUO2024), fill_value=0).astype("int8")
    table = pd.DataFrame({"accession": raw["Entry_ID"], "sequence": raw["Sequence"]}).join(labels)
    _refuse_clashes(path, table, LUO2024)
    return table


def _luo_validation(path: Path, train: pd.DataFrame) -> np.ndarray:
    """Return the rows of a stratified validation set; a location with a single protein has none there."""
    label = train[list(LUO2024)].to_numpy().argmax(axis=1)
    rows = np.flatnonzero(np.bincount(label, minlength=len(LUO2024))[label] > 1)
    try:
        return train_test_split(rows, test_size=LUO_VALIDATION_SHARE, stratify=label[rows], random_state=0)[1]
    except ValueError as error:
        raise DataError(
            f"{path.name}: {len(train)} proteins are too few for a validation set with every location;"
            " expected the published file of 5,549, fetch it again"
        ) from error


def read_luo2024(files: dict[str, Path]) -> Read:
    """Read the four luo2024 files: train and val (from Swiss_train), tests S and T, with N inside T.

    The validation set is a stratified 15 % of Swiss_train; proteins of a location with a single member
    stay in train. A test protein that repeats an accession of an earlier file is dropped with a reason.

    Args:
        files: ``Swiss_train``, ``Swiss_test``, ``TrEMBL_independent_test`` and
            ``non_homology_TrEMBL_independent_test`` -> path; they may lie in different folders.

    Raises:
        DataError: if a column, label or sequence is not as published, an accession has two sequences, a location
            has too few proteins for a validation set, or N is not part of T.

    Source: Luo et al. 2024, bbad534.
    """
    train = _read_luo_file(files["Swiss_train"])
    train["split"] = "train"
    train.loc[_luo_validation(files["Swiss_train"], train), "split"] = "val"
    swiss = _read_luo_file(files["Swiss_test"]).assign(split="S")
    trembl = _read_luo_file(files["TrEMBL_independent_test"]).assign(split="T")
    distant = _read_luo_file(files["non_homology_TrEMBL_independent_test"])
    stray = set(distant["accession"]) - set(trembl["accession"])
    if stray:
        example = sorted(stray)[0]
        raise DataError(f"non_homology_TrEMBL_independent_test.csv: {len(stray)} proteins such as {example} not in T")
    table = pd.concat([train, swiss, trembl], ignore_index=True).assign(kingdom="", subset="")
    table.loc[(table["split"] == "T") & table["accession"].isin(distant["accession"]), "subset"] = "N"
    sequences = table.groupby("accession")["sequence"].nunique()
    if (sequences > 1).any():
        example = sequences.index[sequences > 1][0]
        raise DataError(f"luo2024: {example} has different sequences in two of the files; fetch them again")
    return _finish(table, LUO2024, "luo2024")
