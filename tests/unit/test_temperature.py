"""Temperature scaling finds the temperature that made the labels, and lowers the error on other proteins."""

import numpy as np
import pytest
from scipy.special import expit

from halo_utils.evaluation.temperature import before_and_after, choose_temperatures, scaled


def labels_of(logits: np.ndarray, temperatures: np.ndarray, seed: int) -> np.ndarray:
    """Return labels drawn with the probabilities that the logits have at the given temperatures."""
    return (np.random.default_rng(seed).random(logits.shape) < expit(logits / temperatures)).astype(int)


def test_the_temperature_that_made_the_labels_is_found_and_helps_on_others() -> None:
    true = np.array([3.0, 1.0, 0.4])
    logits = np.random.default_rng(0).normal(-0.5, 2.0, (2, 6000, 3))
    chosen = choose_temperatures(labels_of(logits[0], true, 1), expit(logits[0]))
    assert np.allclose(chosen, true, rtol=0.12)
    table = before_and_after(labels_of(logits[1], true, 2), expit(logits[1]), chosen, ["a", "b", "c"])
    assert table["location"].tolist() == ["a", "b", "c", "all locations"]
    before, after = table["error_before"].to_numpy(), table["error_after"].to_numpy()
    assert before[0] > 0.1 and before[2] > 0.05 and (after[[0, 2, 3]] < 0.03).all() and abs(before[1] - after[1]) < 0.01


def test_scaling_keeps_order_and_one_half_and_bears_rounded_probabilities() -> None:
    prob = np.array([[0.0, 0.2], [0.5, 0.5], [0.9, 1.0]])
    hot = scaled(prob, [4.0, 0.5])
    assert (np.diff(hot, axis=0) > 0).all() and np.isfinite(hot).all() and hot[1].tolist() == [0.5, 0.5]
    assert hot[2, 0] < 0.9 and hot[0, 1] < 0.2


@pytest.mark.parametrize("label", [0, 1])
def test_a_location_without_both_kinds_keeps_its_probabilities(label: int) -> None:
    y, prob = np.full((20, 1), label), np.random.default_rng(0).random((20, 1))
    assert choose_temperatures(y, prob) == [1.0]
