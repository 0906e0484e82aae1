"""TODO."""

from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.data.locations import DEEPLOC, HPA, HPA_SUPPORTED
from halo_utils.data.tables import Read, _binary, _check_rows, _finish, _refuse_clashes, _where, read_csv

# HALO's split of DeepLoc 2.0's homology partitions; the released split files carry the partition.
DEEPLOC_SPLIT = {0: "train", 1: "train", 2: "train", 3: "val", 4: "test"}


def read_deeploc2(path: Path) -> Read:
    """Read ``Swissprot_Train_Validation_dataset.csv`` of DeepLoc 2.0 with HALO's split.

    Args:
        path: the official CSV: ``ACC, Kingdom, Partition, Membrane``, ten 0/1 columns, ``Sequence``.

    Returns:
        Kept table (28,303 rows in the 2022 release) and dropped rows.

    Raises:
        DataError: if a column, partition, label or sequence is not as published.

    Source: Thumuluri et al. 2022; HALO's split is partitions 0-2 / 3 / 4.
    """
    raw = read_csv(path, ["ACC", "Kingdom", "Partition", *DEEPLOC, "Sequence"], optional=("", "Membrane"))
    _check_rows(path, raw["ACC"], raw["Sequence"])
    partition = pd.to_numeric(raw["Partition"], errors="coerce").map(DEEPLOC_SPLIT)
    if partition.isna().any():
        row = int(np.flatnonzero(partition.isna())[0])
        found = raw["Partition"].iloc[row]
        raise DataError(f"{_where(path, raw['ACC'], row)}: Partition is {found!r}; expected 0, 1, 2, 3 or 4")
    table = pd.DataFrame({"accession": raw["ACC"], "sequence": raw["Sequence"], "split": partition})
    table = table.assign(kingdom=raw["Kingdom"], subset="").join(_binary(path, raw, DEEPLOC, raw["ACC"]))
    _refuse_clashes(path, table, ["split", *DEEPLOC])
    return _finish(table, DEEPLOC, path.name)


def read_hpa(path: Path) -> Read:
    """Read ``hpa_testset.csv`` (Human Protein Atlas) as split ``hpa``; DeepLoc's other locations are all 0.

    Proteins that are in none of the six locations with enough of them are left out.

    Raises:
        DataError: if a column, label or sequence is not as published.

    Source: Thumuluri et al. 2022.
    """
    raw = read_csv(path, ["sid", *HPA, "fasta"], optional=("", "Lengths"))
    _check_rows(path, raw["sid"], raw["fasta"])
    table = pd.DataFrame({"accession": raw["sid"], "sequence": raw["fasta"]})
    table = table.assign(split="hpa", kingdom="Metazoa", subset="").join(_binary(path, raw, HPA, raw["sid"]))
    _refuse_clashes(path, table, HPA)
    absent = {place: np.int8(0) for place in DEEPLOC if place not in HPA}
    kept, dropped = _finish(table.assign(**absent), DEEPLOC, path.name)
    rare = kept[list(HPA_SUPPORTED)].sum(axis=1) == 0
    reason = {"reason": "in no location with enough proteins", "file": path.name}
    left_out = kept.loc[rare, ["accession", "split"]].assign(**reason)
    return kept[~rare].reset_index(drop=True), pd.concat([dropped, left_out], ignore_index=True)
