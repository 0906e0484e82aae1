"""How much HALO's gate depends on its own numbers: confidence, threshold and width of its band (section 2.3)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from halo_utils.evaluation.metrics import Resampled, difference, f1_score
from halo_utils.evaluation.second_opinions import veto_scores
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.models.gate import Decision, GateResult, asked_labels, halo_gate, random_veto

CONFIDENCES = tuple(np.round(np.arange(0.20, 0.801, 0.05), 3).tolist())  # paper: 0.55; at the threshold: no gate
WIDTHS = (0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3)  # of the band; 0: the graph network is never asked
METRICS = ("micro_f1", "macro_f1")
COINS = 200  # random vetoes of equal size
ORACLE, RULE = "oracle", "rule"


class Opinions(NamedTuple):
    """What both models say of the B proteins of a set."""

    view: EvaluationSet
    sequence: np.ndarray  # [B, K] probabilities of the sequence model
    graph: np.ndarray  # [B, K] probabilities of the graph network
    structure: np.ndarray  # [B] bool, whether the graph network may be asked


def opinions(view: EvaluationSet, sequence: pd.DataFrame, graph: pd.DataFrame) -> Opinions:
    """Return the stored probabilities of two systems on a set; ``graph`` says which proteins have a graph."""
    structure = view.join(graph, ["has_graph"])[:, 0].astype(bool)
    return Opinions(view, view.join(sequence), view.join(graph), structure)


def f1_samples(y: np.ndarray, labels: np.ndarray, drawn: dict[str, np.ndarray]) -> Resampled:
    """Return micro and macro F1 of predicted ``labels`` [B, K] bool, once and under the weights [R, B] of ``draw``.

    The same numbers as ``metrics.resample``, without the ranking metrics, which take most of its time.
    """
    truth = np.asarray(y) > 0
    hit, wrong, averaged = (truth & labels).astype(float), (truth ^ labels).astype(float), truth.any(axis=0)

    def both(weights: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        tp, off = weights @ hit, weights @ wrong  # [R, K]
        macro = f1_score(tp, off)[:, averaged]
        micro = f1_score(tp.sum(axis=1), off.sum(axis=1))
        mean = macro.mean(axis=1) if averaged.any() else np.full(len(weights), np.nan)
        return {("micro_f1", ""): micro, ("macro_f1", ""): mean}

    once = {key: float(value[0]) for key, value in both(np.ones((1, len(truth)))).items()}
    return Resampled(once, {unit: both(weights) for unit, weights in drawn.items()})


def ask_gate(said: Opinions, graph: np.ndarray, cuts: tuple[float, float], confident: float) -> GateResult:
    """Return what the gate says with an opinion [B, K] in the graph network's place and both thresholds."""
    numbers = {"esm_threshold": cuts[0], "gat_threshold": cuts[1], "confident": confident}
    return halo_gate(said.sequence, graph, said.structure, **numbers)


def _coins(y: np.ndarray, decision: np.ndarray, seed: int) -> dict[str, float]:
    """Return the mean F1 of random vetoes as large as the gate's; its own where it vetoed nothing."""
    vetoed = bool((decision == Decision.VETOED).any())
    dropped = random_veto(decision, COINS if vetoed else 1, seed)
    return {metric: float(values.mean()) for metric, values in veto_scores(y, decision, dropped).items()}


def sweep_confidence(
    said: Opinions,
    cuts: tuple[float, float],
    drawn: dict[str, np.ndarray] | None = None,
    confidences: Sequence[float] = CONFIDENCES,
    seed: int = 7,
) -> pd.DataFrame:
    """Return what the gate gains over the sequence model at every confidence, with paired intervals from ``drawn``.

    ``cuts`` are the thresholds of the sequence model and the graph network. The rule stands beside the ``oracle``, a
    graph network that knows the labels: no opinion can gain more in that band. Columns split, confidence, opinion,
    asked, vetoed, true_vetoed, metric, value, gain, ci_low, ci_high, random_gain (of vetoes as large as the rule's).
    """
    y, rows = said.view.y, []
    drawn = drawn or {"proteins": np.empty((0, len(y)))}
    alone = f1_samples(y, said.sequence >= cuts[0], drawn)
    for confident in confidences:
        for opinion, graph in ((RULE, said.graph), (ORACLE, np.where(y > 0, 1.0, -1.0))):
            result = ask_gate(said, graph, cuts if opinion == RULE else (cuts[0], 0.0), confident)
            vetoed = result.decision == Decision.VETOED
            own, row = f1_samples(y, result.labels, drawn), {"split": said.view.name, "confidence": confident}
            row |= {"opinion": opinion, "asked": len(asked_labels(result.decision)), "vetoed": int(vetoed.sum())}
            row["true_vetoed"] = int((vetoed & (y > 0)).sum())
            chance = _coins(y, result.decision, seed) if opinion == RULE else dict.fromkeys(METRICS, np.nan)
            for gap in difference(own, alone).itertuples():
                value, before = own.values[gap.metric, ""], alone.values[gap.metric, ""]
                ends = {"value": value, "gain": gap.difference, "ci_low": gap.ci_low, "ci_high": gap.ci_high}
                rows.append(row | {"metric": gap.metric} | ends | {"random_gain": chance[gap.metric] - before})
    return pd.DataFrame(rows)


def sweep_band(
    said: Opinions, gat_cut: float, thresholds: Sequence[float], widths: Sequence[float] = WIDTHS
) -> pd.DataFrame:
    """Return micro and macro F1 of the gate at every threshold of the sequence model and every width of the band.

    The confidence is threshold + width. Columns threshold, width, asked, micro_f1, macro_f1.
    """
    rows, nobody = [], {"proteins": np.empty((0, len(said.view.y)))}
    for threshold in thresholds:
        for width in widths:
            result = ask_gate(said, said.graph, (threshold, gat_cut), threshold + width)
            found = f1_samples(said.view.y, result.labels, nobody).values
            asked = len(asked_labels(result.decision))
            rows.append((threshold, width, asked, *(found[metric, ""] for metric in METRICS)))
    return pd.DataFrame(rows, columns=["threshold", "width", "asked", *METRICS])


def best_band(sweep: pd.DataFrame, metric: str = "macro_f1") -> pd.Series:
    """Return the row of ``sweep_band`` with the highest ``metric``; of equals the one that asks about fewest labels."""
    best = sweep[sweep[metric] >= sweep[metric].max() - 1e-12]
    return best.sort_values(["asked", "width"], kind="stable").iloc[0]


def best_confidence(sweep: pd.DataFrame, metric: str = "macro_f1") -> float:
    """Return the confidence with the highest ``metric`` of the rule; of equals the smallest band's."""
    rule = sweep[(sweep["opinion"] == RULE) & (sweep["metric"] == metric)]
    return float(rule.loc[rule["value"] >= rule["value"].max() - 1e-12, "confidence"].min())
