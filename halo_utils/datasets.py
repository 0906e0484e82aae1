"""Readers of the data sets: publisher's files in, one checked table out, with a list of what was left out.

Every reader returns ``(table, dropped)``; the two add up to the rows of the input. The table holds
``accession`` (unique), ``sequence``, ``split``, ``kingdom``, ``subset`` and one 0/1 column per location.
``subset`` names a smaller evaluation set inside a split (luo2024's N is part of T) and is empty elsewhere.
``inputs`` adds ``containment``, the largest share of a protein's 6-mers in one seen protein, and ``family``, a number
that relatives of one split share (``kmers``).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from halo_utils.errors import DataError
from halo_utils.files import digest
from halo_utils.kmers import NEAR_DUPLICATE
from halo_utils.labels import DEEPLOC, HPA, HPA_SUPPORTED, LUO2024
from halo_utils.tables import check_protein, read_csv

COMMON_COLUMNS = ("accession", "sequence", "split", "kingdom", "subset")

AUDIT_COLUMNS = ("kingdom", "subset", "containment", "corpus_containment", "family")

# HALO's split of DeepLoc 2.0's homology partitions; the released split files carry the partition.
DEEPLOC_SPLIT = {0: "train", 1: "train", 2: "train", 3: "val", 4: "test"}
CLEAN = " without near duplicates"  # ending of the name of what remains of a leaking test set
LEAKING = 0.05  # share of near duplicates from which a test set is also measured without them
LUO_VALIDATION_SHARE = 0.15  # of Swiss_train; Luo et al. publish no validation set

Read = tuple[pd.DataFrame, pd.DataFrame]


def _where(path: Path, accessions: pd.Series, row: int) -> str:
    """Return ``file row 3 (P12345)``, rows counted as in a text editor with the header as row 1."""
    return f"{path.name} row {row + 2} ({accessions.iloc[row] or 'no accession'})"


def _check_rows(path: Path, accession: pd.Series, sequence: pd.Series) -> None:
    """Refuse the first row whose accession or sequence is not valid."""
    for row, (name, residues) in enumerate(zip(accession, sequence, strict=True)):
        check_protein(f"{path.name} row {row + 2}", name, residues)


def _binary(path: Path, raw: pd.DataFrame, columns: Sequence[str], accession: pd.Series) -> pd.DataFrame:
    """Return the label columns as int8 0/1, refusing anything else by row and column."""
    values = raw[list(columns)].apply(pd.to_numeric, errors="coerce")
    bad = ~values.isin([0, 1]).to_numpy()
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        found = raw[list(columns)].iloc[row, column]
        raise DataError(f"{_where(path, accession, row)}: {columns[column]} is {found!r}; expected 0 or 1")
    return values.astype("int8")


def _refuse_clashes(path: Path, table: pd.DataFrame, places: Sequence[str]) -> None:
    """Refuse an accession that occurs twice in one file with another sequence or other locations."""
    for columns, what in ((["sequence"], "another sequence"), (list(places), "other locations")):
        first = table.drop_duplicates("accession").set_index("accession")[columns]
        clash = (first.loc[table["accession"]].to_numpy() != table[columns].to_numpy()).any(axis=1)
        if clash.any():
            where = _where(path, table["accession"], int(np.flatnonzero(clash)[0]))
            raise DataError(f"{where}: accession occurs before with {what}; keep one of the two rows")


def _finish(table: pd.DataFrame, places: Sequence[str], file: str) -> Read:
    """Set aside repeated accessions and unlabelled proteins; return kept and dropped rows."""
    repeated = table.duplicated(["accession"], keep="first")
    reason = pd.Series("", index=table.index)
    reason[repeated] = "repeated accession, same sequence"
    reason[~repeated & (table[list(places)].sum(axis=1) == 0)] = "no location"
    dropped = table.loc[reason != "", ["accession", "split"]].assign(reason=reason[reason != ""], file=file)
    kept = table.loc[reason == "", [*COMMON_COLUMNS, *places]].reset_index(drop=True)
    if kept.empty:
        raise DataError(f"{file}: all {len(table)} proteins were left out ({', '.join(set(reason))}); correct the file")
    return kept, dropped.reset_index(drop=True)


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


def evaluation_sets(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the sets a model is evaluated on: name -> boolean mask over the rows of ``table``.

    Every split but ``train`` is one; a named subset inside a split is one more, and so is what remains of a leaking
    test set without its near duplicates of seen proteins.
    """
    masks = {s: (table["split"] == s).to_numpy() for s in pd.unique(table["split"]) if s != "train"}
    subsets = {s: (table["subset"] == s).to_numpy() for s in pd.unique(table["subset"]) if s}
    clean = {}
    if "containment" in table:
        near = (table["containment"] >= NEAR_DUPLICATE).to_numpy()
        leaking = [s for s in masks if s != "val" and near[masks[s]].mean() >= LEAKING]
        clean = {f"{s}{CLEAN}": masks[s] & ~near for s in leaking}
    return masks | subsets | clean


def held_out_sets(table: pd.DataFrame) -> list[str]:
    """Return the names of the evaluation sets that no choice may look at, in order of appearance."""
    return [name for name in evaluation_sets(table) if name != "val"]


def stratified_subset(
    table: pd.DataFrame,
    places: Sequence[str],
    max_proteins: int,
    seed: int,
    keep: frozenset[str] = frozenset(),
) -> Read:
    """Draw a subset with the same shares of splits and label sets.

    Args:
        table: dataset table.
        places: the K location columns.
        max_proteins: size of the subset; 0 or a larger number keeps all rows.
        seed: seed of the draw.
        keep: accessions that stay whatever the draw says (proteins with a structure).

    Returns:
        Kept rows in their old order and dropped rows with the reason ``not in the subset``.
    """
    if not max_proteins or len(table) <= max_proteins:
        return table, pd.DataFrame(columns=["accession", "split", "reason", "file"])
    label_set = table[list(places)].astype(str).agg("".join, axis=1)
    forced = table["accession"].isin(keep)
    rng = np.random.default_rng([seed, 40])
    # Within a stratum forced proteins come first, the others in random order; every stratum then gives the
    # same share. The random offset lets strata of one or two proteins be drawn at that share too.
    order = pd.Series(rng.random(len(table)), index=table.index).where(~forced, -1.0)
    strata = order.groupby([table["split"], label_set])
    position = (strata.rank(method="first") - rng.random(len(table))) / strata.transform("size")
    chosen = position.where(~forced, -1.0).nsmallest(max_proteins).index
    kept = table.loc[table.index.isin(chosen)].reset_index(drop=True)
    rest = table.loc[~table.index.isin(chosen), ["accession", "split"]]
    return kept, rest.assign(reason="not in the subset", file="").reset_index(drop=True)


def check_splits(table: pd.DataFrame, source: str) -> None:
    """Refuse a table without proteins to learn from, to choose with, or to test on.

    Raises:
        DataError: naming the missing split.
    """
    present = set(table["split"])
    missing = [s for s in ("train", "val") if s not in present] + ([] if present - {"train", "val"} else ["test"])
    if missing:
        raise DataError(
            f"{source}: {len(table)} proteins, none of them in {', '.join(missing)}; every split needs some: use more"
            " proteins (max_proteins), or correct the column that gives the split"
        )


def fingerprint(table: pd.DataFrame) -> str:
    """Return 16 hex digits over accession, sequence, split and labels in accession order.

    Columns that only audits and evaluation read are left out: what was trained does not depend on them.
    """
    ordered = table.sort_values("accession").drop(columns=list(AUDIT_COLUMNS), errors="ignore")
    return digest(ordered.to_dict("list"))


def label_matrix(table: pd.DataFrame, places: Sequence[str]) -> np.ndarray:
    """Return the 0/1 labels, [B, K] int8, rows in table order."""
    return table[list(places)].to_numpy(dtype=np.int8)
