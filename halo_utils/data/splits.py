"""The dataset table: its splits and evaluation sets, subsets of it, its labels and its fingerprint.

``subset`` names an evaluation set inside a split (luo2024's N in T), or is empty; a run adds the other AUDIT_COLUMNS.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.data.kmers import NEAR_DUPLICATE
from halo_utils.data.tables import Read

# What a run adds; none of it is trained on, so none of it is part of the fingerprint.
AUDIT_COLUMNS = ("kingdom", "subset", "containment", "corpus_containment", "family", "uniprot", "structure", "graph")
CLEAN = " without near duplicates"  # ending of the name of what remains of a leaking test set
LEAKING = 0.05  # share of near duplicates from which a test set is also measured without them


def evaluation_sets(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the sets a model is evaluated on: name -> boolean mask over the rows of ``table``."""
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
    table: pd.DataFrame, locations: Sequence[str], max_proteins: int, seed: int, keep: frozenset[str] = frozenset()
) -> Read:
    """Draw ``max_proteins`` (0: all) by split and label set, ``keep`` always; return kept and dropped rows."""
    if not max_proteins or len(table) <= max_proteins:
        return table, pd.DataFrame(columns=["accession", "split", "reason", "file"])
    label_set = table[list(locations)].astype(str).agg("".join, axis=1)
    forced = table["accession"].isin(keep)
    rng = np.random.default_rng([seed, 40])
    # Within a stratum forced proteins come first, the others in random order; every stratum then gives the
    # same share. The random offset lets strata of one or two proteins be drawn at that share too.
    order = pd.Series(rng.random(len(table)), index=table.index).where(~forced, -1.0)
    strata = order.groupby([table["split"], label_set])
    position = (strata.rank(method="first") - rng.random(len(table))) / strata.transform("size")
    chosen = table.index.isin(position.where(~forced, -1.0).nsmallest(max_proteins).index)
    dropped = table.loc[~chosen, ["accession", "split"]].assign(reason="not in the subset", file="")
    return table[chosen].reset_index(drop=True), dropped.reset_index(drop=True)


def check_splits(table: pd.DataFrame, source: str) -> None:
    """Raise DataError, naming the split, for a table without proteins to learn from, choose with, or test on."""
    present = set(table["split"])
    missing = [s for s in ("train", "val") if s not in present] + ([] if present - {"train", "val"} else ["test"])
    if missing:
        remedy = "use more proteins (max_proteins), or correct the column that gives the split"
        problem = f"{len(table)} proteins, none of them in {', '.join(missing)}; every split needs some"
        raise DataError(f"{source}: {problem}: {remedy}")


def fingerprint(table: pd.DataFrame) -> str:
    """Return 16 hex digits over what training reads: accession, sequence, split and labels, in accession order."""
    ordered = table.sort_values("accession").drop(columns=list(AUDIT_COLUMNS), errors="ignore")
    return digest(ordered.to_dict("list"))


def label_matrix(table: pd.DataFrame, locations: Sequence[str]) -> np.ndarray:
    """Return the 0/1 labels, [B, K] int8, rows in table order."""
    return table[list(locations)].to_numpy(dtype=np.int8)


def log_odds(y: np.ndarray) -> np.ndarray:
    """Return the log-odds of each location in labels [n, K] 0/1, as [K] float32.

    Half a protein is added to both sides, so that an absent location has finite odds.
    """
    present = y.sum(axis=0) + 0.5
    return np.log(present / (len(y) + 1 - present)).astype(np.float32)
