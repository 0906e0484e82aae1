"""HALO's gate: the sequence model decides when confident, the graph model is asked when it is not.

A pure function of two probability matrices. Source: paper section 2.3; released code, HALO.py of commit
498afbb, for the rule ``released_code``.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import pandas as pd

from halo_utils.evaluation.thresholds import Threshold
from halo_utils.profile import GateSettings

# Constants of the released code: uncertain between, positive at, graph model positive at.
RELEASED_LOW, RELEASED_HIGH, RELEASED_GAT = 0.40, 0.50, 0.40
# Rule -> system its results are filed under; the paper's claims are about the first.
SYSTEMS = {"paper": "halo", "released_code": "halo_released_code", "sequence_only": "halo_sequence_only"}


class Decision(IntEnum):
    """Why a label is kept or not; one code per protein and label."""

    NEGATIVE = 0  # the sequence model does not predict the label
    CONFIDENT = 1  # kept, the sequence model is confident
    AGREED = 2  # kept, inside the band, the graph model predicts it too
    VETOED = 3  # dropped, inside the band, the graph model does not predict it
    NO_STRUCTURE = 4  # kept, inside the band, no structure: sequence-only mode


@dataclass(frozen=True)
class Gate:
    """A gate with its numbers filled in.

    Attributes:
        rule: ``paper``, ``released_code`` or ``sequence_only``.
        esm_threshold: the sequence model predicts a label at or above it; lower edge of the band in ``paper``.
        gat_threshold: the graph model predicts a label at or above it.
        confident: upper edge of the band, where the sequence model starts to decide alone.
    """

    rule: Literal["paper", "released_code", "sequence_only"]
    esm_threshold: Threshold
    gat_threshold: Threshold
    confident: float


@dataclass(frozen=True)
class GateResult:
    """Outcome of the gate.

    Attributes:
        labels: [B, K] bool, final labels.
        decision: [B, K] int8, values of ``Decision``.
        score: [B, K] float64 for ranking metrics: the sequence probability, and for a vetoed label a value below
            the sequence threshold that grows with the graph model's probability. The paper reports a ROC AUC
            for HALO without saying on what; this choice keeps the ranking consistent with the labels.
    """

    labels: np.ndarray
    decision: np.ndarray
    score: np.ndarray


def make_gate(settings: GateSettings, esm_threshold: Threshold, gat_threshold: Threshold) -> Gate:
    """Return the gate of a profile; ``released_code`` ignores the tuned thresholds and uses its constants."""
    if settings.rule == "released_code":
        published = [Threshold(value, "published") for value in (RELEASED_HIGH, RELEASED_GAT)]
        return Gate("released_code", *published, confident=RELEASED_HIGH)
    return Gate(settings.rule, esm_threshold, gat_threshold, settings.confident)


def halo_gate(
    esm_prob: np.ndarray, gat_prob: np.ndarray, has_structure: np.ndarray, gate: Gate, split: str
) -> GateResult:
    """Apply the gate; it may remove a label the sequence model predicts, and never adds one.

    ``paper``: a label with sequence probability in [esm_threshold, confident) stays only if the graph model
    predicts it. ``released_code``: a protein is uncertain when any of its probabilities lies strictly between
    0.40 and 0.50; all its labels then need the graph model. ``sequence_only``: the sequence model alone.

    Args:
        esm_prob: [B, K] probabilities of the fine-tuned sequence model.
        gat_prob: [B, K] probabilities of the graph model, rows of the same proteins.
        has_structure: [B] bool; a protein without structure runs sequence-only.
        gate: rule and thresholds.
        split: split of the proteins; thresholds chosen on it are refused.

    Raises:
        ValueError: if shapes differ.
        LeakError: if a threshold was chosen on ``split``.
    """
    esm_prob, gat_prob, has_structure = (
        np.asarray(esm_prob),
        np.asarray(gat_prob),
        np.asarray(has_structure, dtype=bool),
    )
    if esm_prob.shape != gat_prob.shape or has_structure.shape != esm_prob.shape[:1]:
        shapes = f"{esm_prob.shape}, {gat_prob.shape}, {has_structure.shape}"
        raise ValueError(f"the two models and the structure flags must cover the same proteins and labels: {shapes}")
    esm_threshold, gat_threshold = gate.esm_threshold.on(split), gate.gat_threshold.on(split)
    positive = esm_prob >= esm_threshold
    if gate.rule == "paper":
        asked = positive & (esm_prob < gate.confident)
    elif gate.rule == "released_code":
        uncertain = ((esm_prob > RELEASED_LOW) & (esm_prob < RELEASED_HIGH)).any(axis=1, keepdims=True)
        asked = positive & uncertain
    else:
        asked = np.zeros_like(positive)
    agrees = gat_prob >= gat_threshold
    conditions = [~positive, ~asked, ~has_structure[:, None] & asked, asked & agrees]
    codes = [Decision.NEGATIVE, Decision.CONFIDENT, Decision.NO_STRUCTURE, Decision.AGREED]
    decision = np.select(conditions, codes, Decision.VETOED).astype(np.int8)
    vetoed = decision == Decision.VETOED
    score = np.where(vetoed, esm_threshold * gat_prob / max(gat_threshold, 1e-12), esm_prob)
    return GateResult(positive & ~vetoed, decision, score)


def decision_counts(decision: np.ndarray, y: np.ndarray, places: list[str]) -> pd.DataFrame:
    """Return, per location and decision, the labels decided and how many of them are true.

    Returns:
        Columns location, decision, labels, true; ``negative`` rows count true labels that are missed.
    """
    rows = []
    for k, place in enumerate(places):
        for code in Decision:
            chosen = decision[:, k] == code
            row = {"location": place, "decision": code.name.lower(), "labels": int(chosen.sum())}
            rows.append(row | {"true": int(np.asarray(y)[chosen, k].sum())})
    return pd.DataFrame(rows)


def asked_labels(decision: np.ndarray) -> np.ndarray:
    """Return the (protein, label) positions the second opinion decided, agreed or vetoed, [A, 2]."""
    return np.argwhere((decision == Decision.AGREED) | (decision == Decision.VETOED))


def random_veto(decision: np.ndarray, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Return random vetoes of the size of the gate's: as many asked labels dropped, each set equally likely.

    Any veto can raise precision and subset accuracy, because labels in the band are often false; what a second
    opinion knows is what it gains beyond these.

    Args:
        decision: [B, K] values of ``Decision``.
        draws: R.
        seed: seed of the draws.

    Returns:
        [R, A] bool, whether each of ``asked_labels`` is dropped; all other labels stay as the gate left them.
    """
    where = asked_labels(decision)
    vetoed = int((decision == Decision.VETOED).sum())
    order = np.random.default_rng([seed, 60]).random((draws, len(where))).argsort(axis=1)
    return order.argsort(axis=1) < vetoed
