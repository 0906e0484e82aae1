"""Audit tables of notebook 01: what is in a data set and whether its split is honest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.data.kmers import ALMOST_EQUAL, NEAR_DUPLICATE, kmer_containment
from halo_utils.data.tables import STANDARD

SEEN = ("train", "val")  # splits that training or a choice looks at


def label_counts(table: pd.DataFrame, places: Sequence[str]) -> pd.DataFrame:
    """Return proteins per location and split, with rows for all proteins and for multi-label ones."""
    counts = table.groupby("split")[list(places)].sum().T
    size = table.groupby("split").size()
    several = (table[list(places)].sum(axis=1) > 1).groupby(table["split"]).sum()
    counts.loc["several locations"], counts.loc["all proteins"] = several, size
    counts = counts[list(pd.unique(table["split"]))].astype(int)
    return counts.assign(total=counts.sum(axis=1)).rename_axis("location").reset_index()


def co_occurrence(table: pd.DataFrame, places: Sequence[str]) -> pd.DataFrame:
    """Return the K x K table of proteins that carry both locations; the diagonal counts one location."""
    labels = table[list(places)].to_numpy(dtype=int)
    return pd.DataFrame(labels.T @ labels, index=list(places), columns=list(places))


def lengths(table: pd.DataFrame, max_residues: int) -> pd.DataFrame:
    """Return length statistics per split, in residues, and how many proteins the model truncates.

    Args:
        table: dataset table.
        max_residues: residues the model reads, two fewer than its tokens.
    """
    size = table["sequence"].str.len()
    odd = table["sequence"].map(lambda s: sum(a not in STANDARD for a in s))
    rows = []
    for split in pd.unique(table["split"]):
        own = size[table["split"] == split]
        row = {"split": split, "proteins": len(own), "shortest": own.min(), "median": own.median()}
        row |= {
            "mean": round(own.mean(), 1),
            "longest": own.max(),
            "truncated": int((own > max_residues).sum()),
        }
        row["residues_lost"] = int((own - max_residues).clip(lower=0).sum())
        rows.append(row | {"non_standard_residues": int(odd[table["split"] == split].sum())})
    return pd.DataFrame(rows)


def family_sizes(table: pd.DataFrame, sets: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return, per evaluation set, how many families its proteins form and how many have relatives inside the set.

    Args:
        table: dataset table with the column ``family`` of ``families``.
        sets: name -> boolean mask, from ``datasets.evaluation_sets``.
    """
    rows = []
    for name, mask in sets.items():
        size = table.loc[mask, "family"].value_counts()
        row = {"set": name, "proteins": int(mask.sum()), "families": len(size)}
        rows.append(row | {"with_relatives": int(size[size > 1].sum()), "largest_family": int(size.max())})
    return pd.DataFrame(rows)


def seen_before(table: pd.DataFrame) -> np.ndarray:
    """Return, per protein, the largest share of its 6-mers in one single protein the models have seen, [B] float64.

    Test proteins are compared with train and validation together, validation with train; train has 0.

    Args:
        table: dataset table with a ``train`` split.
    """
    share, split = np.zeros(len(table)), table["split"]
    for own, seen in ((split == "val", split == "train"), (~split.isin(SEEN), split.isin(SEEN))):
        share[own] = kmer_containment(list(table.loc[own, "sequence"]), list(table.loc[seen, "sequence"]))
    return share


def leakage(table: pd.DataFrame, sets: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return, per evaluation set, how much of it the models have already seen.

    Args:
        table: dataset table with a ``train`` split and the columns of ``inputs.read_inputs``: ``containment``, and
            ``corpus_containment``, NaN where the pre-training corpus is not known.
        sets: name -> boolean mask, from ``datasets.evaluation_sets``.

    Returns:
        One row per set: proteins, exact copies, near duplicates (at least half of the 6-mers in one
        single seen protein) and their share, and the median of the largest shared part; then the near duplicates
        in the pre-training corpus, their share, and the share with at least nine tenths of the 6-mers in one protein.
    """
    rows = []
    for name, mask in sets.items():
        seen, own = table.loc[table["split"].isin(SEEN[:1] if name == "val" else SEEN)], table.loc[mask]
        shared = own["containment"]
        near = shared >= NEAR_DUPLICATE
        row = {
            "set": name,
            "proteins": len(own),
            "exact_copies": int(own["sequence"].isin(set(seen["sequence"])).sum()),
        }
        row |= {"near_duplicates": int(near.sum()), "near_duplicate_share": float(near.mean())}
        rows.append(row | {"median_containment": float(shared.median())} | _in_corpus(own["corpus_containment"]))
    return pd.DataFrame(rows)


def _in_corpus(share: pd.Series) -> dict[str, float]:
    """Return the near duplicates in the pre-training corpus, for ``leakage``; NaN where that is not known."""
    known = share.notna().all()
    near, almost = share >= NEAR_DUPLICATE, share >= ALMOST_EQUAL
    found = {"corpus_near_duplicates": near.sum(), "corpus_near_duplicate_share": near.mean()}
    found |= {"corpus_almost_equal_share": almost.mean()}
    return {name: float(value) if known else float("nan") for name, value in found.items()}


def within_split_copies(table: pd.DataFrame) -> pd.DataFrame:
    """Return, per split, the proteins whose sequence occurs earlier in the same split."""
    copies = table.duplicated(["split", "sequence"])
    return copies.groupby(table["split"]).sum().rename("repeated_sequences").reset_index()
