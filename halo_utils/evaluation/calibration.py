"""Thresholds and confidence: everything that is read off stored probabilities without running a network."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import binomtest

from halo_utils.evaluation.metrics import resample_weights
from halo_utils.evaluation.thresholds import SWEEP_LOW

TOLERANCE = 1e-9  # of edges, which are sums of steps
LOWEST = 0.40  # where Fig. 4 begins: 40-45 % ... 95-100 %


class Estimate(NamedTuple):
    """A value on the proteins at hand and the 2.5 % and 97.5 % quantiles under resampling; NaN where undefined."""

    value: float
    low: float
    high: float


def _estimate(values: np.ndarray) -> Estimate:
    drawn = values[1:][np.isfinite(values[1:])]
    ends = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf") if len(drawn) else (np.nan, np.nan)
    return Estimate(*map(float, (values[0], *ends)))


@dataclass(frozen=True)
class PredictedRanges:
    """How often predicted labels are right, per range of confidence, on a set and on resamples of it."""

    edges: np.ndarray  # [M + 1] the model's threshold, then the steps of Fig. 4 above it
    total: np.ndarray  # [M] predicted labels
    accuracy: np.ndarray  # [1 + R, M] share that is right on the set, then on every resample; NaN for an empty range

    def crossing(self, level: float) -> Estimate:
        """Return the lowest edge from which on every range reaches ``level``, as Fig. 4 is read; 1 if none does."""
        filled = np.isfinite(self.accuracy)
        good = np.where(filled, self.accuracy >= level, True)
        reliable = np.logical_and.accumulate(good[:, ::-1], axis=1)[:, ::-1] & filled
        return _estimate(np.where(reliable.any(axis=1), self.edges[reliable.argmax(axis=1)], 1.0))

    def above(self, confidence: float) -> tuple[Estimate, int]:
        """Return the accuracy of the worst range from ``confidence`` on, and the labels there."""
        # It reaches a level in exactly those resamples whose ``crossing`` is not above ``confidence``.
        return self._extreme(np.fmin, self.edges[:-1] >= confidence - TOLERANCE)

    def below(self, confidence: float) -> tuple[Estimate, int]:
        """Return the accuracy of the best range under ``confidence``, and the labels there."""
        # Where it misses a level, ``crossing`` is not below ``confidence``.
        return self._extreme(np.fmax, self.edges[1:] <= confidence + TOLERANCE)

    def _extreme(self, which: np.ufunc, inside: np.ndarray) -> tuple[Estimate, int]:
        found = which.reduce(self.accuracy[:, inside], axis=1, initial=np.nan)  # empty ranges are left out
        return _estimate(found), int(self.total[inside].sum())


def _with_resamples(n: int, **resampling: Any) -> np.ndarray:
    """Return how often each of B = ``n`` proteins counts, [1 + R, B]: once on the set, then in every resample."""
    return np.concatenate([np.ones((1, n)), resample_weights(n, **resampling).astype(float)])


def predicted_ranges(y: np.ndarray, prob: np.ndarray, threshold: float, **resampling: Any) -> PredictedRanges:
    """Return the accuracy of [B, K] labels per range; one below ``threshold`` is not predicted and counts nowhere.

    ``resampling`` is resamples, seed and families of ``metrics.resample_weights``.
    """
    steps = np.round(np.arange(SWEEP_LOW, 1.0001, 0.05), 2)
    edges = np.r_[threshold, steps[steps > threshold + TOLERANCE]]
    weights = _with_resamples(len(y), **resampling)
    index = np.digitize(prob, edges[1:-1])[:, :, None] == np.arange(len(edges) - 1)  # [B, K, M]
    index &= (np.asarray(prob) >= threshold)[:, :, None]
    total = weights @ index.sum(axis=1)
    right = weights @ (index & (np.asarray(y)[:, :, None] == 1)).sum(axis=1)
    accuracy = np.divide(right, total, out=np.full_like(total, np.nan), where=total > 0)
    return PredictedRanges(edges, total[0].astype(int), accuracy)


def confidence_bins(y: np.ndarray, prob: np.ndarray, **resampling: Any) -> pd.DataFrame:
    """Return low, high, total, wrong, accuracy and its 95 % interval per confidence range (Fig. 4).

    ``y`` and ``prob`` are [B, K]; a (protein, label) pair from ``LOWEST`` on is read as "the protein is there". The
    interval is the wider of Wilson's, of independent pairs, and that of families drawn again; ``resampling`` is as in
    ``predicted_ranges``.
    """
    ranges, rows = predicted_ranges(y, prob, LOWEST, **resampling), []
    for i, (low, high) in enumerate(pairwise(ranges.edges)):
        total, drawn = int(ranges.total[i]), _estimate(ranges.accuracy[:, i])
        right = round(drawn.value * total) if total else 0
        ends = binomtest(right, total).proportion_ci(method="wilson") if total else (np.nan, np.nan)
        accuracy = {
            "accuracy": drawn.value,
            "ci_low": np.fmin(ends[0], drawn.low),
            "ci_high": np.fmax(ends[1], drawn.high),
        }
        rows.append({"low": low, "high": high, "total": total, "wrong": total - right} | accuracy)
    return pd.DataFrame(rows)


def share_wrong(y: np.ndarray, prob: np.ndarray, low: float, high: float, **resampling: Any) -> tuple[Estimate, int]:
    """Return which share of the pairs with a probability in [low, high) is wrong, and how many pairs those are.

    ``y`` and ``prob`` are [B, K], ``resampling`` as in ``predicted_ranges``; NaN where there is no pair.
    """
    inside = (np.asarray(prob) >= low - TOLERANCE) & (np.asarray(prob) < high - TOLERANCE)
    pairs = np.stack([inside.sum(axis=1), (inside & (np.asarray(y) == 0)).sum(axis=1)], axis=1)  # [B, 2] all, wrong
    total, wrong = (_with_resamples(len(pairs), **resampling) @ pairs).T
    return _estimate(np.divide(wrong, total, out=np.full_like(total, np.nan), where=total > 0)), int(total[0])


def without_offset(prob: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return probabilities, [B, K], as they would be without a constant ``offset``, [K], in their logits."""
    return expit(logit(np.asarray(prob, dtype=float)) - offset)


def reliability(y: np.ndarray, prob: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Return mean probability, observed frequency and pairs per tenth of 0..1, and the expected calibration error."""
    frame = pd.DataFrame({"probability": np.ravel(prob), "observed": np.ravel(y).astype(float)})
    frame["bin"] = np.minimum((frame["probability"] * 10).astype(int), 9)
    bins = frame.groupby("bin")
    table = bins.mean().assign(pairs=bins.size()).reset_index()
    gap = (table["probability"] - table["observed"]).abs()
    return table, float((gap * table["pairs"]).sum() / len(frame))


def calibration_sentence(gamma: float, table: pd.DataFrame, error: float) -> str:
    """Return what a focal loss with ``gamma`` does to probabilities, and what ``reliability`` shows of it."""
    away = (table["observed"] - 0.5).abs() > (table["probability"] - 0.5).abs()
    share = float(table.loc[away, "pairs"].sum() / table["pairs"].sum())
    loss = "The loss is plain binary cross-entropy (focal loss with gamma 0), which pulls probabilities nowhere"
    if gamma:
        loss = (
            f"Focal loss with gamma {gamma:g} stops rewarding a label once it is safely right, which keeps"
            " probabilities nearer to one half than the labels are"
        )
    return (
        f"{loss}. Here {share:.0%} of the pairs lie in ranges whose true share is further from one half than their"
        f" probability, and the expected calibration error is {error:.3f}."
    )
