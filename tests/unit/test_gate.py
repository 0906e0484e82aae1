"""The gate's promises, for any probabilities (hypothesis) and on hand-made cases."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from halo_utils.models.gate import RELEASED_HIGH, Decision, GateResult, decision_counts, halo_gate

SHAPE = (6, 4)
probs = arrays(np.float64, SHAPE, elements=st.floats(0, 1))
flags = arrays(np.bool_, SHAPE[:1])
edges = st.floats(0.1, 0.95)


def gated(esm, gat, structure, rule="paper", low=0.45, high=0.55, gat_threshold=0.5) -> GateResult:
    numbers = {"esm_threshold": low, "gat_threshold": gat_threshold, "confident": high}
    return halo_gate(esm, gat, structure, **numbers, rule=rule)


def test_the_gate_needs_numpy_and_pandas_alone() -> None:
    code = "import halo_utils.models.gate, sys; assert not {'torch', 'pydantic', 'sklearn'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@given(probs, probs, flags, edges, edges, edges)
def test_never_adds_a_label(esm, gat, structure, low, high, gat_threshold) -> None:
    for rule in ("paper", "released_code", "sequence_only"):
        result = gated(esm, gat, structure, rule, low, high, gat_threshold)
        assert not (result.labels & ~(esm >= (RELEASED_HIGH if rule == "released_code" else low))).any()


@given(probs, probs, flags, edges, edges)
def test_empty_band_is_the_sequence_model(esm, gat, structure, low, gat_threshold) -> None:
    result = gated(esm, gat, structure, "paper", low, low, gat_threshold)
    assert (result.labels == (esm >= low)).all()
    assert (result.score == esm).all()


@given(probs, probs, flags, edges, edges)
def test_proteins_outside_the_band_are_untouched(esm, gat, structure, low, high) -> None:
    result = gated(esm, gat, structure, "paper", low, high)
    outside = ~((esm >= low) & (esm < high)).any(axis=1)
    assert (result.labels[outside] == (esm >= low)[outside]).all()
    assert (result.score[outside] == esm[outside]).all()


@given(probs, probs, flags)
def test_released_code_leaves_certain_proteins_alone(esm, gat, structure) -> None:
    result = gated(esm, gat, structure, "released_code")
    certain = ~((esm > 0.40) & (esm < 0.50)).any(axis=1)
    assert (result.labels[certain] == (esm >= 0.50)[certain]).all()


@given(probs, probs, edges, edges)
def test_without_structures_it_is_the_sequence_model(esm, gat, low, high) -> None:
    result = gated(esm, gat, np.zeros(SHAPE[0], bool), "paper", low, high)
    assert (result.labels == (esm >= low)).all()
    assert not (result.decision == Decision.VETOED).any()


@given(probs, probs, flags, edges, edges, edges)
def test_decisions_explain_labels_and_scores(esm, gat, structure, low, high, gat_threshold) -> None:
    result = gated(esm, gat, structure, "paper", low, high, gat_threshold)
    kept = np.isin(result.decision, [Decision.CONFIDENT, Decision.AGREED, Decision.NO_STRUCTURE])
    assert (kept == result.labels).all()
    assert (result.score[result.labels] >= low).all()
    assert (result.score[result.decision == Decision.VETOED] < low).all()


def test_every_decision_on_a_hand_made_protein() -> None:
    esm = np.array([[0.60, 0.50, 0.50, 0.30], [0.50, 0.55, 0.45, 0.44]])
    gat = np.array([[0.90, 0.90, 0.10, 0.90], [0.10, 0.10, 0.10, 0.90]])
    result = gated(esm, gat, np.array([True, False]))
    D = Decision
    assert result.decision.tolist() == [
        [D.CONFIDENT, D.AGREED, D.VETOED, D.NEGATIVE],
        [D.NO_STRUCTURE, D.CONFIDENT, D.NO_STRUCTURE, D.NEGATIVE],
    ]


def test_released_code_vetoes_every_label_of_an_uncertain_protein() -> None:
    esm, gat = np.array([[0.90, 0.45], [0.90, 0.30]]), np.array([[0.1, 0.9], [0.1, 0.9]])
    labels = gated(esm, gat, np.ones(2, bool), "released_code").labels
    assert labels.tolist() == [[False, False], [True, False]]


def test_mismatched_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="same proteins and labels"):
        gated(np.ones((2, 3)), np.ones((3, 3)), np.ones(2, bool))


def test_counts_add_up() -> None:
    rng = np.random.default_rng(0)
    esm, gat, y = rng.random((50, 3)), rng.random((50, 3)), rng.integers(0, 2, (50, 3))
    result = gated(esm, gat, np.ones(50, bool))
    counts = decision_counts(result.decision, y, ["a", "b", "c"])
    assert counts["labels"].sum() == 150 and counts["true"].sum() == y.sum()
