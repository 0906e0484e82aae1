"""TODO."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.core.errors import LeakError

SWEEP_LOW, SWEEP_HIGH = 0.10, 0.95  # paper section 2.1


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
