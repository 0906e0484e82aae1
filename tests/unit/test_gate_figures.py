"""The gate's figures draw what their tables say; another seed of the sequence model is found where there is one."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from halo_utils.config import load_settings
from halo_utils.core.files import write_json, write_parquet
from halo_utils.core.paths import RunPaths
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.splits import fingerprint
from halo_utils.evaluation import hybrid_ground, scoring
from halo_utils.evaluation.second_opinions import second_opinions
from halo_utils.evaluation.systems import TITLES
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.figures import gate_figures
from halo_utils.models.gate import Decision, GateResult, decision_counts, decision_flows, halo_gate
from halo_utils.runs.artifacts import load_other_seed

PLACES = list(DEEPLOC)


def gated(seed: int = 0, structures: float = 0.5) -> tuple[np.ndarray, np.ndarray, GateResult]:
    """Labels, what the sequence model predicts, and what the gate makes of it, of 300 random proteins."""
    rng = np.random.default_rng(seed)
    y, prob, opinion = (rng.random((300, len(PLACES))) for _ in range(3))
    known = rng.random(300) < structures
    return y < 0.4, prob >= 0.4, halo_gate(prob, opinion, known, esm_threshold=0.4, gat_threshold=0.5)


def flows_of(y: np.ndarray, result: GateResult, split: str = "test") -> pd.DataFrame:
    return decision_flows(decision_counts(result.decision, y, PLACES).assign(split=split))


def test_every_predicted_label_flows_to_one_end_and_counts_are_the_gates_own() -> None:
    y, predicted, result = gated()
    flows = flows_of(y, result)
    into, out = (flows.groupby(side)[["labels", "true"]].sum() for side in ("to", "from"))
    both = sorted(set(into.index) & set(out.index))
    assert both == sorted(["confident", "band", "no_structure", "asked", "agreed", "vetoed"])
    assert into.loc[both].equals(out.loc[both])  # what reaches a node leaves it, true ones too
    assert out.loc["predicted"].tolist() == [predicted.sum(), (predicted & y).sum()]
    for name in ("confident", "no_structure", "agreed", "vetoed"):
        own = result.decision == Decision[name.upper()]
        assert into.loc[name].tolist() == [own.sum(), (own & y).sum()] and own.any()
    right = predicted & (result.labels == y)
    assert into["labels"][["right", "wrong"]].tolist() == [right.sum(), predicted.sum() - right.sum()]


def test_sets_flow_apart() -> None:
    (y, _, first), (z, _, second) = gated(1), gated(2)
    counts = [decision_counts(r.decision, t, PLACES).assign(split=n) for n, t, r in (("a", y, first), ("b", z, second))]
    flows = decision_flows(pd.concat(counts))
    for split, own in (("a", flows_of(y, first, "a")), ("b", flows_of(z, second, "b"))):
        pd.testing.assert_frame_equal(flows[flows["split"] == split].reset_index(drop=True), own)


def test_the_flow_is_drawn_to_scale_with_every_count_on_it() -> None:
    flows = flows_of(*gated()[::2])
    fig = gate_figures.gate_flow(flows, "x")
    (ax,), total = fig.axes, flows.loc[flows["from"] == "predicted", "labels"].sum()
    words = [text.get_text().replace("\n", " ") for text in ax.texts]
    labels = flows.set_index(["from", "to"])["labels"]
    assert sum(f"predicted by the sequence model: {total:,}" == text for text in words) == 1
    for (_, to), n in labels.items():
        shown = f" {to}: " if to in ("right", "wrong") else gate_figures.NODES[to][1]
        assert any(shown in text and f"{n:,}" in text for text in words), (to, n)
    assert f"{labels['vetoed', 'wrong']:,} wrong: removed, true" in words
    assert f"{labels['agreed', 'wrong']:,} wrong: kept, false" in words
    drawn = [np.ptp(path.vertices[path.vertices[:, 0] == path.vertices[:, 0].max(), 1]) for path in paths_of(ax)]
    assert len(drawn) == len(labels) and sorted(drawn) == pytest.approx(sorted(labels / total))
    plt.close(fig)


def paths_of(ax: Axes) -> list:
    return [band.get_paths()[0] for band in ax.collections]


def test_a_gate_that_asks_nobody_says_so_and_draws_no_opinion() -> None:
    y, _, result = gated(structures=0.0)
    flows = flows_of(y, result)
    fig = gate_figures.gate_flow(flows, "x")
    words = " ".join(text.get_text() for text in fig.axes[0].texts)
    assert "GAT asked: 0" in words and "vetoes" not in words and "removed" not in words
    assert gate_figures.flow_title(flows).startswith("The GAT was asked about 0 of ")
    assert "removed" not in gate_figures.flow_title(flows)
    plt.close(fig)


def test_the_title_of_the_flow_counts_vetoes_and_the_false_ones_among_them() -> None:
    y, predicted, result = gated(3)
    vetoed = result.decision == Decision.VETOED
    asked = vetoed | (result.decision == Decision.AGREED)
    expected = f"about {asked.sum():,} of {predicted.sum():,} predicted labels and removed {vetoed.sum():,}, "
    assert f"{expected}{(vetoed & ~y).sum():,} of them false" in gate_figures.flow_title(flows_of(y, result))


def points(ax: Axes) -> list[np.ndarray]:
    """Return value, low and high end of every dot of an axis, [dots, 3] per series."""
    series = []
    for container in ax.containers:
        ends = np.array(container.lines[2][0].get_segments())[:, :, 0]
        series.append(np.column_stack([container.lines[0].get_xdata(), ends]))
    return series


def test_dots_of_mcc_are_the_rows_and_a_location_without_a_protein_has_none() -> None:
    y, predicted, result = gated(4)
    y[:, 3] = False
    accessions, systems = np.array([f"P{i:03}" for i in range(300)]), ("halo", "esm")
    views = [
        EvaluationSet(n, "deeploc2", accessions, y, PLACES, np.arange(300)) for n in ("test", "test, with a graph")
    ]
    said = {"esm": predicted, "halo": result.labels, "composition": ~predicted}
    cut = Threshold(0.4, "val")
    measured = [
        scoring.measure(view, name, labels, labels.astype(float), cut, resamples=20)
        for view in views
        for name, labels in said.items()
    ]
    rows = gate_figures.mcc_rows(pd.concat(measured), views, systems)
    assert set(rows["system"]) == set(systems) and set(rows["label"]) == set(PLACES) - {PLACES[3]}
    assert (rows["proteins"] == rows["label"].map(dict(zip(PLACES, y.sum(axis=0), strict=True)))).all()
    fig = gate_figures.mcc_by_ground(rows, "x")
    assert len(fig.axes) == 2
    for ax, view in zip(fig.axes, views, strict=True):
        for dots, system in zip(points(ax), ("esm", "halo"), strict=True):
            own = rows[(rows["split"] == view.name) & (rows["system"] == system)]
            assert dots == pytest.approx(own[["value", "ci_low", "ci_high"]].to_numpy())
    assert [text.get_text() for text in fig.legends[0].get_texts()] == [TITLES["esm"], TITLES["halo"]]
    plt.close(fig)


def differences(**ends: tuple[float, float]) -> pd.DataFrame:
    """Return rows of one comparison: label -> ends of its interval."""
    rows = [(label, low, high) for label, (low, high) in ends.items()]
    table = pd.DataFrame(rows, columns=["label", "ci_low", "ci_high"])
    return table.assign(metric="mcc", first="halo", second="esm", split="test", difference=0.0)


def test_titles_count_intervals_that_exclude_zero() -> None:
    gaps = differences(a=(0.1, 0.2), b=(-0.1, 0.1), c=(-0.2, -0.1), d=(0.1, 0.3))
    rows = pd.DataFrame({"split": "test", "label": ["a", "b", "c"]})  # nobody is in d
    title = gate_figures.mcc_title(rows, gaps, ("halo", "esm"), "here")
    first = f"{TITLES['halo']} has a higher MCC than {TITLES['esm']} in 1 and a lower one in 1 of 3 locations"
    assert title == f"{first}\n95 % intervals that exclude zero; here"
    assert gate_figures.mcc_title(rows, gaps, ("esm", "halo"), "here") == "MCC per location\nhere"
    assert "gain in 2 and lose in 1 of 4 comparisons" in gate_figures.controls_title(gaps, "here")


def test_dots_of_controls_are_the_rows_metric_by_metric() -> None:
    rng, rows = np.random.default_rng(0), []
    for control in hybrid_ground.CONTROLS:
        for metric in hybrid_ground.CONTROL_METRICS:
            low, value, high = np.sort(rng.normal(size=3))
            rows.append({"second": control, "metric": metric, "difference": value, "ci_low": low, "ci_high": high})
    table = pd.DataFrame(rows)
    fig = gate_figures.edge_controls(table, "x")
    for dots, metric in zip(points(fig.axes[0]), hybrid_ground.CONTROL_METRICS, strict=True):
        assert dots == pytest.approx(
            table.loc[table["metric"] == metric, ["difference", "ci_low", "ci_high"]].to_numpy()
        )
    names = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    assert names == ["no edges", "sequence neighbours", "rewired contacts", "another protein's contacts"]
    plt.close(fig)


def finished(name: str, table: pd.DataFrame, value: float) -> RunPaths:
    """Write what notebook 02 of a run leaves behind: metrics, provenance and predictions."""
    paths = RunPaths(name).make()
    (paths.results / "metrics_sequence.csv").write_text("metric\n")
    facts = {"notebook": "02_esm_finetuning", "data_fingerprint": fingerprint(table)}
    write_json(paths.results / "provenance" / "02_esm_finetuning.json", facts)
    prob = table[["accession", "split"]].assign(**dict.fromkeys(PLACES, value))
    write_parquet(paths.predictions("esm"), prob)
    return paths


def test_another_seed_is_a_finished_run_of_the_family_on_the_same_proteins(
    root: Path, five_proteins: pd.DataFrame
) -> None:
    settings = load_settings("demo")
    finished("demo", five_proteins, 0.1)
    assert load_other_seed(settings, five_proteins) is None  # a run is not its own other seed
    finished("demo-seed8", five_proteins.assign(split="train"), 0.2)  # a seed that draws other data
    finished("quick-seed8", five_proteins, 0.3)
    unfinished = finished("demo-seed5", five_proteins, 0.4)
    unfinished.predictions("esm").unlink()
    assert load_other_seed(settings, five_proteins) is None
    finished("demo-seed9", five_proteins, 0.5)
    name, stored = load_other_seed(settings, five_proteins)
    assert name == "demo-seed9" and (stored[PLACES] == 0.5).all(axis=None)
    seeded, variation = load_settings("demo", seed=9), load_settings("demo", gate_rule="sequence_only")
    assert load_other_seed(seeded, five_proteins)[0] == "demo"
    assert load_other_seed(variation, five_proteins)[0] == "demo-seed9"


def test_another_seed_is_asked_by_the_gate_as_the_networks_are() -> None:
    """It vetoes what it does not predict at its own threshold, of the labels the gate asks about."""
    rng = np.random.default_rng(0)
    y, prob, other = (rng.random((200, len(PLACES))) for _ in range(3))
    accessions = np.array([f"P{i:03}" for i in range(200)])
    view = EvaluationSet("test, with a graph", "deeploc2", accessions, (y < 0.3).astype(int), PLACES, np.arange(200))
    stored = {
        name: pd.DataFrame(p, columns=PLACES).assign(accession=accessions)
        for name, p in {"esm": prob, "gat_weighted": rng.random(prob.shape), "other_seed": other}.items()
    }
    cuts = {"esm": Threshold(0.4, "val"), "gat_weighted": Threshold(0.5, "val"), "other_seed": Threshold(0.3, "val")}
    said = hybrid_ground.outcomes(view, stored, cuts)
    keeps = {name: said[name].labels for name in ("gat_weighted", "other_seed")}
    found = second_opinions(view, prob, 0.4, keeps, resamples=20).query("metric == 'micro_f1'").set_index("opinion")
    band = (prob >= 0.4) & (prob < 0.55)
    assert found.loc["other_seed", ["asked", "vetoed"]].tolist() == [band.sum(), (band & (other < 0.3)).sum()]
