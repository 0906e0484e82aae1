"""The gate's promises, for any probabilities (hypothesis) and on hand-made cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from halo_utils.core.errors import LeakError
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.gate import Decision, Gate, decision_counts, halo_gate, make_gate
from halo_utils.profile import GateSettings

SHAPE = (6, 4)
probs = arrays(np.float64, SHAPE, elements=st.floats(0, 1))
flags = arrays(np.bool_, SHAPE[:1])
edges = st.floats(0.1, 0.95)


def gate(rule: str = "paper", low: float = 0.45, high: float = 0.55, gat: float = 0.5) -> Gate:
    settings = GateSettings(rule=rule, confident=high)
    return make_gate(settings, Threshold(low, "val"), Threshold(gat, "val"))


@given(probs, probs, flags, edges, edges, edges)
def test_never_adds_a_label(esm, gat, structure, low, high, gat_threshold) -> None:
    for rule in ("paper", "released_code", "sequence_only"):
        rule_gate = gate(rule, low, high, gat_threshold)
        result = halo_gate(esm, gat, structure, rule_gate, "test")
        assert not (result.labels & ~(esm >= rule_gate.esm_threshold.value)).any()


@given(probs, probs, flags, edges, edges)
def test_empty_band_is_the_sequence_model(esm, gat, structure, low, gat_threshold) -> None:
    result = halo_gate(esm, gat, structure, gate("paper", low, low, gat_threshold), "test")
    assert (result.labels == (esm >= low)).all()
    assert (result.score == esm).all()


@given(probs, probs, flags, edges, edges)
def test_proteins_outside_the_band_are_untouched(esm, gat, structure, low, high) -> None:
    result = halo_gate(esm, gat, structure, gate("paper", low, high), "test")
    outside = ~((esm >= low) & (esm < high)).any(axis=1)
    assert (result.labels[outside] == (esm >= low)[outside]).all()
    assert (result.score[outside] == esm[outside]).all()


@given(probs, probs, flags)
def test_released_code_leaves_certain_proteins_alone(esm, gat, structure) -> None:
    result = halo_gate(esm, gat, structure, gate("released_code"), "test")
    certain = ~((esm > 0.40) & (esm < 0.50)).any(axis=1)
    assert (result.labels[certain] == (esm >= 0.50)[certain]).all()


@given(probs, probs, edges, edges)
def test_without_structures_it_is_the_sequence_model(esm, gat, low, high) -> None:
    result = halo_gate(esm, gat, np.zeros(SHAPE[0], bool), gate("paper", low, high), "test")
    assert (result.labels == (esm >= low)).all()
    assert not (result.decision == Decision.VETOED).any()


@given(probs, probs, flags, edges, edges, edges)
def test_decisions_explain_labels_and_scores(esm, gat, structure, low, high, gat_threshold) -> None:
    result = halo_gate(esm, gat, structure, gate("paper", low, high, gat_threshold), "test")
    kept = np.isin(result.decision, [Decision.CONFIDENT, Decision.AGREED, Decision.NO_STRUCTURE])
    assert (kept == result.labels).all()
    assert (result.score[result.labels] >= low).all()
    assert (result.score[result.decision == Decision.VETOED] < low).all()


def test_every_decision_on_a_hand_made_protein() -> None:
    esm = np.array([[0.60, 0.50, 0.50, 0.30], [0.50, 0.55, 0.45, 0.44]])
    gat = np.array([[0.90, 0.90, 0.10, 0.90], [0.10, 0.10, 0.10, 0.90]])
    result = halo_gate(esm, gat, np.array([True, False]), gate(), "test")
    D = Decision
    assert result.decision.tolist() == [
        [D.CONFIDENT, D.AGREED, D.VETOED, D.NEGATIVE],
        [D.NO_STRUCTURE, D.CONFIDENT, D.NO_STRUCTURE, D.NEGATIVE],
    ]


def test_released_code_vetoes_every_label_of_an_uncertain_protein() -> None:
    esm, gat = np.array([[0.90, 0.45], [0.90, 0.30]]), np.array([[0.1, 0.9], [0.1, 0.9]])
    labels = halo_gate(esm, gat, np.ones(2, bool), gate("released_code"), "test").labels
    assert labels.tolist() == [[False, False], [True, False]]


def test_thresholds_of_the_evaluated_split_are_refused() -> None:
    with pytest.raises(LeakError, match="was chosen on 'val'"):
        halo_gate(np.ones((1, 1)), np.ones((1, 1)), np.ones(1, bool), gate(), "val")


def test_mismatched_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="same proteins and labels"):
        halo_gate(np.ones((2, 3)), np.ones((3, 3)), np.ones(2, bool), gate(), "test")


def test_counts_add_up() -> None:
    rng = np.random.default_rng(0)
    esm, gat, y = rng.random((50, 3)), rng.random((50, 3)), rng.integers(0, 2, (50, 3))
    result = halo_gate(esm, gat, np.ones(50, bool), gate(), "test")
    counts = decision_counts(result.decision, y, ["a", "b", "c"])
    assert counts["labels"].sum() == 150 and counts["true"].sum() == y.sum()
