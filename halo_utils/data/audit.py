"""Audit tables of a data set: what is in it and whether its split is honest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.data.kmers import ALMOST_EQUAL, NEAR_DUPLICATE, kmer_containment
from halo_utils.data.record import STANDARD

SEEN = ("train", "val")  # splits that training or a choice looks at


def label_counts(table: pd.DataFrame, locations: Sequence[str]) -> pd.DataFrame:
    """Return proteins per location and split, with rows for all proteins and for multi-label ones."""
    counts = table.groupby("split")[list(locations)].sum().T
    counts.loc["several locations"] = (table[list(locations)].sum(axis=1) > 1).groupby(table["split"]).sum()
    counts.loc["all proteins"] = table.groupby("split").size()
    counts = counts[list(pd.unique(table["split"]))].astype(int)
    return counts.assign(total=counts.sum(axis=1)).rename_axis("location").reset_index()


def lengths(table: pd.DataFrame, max_residues: int) -> pd.DataFrame:
    """Return length statistics per split, in residues, and what is lost to a model of ``max_residues``."""
    size = table["sequence"].str.len()
    columns = {"size": size, "split": table["split"], "truncated": size > max_residues}
    columns["residues_lost"] = (size - max_residues).clip(lower=0)
    columns["non_standard_residues"] = size - table["sequence"].str.count(f"[{STANDARD}]")
    per_split = pd.DataFrame(columns).groupby("split", sort=False)
    statistics = per_split["size"].agg(proteins="size", shortest="min", median="median", mean="mean", longest="max")
    sums = per_split[["truncated", "residues_lost", "non_standard_residues"]].sum()
    return statistics.round({"mean": 1}).join(sums).reset_index()


def family_sizes(table: pd.DataFrame, sets: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return, per evaluation set, how many families its proteins form and how many have relatives inside the set."""
    rows = []
    for name, mask in sets.items():
        size = table.loc[mask, "family"].value_counts()
        row = {"set": name, "proteins": int(mask.sum()), "families": len(size)}
        rows.append(row | {"with_relatives": int(size[size > 1].sum()), "largest_family": int(size.max())})
    return pd.DataFrame(rows)


def seen_before(table: pd.DataFrame) -> np.ndarray:
    """Return every protein's largest 6-mer share in one protein seen before its split, [B] float64; 0 for train."""
    share, split = np.zeros(len(table)), table["split"]
    for asked, seen in ((split == "val", split == "train"), (~split.isin(SEEN), split.isin(SEEN))):
        share[asked] = kmer_containment(list(table.loc[asked, "sequence"]), list(table.loc[seen, "sequence"]))
    return share


def leakage(table: pd.DataFrame, sets: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return, per evaluation set, its copies and near duplicates of seen proteins and of the pre-training corpus."""
    rows, cuts = [], (NEAR_DUPLICATE, ALMOST_EQUAL)
    for name, mask in sets.items():
        seen = set(table.loc[table["split"].isin(SEEN[:1] if name == "val" else SEEN), "sequence"])
        shared, corpus = table.loc[mask, "containment"], table.loc[mask, "corpus_containment"]
        near = shared >= NEAR_DUPLICATE
        near_corpus, almost = (corpus.ge(cut).where(corpus.notna()).astype(float) for cut in cuts)
        copies = int(table.loc[mask, "sequence"].isin(seen).sum())
        row = {"set": name, "proteins": int(mask.sum()), "exact_copies": copies}
        row |= {"near_duplicates": int(near.sum()), "near_duplicate_share": float(near.mean())}
        row |= {"median_containment": float(shared.median())}
        row |= {"corpus_near_duplicates": near_corpus.sum(skipna=False)}
        row |= {"corpus_near_duplicate_share": near_corpus.mean(skipna=False)}
        rows.append(row | {"corpus_almost_equal_share": almost.mean(skipna=False)})
    return pd.DataFrame(rows)


def graph_counts(table: pd.DataFrame, locations: Sequence[str], edges_per_residue: pd.Series) -> pd.DataFrame:
    """Return how many proteins have a graph, per split, location and kingdom, and how dense these graphs are.

    ``table`` has the columns graph and source (coordinates, a contact map, ...); ``edges_per_residue`` is by accession.
    Columns group (split, location, kingdom), name, proteins, with_graph, share, one per source, and the quartiles of
    edges per residue.
    """
    groups = [("split", name, table["split"] == name) for name in pd.unique(table["split"])]
    groups += [("location", name, table[name] == 1) for name in locations]
    if "kingdom" in table:
        groups += [("kingdom", name, table["kingdom"] == name) for name in sorted(table["kingdom"].dropna().unique())]
    kinds, rows = sorted(table.loc[table["graph"], "source"].unique()), []
    for group, name, inside in groups:
        chosen = table[inside]
        row = {"group": group, "name": name, "proteins": len(chosen), "with_graph": int(chosen["graph"].sum())}
        row |= {"share": chosen["graph"].mean()} | {kind: int((chosen["source"] == kind).sum()) for kind in kinds}
        quartiles = edges_per_residue.reindex(chosen.loc[chosen["graph"], "accession"]).quantile([0.25, 0.5, 0.75])
        rows.append(row | dict(zip(("edges_q1", "edges_median", "edges_q3"), quartiles, strict=True)))
    return pd.DataFrame(rows)
