"""Which proteins to learn from are also, or nearly, in a test set of other origin, and must be left out first."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.data.kmers import FAMILY, NEAR_DUPLICATE, kmer_overlap

APART, RELATIVE, NEAR, COPY = range(4)  # how close a protein is to the nearest one of a test set
COUNTED = {"exact_copies": COPY, "near_duplicates": NEAR, "relatives": RELATIVE}


def closeness(sequences: Sequence[str], asked: Sequence[str]) -> np.ndarray:
    """Return how close each of B proteins is to the nearest of a test set, [B] int64; sequences are whole, not cut.

    ``COPY`` is the same sequence; ``NEAR`` and ``RELATIVE`` have ``NEAR_DUPLICATE`` and ``FAMILY`` of the distinct
    6-mers of the shorter protein in common, so that a fragment is as close as its whole protein; ``APART`` is the rest.
    """
    share = kmer_overlap(sequences, asked)
    levels = (share >= FAMILY).astype(np.int64) + (share >= NEAR_DUPLICATE)
    return np.where(np.isin(list(sequences), list(asked)), COPY, levels)


def count_left_out(split: pd.Series, levels: pd.DataFrame, least: int = RELATIVE) -> pd.DataFrame:
    """Return how many proteins leave for every test set and for all of them together, per split to learn from.

    ``split`` [B] is train or val, ``levels`` [B, sets] the ``closeness`` to each set, ``least`` that from which on a
    protein leaves. Columns set, split, before, exact_copies, near_duplicates, relatives (if they leave), left; a
    protein close to several sets counts as its closest together.
    """
    together = {" and ".join(levels): levels.max(axis=1)} if levels.shape[1] > 1 else {}
    rows = []
    for name, level in {**levels, **together}.items():
        for part in pd.unique(split):
            here = level[split == part]
            found = {column: int((here == value).sum()) for column, value in COUNTED.items() if value >= least}
            rows.append({"set": name, "split": part, "before": len(here)} | found | {"left": int((here < least).sum())})
    return pd.DataFrame(rows)
