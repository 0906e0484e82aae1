"""Readers of the data sets: publisher's files in, one checked table out, with a list of what was left out.

Every reader returns ``(table, dropped)``; the two add up to the rows of the input. The table holds
``accession`` (unique), ``sequence``, ``split``, ``kingdom``, ``subset`` and one 0/1 column per location.
``subset`` names a smaller evaluation set inside a split (luo2024's N is part of T) and is empty elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from halo_utils.errors import DataError
from halo_utils.files import digest
from halo_utils.labels import DEEPLOC, HPA, LUO2024

STANDARD = frozenset("ACDEFGHIKLMNPQRSTVWY")
LETTERS = STANDARD | frozenset("XBUZO")  # unknown, Asx, selenocysteine, Glx, pyrrolysine
COMMON_COLUMNS = ("accession", "sequence", "split", "kingdom", "subset")

# HALO's split of DeepLoc 2.0's homology partitions; the released split files carry the partition.
DEEPLOC_SPLIT = {0: "train", 1: "train", 2: "train", 3: "val", 4: "test"}
LUO_VALIDATION_SHARE = 0.15  # of Swiss_train; Luo et al. publish no validation set

Read = tuple[pd.DataFrame, pd.DataFrame]


def _read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV as text and check its columns.

    Raises:
        DataError: if the file is missing, empty, or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"{path.name} not found: set HALO_DATA_DIR to the folder that holds it (see data/README.md)")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path.name} is empty: download it again (see data/README.md)") from error
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise DataError(f"{path.name}: column(s) {', '.join(missing)} missing; found {', '.join(table.columns)}")
    if table.empty:
        raise DataError(f"{path.name} has a header but no rows: download it again (see data/README.md)")
    return table


def _where(path: Path, accessions: pd.Series, row: int) -> str:
    """Return ``file row 3 (P12345)``, rows counted as in a text editor with the header as row 1."""
    return f"{path.name} row {row + 2} ({accessions.iloc[row] or 'no accession'})"


def _check_rows(path: Path, accession: pd.Series, sequence: pd.Series) -> None:
    """Refuse empty accessions and empty or illegal sequences, naming the first offending row."""
    for row, (name, residues) in enumerate(zip(accession, sequence, strict=True)):
        if not name:
            raise DataError(f"{_where(path, accession, row)}: empty accession; expected a UniProt accession")
        if not residues:
            raise DataError(f"{_where(path, accession, row)}: empty sequence; remove the row or fill it in")
        illegal = sorted(set(residues) - LETTERS)
        if illegal:
            remedy = "write it in upper case" if residues.upper() != residues else "mask unknown residues as X"
            raise DataError(
                f"{_where(path, accession, row)}: illegal residue(s) {' '.join(illegal)};"
                f" expected one-letter amino acids, {remedy}"
            )


def _binary(path: Path, raw: pd.DataFrame, columns: Sequence[str], accession: pd.Series) -> pd.DataFrame:
    """Return the label columns as int8 0/1, refusing anything else by row and column."""
    values = raw[list(columns)].apply(pd.to_numeric, errors="coerce")
    bad = ~values.isin([0, 1]).to_numpy()
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        found = raw[list(columns)].iloc[row, column]
        raise DataError(f"{_where(path, accession, row)}: {columns[column]} is {found!r}; expected 0 or 1")
    return values.astype("int8")


def _finish(path: Path, table: pd.DataFrame, places: Sequence[str]) -> Read:
    """Set aside repeated accessions and unlabelled proteins; return kept and dropped rows."""
    repeated = table.duplicated(["accession"], keep="first")
    first = table.drop_duplicates("accession").set_index("accession")["sequence"]
    clash = repeated & (table["accession"].map(first) != table["sequence"])
    if clash.any():
        row = int(np.flatnonzero(clash)[0])
        where = _where(path, table["accession"], row)
        raise DataError(f"{where}: accession occurs before with another sequence; keep one of the two rows")
    reason = pd.Series("", index=table.index)
    reason[repeated] = "repeated accession, same sequence"
    reason[~repeated & (table[list(places)].sum(axis=1) == 0)] = "no location"
    dropped = table.loc[reason != "", ["accession", "split"]].assign(reason=reason[reason != ""], file=path.name)
    kept = table.loc[reason == "", [*COMMON_COLUMNS, *places]].reset_index(drop=True)
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
    raw = _read_csv(path, ["ACC", "Kingdom", "Partition", *DEEPLOC, "Sequence"])
    _check_rows(path, raw["ACC"], raw["Sequence"])
    partition = pd.to_numeric(raw["Partition"], errors="coerce").map(DEEPLOC_SPLIT)
    if partition.isna().any():
        row = int(np.flatnonzero(partition.isna())[0])
        found = raw["Partition"].iloc[row]
        raise DataError(f"{_where(path, raw['ACC'], row)}: Partition is {found!r}; expected 0, 1, 2, 3 or 4")
    table = pd.DataFrame({"accession": raw["ACC"], "sequence": raw["Sequence"], "split": partition})
    table = table.assign(kingdom=raw["Kingdom"], subset="")
    return _finish(path, table.join(_binary(path, raw, DEEPLOC, raw["ACC"])), DEEPLOC)


def read_hpa(path: Path) -> Read:
    """Read ``hpa_testset.csv`` (Human Protein Atlas) as split ``hpa``; its eight locations only.

    Raises:
        DataError: if a column, label or sequence is not as published.

    Source: Thumuluri et al. 2022.
    """
    raw = _read_csv(path, ["sid", *HPA, "fasta"])
    _check_rows(path, raw["sid"], raw["fasta"])
    table = pd.DataFrame({"accession": raw["sid"], "sequence": raw["fasta"]})
    table = table.assign(split="hpa", kingdom="Metazoa", subset="")
    return _finish(path, table.join(_binary(path, raw, HPA, raw["sid"])), HPA)


def _read_luo_file(path: Path) -> pd.DataFrame:
    """Read one luo2024 file into accession, sequence and ten 0/1 columns."""
    raw = _read_csv(path, ["Entry_ID", "Sequence", "label"])
    _check_rows(path, raw["Entry_ID"], raw["Sequence"])
    unknown = ~raw["label"].isin(LUO2024)
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        found = raw["label"].iloc[row]
        raise DataError(f"{_where(path, raw['Entry_ID'], row)}: label {found!r}; expected one of {', '.join(LUO2024)}")
    labels = pd.get_dummies(raw["label"]).reindex(columns=list(LUO2024), fill_value=0).astype("int8")
    return pd.DataFrame({"accession": raw["Entry_ID"], "sequence": raw["Sequence"]}).join(labels)


def read_luo2024(folder: Path) -> Read:
    """Read the four luo2024 files: train and val (from Swiss_train), tests S and T, with N inside T.

    The validation set is a stratified 15 % of Swiss_train; proteins of a location with a single member
    stay in train. A test protein that repeats an accession of an earlier file is dropped with a reason.

    Raises:
        DataError: if a column, label or sequence is not as published, or N is not part of T.

    Source: Luo et al. 2024, bbad534.
    """
    train = _read_luo_file(folder / "Swiss_train.csv")
    label = train[list(LUO2024)].to_numpy().argmax(axis=1)
    _, held_out = train_test_split(
        np.arange(len(train)), test_size=LUO_VALIDATION_SHARE, stratify=label, random_state=0
    )
    train["split"] = "train"
    train.loc[held_out, "split"] = "val"
    swiss = _read_luo_file(folder / "Swiss_test.csv").assign(split="S")
    trembl = _read_luo_file(folder / "TrEMBL_independent_test.csv").assign(split="T")
    distant = _read_luo_file(folder / "non_homology_TrEMBL_independent_test.csv")
    stray = set(distant["accession"]) - set(trembl["accession"])
    if stray:
        example = sorted(stray)[0]
        raise DataError(f"non_homology_TrEMBL_independent_test.csv: {len(stray)} proteins such as {example} not in T")
    table = pd.concat([train, swiss, trembl], ignore_index=True).assign(kingdom="", subset="")
    table.loc[(table["split"] == "T") & table["accession"].isin(distant["accession"]), "subset"] = "N"
    return _finish(folder / "luo2024", table, LUO2024)


def evaluation_sets(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the sets a model is evaluated on: name -> boolean mask over the rows of ``table``.

    Every split but ``train`` is one; a named subset inside a split is one more.
    """
    masks = {s: (table["split"] == s).to_numpy() for s in pd.unique(table["split"]) if s != "train"}
    subsets = {s: (table["subset"] == s).to_numpy() for s in pd.unique(table["subset"]) if s}
    return masks | subsets


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


def fingerprint(table: pd.DataFrame) -> str:
    """Return 16 hex digits over accession, sequence, split and labels in accession order."""
    ordered = table.sort_values("accession").drop(columns=["kingdom"], errors="ignore")
    return digest(ordered.to_dict("list"))


def label_matrix(table: pd.DataFrame, places: Sequence[str]) -> np.ndarray:
    """Return the 0/1 labels, [B, K] int8, rows in table order."""
    return table[list(places)].to_numpy(dtype=np.int8)
