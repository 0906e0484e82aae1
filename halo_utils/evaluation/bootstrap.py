"""Bootstrap over proteins and over families of them: intervals of metrics, and of differences of two systems."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.evaluation.metrics import resampled_scores, scores


def resample_weights(n: int, resamples: int, seed: int, families: np.ndarray | None = None) -> np.ndarray:
    """Return bootstrap weights, [R, B] float32: how often each protein is drawn in each resample.

    Args:
        n: proteins, B.
        resamples: R.
        seed: seed of the draws.
        families: [B] family of each protein; families are then drawn in place of proteins, as many as there are,
            and a protein comes as often as its family: members of one family are right or wrong together.
    """
    members = np.arange(n) if families is None else np.unique(families, return_inverse=True)[1]  # [B] unit drawn
    units, rng = int(members.max()) + 1, np.random.default_rng([seed, 50])
    return rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.float32)[:, members]


def _samples(
    y: np.ndarray,
    system: tuple[np.ndarray, np.ndarray],
    locations: Sequence[str],
    resamples: int,
    seed: int,
    families: np.ndarray | None,
) -> dict[str, dict[tuple[str, str], np.ndarray]]:
    """Return unit that is resampled -> metric -> [R]; families only where one holds several proteins."""
    drawn = {"proteins": resample_weights(len(y), resamples, seed)}
    if families is not None and len(np.unique(families)) < len(y):
        drawn["families"] = resample_weights(len(y), resamples, seed, families)
    return {unit: resampled_scores(y, *system, locations, weights) for unit, weights in drawn.items()}


def _row(key: tuple[str, str], samples: dict[str, dict[tuple[str, str], np.ndarray]], **value: float) -> dict:
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
    """Return the tidy metrics table of one system on one split.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] probabilities or gate scores.
        locations: K location names.
        resamples: bootstrap resamples, of proteins and of families, for the 95 % intervals.
        seed: seed of the resampling; equal seeds pair the resamples of systems.
        families: [B] family of each protein; None takes every protein for a family of its own.
        **columns: constant columns such as dataset, split, system, threshold.

    Returns:
        Columns: metric, label, value, ci_low, ci_high (the wider of the two intervals), resampled (``proteins`` or
        ``families``: whose it is), the constant ones, n, macro_over (labels in macro averages), seed.
    """
    samples = _samples(y, (pred, prob), locations, resamples, seed, families)
    rows = [_row(key, samples, value=value) for key, value in scores(y, pred, prob, locations).items()]
    counts = {"n": len(y), "macro_over": int(np.any(y, axis=0).sum())}
    return pd.DataFrame(rows).assign(**columns, **counts, seed=seed)


def paired_difference(
    y: np.ndarray,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    locations: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 7,
    families: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return first minus second with paired bootstrap intervals: both systems see the same resamples.

    Args:
        y: [B, K] 0/1 labels.
        first: (pred, prob) of one system, [B, K] each.
        second: (pred, prob) of the other.
        locations: K location names.
        resamples: bootstrap resamples.
        seed: seed of the resampling.
        families: [B] family of each protein, see ``evaluate``.

    Returns:
        Columns metric, label, difference, ci_low, ci_high and resampled as in ``evaluate``, and ``p_not_greater``, the
        share of those resamples in which the first system is not better.
    """
    values, others = scores(y, *first, locations), scores(y, *second, locations)
    one, other = (_samples(y, system, locations, resamples, seed, families) for system in (first, second))
    gaps = {unit: {key: one[unit][key] - other[unit][key] for key in values} for unit in one}
    rows = [_row(key, gaps, difference=values[key] - others[key]) for key in values]
    for key, row in zip(values, rows, strict=True):
        gap = gaps[row["resampled"]][key]
        row["p_not_greater"] = float(np.mean(gap[np.isfinite(gap)] <= 0)) if np.isfinite(gap).any() else np.nan
    return pd.DataFrame(rows)
