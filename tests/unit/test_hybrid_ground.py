"""Systems on the proteins with a graph: who is measured, at which thresholds, and against whom."""

import numpy as np
import pandas as pd
import pytest

from halo_utils.data.locations import DEEPLOC
from halo_utils.evaluation import hybrid_ground, scoring
from halo_utils.evaluation.hybrid_ground import LEAST_PROTEINS, PAIRS, Outcome
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.gate import Decision

PLACES, N = list(DEEPLOC), 200
CUT = Threshold(0.45, "val")


def dataset(every: int = 2) -> pd.DataFrame:
    """A data set of which one in ``every`` proteins of validation and of test has a graph."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"accession": [f"P{i:04}" for i in range(N)], "subset": "", "family": range(N)})
    table["split"], table["graph"] = np.where(np.arange(N) < N // 2, "val", "test"), np.arange(N) % every == 0
    return table.join(pd.DataFrame((rng.random((N, len(PLACES))) < 0.3).astype(int), columns=PLACES))


def predictions(table: pd.DataFrame, seed: int, graphs_only: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    prob = pd.DataFrame(np.clip(table[PLACES] * 0.2 + rng.random((N, len(PLACES))) * 0.8, 0, 1), columns=PLACES)
    stored = prob.assign(accession=table["accession"], split=table["split"])
    return stored[table["graph"]].reset_index(drop=True) if graphs_only else stored


def test_a_ground_needs_enough_proteins_of_the_set_and_of_validation() -> None:
    table = dataset()
    views = hybrid_ground.ground_views(table, "synthetic")
    assert list(views) == ["test"] and views["test"].name == "test, with a graph" and len(views["test"].y) == N // 4
    few = table.assign(graph=table["graph"] & (table.groupby("split").cumcount() < 2 * LEAST_PROTEINS - 2))
    for split in ("val", "test"):
        poor = table.assign(graph=np.where(table["split"] == split, few["graph"], table["graph"]))
        assert hybrid_ground.ground_views(poor, "synthetic") == {}
    assert hybrid_ground.ground_views(table.assign(graph=False), "synthetic") == {}


def test_thresholds_come_from_validation_proteins_with_a_graph_alone() -> None:
    table = dataset()
    stored = predictions(table, 1)
    unknown = stored["accession"].isin(table.loc[~table["graph"], "accession"])
    stored.loc[unknown, PLACES] = 1.0 - table.loc[unknown, PLACES]  # wrong wherever there is no graph
    on_graphs = hybrid_ground.tune_on_graphs(table, {"esm": stored}, "synthetic")["esm"]
    assert on_graphs == scoring.tune(table[table["graph"]], stored, "synthetic")
    assert on_graphs != scoring.tune(table, stored, "synthetic") and on_graphs.chosen_on == "val"


def test_the_mean_is_of_the_proteins_that_both_know_whatever_their_order() -> None:
    first = pd.DataFrame({"accession": ["A", "B", "C"], "x": [0.2, 0.4, 0.6]})
    second = pd.DataFrame({"accession": ["C", "A"], "x": [0.0, 1.0]})
    mean = hybrid_ground.mean_of(first, second, ["x"])
    assert mean["accession"].tolist() == ["A", "C"] and mean["x"].tolist() == pytest.approx([0.6, 0.3])
    assert "esm_gat_mean" not in hybrid_ground.with_mean({"esm": first}, ["x"])


def test_gates_ask_their_own_networks_and_comparisons_are_those_of_single_systems() -> None:
    table = dataset()
    view = hybrid_ground.ground_views(table, "synthetic")["test"]
    stored = {"esm": predictions(table, 1), "gat_weighted": predictions(table, 2)}
    stored["gat_weighted_graphs"] = predictions(table, 3, graphs_only=True)
    stored = hybrid_ground.with_mean(stored, PLACES)
    said = hybrid_ground.outcomes(view, stored, dict.fromkeys(stored, CUT))
    assert set(said) == {*stored, "halo", "halo_graphs"}  # nobody has the paper's head here
    band = (said["esm"].score >= 0.45) & (said["esm"].score < 0.55)
    for gate, network in (("halo", "gat_weighted"), ("halo_graphs", "gat_weighted_graphs")):
        expected = said["esm"].labels & (~band | said[network].labels)
        assert (said[gate].labels == expected).all() and (said[gate].decision == Decision.VETOED).any()
    metrics, gaps = hybrid_ground.measure_all(view, said, resamples=30, seed=3)
    alone = scoring.measure(view, "halo", *said["halo"][:3], resamples=30, seed=3)
    pd.testing.assert_frame_equal(metrics[metrics["system"] == "halo"].reset_index(drop=True), alone)
    one = scoring.compare(view, ("halo", *said["halo"][:2]), ("esm", *said["esm"][:2]), resamples=30, seed=3)
    own = gaps[(gaps["first"] == "halo") & (gaps["second"] == "esm")].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, one)
    pairs = set(gaps[["first", "second"]].itertuples(index=False, name=None))
    assert pairs == {pair for pair in PAIRS if set(pair) <= set(said)}


def test_difference_to_a_control_by_hand() -> None:
    y = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    view = EvaluationSet("test, with a graph", "synthetic", np.array(list("ABCD")), y, PLACES[:2], np.arange(4))
    wrong = np.where(np.arange(4)[:, None] == 0, 1 - y, y)  # the first protein's labels are swapped
    said = {"gat_finetuned_graphs": y, "gat_rewired": wrong, "gat_no_edges": y}
    systems = {name: Outcome(labels > 0, labels.astype(float), CUT) for name, labels in said.items()}
    _, gaps = hybrid_ground.measure_all(view, systems, resamples=50)
    found = hybrid_ground.beside_controls(gaps).set_index(["second", "metric"])["difference"]
    # TP 3, FP 1, FN 1: micro F1 6/8; of the locations 2/3 and 4/5; areas 3/4 each
    expected = {"micro_f1": 1 / 4, "macro_f1": 1 - (2 / 3 + 4 / 5) / 2, "roc_auc_macro": 1 / 4}
    assert found["gat_rewired"].to_dict() == pytest.approx(expected)
    assert found["gat_no_edges"].to_dict() == dict.fromkeys(expected, 0.0) and len(found) == 6
