"""DeepLoc 2.0 (Thumuluri et al. 2022): Swiss-Prot proteins in five homology partitions, and the HPA test set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.data.record import Dataset
from halo_utils.data.tables import Read, _binary, _check_rows, _finish, _refuse_clashes, _refuse_first, read_csv

# Column order of Swissprot_Train_Validation_dataset.csv.
DEEPLOC = (
    "Cytoplasm", "Nucleus", "Extracellular", "Cell membrane", "Mitochondrion", "Plastid", "Endoplasmic reticulum",
    "Lysosome/Vacuole", "Golgi apparatus", "Peroxisome",
)  # fmt: skip
HPA = tuple(sorted(set(DEEPLOC) - {"Extracellular", "Plastid"}))  # column order of hpa_testset.csv
# HPA has 2 proteins of Lysosome/Vacuole and 7 of Peroxisome: too few to measure anything on.
HPA_SUPPORTED = tuple(location for location in HPA if location not in ("Lysosome/Vacuole", "Peroxisome"))
# HALO's split of DeepLoc 2.0's homology partitions; the released split files carry the partition.
SPLIT_OF_PARTITION = {0: "train", 1: "train", 2: "train", 3: "val", 4: "test"}


def read_deeploc2(path: Path) -> Read:
    """Read ``Swissprot_Train_Validation_dataset.csv`` (28,303 rows kept of 2022's); DataError if not as published."""
    raw = read_csv(path, ["ACC", "Kingdom", "Partition", *DEEPLOC, "Sequence"], optional=("", "Membrane"))
    _check_rows(path, raw["ACC"], raw["Sequence"])
    split = pd.to_numeric(raw["Partition"], errors="coerce").map(SPLIT_OF_PARTITION)
    problem = "Partition is {!r}; expected 0, 1, 2, 3 or 4".format
    _refuse_first(path, raw["ACC"], split.isna(), lambda row: problem(raw["Partition"].iloc[row]))
    table = pd.DataFrame({"accession": raw["ACC"], "sequence": raw["Sequence"], "split": split})
    table = table.assign(kingdom=raw["Kingdom"], subset="").join(_binary(path, raw, DEEPLOC, raw["ACC"]))
    _refuse_clashes(path, table, ["split", *DEEPLOC])
    return _finish(table, DEEPLOC, path.name)


def read_membrane(path: Path) -> pd.Series:
    """Return column Membrane of the same file, 0 or 1 by accession, which HALO does not learn; DataError if absent."""
    raw = read_csv(path, ["ACC", "Membrane"], optional=None)
    labels = _binary(path, raw, ["Membrane"], raw["ACC"])["Membrane"].set_axis(raw["ACC"])
    return labels[~labels.index.duplicated()]


def read_hpa(path: Path) -> Read:
    """Read ``hpa_testset.csv`` as split ``hpa``; proteins in none of ``HPA_SUPPORTED`` are dropped."""
    raw = read_csv(path, ["sid", *HPA, "fasta"], optional=("", "Lengths"))
    _check_rows(path, raw["sid"], raw["fasta"])
    table = pd.DataFrame({"accession": raw["sid"], "sequence": raw["fasta"]})
    table = table.assign(split="hpa", kingdom="Metazoa", subset="").join(_binary(path, raw, HPA, raw["sid"]))
    _refuse_clashes(path, table, HPA)
    absent = dict.fromkeys(set(DEEPLOC) - set(HPA), np.int8(0))
    kept, dropped = _finish(table.assign(**absent), DEEPLOC, path.name)
    rare = kept[list(HPA_SUPPORTED)].sum(axis=1) == 0
    reason = "in no location with enough proteins"
    left_out = kept.loc[rare, ["accession", "split"]].assign(reason=reason, file=path.name)
    return kept[~rare].reset_index(drop=True), pd.concat([dropped, left_out], ignore_index=True)


def _read_both(paths: Sequence[Path]) -> Read:
    kept, dropped = zip(read_deeploc2(paths[0]), read_hpa(paths[1]), strict=True)
    table = pd.concat(kept, ignore_index=True)
    if (repeated := table["accession"].duplicated()).any():
        name = table.loc[repeated, "accession"].iloc[0]
        raise DataError(f"{paths[1].name}: {name} is also in {paths[0].name}; remove it from one of the two")
    return table, pd.concat(dropped, ignore_index=True)


FILES = ("deeploc2/Swissprot_Train_Validation_dataset.csv", "deeploc2/hpa_testset.csv")
DEEPLOC2 = Dataset("deeploc2", "DeepLoc 2.0", DEEPLOC, FILES, _read_both, ("test", "hpa"), {"hpa": HPA_SUPPORTED})
