"""Bootstrap over proteins and over families of them: intervals of metrics, and of differences of two systems."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from halo_utils.evaluation.metrics import resampled_scores, scores

Decided = tuple[np.ndarray, np.ndarray]  # what a system says: predicted labels and scores, [B, K] each
Samples = dict[str, dict[tuple[str, str], np.ndarray]]  # unit that is resampled -> metric -> [R]


def resample_weights(n: int, resamples: int = 1000, seed: int = 7, families: np.ndarray | None = None) -> np.ndarray:
    """Return how often each of B = ``n`` proteins is drawn, [R, B] float32; with ``families`` [B], as often as its own.

    Families are then drawn in place of proteins: members of one family are right or wrong together.
    """
    members = np.arange(n) if families is None else np.unique(families, return_inverse=True)[1]  # [B] unit drawn
    units, rng = int(members.max()) + 1, np.random.default_rng([seed, 50])
    return rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.float32)[:, members]


def _samples(y: np.ndarray, system: Decided, locations: Sequence[str], families: Any = None, **draws: int) -> Samples:
    drawn = {"proteins": resample_weights(len(y), **draws)}
    if families is not None and len(np.unique(families)) < len(y):
        drawn["families"] = resample_weights(len(y), families=families, **draws)
    return {unit: resampled_scores(y, *system, locations, weights) for unit, weights in drawn.items()}


def _row(key: tuple[str, str], samples: Samples, **value: float) -> dict[str, Any]:
    """Return a row: the metric, its value, the widest of the intervals (2.5 % to 97.5 %), and whose it is."""
    finite = {unit: drawn[key][np.isfinite(drawn[key])] for unit, drawn in samples.items()}
    ends = {u: np.percentile(drawn, [2.5, 97.5]) if len(drawn) else [np.nan] * 2 for u, drawn in finite.items()}
    unit = max(ends, key=lambda name: np.nan_to_num(ends[name][1] - ends[name][0], nan=-1.0))
    row = {"metric": key[0], "label": key[1]} | value
    return row | {"ci_low": ends[unit][0], "ci_high": ends[unit][1], "resampled": unit}


def evaluate(
    y: np.ndarray,
    pred: np.ndarray,
    prob: np.ndarray,
    locations: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 7,
    families: np.ndarray | None = None,
    **columns: object,
) -> pd.DataFrame:
    """Return the tidy metrics table of one system on one split; ``y``, ``pred`` and ``prob`` as in ``metrics.scores``.

    The 95 % intervals are of ``resamples`` of proteins and of ``families``, [B] the family of each protein (None: each
    is its own); equal seeds pair the resamples of systems. ``columns`` are constant ones such as dataset and split.

    Returns:
        Columns: metric, label, value, ci_low, ci_high (the wider of the two intervals), resampled (``proteins`` or
        ``families``: whose it is), the constant ones, n, macro_over (labels in macro averages), seed.
    """
    samples = _samples(y, (pred, prob), locations, families, resamples=resamples, seed=seed)
    rows = [_row(key, samples, value=value) for key, value in scores(y, pred, prob, locations).items()]
    counts = {"n": len(y), "macro_over": int(np.any(y, axis=0).sum())}
    return pd.DataFrame(rows).assign(**columns, **counts, seed=seed)


def paired_difference(
    y: np.ndarray, first: Decided, second: Decided, locations: Sequence[str], **resampling: Any
) -> pd.DataFrame:
    """Return first minus second with paired intervals: both systems see the same resamples.

    ``resampling`` is resamples, seed and families as in ``evaluate``, and so are the columns metric, label,
    difference, ci_low, ci_high, resampled; ``p_not_greater`` is the share of those resamples in which the first system
    is not better.
    """
    one, other = (_samples(y, system, locations, **resampling) for system in (first, second))
    gaps = {unit: {key: drawn - other[unit][key] for key, drawn in one[unit].items()} for unit in one}
    others, rows = scores(y, *second, locations), []
    for key, value in scores(y, *first, locations).items():
        row = _row(key, gaps, difference=value - others[key])
        gap = gaps[row["resampled"]][key]
        gap = gap[np.isfinite(gap)]
        rows.append(row | {"p_not_greater": float(np.mean(gap <= 0)) if len(gap) else np.nan})
    return pd.DataFrame(rows)
