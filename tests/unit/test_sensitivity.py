"""Notebook 12: the gate's numbers, learned gates, shared errors, other edges, other coordinates, trials over seeds."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from halo_utils.core.errors import DataError, LeakError
from halo_utils.core.residue_store import write_store
from halo_utils.data.locations import DEEPLOC
from halo_utils.embeddings.esm2 import SplitEsm2, load_esm2
from halo_utils.evaluation import errors, learned_gates, sensitivity, trials
from halo_utils.evaluation.metrics import draw, resample
from halo_utils.evaluation.sensitivity import Opinions
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.figures import sensitivity_figures as figures
from halo_utils.models.lora import LoraLinear, adapt
from halo_utils.runs import in_short_sensitivity as words
from halo_utils.structures.edges import edges_by_rule, nearest_edges, radius_edges
from halo_utils.structures.reader import CA, WIDTH
from halo_utils.training.encoded_graphs import ENCODINGS, EncodedGraphs

PLACES = ["Cytoplasm", "Nucleus", "Golgi apparatus"]
CUTS = (0.4, 0.5)


def said(n: int, seed: int, name: str = "test", graph_knows: float = 1.0, structures: int | None = None) -> Opinions:
    """Opinions on ``n`` proteins: a sequence model that is right by its probability, a graph network that knows."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 1.0, (n, len(PLACES)))
    y = (rng.random(p.shape) < p).astype(int)
    q = np.clip(graph_knows * (0.2 + 0.6 * y) + (1 - graph_knows) * rng.random(p.shape), 0.01, 0.99)
    view = EvaluationSet(name, "synthetic", np.arange(n).astype(str), y, PLACES, np.arange(n) // 2)
    return Opinions(view, p, q, np.arange(n) < (n if structures is None else structures))


def drawn_for(one: Opinions, resamples: int = 40) -> dict[str, np.ndarray]:
    return draw(len(one.view.y), resamples, 3, one.view.families)


def test_the_short_f1_is_the_one_of_the_metrics() -> None:
    one = said(60, 0)
    labels, drawn = one.sequence >= 0.4, drawn_for(one)
    short, full = (
        sensitivity.f1_samples(one.view.y, labels, drawn),
        resample(one.view.y, (labels, one.sequence), PLACES, drawn),
    )
    assert set(drawn) == {"proteins", "families"}
    for key, value in short.values.items():
        assert value == pytest.approx(full.values[key], abs=1e-12)
        assert all(np.allclose(short.samples[unit][key], full.samples[unit][key]) for unit in drawn)


@pytest.mark.parametrize("knows", [0.0, 1.0])
def test_the_oracle_bounds_the_rule_and_a_veto_pays_below_half_of_f(knows: float) -> None:
    one = said(80, 1, graph_knows=knows)
    sweep = sensitivity.sweep_confidence(one, CUTS, drawn_for(one, 10))
    wide = sweep.pivot(index=["confidence", "metric"], columns="opinion", values="gain")
    assert (wide["oracle"] >= wide["rule"] - 1e-12).all() and len(wide) == 2 * len(sensitivity.CONFIDENCES)
    half = f1_score(one.view.y, one.sequence >= CUTS[0], average="micro") / 2
    micro = sweep.query("metric == 'micro_f1' and opinion == 'rule' and vetoed > 0")
    assert len(micro) > 5
    assert ((micro["gain"] > 0) == (micro["true_vetoed"] / micro["vetoed"] < half)).all()
    at_most = sweep.query("metric == 'micro_f1'").set_index(["opinion", "confidence"])
    if knows:  # the network is the oracle
        assert at_most.loc["rule", "gain"].equals(at_most.loc["oracle", "gain"])
        assert (micro["gain"] > micro["random_gain"]).all()


def test_without_resamples_the_sweep_has_no_intervals_and_chooses_the_same() -> None:
    """So notebook 12 reads runs with other seeds."""
    one = said(80, 1)
    short, full = sensitivity.sweep_confidence(one, CUTS), sensitivity.sweep_confidence(one, CUTS, drawn_for(one, 5))
    assert short["ci_low"].isna().all() and full["ci_low"].notna().all()
    assert sensitivity.best_confidence(short) == sensitivity.best_confidence(full)


def test_a_band_of_no_width_is_no_gate_and_of_equal_bands_the_narrow_one_is_taken() -> None:
    one = said(50, 2)
    band = sensitivity.sweep_band(one, 0.5, [0.3, 0.5], [0.0, 0.1, 0.2])
    first = band.iloc[0]
    assert first["asked"] == 0 and (band.query("width == 0.2")["asked"] > 0).all()
    assert first["macro_f1"] == pytest.approx(f1_score(one.view.y, one.sequence >= 0.3, average="macro"))
    assert sensitivity.best_band(band.assign(macro_f1=0.5)).to_dict()["width"] == 0.0
    assert sensitivity.best_band(band)["macro_f1"] == band["macro_f1"].max()
    sweep = pd.DataFrame(
        {"opinion": "rule", "metric": "macro_f1", "confidence": [0.5, 0.6, 0.7], "value": [0.1, 0.3, 0.3]}
    )
    assert sensitivity.best_confidence(sweep) == 0.6


def test_a_learned_gate_uses_a_graph_network_that_knows_and_its_control_cannot() -> None:
    val, test = said(120, 3, "val"), said(120, 4, structures=60)
    cuts = (Threshold(0.4, "val"), Threshold(0.5, "val"))
    labels, learned = learned_gates.all_gates(val, test, cuts, 0.6)
    assert set(labels) | {"best_band"} == set(learned_gates.TITLES)
    known = test.structure
    right = {name: f1_score(test.view.y[known], own[known], average="micro") for name, own in labels.items()}
    assert right["logistic"] == right["network"] == 1.0 > right["logistic_sequence"]
    assert all((labels[name][~known] == labels["sequence"][~known]).all() for name in (*learned_gates.LEARNED, "mean"))
    assert learned_gates.chosen_gate(learned).name in learned_gates.WITH_GRAPH_OPINION
    with pytest.raises(LeakError):
        learned_gates.gate_labels(learned[1], val, 0.4)
    compared = learned_gates.compare_gates(test, labels, drawn_for(test)).set_index(["first", "second", "metric"])
    assert compared.loc[("rule", "sequence", "micro_f1"), "difference"] > 0
    assert ("rule", "rule", "micro_f1") not in compared.index and ("oracle", "rule", "macro_f1") in compared.index


def test_a_gate_learns_nothing_from_a_coin() -> None:
    val, test = said(400, 5, "val", graph_knows=0.0), said(400, 6, graph_knows=0.0)
    learned = learned_gates.learn_gate("logistic", val)
    weights = np.abs(learned.model[-1].coef_[0])
    assert weights[1] < 0.15 * weights[0]
    assert learned.val_macro_f1 < 0.9 and learned_gates.gate_labels(learned, test, 0.4).any()


def test_calibration_on_validation_takes_sharpening_back() -> None:
    val, test = said(600, 7, "val"), said(50, 8)
    odds = np.log(val.sequence / (1 - val.sequence)), np.log(test.sequence / (1 - test.sequence))
    sharp = [1 / (1 + np.exp(-3 * o)) for o in odds]
    flat, cut, _ = learned_gates.calibrated(val._replace(sequence=sharp[0]), test._replace(sequence=sharp[1]))
    assert np.abs(flat.sequence - test.sequence).max() < 0.06 < np.abs(sharp[1] - test.sequence).max()
    assert cut.chosen_on == "val"


def test_shared_errors_are_counted_beside_those_of_independent_models() -> None:
    n = 4000
    rng = np.random.default_rng(9)
    y = (rng.random((n, 2)) < 0.5).astype(int)
    view = EvaluationSet("test", "synthetic", np.arange(n).astype(str), y, PLACES[:2], np.arange(n))
    wrong = rng.random((2, n, 2)) < np.array([0.4, 0.05])  # one location is hard for both, which is not sharing
    first, second = (y > 0) ^ wrong
    none = {"unit": np.empty((0, n))}
    rows = errors.shared_errors(view, first, second, {}, none).set_index("part")
    assert rows.loc["all", "first_wrong"] == wrong[0].sum() and rows.loc["all", "both"] == (wrong[0] & wrong[1]).sum()
    assert rows["ratio"].loc["all"] == pytest.approx(1, abs=0.08)
    same = errors.shared_errors(view, first, first, {}, draw(n, 30, 1)).set_index("part")
    off, there = wrong[0, :, 0], y[:, 0] > 0
    chance = sum(off[part].sum() ** 2 / part.sum() for part in (there, ~there))
    assert same.loc["Cytoplasm", "ratio"] == pytest.approx(off.sum() / chance)
    nobody = np.zeros_like(first)  # two models that never name a location share its errors, and that says nothing
    assert (errors.shared_errors(view, nobody, nobody, {}, none)["ratio"] == 1).all()
    assert same.loc["Cytoplasm", "ci_low"] < same.loc["Cytoplasm", "ratio"] < same.loc["Cytoplasm", "ci_high"]


def test_what_the_gate_saves_and_loses_is_counted_by_part_and_label_by_label() -> None:
    y = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [1, 0]] * 10)
    before = np.array([[1, 1], [1, 1], [1, 0], [1, 1], [1, 1]] * 10, dtype=bool)
    after = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [1, 0]] * 10, dtype=bool)
    view = EvaluationSet("test", "synthetic", np.arange(50).astype(str), y, PLACES[:2], np.arange(50))
    strata = {"kind": pd.Categorical(["a", "a", "a", "b", "a"] * 10)}
    rows = errors.gate_effects(view, before, after, strata).set_index("part")
    assert rows.loc["all"].drop("stratum").to_dict() == {
        "proteins": 50, "changed": 40, "false_removed": 20, "true_removed": 20, "saved": 20, "lost": 10,
    }  # fmt: skip
    assert rows.loc["a", "saved"] == 20 and rows.loc["b", "saved"] == 0
    one = Opinions(view, before * 0.5, after * 0.5, np.ones(50, dtype=bool))
    changed = errors.changed_proteins(one, before, after)
    assert changed["outcome"].value_counts().to_dict() == {"saved": 20, "lost": 10, "still wrong": 10}
    assert changed.iloc[0]["location"] == "Nucleus" and changed.iloc[0]["truth"] == "Cytoplasm"
    scores = errors.f1_by_part(view, {"x": before}, strata, draw(50, 20, 1)).set_index("part")
    assert scores.loc["b", "value"] == pytest.approx(2 / 3) and scores.loc["Nucleus", "proteins"] == 20


def test_strata_say_what_a_protein_is() -> None:
    y = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 1, 0]])
    table = pd.DataFrame({"accession": list("dcba"), "kingdom": ["", "Fungi", "Fungi", "Metazoa"]})
    table["sequence"] = ["M" * n for n in (10, 20, 30, 40)]
    view = EvaluationSet("test", "synthetic", np.array(list("abcd")), y, PLACES, np.arange(4))
    strata = errors.protein_strata(table, view, np.array([95.0, np.nan, 60.0, 80.0]), room=25)
    assert list(strata["locations"]) == ["one location", "two", "three or more", "one location"]
    assert list(strata["read"]) == ["cut", "cut", "whole", "whole"]
    assert list(strata["kingdom"])[3] == "not stated" and list(strata["pLDDT"])[1] == "no structure"


def test_nearest_neighbours_and_rules_for_edges(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ca = rng.normal(0, 12, (30, 3)).astype(np.float32)
    ca[4] = np.nan
    edges = nearest_edges(ca, 3)
    gap = np.linalg.norm(ca[:, None] - ca[None], axis=2)
    np.fill_diagonal(gap, np.nan)
    wanted = {(i, int(j)) for i in range(30) if i != 4 for j in np.argsort(gap[i])[:3]}
    assert set(map(tuple, edges.T.tolist())) == wanted | {(j, i) for i, j in wanted}
    rows = np.zeros((30, WIDTH), dtype=np.float32)
    rows[:, CA] = ca
    store = write_store(tmp_path / "s.npy", "k", ["a"], [30], WIDTH, [(0, rows)], "float32")
    for rule, expected in {"10 angstrom": radius_edges(ca, 10.0), "3 nearest": edges, "none": edges[:, :0]}.items():
        own = edges_by_rule(tmp_path / "e.npy", store, ["a", "without"], rule)
        assert own.accessions == ["a"] and np.array_equal(own.rows("a").T, expected)
    with pytest.raises(DataError, match="expected none, or such as '12 angstrom'"):
        edges_by_rule(tmp_path / "e.npy", store, ["a"], "3 furthest")


def test_distances_and_angles_do_not_see_a_turn_and_coordinates_do() -> None:
    rng = np.random.default_rng(1)
    ca = np.cumsum(rng.normal(0, 2, (20, 3)), axis=0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    change = {name: np.abs(encode(ca) - encode(ca @ turn.T + 7)).max() for name, encode in ENCODINGS.items()}
    assert {name for name, value in change.items() if value < 1e-9} == {"none", "distances", "angles"}
    mirrored = ENCODINGS["angles"](ca * [1, 1, -1])
    assert np.allclose(mirrored[:, 0], -ENCODINGS["angles"](ca)[:, 0])  # left and right helices differ
    flat = np.array([[0.0, 0, 0], [1, 1, 0], [2, 0, 0], [3, 1, 0], [4, 0, 0]])
    assert np.allclose(ENCODINGS["angles"](flat)[1:3], [[0, -1, 0], [0, -1, 0]], atol=1e-9)


def test_graphs_hold_the_encoding_in_their_first_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    names, sequences = ["a", "b"], ["MKVLA", "MKV"]
    table = pd.DataFrame({"accession": names, "sequence": sequences, "split": ["train", "test"], "subset": ""})
    table[PLACES] = 1
    states = write_store(tmp_path / "x.npy", "k", names, [5, 3], 2, [(0, np.ones((5, 2))), (1, np.ones((3, 2)))])
    rows = rng.normal(0, 5, (5, WIDTH)).astype(np.float32)
    placed = write_store(tmp_path / "s.npy", "k", ["a"], [5], WIDTH, [(0, rows)], "float32")
    edges = edges_by_rule(tmp_path / "e.npy", placed, names, "10 angstrom")
    made = {name: EncodedGraphs(table, PLACES, states, placed, edges, encoding=name) for name in ENCODINGS}
    graphs = {name: data.dataset(np.arange(2))[0].x.numpy() for name, data in made.items()}
    assert np.allclose(graphs["raw"][:, :3], rows[:, CA]) and not graphs["none"][:, :3].any()
    assert np.allclose(graphs["centred"][:, :3].mean(axis=0), 0, atol=1e-5)
    assert all(np.array_equal(x[:, 3:], graphs["raw"][:, 3:]) for x in graphs.values())
    assert not made["raw"].dataset(np.arange(2))[1].x.numpy()[:, :3].any()  # without a structure there is nothing
    assert len({data.training_key for data in made.values()}) == len(made)


def test_low_rank_adaptation_starts_as_its_layer_and_only_the_difference_learns() -> None:
    layer, x = nn.Linear(6, 4), torch.randn(3, 6)
    adapted = LoraLinear(layer, rank=2)
    assert torch.equal(adapted(x), layer(x))
    adapted(x).sum().backward()
    assert layer.weight.grad is None and adapted.b.grad.abs().sum() > 0
    with torch.no_grad():
        adapted.b.fill_(0.5)
    assert torch.allclose(adapted(x), layer(x) + 4.0 * x @ (adapted.b @ adapted.a).T, atol=1e-5)
    encoder = SplitEsm2(load_esm2("random", shape={"layers": 2, "width": 8, "heads": 2}), 2).top
    assert adapt(encoder, rank=3) == 2 * 2 * (3 * 8 + 8 * 3)
    states = encoder.packed(torch.randn(5, 8), [5])
    states.sum().backward()
    assert encoder.layers[0].attention.self.value.b.grad is not None


def test_trials_compare_variants_with_the_same_seeds() -> None:
    one, val = said(60, 11), said(60, 12, "val")
    table = pd.DataFrame({"accession": [f"v{i}" for i in range(60)], "split": "val", "subset": "", "family": range(60)})
    table[list(DEEPLOC)] = 0
    table[PLACES] = val.view.y
    asked = []

    def train(variant: str, seed: int) -> pd.DataFrame:
        asked.append((variant, seed))
        knows = variant != "blind"
        prob = [v.y * 0.8 + 0.1 if knows else np.full(v.y.shape, 0.5) for v in (one.view, val.view)]
        names = [*one.view.accessions, *table["accession"]]
        known = pd.DataFrame(np.concatenate(prob), columns=PLACES)
        return known.reindex(columns=list(DEEPLOC), fill_value=0.0).assign(accession=names)

    values, gaps = trials.run_trials("s", ["sees", "blind"], "sees", train, table, one.view, drawn_for(one), (1, 2, 3))
    assert asked == [(variant, seed) for seed in (1, 2, 3) for variant in ("sees", "blind")]
    assert len(values) == 2 * 3 * 2 and (values.query("variant == 'sees'")["value"] == 1).all()
    row = gaps.query("metric == 'macro_f1'").iloc[0]
    assert (row["first"], row["second"], row["seeds"]) == ("blind", "sees", 3) and row["ci_high"] < 0
    assert trials.verdict(row) == "lower"


@pytest.mark.parametrize(
    ("ends", "seeds", "words"),
    [
        ((0.03, 0.02, 0.04), 3, "higher"),
        ((0.03, 0.02, 0.04), 2, "too few seeds"),
        ((-0.022, -0.03, -0.014), 3, "lower"),
        ((-0.012, -0.02, -0.004), 3, "lower, not surely by a relevant size"),
        ((0.006, 0.001, 0.011), 3, "higher, not surely by a relevant size"),
        ((0.001, -0.004, 0.005), 3, "no effect of relevant size"),
        ((0.02, -0.01, 0.05), 9, "not sure"),
    ],
)
def test_a_verdict_needs_seeds_an_interval_and_a_size(ends: tuple[float, ...], seeds: int, words: str) -> None:
    row = dict(zip(("difference", "ci_low", "ci_high"), ends, strict=True)) | {"seeds": seeds, "metric": "macro_f1"}
    assert trials.verdict(pd.Series(row)) == words
    assert 0.006 < trials.relevant_size() < 0.011 and trials.relevant_size("micro_f1") == pytest.approx(0.0107)


def test_the_figures_show_every_gate_and_variant_and_no_ratio_to_a_fraction_of_an_error() -> None:
    ends = {"difference": 0.01, "ci_low": -0.01, "ci_high": 0.02, "lowest": 0.0, "highest": 0.02, "seeds": 3}
    rows = [{"study": s, "first": f, "second": "x", "metric": "macro_f1"} | ends for s, f in ("ab", "ac", "de")]
    fig = figures.trials_forest(pd.DataFrame(rows), "macro_f1", 0.01, "t")
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["a: x", "b", "c", "d: x", "e"]
    gates = pd.DataFrame([{"first": g, "second": "sequence", "metric": "macro_f1"} | ends for g in ("rule", "mean")])
    fig = figures.gate_forest(gates, ("macro_f1",), "t")
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["HALO's rule", "mean of both probabilities"]
    parts = pd.DataFrame({"stratum": ["all", "location"], "part": ["all", "Nucleus"], "proteins": [30, 9]})
    scores = parts.assign(system="esm", value=0.5, ci_low=0.4, ci_high=0.6)
    shared = parts.assign(expected=[2.0, 0.5], ratio=2.0, ci_low=1.0, ci_high=3.0)
    fig = figures.errors_by_part(scores, shared, {"esm": "ESM"}, "t")
    assert [len(bar.lines[0].get_xdata()) for bar in fig.axes[1].containers] == [1]
    plt.close("all")


def test_the_last_paragraph_says_what_the_tables_hold() -> None:
    one = said(80, 1, graph_knows=0.0)
    sweep = sensitivity.sweep_confidence(one, CUTS, drawn_for(one), (0.5, 0.6))
    gain = sweep.query("metric == 'macro_f1' and opinion == 'rule' and confidence == 0.6").iloc[0]
    asked = f"chosen on validation, asks about {gain['asked']:,} labels and changes macro F1 by {gain['gain']:+.3f} ["
    assert asked in words.gate_sentence(sweep, 0.6)
    rows = [("network", "rule", 0.02, 0.01, 0.03), ("network_sequence", "rule", -0.01, -0.02, 0.01)]
    compared = pd.DataFrame(rows, columns=["first", "second", "difference", "ci_low", "ci_high"]).assign(
        metric="macro_f1"
    )
    assert "by +0.020 [+0.010, +0.030] in macro F1, the interval excludes zero (1 seed, no verdict)" in (
        words.learned_sentence(compared, "network", 1)
    )
    assert "no verdict" not in words.learned_sentence(compared, "network", 3)
