"""What a small pilot says of several embedders, beside what all proteins say: how often is its order wrong?"""

from itertools import combinations

import numpy as np
import pandas as pd


def stratified_draws(classes: np.ndarray, rows: np.ndarray, size: int, draws: int, seed: int) -> np.ndarray:
    """Return ``draws`` times ``size`` of the positions ``rows``, [draws, size], each location at its share of them.

    ``classes`` [B] are of all proteins. Shares are rounded so that the sizes add up (largest remainders) and every
    location has one protein at least.
    """
    rng = np.random.default_rng([seed, size])
    members = [rows[classes[rows] == k] for k in np.unique(classes[rows])]
    exact = size * np.array([len(part) for part in members]) / len(rows)
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while (left := size - counts.sum()) != 0:
        counts[np.argmax(exact - counts) if left > 0 else np.argmax(counts - exact)] += np.sign(left)
    parts = [
        np.concatenate([rng.choice(part, n, replace=False) for part, n in zip(members, counts, strict=True)])
        for _ in range(draws)
    ]
    return np.stack(parts)


def wrong_best(pilots: pd.DataFrame, full: pd.Series) -> float:
    """Return how often the best embedder of a pilot is not the best on all proteins; of n equals one counts 1/n.

    ``pilots`` has a row per pilot and a column per embedder, accuracies; ``full`` the accuracies on all proteins.
    """
    top = pilots.eq(pilots.max(axis=1), axis=0)
    return float(1 - (top[full.idxmax()] / top.sum(axis=1)).mean())


def pair_orders(pilots: pd.DataFrame, full: pd.Series) -> pd.DataFrame:
    """Return, for every two embedders, the shares of pilots that order them rightly, as equals, and the wrong way.

    Columns first (the better one on all proteins), second, difference there, right, tied, reversed.
    """
    rows = []
    for names in combinations(full.index, 2):
        first, second = sorted(names, key=full.__getitem__, reverse=True)
        gap = pilots[first] - pilots[second]
        shares = {"right": (gap > 1e-9).mean(), "tied": (gap.abs() <= 1e-9).mean(), "reversed": (gap < -1e-9).mean()}
        rows.append({"first": first, "second": second, "difference": full[first] - full[second], **shares})
    return pd.DataFrame(rows).sort_values("difference", ascending=False, ignore_index=True)
