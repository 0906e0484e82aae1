"""HALO's gate: the sequence model decides when confident, the graph model is asked when it is not (section 2.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import pandas as pd

# Constants of the released code: uncertain between, positive at, graph model positive at.
RELEASED_LOW, RELEASED_HIGH, RELEASED_GAT = 0.40, 0.50, 0.40
Rule = Literal["paper", "released_code", "sequence_only"]


class Decision(IntEnum):
    """Why a label is kept or not; one code per protein and label."""

    NEGATIVE = 0  # the sequence model does not predict the label
    CONFIDENT = 1  # kept, the sequence model is confident
    AGREED = 2  # kept, inside the band, the graph model predicts it too
    VETOED = 3  # dropped, inside the band, the graph model does not predict it
    NO_STRUCTURE = 4  # kept, inside the band, no structure: sequence-only mode


@dataclass(frozen=True)
class GateResult:
    """Final labels [B, K] bool, the ``Decision`` behind each [B, K] int8, and scores [B, K] float64 for rankings.

    The score is the sequence probability, and for a vetoed label a value below the sequence threshold that grows with
    the graph model's probability: the paper does not say on what its ROC AUC is, and this one agrees with the labels.
    """

    labels: np.ndarray
    decision: np.ndarray
    score: np.ndarray


def halo_gate(
    esm_prob: np.ndarray,
    gat_prob: np.ndarray,
    has_structure: np.ndarray,
    *,
    esm_threshold: float | np.ndarray,
    gat_threshold: float,
    confident: float = 0.55,
    rule: Rule = "paper",
) -> GateResult:
    """Apply the gate; it may remove a label the sequence model predicts, and never adds one.

    Both models give [B, K] probabilities of the same proteins and predict a label at or above their thresholds, of
    which ``esm_threshold`` may be one per location, [K]; without ``has_structure``, [B] bool, a protein runs
    sequence-only. Under the rule ``paper`` a label is uncertain below ``confident``; under ``released_code`` (HALO.py,
    commit 498afbb) all labels of a protein are, when any of its
    probabilities lies strictly between 0.40 and 0.50, and the code's constants are thresholds; under ``sequence_only``
    none.
    """
    esm_prob, gat_prob, has_structure = np.asarray(esm_prob), np.asarray(gat_prob), np.asarray(has_structure, bool)
    if esm_prob.shape != gat_prob.shape or has_structure.shape != esm_prob.shape[:1]:
        shapes = f"{esm_prob.shape}, {gat_prob.shape}, {has_structure.shape}"
        raise ValueError(f"the two models and the structure flags must cover the same proteins and labels: {shapes}")
    if rule == "released_code":
        esm_threshold, gat_threshold = RELEASED_HIGH, RELEASED_GAT
        uncertain = ((esm_prob > RELEASED_LOW) & (esm_prob < RELEASED_HIGH)).any(axis=1, keepdims=True)
    else:
        uncertain = (esm_prob < confident) & (rule == "paper")
    predicted, structure = esm_prob >= esm_threshold, has_structure[:, None]
    asked = predicted & uncertain & structure
    cases = {
        Decision.CONFIDENT: predicted & ~uncertain,
        Decision.NO_STRUCTURE: predicted & uncertain & ~structure,
        Decision.AGREED: asked & (gat_prob >= gat_threshold),
        Decision.VETOED: asked & (gat_prob < gat_threshold),
    }
    decision = np.select(list(cases.values()), list(cases), Decision.NEGATIVE).astype(np.int8)
    vetoed = cases[Decision.VETOED]
    score = np.where(vetoed, esm_threshold * gat_prob / max(gat_threshold, 1e-12), esm_prob)
    return GateResult(predicted & ~vetoed, decision, score)


def decision_counts(decision: np.ndarray, y: np.ndarray, locations: Sequence[str]) -> pd.DataFrame:
    """Return location, decision, labels (decided so) and true (of these); ``negative`` rows count missed labels."""
    rows = []
    for k, location in enumerate(locations):
        for code in Decision:
            true = np.asarray(y)[decision[:, k] == code, k]
            rows.append({"location": location, "decision": code.name.lower(), "labels": len(true), "true": true.sum()})
    return pd.DataFrame(rows)


def decision_flows(counts: pd.DataFrame) -> pd.DataFrame:
    """Return how predicted labels flow through the gate: split, from, to, labels and true (of these).

    ``counts`` is ``decision_counts`` of one set or more, with a column split. Every predicted label is confident or in
    the band, there without structure or asked about, then agreed or vetoed, and in the end right or wrong: a kept label
    is right if it is true, a vetoed one if it is false.
    """
    kept = ("confident", "no_structure", "agreed")
    ways = {("predicted", "confident"): kept[:1], ("predicted", "band"): ("no_structure", "agreed", "vetoed")}
    ways |= {("band", "no_structure"): kept[1:2], ("band", "asked"): ("agreed", "vetoed")}
    ways |= {("asked", "agreed"): kept[2:], ("asked", "vetoed"): ("vetoed",)}
    rows = []
    for split, own in counts.groupby("split", sort=False):
        decided = own.groupby("decision")[["labels", "true"]].sum()
        for way, decisions in ways.items():
            rows.append((split, *way, *decided.loc[list(decisions)].sum()))
        for name in (*kept, "vetoed"):
            labels, true = decided.loc[name]
            rows.append((split, name, "right" if name in kept else "wrong", true, true))
            rows.append((split, name, "wrong" if name in kept else "right", labels - true, 0))
    return pd.DataFrame(rows, columns=["split", "from", "to", "labels", "true"])


def asked_labels(decision: np.ndarray) -> np.ndarray:
    """Return the (protein, label) positions the second opinion decided, agreed or vetoed, [A, 2]."""
    return np.argwhere((decision == Decision.AGREED) | (decision == Decision.VETOED))


def random_veto(decision: np.ndarray, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Return ``draws`` random vetoes as large as the gate's, [R, A] bool: whether each of ``asked_labels`` is dropped.

    Labels in the band are often false, so any veto can raise precision; a second opinion knows what it gains beyond.
    """
    asked, vetoed = len(asked_labels(decision)), int((decision == Decision.VETOED).sum())
    order = np.random.default_rng([seed, 60]).random((draws, asked)).argsort(axis=1)
    return order.argsort(axis=1) < vetoed
