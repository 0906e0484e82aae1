"""Thresholds and confidence: everything that is read off stored probabilities without running a network."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from halo_utils.evaluation.metrics import resample_weights
from halo_utils.evaluation.thresholds import SWEEP_LOW

TOLERANCE = 1e-9  # of edges, which are sums of steps
BIN_EDGES = np.round(np.arange(0.40, 1.0001, 0.05), 2)  # Fig. 4: 40-45 % ... 95-100 %


def confidence_bins(y: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """Return low, high, total, wrong, accuracy and its 95 % Wilson interval per confidence range (Fig. 4).

    ``y`` and ``prob`` are [B, K]; a (protein, label) pair from the lowest edge on is read as "the protein is there".
    """
    p, truth = np.asarray(prob).ravel(), np.asarray(y).ravel().astype(bool)
    index, rows = np.where(p >= BIN_EDGES[0], np.digitize(p, BIN_EDGES[1:-1]), -1), []
    for i, (low, high) in enumerate(pairwise(BIN_EDGES)):
        total, right = int((index == i).sum()), int(truth[index == i].sum())
        ends = binomtest(right, total).proportion_ci(method="wilson") if total else (np.nan, np.nan)
        accuracy = {"accuracy": right / total if total else np.nan, "ci_low": ends[0], "ci_high": ends[1]}
        rows.append({"low": low, "high": high, "total": total, "wrong": total - right} | accuracy)
    return pd.DataFrame(rows)


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


def predicted_ranges(y: np.ndarray, prob: np.ndarray, threshold: float, **resampling: Any) -> PredictedRanges:
    """Return the accuracy of [B, K] labels per range; one below ``threshold`` is not predicted and counts nowhere.

    ``resampling`` is resamples, seed and families of ``metrics.resample_weights``.
    """
    steps = np.round(np.arange(SWEEP_LOW, 1.0001, 0.05), 2)
    edges = np.r_[threshold, steps[steps > threshold + TOLERANCE]]
    drawn = resample_weights(len(y), **resampling)
    weights = np.concatenate([np.ones((1, len(y)), drawn.dtype), drawn]).astype(float)
    index = np.digitize(prob, edges[1:-1])[:, :, None] == np.arange(len(edges) - 1)  # [B, K, M]
    index &= (np.asarray(prob) >= threshold)[:, :, None]
    total = weights @ index.sum(axis=1)
    right = weights @ (index & (np.asarray(y)[:, :, None] == 1)).sum(axis=1)
    accuracy = np.divide(right, total, out=np.full_like(total, np.nan), where=total > 0)
    return PredictedRanges(edges, total[0].astype(int), accuracy)


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
