"""Temperature scaling (Guo et al. 2017), one temperature per location: probabilities that mean what they say."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from halo_utils.evaluation.calibration import reliability

LOWEST, HIGHEST = 0.1, 10.0
EDGE = 1e-7  # of probabilities; stored ones may have been rounded to 0 or 1


def logits_of(prob: np.ndarray) -> np.ndarray:
    """Return the finite logits of probabilities, of any shape, float64."""
    return logit(np.clip(np.asarray(prob, dtype=np.float64), EDGE, 1 - EDGE))


def scaled(prob: np.ndarray, temperatures: Sequence[float]) -> np.ndarray:
    """Return probabilities [B, K] after division of their logits by the K temperatures; their order stays."""
    return expit(logits_of(prob) / np.asarray(temperatures, dtype=np.float64))


def choose_temperatures(y: np.ndarray, prob: np.ndarray) -> list[float]:
    """Return the K temperatures with the smallest cross-entropy on labels and probabilities [B, K].

    1 where a location has no protein, or nothing else, because the best temperature is then an end of the scale.
    """
    chosen = []
    for truth, score in zip(np.asarray(y).T, logits_of(prob).T, strict=True):

        def cross_entropy(log_temperature: float, truth: np.ndarray = truth, score: np.ndarray = score) -> float:
            z = score / np.exp(log_temperature)
            return float(np.mean(np.logaddexp(0, z) - truth * z))

        bounds = (np.log(LOWEST), np.log(HIGHEST))
        varied = 0 < truth.sum() < len(truth)
        chosen.append(
            float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x)) if varied else 1.0
        )
    return chosen


def before_and_after(
    y: np.ndarray, prob: np.ndarray, temperatures: Sequence[float], locations: Sequence[str]
) -> pd.DataFrame:
    """Return location, temperature, proteins there, and the expected calibration error before and after scaling.

    ``y`` and ``prob`` are [B, K] of other proteins than those the temperatures were chosen on; the last row is of all.
    """
    after, rows = scaled(prob, temperatures), []
    for k, name in enumerate(locations):
        errors = (reliability(y[:, [k]], p[:, [k]])[1] for p in (prob, after))
        rows.append((name, temperatures[k], int(y[:, k].sum()), *errors))
    rows.append(("all locations", np.nan, int(y.sum()), *(reliability(y, p)[1] for p in (prob, after))))
    return pd.DataFrame(rows, columns=["location", "temperature", "proteins", "error_before", "error_after"])


def reliability_by_location(
    y: np.ndarray, prob: np.ndarray, temperatures: Sequence[float], locations: Sequence[str]
) -> pd.DataFrame:
    """Return ``calibration.reliability`` of every location, before scaling and after, with columns location and scaled.

    ``y`` and ``prob`` are [B, K], as in ``before_and_after``.
    """
    ways = {False: np.asarray(prob), True: scaled(prob, temperatures)}
    return pd.concat(
        [
            reliability(y[:, [k]], p[:, [k]])[0].assign(location=name, scaled=way)
            for k, name in enumerate(locations)
            for way, p in ways.items()
        ],
        ignore_index=True,
    )
