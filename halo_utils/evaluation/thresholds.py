"""Decision thresholds: a sweep over stored probabilities, the best value, and the split it was chosen on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.core.errors import LeakError
from halo_utils.evaluation.metrics import f1_score

SWEEP_LOW, SWEEP_HIGH = 0.10, 0.95  # paper section 2.1


@dataclass(frozen=True)
class Threshold:
    """The probability at and above which a label is predicted, and the split on which it was chosen."""

    value: float
    chosen_on: str  # ``published`` for a constant taken from the paper or its code

    def on(self, split: str) -> float:
        """Return the value for use on ``split``; LeakError if it was chosen on that very split, or on a part of it."""
        if split.split(", ")[0] == self.chosen_on:
            raise LeakError(f"the threshold {self.value} was chosen on {split!r}: evaluate it on another split")
        return self.value


def threshold_grid(step: float = 0.05) -> np.ndarray:
    """Return the thresholds of the sweep, 0.10 to 0.95 inclusive."""
    return np.round(np.arange(SWEEP_LOW, SWEEP_HIGH + step / 2, step), 4)


def threshold_sweep(y: np.ndarray, prob: np.ndarray, step: float = 0.05) -> pd.DataFrame:
    """Return macro F1, micro F1 and accuracy at every threshold of the sweep from [B, K] labels and probabilities."""
    grid, truth = threshold_grid(step), np.asarray(y, dtype=bool)[None]
    pred = np.asarray(prob)[None] >= grid[:, None, None]  # [thresholds, B, K]
    tp, wrong = (pred & truth).sum(axis=1), (pred ^ truth).sum(axis=1)  # [thresholds, K]
    present = truth.any(axis=(0, 1))
    macro = np.compress(present, f1_score(tp, wrong), axis=1).mean(axis=1) if present.any() else 0.0
    micro, exact = f1_score(tp.sum(axis=1), wrong.sum(axis=1)), (pred == truth).all(axis=2).mean(axis=1)
    return pd.DataFrame({"threshold": grid, "macro_f1": macro, "micro_f1": micro, "accuracy": exact})


def best_threshold(sweep: pd.DataFrame) -> float:
    """Return the threshold with the highest macro F1; of equals the one nearest to one half."""
    best = sweep[sweep["macro_f1"] >= sweep["macro_f1"].max() - 1e-12]
    return float(best.iloc[(best["threshold"] - 0.5).abs().argmin()]["threshold"])


def choose_threshold(y: np.ndarray, prob: np.ndarray, chosen_on: str, step: float = 0.05) -> Threshold:
    """Return the macro F1 optimal threshold, marked with the split that y and prob belong to."""
    return Threshold(best_threshold(threshold_sweep(y, prob, step)), chosen_on)


def choose_label_thresholds(
    y: np.ndarray, prob: np.ndarray, locations: Sequence[str], chosen_on: str, step: float = 0.05
) -> dict[str, Threshold]:
    """Return the F1 optimal threshold of every location; an extension, the paper has one for all."""
    return {name: choose_threshold(y[:, [k]], prob[:, [k]], chosen_on, step) for k, name in enumerate(locations)}
