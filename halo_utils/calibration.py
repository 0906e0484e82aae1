"""Thresholds and confidence: everything that is read off stored probabilities without running a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from halo_utils.blocks import FocalSettings
from halo_utils.bootstrap import resample_weights
from halo_utils.errors import LeakError

SWEEP_LOW, SWEEP_HIGH = 0.10, 0.95  # paper section 2.1
TOLERANCE = 1e-9  # of edges, which are sums of steps
BIN_EDGES = np.round(np.arange(0.40, 1.0001, 0.05), 2)  # Fig. 4: 40-45 % ... 95-100 %


@dataclass(frozen=True)
class Threshold:
    """A decision threshold and the split it was chosen on.

    Attributes:
        value: probability at and above which a label is predicted.
        chosen_on: name of the split, or ``published`` for a constant taken from the paper or its code.
    """

    value: float
    chosen_on: str

    def on(self, split: str) -> float:
        """Return the value for use on ``split``.

        Raises:
            LeakError: if the threshold was chosen on that very split, or on a part of it.
        """
        if split.split(", ")[0] == self.chosen_on:
            raise LeakError(f"the threshold {self.value} was chosen on {split!r}: evaluate it on another split")
        return self.value


def threshold_grid(step: float = 0.05) -> np.ndarray:
    """Return the thresholds of the sweep, 0.10 to 0.95 inclusive."""
    return np.round(np.arange(SWEEP_LOW, SWEEP_HIGH + step / 2, step), 4)


def threshold_sweep(y: np.ndarray, prob: np.ndarray, step: float = 0.05) -> pd.DataFrame:
    """Return macro F1, micro F1 and accuracy at every threshold of the sweep.

    Args:
        y: [B, K] 0/1 labels.
        prob: [B, K] probabilities, computed once; the network is not run again.
        step: distance of two thresholds.

    Returns:
        One row per threshold; macro F1 is over the labels that have a protein, as in ``metrics.scores``, and 0 where
        none has.
    """
    grid = threshold_grid(step)
    truth = np.asarray(y, dtype=bool)[None]
    pred = np.asarray(prob)[None] >= grid[:, None, None]  # [T, B, K]
    tp = (pred & truth).sum(axis=1).astype(float)
    wrong = (pred ^ truth).sum(axis=1)
    per_label = np.divide(2 * tp, 2 * tp + wrong, out=np.zeros_like(tp), where=(2 * tp + wrong) > 0)
    present = truth.any(axis=(0, 1))
    macro = np.compress(present, per_label, axis=1).mean(axis=1) if present.any() else np.zeros(len(grid))
    total = 2 * tp.sum(axis=1) + wrong.sum(axis=1)
    micro = np.divide(2 * tp.sum(axis=1), total, out=np.zeros(len(grid)), where=total > 0)
    exact = (pred == truth).all(axis=2).mean(axis=1)
    return pd.DataFrame({"threshold": grid, "macro_f1": macro, "micro_f1": micro, "accuracy": exact})


def best_threshold(sweep: pd.DataFrame) -> float:
    """Return the threshold with the highest macro F1; of equals the one nearest to one half."""
    best = sweep[sweep["macro_f1"] >= sweep["macro_f1"].max() - 1e-12]
    return float(best.iloc[(best["threshold"] - 0.5).abs().argmin()]["threshold"])


def choose_threshold(y: np.ndarray, prob: np.ndarray, split: str, step: float = 0.05) -> Threshold:
    """Return the macro F1 optimal threshold, marked with the split it was chosen on."""
    return Threshold(best_threshold(threshold_sweep(y, prob, step)), split)


def choose_label_thresholds(
    y: np.ndarray, prob: np.ndarray, places: Sequence[str], split: str, step: float = 0.05
) -> dict[str, Threshold]:
    """Return the F1 optimal threshold of every location; an extension, the paper has one for all.

    Args:
        y: [B, K] 0/1 labels.
        prob: [B, K] probabilities.
        places: K location names.
        split: name of the split that y and prob belong to.
        step: distance of two thresholds.
    """
    sweeps = {place: threshold_sweep(y[:, [k]], prob[:, [k]], step) for k, place in enumerate(places)}
    return {place: Threshold(best_threshold(sweep), split) for place, sweep in sweeps.items()}


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
    index = np.digitize(p, edges[1:-1])
    rows = []
    for i, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = (index == i) & (p >= edges[0])
        total, right = int(inside.sum()), int(truth[inside].sum())
        interval = binomtest(right, total).proportion_ci(method="wilson") if total else (np.nan, np.nan)
        row = {"low": low, "high": high, "total": total, "wrong": total - right}
        rows.append(
            row | {"accuracy": right / total if total else np.nan, "ci_low": interval[0], "ci_high": interval[1]}
        )
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
        return _estimate(_extreme(np.fmin, self.accuracy[:, inside])), int(self.total[inside].sum())

    def below(self, confidence: float) -> tuple[Estimate, int]:
        """Return the accuracy of the best range under ``confidence``, and the labels there.

        Where it misses a level, ``crossing`` is not below ``confidence``.
        """
        inside = self.edges[1:] <= confidence + TOLERANCE
        return _estimate(_extreme(np.fmax, self.accuracy[:, inside])), int(self.total[inside].sum())


def _extreme(choose: np.ufunc, accuracy: np.ndarray) -> np.ndarray:
    """Return the smallest or largest of [1 + R, m] per row, empty ranges left out; NaN where none is filled."""
    return choose.reduce(accuracy, axis=1, initial=np.nan)


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
    resamples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> PredictedRanges:
    """Return the accuracy of predicted labels per confidence range; a label the model does not predict counts nowhere.

    Args:
        y: [B, K] 0/1 labels.
        prob: [B, K] probabilities.
        threshold: probability from which on the model predicts a label.
        resamples: R, bootstrap resamples of proteins.
        seed: seed of the resampling.
        groups: [B] families; they are resampled in the place of proteins.
    """
    steps = np.round(np.arange(SWEEP_LOW, 1.0001, 0.05), 2)
    edges = np.r_[threshold, steps[steps > threshold + TOLERANCE]]
    drawn = resample_weights(len(y), resamples, seed, groups)
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
    p, truth = np.asarray(prob).ravel(), np.asarray(y).ravel().astype(float)
    index = np.minimum((p * n_bins).astype(int), n_bins - 1)
    frame = pd.DataFrame({"bin": index, "probability": p, "observed": truth})
    table = frame.groupby("bin").agg(
        probability=("probability", "mean"), observed=("observed", "mean"), pairs=("bin", "size")
    )
    gap = (table["probability"] - table["observed"]).abs()
    return table.reset_index(), float((gap * table["pairs"]).sum() / table["pairs"].sum())


def calibration_sentence(focal: FocalSettings, table: pd.DataFrame, error: float) -> str:
    """Return what the loss does to probabilities, from its settings, and what is seen of it.

    Args:
        focal: loss of the model.
        table: bins of ``reliability``.
        error: expected calibration error of ``reliability``.
    """
    away = (table["observed"] - 0.5).abs() > (table["probability"] - 0.5).abs()
    share = float(table.loc[away, "pairs"].sum() / table["pairs"].sum())
    if focal.gamma:
        loss = (
            f"Focal loss with gamma {focal.gamma:g} stops rewarding a label once it is safely right, which keeps"
            " probabilities nearer to one half than the labels are"
        )
    else:
        loss = "The loss is plain binary cross-entropy (focal loss with gamma 0), which pulls probabilities nowhere"
    return (
        f"{loss}. Here {share:.0%} of the pairs lie in ranges whose true share is further from one half than their"
        f" probability, and the expected calibration error is {error:.3f}."
    )
