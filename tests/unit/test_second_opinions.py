"""What a verdict about the gate asks for: enough asked labels, and more than random vetoes of equal size gain."""

import numpy as np
import pandas as pd
import pytest

from halo_utils.evaluation.claims import CLAIMS, HALO_ESM, LEAST_ASKED, check_claims
from halo_utils.evaluation.metrics import paired_difference, scores
from halo_utils.evaluation.second_opinions import (
    VETO_METRICS,
    beside_random_veto,
    second_opinions,
    veto_scores,
    veto_sentence,
)
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.models.gate import Decision, GateResult, asked_labels, halo_gate, random_veto

PLACES = list("abcdefghij")
PAPER = {"esm_threshold": 0.45, "gat_threshold": 0.5, "confident": 0.55}


def proteins(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the probabilities of a calibrated sequence model that often is near the band."""
    rng = np.random.default_rng(seed)
    prob = rng.beta(0.5, 1.2, (n, len(PLACES)))
    return (rng.random(prob.shape) < prob).astype(int), prob


def ledger(y: np.ndarray, prob: np.ndarray, result: GateResult, resamples: int = 30) -> pd.DataFrame:
    """Return the rows of the ledger that are about HALO."""
    halo, esm = (result.labels, result.score), (prob >= 0.45, prob)
    found = paired_difference(y, halo, esm, PLACES, resamples=resamples, seed=0)
    table = found.assign(split="test", first="halo", second="esm", seeds=3)
    rows = check_claims(table, "test", vetoes=beside_random_veto(y, prob, result, draws=200))
    return rows[[claim.ours == HALO_ESM for claim in CLAIMS]]


def gated(y: np.ndarray, prob: np.ndarray, opinion: np.ndarray, structures: int) -> GateResult:
    return halo_gate(prob, opinion, np.arange(len(y)) < structures, **PAPER)


@pytest.mark.parametrize("seed", range(3))
def test_a_coin_asked_on_43_proteins_is_never_reproduced(seed: int) -> None:
    y, prob = proteins(700, seed)
    result = gated(y, prob, np.random.default_rng(seed).random(prob.shape), structures=43)
    found = ledger(y, prob, result)
    asked = len(asked_labels(result.decision))
    assert 0 < asked < LEAST_ASKED and (found["asked"] == asked).all()
    assert found["verdict"].str.fullmatch(rf"not testable here: {asked} of [\d,]+ labels asked").all()


def test_a_coin_asked_on_every_protein_gains_no_more_than_a_random_veto() -> None:
    """Where most labels in the band are false a coin raises precision; that once was "reproduced"."""
    verdicts = []
    for seed in range(6):
        y, prob = proteins(500, seed)
        band = (prob >= 0.45) & (prob < 0.55)
        y[band & (np.random.default_rng(seed).random(y.shape) < 0.5)] = 0
        found = ledger(y, prob, gated(y, prob, np.random.default_rng([seed, 1]).random(prob.shape), len(y)))
        greater = found[[claim.greater for claim in CLAIMS if claim.ours == HALO_ESM]].set_index("metric")
        assert (greater["asked"] >= LEAST_ASKED).all()
        assert greater.loc["macro_precision", "ours"] > 0
        verdicts += list(greater["verdict"])
    assert "no more than a random veto" in verdicts
    assert verdicts.count("reproduced") <= 1  # 30 comparisons with the upper 2.5 % of random vetoes


def test_a_good_second_opinion_with_enough_asked_labels_is_reproduced() -> None:
    y, prob = proteins(800, 0)
    rng = np.random.default_rng(1)
    opinion = np.where(rng.random(y.shape) < 0.9, y, 1 - y)  # right nine times of ten
    found = ledger(y, prob, gated(y, prob, opinion, len(y))).set_index("metric")
    for metric in ("macro_f1", "accuracy", "macro_precision", "jaccard", "roc_auc_micro"):
        assert found.loc[metric, "verdict"] == "reproduced", found.loc[metric, "reason"]
        assert found.loc[metric, "relevant"] and "vetoes at random gain" in found.loc[metric, "reason"]
        assert found.loc[metric, "seeds"] == 3


def test_a_gate_that_vetoed_nothing_has_no_verdict() -> None:
    y, prob = proteins(400, 0)
    never, always = (gated(y, prob, np.full(y.shape, opinion), len(y)) for opinion in (1.0, 0.0))
    asked = len(asked_labels(never.decision))
    assert asked >= LEAST_ASKED
    assert set(ledger(y, prob, never)["verdict"]) == {f"not testable here: 0 of {asked} asked labels vetoed"}
    nobody = gated(y, prob, np.zeros(y.shape), structures=0)
    assert set(ledger(y, prob, nobody)["verdict"]) == {f"not testable here: 0 of {asked} labels asked"}
    assert "reproduced" not in set(ledger(y, prob, always)["verdict"][:1])  # every veto of that size is the same one
    assert "nothing to compare" in veto_sentence(beside_random_veto(y, prob, nobody))


def test_without_a_comparison_no_claim_about_halo_has_a_verdict() -> None:
    y, prob = proteins(300, 0)
    result = gated(y, prob, y.astype(float), len(y))
    found = paired_difference(y, (result.labels, result.score), (prob >= 0.45, prob), PLACES, resamples=20, seed=0)
    rows = check_claims(found.assign(split="test", first="halo", second="esm"), "test")
    assert set(rows["verdict"]) == {"not measured"}


@pytest.mark.parametrize(("weights", "off"), [((0.5, 1.0, 0.0), "biochemistry"), ((0.0, 1.0, 0.5), "coordinates")])
def test_weights_that_switch_a_group_off_test_nothing(weights: tuple[float, ...], off: str) -> None:
    row = {
        "metric": "macro_f1",
        "label": "",
        "difference": 0.05,
        "ci_low": 0.04,
        "ci_high": 0.06,
        "split": "test",
        "seeds": 3,
    }
    table = pd.DataFrame([row | {"first": "gat_weighted", "second": "gat_finetuned"}])
    name = ("Weighted features improve the GAT", "macro_f1")
    found, tested = (
        check_claims(table, "test", weights=w).set_index(["claim", "metric"]).loc[name]
        for w in (weights, (0.5, 1, 0.5))
    )
    assert found["verdict"] == "not testable here: the chosen weights switch a group off" and off in found["reason"]
    assert tested["verdict"] == "reproduced"


def test_random_vetoes_have_the_size_of_the_gates_and_touch_asked_labels_only() -> None:
    y, prob = proteins(400, 3)
    result = gated(y, prob, np.random.default_rng(3).random(prob.shape), structures=200)
    dropped = random_veto(result.decision, draws=500, seed=1)
    vetoed, asked = int((result.decision == Decision.VETOED).sum()), len(asked_labels(result.decision))
    assert dropped.shape == (500, asked) and (dropped.sum(axis=1) == vetoed).all()
    assert np.abs(dropped.mean(axis=0) - vetoed / asked).max() < 0.1  # every label as often as any other
    assert (dropped == random_veto(result.decision, draws=500, seed=1)).all()
    found = veto_scores(y, result.decision, dropped[:4])
    for r in range(4):
        labels = prob >= 0.45
        labels[tuple(asked_labels(result.decision)[dropped[r]].T)] = False
        expected = scores(y, labels, prob, PLACES)
        assert {m: found[m][r] for m in VETO_METRICS} == pytest.approx({m: expected[m, ""] for m in VETO_METRICS})
    own = beside_random_veto(y, prob, result, draws=50).set_index("metric")
    expected = scores(y, result.labels, result.score, PLACES)
    assert own["halo"].to_dict() == pytest.approx({m: expected[m, ""] for m in own.index})


def evaluation(y: np.ndarray) -> EvaluationSet:
    names = np.array([f"P{i:04}" for i in range(len(y))])
    return EvaluationSet("test, with a graph", "synthetic", names, y, PLACES[: y.shape[1]], np.arange(len(y)))


def test_gains_of_second_opinions_by_hand() -> None:
    """Four labels in the band, two of them false; one more is confident and true."""
    y, prob = np.array([[1, 0], [1, 0], [1, 0]]), np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1]])
    good, bad = np.array([[1, 0], [1, 1], [1, 1]], bool), np.array([[0, 1], [1, 1], [0, 0]], bool)
    keeps, numbers = {"good": good, "bad": bad}, {"resamples": 200, "seed": 1}
    found = second_opinions(evaluation(y), prob, 0.45, keeps, (y > 0, prob), **numbers)
    micro = found[found["metric"] == "micro_f1"].set_index("opinion")
    assert (micro["asked"].drop("mean") == 4).all() and micro["asked"].isna().loc["mean"]
    assert micro["vetoed"].drop("mean").to_dict() == {"good": 1, "bad": 1, "all": 4, "random": 1, "oracle": 2}
    # TP 3, FP 2, FN 0 without a veto: F1 6/8; one false label less 6/7; one true one less 4/7; none of the four 2/4
    values = micro["value"].drop("random").to_dict()
    expected = {"good": 6 / 7, "bad": 4 / 7, "all": 2 / 4, "oracle": 1.0, "mean": 1.0}
    assert values == pytest.approx(expected) and micro["value"]["random"] in (6 / 7, 4 / 7)
    assert micro["gain"].to_numpy() == pytest.approx(micro["value"].to_numpy() - 6 / 8)
    assert micro.loc["all", ["random_gain", "random_low", "random_high"]].tolist() == pytest.approx([-1 / 4] * 3)
    assert micro.loc["good", "random_gain"] == pytest.approx((6 / 7 + 4 / 7) / 2 - 6 / 8, abs=0.03)
    assert (micro["ci_low"] <= micro["gain"]).all() and (micro["gain"] <= micro["ci_high"]).all()
    assert micro.loc["mean", ["random_gain", "random_low", "random_high"]].isna().all()


def test_an_opinion_that_vetoes_nothing_gains_nothing_and_has_no_random_veto() -> None:
    y, prob = proteins(60, 5)
    found = second_opinions(evaluation(y), prob, 0.45, {"yes": np.ones(y.shape, bool)}, resamples=20)
    own = found[found["opinion"].isin(["yes", "random"])]
    assert (own["vetoed"] == 0).all() and (own[["gain", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert own["random_gain"].isna().all() and "mean" not in set(found["opinion"])
