"""Gates that are learned or calibrated on validation, beside HALO's rule. Future work of the paper."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from halo_utils.evaluation.metrics import difference
from halo_utils.evaluation.sensitivity import Opinions, ask_gate, f1_samples
from halo_utils.evaluation.temperature import choose_temperatures, logits_of, scaled
from halo_utils.evaluation.test_sets import WITH_GRAPH, restrict
from halo_utils.evaluation.thresholds import Threshold, choose_threshold, threshold_sweep

FOLDS = 5  # of validation, families kept together
UNITS = 8  # of the small network's one hidden layer
TITLES = {
    "sequence": "sequence model alone",
    "rule": "HALO's rule",
    "rule_tuned": "rule, confidence chosen on validation",
    "best_band": "rule, threshold and width chosen on validation",
    "calibrated": "rule on calibrated probabilities",
    "mean": "mean of both probabilities",
    "logistic_sequence": "logistic, sequence probability alone",
    "logistic": "logistic, both probabilities",
    "network_sequence": "small network, sequence probability alone",
    "network": "small network, both probabilities",
    "oracle": "oracle in the rule's band",
}
LEARNED = ("logistic_sequence", "logistic", "network_sequence", "network")
WITH_GRAPH_OPINION = ("logistic", "network")  # the others are their controls


class LearnedGate(NamedTuple):
    """A classifier of (protein, location) pairs, its threshold, and the validation macro F1 out of its own folds."""

    name: str
    model: Pipeline
    threshold: Threshold
    val_macro_f1: float


def pair_features(said: Opinions, both: bool = True) -> np.ndarray:
    """Return a row per (protein, location) pair, protein by protein, [B K, 2 + K] or without graph [B K, 1 + K].

    The logits of the probabilities, and which location it is, so that each may have its own threshold.
    """
    k = said.sequence.shape[1]
    columns = [logits_of(said.sequence).ravel()] + ([logits_of(said.graph).ravel()] if both else [])
    return np.column_stack([*columns, np.tile(np.eye(k), (len(said.sequence), 1))])


def _classifier(name: str, seed: int) -> Pipeline:
    if name.startswith("network"):
        last = MLPClassifier((UNITS,), solver="lbfgs", alpha=0.1, max_iter=400, random_state=seed)
    else:
        last = LogisticRegression(C=1.0, max_iter=1000)
    return make_pipeline(StandardScaler(), last)


def learn_gate(name: str, val: Opinions, seed: int = 7, step: float = 0.05) -> LearnedGate:
    """Learn a gate of ``LEARNED`` on validation proteins with a graph.

    Its threshold and its macro F1 come from predictions for families that it did not learn from.
    """
    known = _known(val)
    x, y = pair_features(known, name in WITH_GRAPH_OPINION), known.view.y.ravel()
    groups, model = np.repeat(known.view.families, known.sequence.shape[1]), _classifier(name, seed)
    folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the network stops at its limit, which regularises it
        prob = cross_val_predict(model, x, y, groups=groups, cv=folds, method="predict_proba")[:, 1]
        model.fit(x, y)
    prob = prob.reshape(known.sequence.shape)
    threshold = choose_threshold(known.view.y, prob, "val", step)
    return LearnedGate(name, model, threshold, float(threshold_sweep(known.view.y, prob, step)["macro_f1"].max()))


def _known(said: Opinions) -> Opinions:
    """Return the proteins whose graph network may be asked."""
    keep = said.structure
    return Opinions(restrict(said.view, keep, WITH_GRAPH), said.sequence[keep], said.graph[keep], keep[keep])


def gate_labels(gate: LearnedGate, said: Opinions, sequence_cut: float) -> np.ndarray:
    """Return the labels of a learned gate, [B, K] bool; a protein without structure keeps the sequence model's."""
    x = pair_features(said, gate.name in WITH_GRAPH_OPINION)
    prob = gate.model.predict_proba(x)[:, 1].reshape(said.sequence.shape)
    learned = prob >= gate.threshold.on(said.view.name)
    return np.where(said.structure[:, None], learned, said.sequence >= sequence_cut)


def calibrated(val: Opinions, test: Opinions, step: float = 0.05) -> tuple[Opinions, Threshold, Threshold]:
    """Return ``test`` at temperatures chosen on ``val``, and the thresholds of both models, chosen there on such."""
    parts, cuts = [], []
    for chosen_on, applied_to in ((val.sequence, test.sequence), (val.graph, test.graph)):
        temperatures = choose_temperatures(val.view.y, chosen_on)
        cuts.append(choose_threshold(val.view.y, scaled(chosen_on, temperatures), "val", step))
        parts.append(scaled(applied_to, temperatures))
    return Opinions(test.view, *parts, test.structure), *cuts


def all_gates(
    val: Opinions,
    test: Opinions,
    cuts: tuple[Threshold, Threshold],
    tuned: float,
    *,
    confident: float = 0.55,
    step: float = 0.05,
    seed: int = 7,
) -> tuple[dict[str, np.ndarray], list[LearnedGate]]:
    """Return the labels [B, K] of every gate of ``TITLES`` on ``test``, and the learned ones; chosen on ``val`` alone.

    ``cuts`` are the thresholds of both models, ``tuned`` the confidence that was best on validation.
    """
    name, (t_p, t_q) = test.view.name, (cut.on(test.view.name) for cut in cuts)

    flat, flat_p, flat_q = calibrated(val, test, step)
    mean_cut = choose_threshold(val.view.y, (val.sequence + val.graph) / 2, "val", step)
    alone = test.sequence >= t_p
    mean = np.where(test.structure[:, None], (test.sequence + test.graph) / 2 >= mean_cut.on(name), alone)
    learned = [learn_gate(kind, val, seed, step) for kind in LEARNED]
    labels = {
        "sequence": alone,
        "rule": ask_gate(test, test.graph, (t_p, t_q), confident).labels,
        "rule_tuned": ask_gate(test, test.graph, (t_p, t_q), tuned).labels,
        "calibrated": ask_gate(flat, flat.graph, (flat_p.on(name), flat_q.on(name)), confident).labels,
        "mean": mean,
        **{gate.name: gate_labels(gate, test, t_p) for gate in learned},
        "oracle": ask_gate(test, (test.view.y > 0).astype(float), (t_p, 0.5), confident).labels,
    }
    return labels, learned


def compare_gates(test: Opinions, labels: dict[str, np.ndarray], drawn: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return every gate minus the sequence model alone and minus the rule, as ``scoring.compare``, with its value."""
    found, parts = {name: f1_samples(test.view.y, own, drawn) for name, own in labels.items()}, []
    for second in ("sequence", "rule"):
        for first in (name for name in labels if name not in ("sequence", second)):
            gap = difference(found[first], found[second])
            value = [found[first].values[key] for key in zip(gap["metric"], gap["label"], strict=True)]
            parts.append(gap.assign(value=value, split=test.view.name, first=first, second=second, n=len(test.view.y)))
    return pd.concat(parts, ignore_index=True)


def chosen_gate(learned: list[LearnedGate]) -> LearnedGate:
    """Return the gate on both probabilities with the best macro F1 on validation, out of its own folds."""
    return max((gate for gate in learned if gate.name in WITH_GRAPH_OPINION), key=lambda gate: gate.val_macro_f1)
