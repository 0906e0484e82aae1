"""Thresholds and confidence: everything that is read off stored probabilities without running a network."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from halo_utils.evaluation.bootstrap import resample_weights
from halo_utils.evaluation.thresholds import SWEEP_LOW

TOLERANCE = 1e-9  # of edges, which are sums of steps
BIN_EDGES = np.round(np.arange(0.40, 1.0001, 0.05), 2)  # Fig. 4: 40-45 % ... 95-100 %


def confidence_bins(y: np.ndarray, prob: np.ndarray, edges: np.ndarray = BIN_EDGES) -> pd.DataFrame:
    """Return, per confidence range, the predictions made and how many are wrong (Fig. 4).

    A prediction is a (protein, label) pair with probability at or above the lowest edge, read as "the protein
    is there"; it is wrong where the label is 0.

    Args:
        y: [B, K] 0/1 labels.
        prob: [B, K] probabilities.
        edges: increasing bin edges; the last bin includes its upper edge.

    Returns:
        One row per bin from low to high: low, high, total, wrong, accuracy (NaN for an empty bin) and its
        95 % Wilson interval.
    """
    p, truth = np.asarray(prob).ravel(), np.asarray(y).ravel().astype(bool)
    index, rows = np.where(p >= edges[0], np.digitize(p, edges[1:-1]), -1), []
    for i, (low, high) in enumerate(pairwise(edges)):
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


@dataclass(frozen=True)
class PredictedRanges:
    """How often predicted labels are right, per range of confidence, on a set and on resamples of it.

    Attributes:
        edges: [M + 1] the model's threshold, then the steps of Fig. 4 above it.
        total: [M] predicted labels.
        accuracy: [1 + R, M] share that is right on the set, then on every resample; NaN for an empty range.
    """

    edges: np.ndarray
    total: np.ndarray
    accuracy: np.ndarray

    def crossing(self, level: float) -> Estimate:
        """Return the confidence below which accuracy falls under ``level``; 1 if no range reaches it.

        It is the lowest edge of a range from which on upwards every range reaches ``level``, the reading of Fig. 4
        from which the paper takes 0.55 for 60 %.
        """
        filled = np.isfinite(self.accuracy)
        good = np.where(filled, self.accuracy >= level, True)
        reliable = np.logical_and.accumulate(good[:, ::-1], axis=1)[:, ::-1] & filled
        first = self.edges[reliable.argmax(axis=1)]
        return _estimate(np.where(reliable.any(axis=1), first, 1.0))

    def above(self, confidence: float) -> tuple[Estimate, int]:
        """Return the accuracy of the worst range from ``confidence`` on, and the labels there.

        It reaches a level in exactly those resamples whose ``crossing`` is not above ``confidence``.
        """
        inside = self.edges[:-1] >= confidence - TOLERANCE
        worst = np.fmin.reduce(self.accuracy[:, inside], axis=1, initial=np.nan)  # empty ranges are left out
        return _estimate(worst), int(self.total[inside].sum())

    def below(self, confidence: float) -> tuple[Estimate, int]:
        """Return the accuracy of the best range under ``confidence``, and the labels there.

        Where it misses a level, ``crossing`` is not below ``confidence``.
        """
        inside = self.edges[1:] <= confidence + TOLERANCE
        best = np.fmax.reduce(self.accuracy[:, inside], axis=1, initial=np.nan)
        return _estimate(best), int(self.total[inside].sum())


def _estimate(values: np.ndarray) -> Estimate:
    """Return the first value and the quantiles of the others, which are values that occurred."""
    drawn = values[1:][np.isfinite(values[1:])]
    ends = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf") if len(drawn) else (np.nan, np.nan)
    return Estimate(float(values[0]), float(ends[0]), float(ends[1]))


def predicted_ranges(
    y: np.ndarray,
    prob: np.ndarray,
    threshold: float,
    *,
    resamples: int = 1000,
    seed: int = 7,
    families: np.ndarray | None = None,
) -> PredictedRanges:
    """Return the accuracy of predicted labels per confidence range; a label the model does not predict counts nowhere.

    Args:
        y: [B, K] 0/1 labels.
        prob: [B, K] probabilities.
        threshold: probability from which on the model predicts a label.
        resamples: R, bootstrap resamples of proteins.
        seed: seed of the resampling.
        families: [B] family of each protein; they are resampled in the place of proteins.
    """
    steps = np.round(np.arange(SWEEP_LOW, 1.0001, 0.05), 2)
    edges = np.r_[threshold, steps[steps > threshold + TOLERANCE]]
    drawn = resample_weights(len(y), resamples, seed, families)
    weights = np.concatenate([np.ones((1, len(y)), drawn.dtype), drawn]).astype(float)
    index = np.digitize(prob, edges[1:-1])[:, :, None] == np.arange(len(edges) - 1)  # [B, K, M]
    index &= (np.asarray(prob) >= threshold)[:, :, None]
    total = weights @ index.sum(axis=1)
    right = weights @ (index & (np.asarray(y)[:, :, None] == 1)).sum(axis=1)
    accuracy = np.divide(right, total, out=np.full_like(total, np.nan), where=total > 0)
    return PredictedRanges(edges, total[0].astype(int), accuracy)


def reliability(y: np.ndarray, prob: np.ndarray, n_bins: int = 10) -> tuple[pd.DataFrame, float]:
    """Return the reliability diagram over all (protein, label) pairs and the expected calibration error.

    Returns:
        One row per bin of equal width over 0..1 (mean probability, observed frequency, pairs), and the mean
        absolute difference of the two weighted by pairs.
    """
    frame = pd.DataFrame({"probability": np.ravel(prob), "observed": np.ravel(y).astype(float)})
    frame["bin"] = np.minimum((frame["probability"] * n_bins).astype(int), n_bins - 1)
    bins = frame.groupby("bin")
    table = bins.mean().assign(pairs=bins.size()).reset_index()
    gap = (table["probability"] - table["observed"]).abs()
    return table, float((gap * table["pairs"]).sum() / len(frame))


def calibration_sentence(gamma: float, table: pd.DataFrame, error: float) -> str:
    """Return what the loss does to probabilities and what is seen of it.

    Args:
        gamma: focusing of the focal loss that the model was trained with.
        table: bins of ``reliability``.
        error: expected calibration error of ``reliability``.
    """
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
