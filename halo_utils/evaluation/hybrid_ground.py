"""The proteins with a graph: every system is measured and compared there, at thresholds from validation ones."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from halo_utils.evaluation.claims import OWN_EDGES
from halo_utils.evaluation.metrics import difference, draw, resample, values
from halo_utils.evaluation.scoring import tune
from halo_utils.evaluation.systems import CONTROLS, ON_GRAPHS, gate_system
from halo_utils.evaluation.test_sets import WITH_GRAPH, EvaluationSet, evaluation_set, grounds, held_out_views
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.gate import RELEASED_HIGH, Rule, halo_gate

LEAST_PROTEINS = 20  # with a graph, in a test set and in validation; fewer choose no threshold
FINETUNED, WEIGHTED, BEST = "gat_finetuned", "gat_weighted", "gat_weighted_graphs"
# Systems whose stored predictions are measured, where a run has them.
STORED = ("composition", "esm_paper_head", "esm", "gat_pretrained", FINETUNED, WEIGHTED, "gat_learned")
STORED += (*ON_GRAPHS, *CONTROLS)
GATES = {"halo": ("esm", WEIGHTED), "halo_graphs": ("esm", BEST), "halo_paper_head": ("esm_paper_head", BEST)}
CONTROL_METRICS = ("micro_f1", "macro_f1", "roc_auc_macro")
PAIRS = [("esm", other) for other in ("composition", "esm_paper_head", WEIGHTED, BEST)]
PAIRS += [(WEIGHTED, FINETUNED), (WEIGHTED, "esm"), (FINETUNED, "gat_pretrained")]
PAIRS += [(OWN_EDGES, other) for other in (FINETUNED, "gat_pretrained_graphs", *CONTROLS)]
PAIRS += [(BEST, OWN_EDGES), ("halo", "esm"), ("halo", "esm_gat_mean"), ("halo_graphs", "esm")]
PAIRS += [("halo_graphs", "esm_gat_mean"), ("halo_paper_head", "esm_paper_head"), ("esm_gat_mean", "esm")]


class Outcome(NamedTuple):
    """What a system says of the proteins of a set."""

    labels: np.ndarray  # [B, K] bool
    score: np.ndarray  # [B, K] float
    threshold: Threshold
    decision: np.ndarray | None = None  # [B, K] of ``gate.Decision``, of a gate only


def ground_views(table: pd.DataFrame, dataset: str) -> dict[str, EvaluationSet]:
    """Return the proteins with a graph of every test set, by its name; a set with too few of them is left out.

    Empty where validation has fewer than ``LEAST_PROTEINS``, too.
    """
    views = {"val": evaluation_set(table, "val", dataset)} | held_out_views(table, dataset)
    found = {name: grounds(table, view).get(WITH_GRAPH) for name, view in views.items()}
    enough = {name: view for name, view in found.items() if view and len(view.y) >= LEAST_PROTEINS}
    return {name: view for name, view in enough.items() if name != "val"} if "val" in enough else {}


def mean_of(first: pd.DataFrame, second: pd.DataFrame, locations: Iterable[str]) -> pd.DataFrame:
    """Return the mean of two systems' probabilities, of the proteins that both have a prediction for."""
    columns, both = list(locations), first["accession"].isin(second["accession"])
    mean = first[both].reset_index(drop=True)
    mean[columns] = (mean[columns] + second.set_index("accession").loc[mean["accession"], columns].to_numpy()) / 2
    return mean


def with_mean(predictions: dict[str, pd.DataFrame], locations: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return stored predictions and ``esm_gat_mean``, where a network on graphs has been trained."""
    mean = {"esm_gat_mean": mean_of(predictions["esm"], predictions[BEST], locations)} if BEST in predictions else {}
    return predictions | mean


def tune_on_graphs(
    table: pd.DataFrame, predictions: dict[str, pd.DataFrame], dataset: str, step: float = 0.05
) -> dict[str, Threshold]:
    """Return the threshold of every system, chosen on the validation proteins with a graph."""
    known = table[table["graph"]]
    return {name: tune(known, stored, dataset, step) for name, stored in predictions.items()}


def outcomes(
    view: EvaluationSet,
    predictions: dict[str, pd.DataFrame],
    cuts: dict[str, Threshold],
    *,
    confident: float = 0.55,
    rule: Rule = "paper",
) -> dict[str, Outcome]:
    """Return what every system with a threshold, and every gate of two of them, says of proteins with a graph."""
    prob = {name: view.join(predictions[name]) for name in cuts}
    found = {name: Outcome(prob[name] >= cut.on(view.name), prob[name], cut) for name, cut in cuts.items()}
    everybody = np.ones(len(view.y), dtype=bool)
    for gate, (sequence, graph) in GATES.items():
        if {sequence, graph} <= set(cuts):
            used = {"esm_threshold": cuts[sequence].on(view.name), "gat_threshold": cuts[graph].on(view.name)}
            result = halo_gate(prob[sequence], prob[graph], everybody, **used, confident=confident, rule=rule)
            cut = Threshold(RELEASED_HIGH, "published") if rule == "released_code" else cuts[sequence]
            name = gate_system(rule) if gate == "halo" else gate
            found[name] = Outcome(result.labels, result.score, cut, result.decision)
    return found


def measure_all(
    view: EvaluationSet, systems: dict[str, Outcome], *, resamples: int = 1000, seed: int = 7
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the metrics of all systems on one ground, as ``scoring.measure``, and ``PAIRS`` as ``scoring.compare``.

    All see the same resamples, of proteins and of families, which are drawn once.
    """
    drawn = draw(len(view.y), resamples, seed, view.families)
    found = {name: resample(view.y, said[:2], view.locations, drawn) for name, said in systems.items()}
    size = {"n": len(view.y), "macro_over": len(view.locations) - len(view.absent)}
    measured, compared = [], []
    for name, own in found.items():
        cut = systems[name].threshold.on(view.name)
        columns = {"dataset": view.dataset, "split": view.name, "system": name, "threshold": cut}
        measured.append(values(own).assign(**columns, **size, seed=seed))
    for first, second in PAIRS:
        if {first, second} <= set(found):
            gap = difference(found[first], found[second])
            compared.append(gap.assign(split=view.name, first=first, second=second, **size))
    return pd.concat(measured, ignore_index=True), pd.concat(compared, ignore_index=True)


def beside_controls(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the rows about a network on a protein's own contacts beside each control, in ``CONTROL_METRICS``."""
    own = (differences["first"] == OWN_EDGES) & differences["second"].isin(CONTROLS)
    return differences[own & differences["metric"].isin(CONTROL_METRICS)].reset_index(drop=True)
