"""Metrics on ugly cases, and the resampled formulas held against scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, roc_auc_score

from halo_utils.config import load_settings
from halo_utils.core.errors import DataError, LeakError
from halo_utils.core.files import write_csv
from halo_utils.core.paths import RunPaths
from halo_utils.data import kmers
from halo_utils.data.splits import fingerprint
from halo_utils.evaluation.calibration import calibration_sentence, confidence_bins, predicted_ranges, reliability
from halo_utils.evaluation.claims import check_confidence
from halo_utils.evaluation.metrics import (
    evaluate,
    most_probable,
    one_label_each,
    paired_difference,
    resample_weights,
    resampled_scores,
    scores,
    weighted_auc,
)
from halo_utils.evaluation.scoring import compare, headline, macro_sentence, measure
from halo_utils.evaluation.seeds import across_seeds, overall, remark, runs_with_other_seeds
from halo_utils.evaluation.test_sets import EvaluationSet, evaluation_set, restrict
from halo_utils.evaluation.thresholds import (
    Threshold,
    best_threshold,
    choose_label_thresholds,
    choose_threshold,
    threshold_grid,
    threshold_sweep,
)
from halo_utils.runs import prepare
from halo_utils.runs.in_short import confidence_sentence
from tools import report

PLACES = ["a", "b", "c", "d"]


def ugly(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels where c is never present, d never predicted, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, 4))
    y[:, 2] = 0
    prob = np.round(rng.random((n, 4)), 1)
    prob[:, 3] = 0.1
    return y, (prob >= 0.5).astype(int), prob


def auc_of(y: np.ndarray, prob: np.ndarray) -> float:
    return sk.roc_auc_score(y, prob) if 0 < y.sum() < y.size else np.nan


def reference(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: list[str], zero_division: int = 0
) -> dict[tuple[str, str], float]:
    """scikit-learn's values of every metric; with ``zero_division=1`` macro averages are over every label."""
    y, pred = np.asarray(y, dtype=int), np.asarray(pred, dtype=int)
    averaged = y.any(axis=0) | (zero_division == 1)

    def macro(values: np.ndarray) -> float:
        return float(values[averaged].mean()) if averaged.any() else np.nan

    values = {("accuracy", ""): sk.accuracy_score(y, pred)}
    values["jaccard", ""] = sk.jaccard_score(y, pred, average="samples", zero_division=0)
    micro, each = (
        sk.precision_recall_fscore_support(y, pred, average=average, zero_division=zero_division)
        for average in ("micro", None)
    )
    names = ("precision", "recall", "f1")
    values |= {(f"micro_{name}", ""): micro[i] for i, name in enumerate(names)}
    values |= {(f"macro_{name}", ""): macro(each[i]) for i, name in enumerate(names)}
    auc = np.array([auc_of(truth, p) for truth, p in zip(y.T, np.asarray(prob).T, strict=True)])
    values["roc_auc_micro", ""] = auc_of(y.ravel(), np.ravel(prob))
    values["roc_auc_macro", ""] = float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan
    values["mcc_overall", ""] = sk.matthews_corrcoef(y.ravel(), pred.ravel())
    if one_label_each(y):
        top = most_probable(prob)
        values["accuracy_argmax", ""] = sk.accuracy_score(y, top)
        values["macro_f1_argmax", ""] = macro(sk.f1_score(y, top, average=None, zero_division=zero_division))
    for k, location in enumerate(locations):
        values["mcc", location] = sk.matthews_corrcoef(y[:, k], pred[:, k])
        values["f1", location] = each[2][k]
        values["roc_auc", location] = auc[k]
    return values


def test_unit_weights_give_the_sklearn_values() -> None:
    y, pred, prob = ugly()
    point = reference(y, pred, prob, PLACES)
    drawn = resampled_scores(y, pred, prob, PLACES, np.ones((1, len(y)), dtype=np.float32))
    assert set(point) == set(drawn)
    for key, value in point.items():
        assert drawn[key][0] == pytest.approx(value, nan_ok=True), key


@pytest.mark.parametrize("families", [None, np.arange(60) // 3], ids=["proteins", "families"])
@pytest.mark.parametrize("seed", range(4))
def test_resampled_values_equal_sklearn_on_the_resample(seed: int, families: np.ndarray | None) -> None:
    y, pred, prob = ugly(seed)
    weights = resample_weights(len(y), 3, seed, families)
    drawn = resampled_scores(y, pred, prob, PLACES, weights)
    for r in range(3):
        rows = np.repeat(np.arange(len(y)), weights[r].astype(int))
        expected = reference(y[rows], pred[rows], prob[rows], PLACES)
        for key, value in expected.items():
            assert drawn[key][r] == pytest.approx(value, nan_ok=True, abs=1e-9), key


def test_label_never_present_or_never_predicted() -> None:
    y, pred, prob = ugly()
    point = scores(y, pred, prob, PLACES)
    assert point["f1", "c"] == 0 and point["f1", "d"] == 0
    assert point["mcc", "c"] == 0 and point["mcc", "d"] == 0
    assert np.isnan(point["roc_auc", "c"])
    assert np.isfinite(point["roc_auc_macro", ""])
    assert reference(y, pred, prob, PLACES, zero_division=1)["macro_precision", ""] > point["macro_precision", ""]


def test_label_without_proteins_is_left_out_of_macro_averages() -> None:
    y, pred, prob = ugly()
    point, present = scores(y, pred, prob, PLACES), [0, 1, 3]
    expected = precision_recall_fscore_support(y, pred, labels=present, average="macro", zero_division=0)
    found = [point[f"macro_{name}", ""] for name in ("precision", "recall", "f1")]
    assert found == pytest.approx(expected[:3])
    released = precision_recall_fscore_support(y, pred, average="macro", zero_division=1)[2]
    assert reference(y, pred, prob, PLACES, zero_division=1)["macro_f1", ""] == pytest.approx(released)
    assert np.isnan(scores(np.zeros_like(y), pred, prob, PLACES)["macro_f1", ""])


def test_resample_without_a_label_keeps_the_labels_of_the_whole_set() -> None:
    y, prob = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]]), np.eye(3)[[0, 0, 1]]
    drawn = resampled_scores(y, prob > 0, prob, list("abc"), np.array([[1, 1, 1], [2, 1, 0]], dtype=np.float32))
    assert drawn["macro_f1", ""].tolist() == [1.0, 0.5]


@pytest.mark.parametrize("seed", range(3))
def test_most_probable_label_is_scored_where_each_protein_has_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prob = rng.integers(0, 3, 50), rng.random((50, 4))  # d is never present
    y = np.eye(4, dtype=int)[truth]
    point, top = scores(y, prob >= 0.5, prob, PLACES), prob.argmax(axis=1)
    assert point["accuracy_argmax", ""] == pytest.approx(accuracy_score(truth, top))
    present = np.unique(truth)
    expected = f1_score(truth, top, labels=present, average="macro", zero_division=0)
    assert point["macro_f1_argmax", ""] == pytest.approx(expected)
    weights = resample_weights(50, 3, seed)
    drawn = resampled_scores(y, prob >= 0.5, prob, PLACES, weights)
    for r in range(3):
        assert drawn["accuracy_argmax", ""][r] == pytest.approx(accuracy_score(truth, top, sample_weight=weights[r]))
        options = {"labels": present, "average": "macro", "zero_division": 0, "sample_weight": weights[r]}
        assert drawn["macro_f1_argmax", ""][r] == pytest.approx(f1_score(truth, top, **options))
    assert ("accuracy_argmax", "") not in scores(np.maximum(y, [1, 0, 0, 0]), prob >= 0.5, prob, PLACES)


def test_perfect_and_inverted_predictions() -> None:
    y = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    perfect = scores(y, y, y.astype(float), ["a", "b"])
    inverted = scores(y, 1 - y, 1.0 - y, ["a", "b"])
    assert perfect["accuracy", ""] == 1 and perfect["mcc_overall", ""] == 1 and perfect["roc_auc_micro", ""] == 1
    assert inverted["mcc_overall", ""] == -1 and inverted["roc_auc_micro", ""] == 0
    assert perfect["jaccard", ""] == 0.75  # the protein without any label scores 0


def test_auc_counts_ties_half() -> None:
    y, prob = np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.2, 0.9])
    assert weighted_auc(y, prob, np.ones((4, 1)))[0] == pytest.approx(roc_auc_score(y, prob))


def test_evaluate_is_tidy_and_reproducible() -> None:
    y, pred, prob = ugly()
    table = evaluate(y, pred, prob, PLACES, resamples=50, seed=1, system="s", split="test", threshold=0.5)
    again = evaluate(y, pred, prob, PLACES, resamples=50, seed=1, system="s", split="test", threshold=0.5)
    assert table.equals(again)
    micro = table[table["metric"] == "micro_f1"].iloc[0]
    assert micro["ci_low"] < micro["value"] < micro["ci_high"]
    assert {"system", "split", "threshold", "n", "seed"} <= set(table.columns)


def test_paired_difference_of_a_system_with_itself_is_zero() -> None:
    y, pred, prob = ugly()
    table = paired_difference(y, (pred, prob), (pred, prob), PLACES, resamples=30, seed=1).dropna()
    assert (table[["difference", "ci_low", "ci_high"]] == 0).all().all()


def test_paired_interval_is_narrower_than_unpaired() -> None:
    y, pred, prob = ugly(n=300)
    other = pred.copy()
    other[:5] = 1 - other[:5]
    row = (
        paired_difference(y, (pred, prob), (other, prob), PLACES, resamples=300, seed=1)
        .set_index("metric")
        .loc["micro_f1"]
    )
    single = evaluate(y, pred, prob, PLACES, resamples=300, seed=1).set_index("metric").loc["micro_f1"]
    assert row["ci_high"] - row["ci_low"] < single["ci_high"] - single["ci_low"]


def widths(table: pd.DataFrame) -> pd.Series:
    """Widths of the intervals of the overall metrics."""
    own = table[table["label"] == ""].set_index("metric")
    return (own["ci_high"] - own["ci_low"]).rename("width")


COPIES = 9


def copied() -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Labels, predictions and scores of 100 proteins, each of them nine times, and the family of each copy."""
    single = ugly(5, n=100)
    return tuple(np.repeat(part, COPIES, axis=0) for part in single), np.repeat(np.arange(100), COPIES)


def test_copies_are_no_evidence() -> None:
    """Copies resampled one by one narrow the interval by the root of their number; whole families do not."""
    single, (many, families) = ugly(5, n=100), copied()
    options = {"resamples": 2000, "seed": 1}
    distinct, naive = evaluate(*single, PLACES, **options), evaluate(*many, PLACES, **options)
    honest = evaluate(*many, PLACES, families=families, **options)
    assert widths(honest).to_numpy() == pytest.approx(widths(distinct).to_numpy(), rel=0.1)
    assert widths(naive)["micro_f1"] == pytest.approx(widths(distinct)["micro_f1"] / np.sqrt(COPIES), rel=0.1)
    assert set(honest["resampled"]) == {"families", "proteins"}  # what has no interval stays with proteins
    assert (
        honest.loc[honest["ci_low"].notna() & (honest["ci_high"] > honest["ci_low"]), "resampled"].eq("families").all()
    )
    assert set(naive["resampled"]) == {"proteins"}


def test_difference_is_resampled_over_families_too() -> None:
    (y, pred, prob), families = copied()
    worse, hit = pred.copy(), np.unique(families[(y * pred).any(axis=1)])
    worse[np.isin(families, hit[:2])] = 0  # two families lose labels that were right
    systems, options = ((pred, prob), (worse, prob)), {"resamples": 2000, "seed": 1}
    naive = paired_difference(y, *systems, PLACES, **options).set_index("metric").loc["micro_recall"]
    honest = (
        paired_difference(y, *systems, PLACES, families=families, **options).set_index("metric").loc["micro_recall"]
    )
    assert (naive["resampled"], honest["resampled"]) == ("proteins", "families")
    assert naive["p_not_greater"] == 0 and honest["p_not_greater"] == pytest.approx(0.98**100, abs=0.02)
    assert naive["ci_low"] > 0 and honest["ci_low"] == 0


def test_the_wider_interval_is_kept() -> None:
    """Two proteins of a family that err in opposite ways: resampling them together hides the variation."""
    y = np.tile([[1, 0], [0, 1]], (100, 1))
    pred = np.tile([[1, 0], [0, 0]], (100, 1))  # every second protein is missed
    options = {"resamples": 300, "seed": 1, "families": np.arange(200) // 2}
    table = evaluate(y, pred, pred.astype(float), ["a", "b"], **options).set_index("metric")
    assert table.loc["accuracy", "resampled"] == "proteins" and widths(table.reset_index())["accuracy"] > 0.05


def test_families_that_hold_one_protein_each_change_nothing() -> None:
    y, pred, prob = ugly()
    options = {"resamples": 50, "seed": 1}
    plain = evaluate(y, pred, prob, PLACES, **options)
    assert evaluate(y, pred, prob, PLACES, families=np.arange(60)[::-1], **options).equals(plain)


def view(n: int = 60, name: str = "test") -> EvaluationSet:
    y = ugly(n=n)[0]
    return EvaluationSet(name, "synthetic", np.arange(n).astype(str), y, PLACES, np.arange(n) // 4)


def test_sets_name_what_macro_averages_leave_out() -> None:
    own = view()
    _, pred, prob = ugly()
    assert own.absent == ["c"]
    sentence = "Macro averages are taken on test over 3 of 4 locations, as none of its proteins is in c."
    assert macro_sentence([own]) == sentence
    full = EvaluationSet("test", "synthetic", own.accessions, own.y | 1, PLACES, own.families)
    assert macro_sentence([full]) == "Macro averages are over all locations."
    metrics = measure(own, "esm", pred, prob, Threshold(0.5, "val"), resamples=20)
    gaps = compare(own, ("a", pred, prob), ("b", 1 - pred, prob), resamples=20)
    assert set(metrics["macro_over"]) == set(gaps["macro_over"]) == {3}
    assert "families" in set(metrics["resampled"]) and "families" in set(gaps["resampled"])
    part = restrict(own, np.arange(60) % 2 == 0, "half")
    assert part.families.tolist() == own.families[::2].tolist()


def test_families_come_with_the_proteins(root: Path, tiny_profile: Path) -> None:
    settings = load_settings(str(tiny_profile))
    table = prepare.read_inputs(settings).table
    assert table["family"].tolist() == kmers.families(table).tolist()
    assert fingerprint(table) == fingerprint(table.drop(columns="family"))
    own = evaluation_set(table, "test", "synthetic")
    assert own.families.tolist() == table.loc[table["split"] == "test", "family"].tolist()
    with pytest.raises(DataError, match="no column family: prepare the data again"):
        evaluation_set(table.drop(columns="family"), "test", "synthetic")


def test_headline_shows_argmax_where_it_is_measured() -> None:
    _, pred, prob = ugly()
    options = {"resamples": 10, "seed": 1, "split": "test", "system": "esm"}
    several, one = (evaluate(y, pred, prob, PLACES, **options) for y in (ugly()[0], np.eye(4, dtype=int)[pred[:, 0]]))
    assert "accuracy_argmax" not in headline(several, "test")
    assert headline(one, "test").columns[:2].tolist() == ["accuracy", "accuracy_argmax"]


def test_sweep_where_every_label_is_present_is_what_it_was() -> None:
    """Trained models were chosen by it: bit for bit."""
    y, _, prob = ugly(n=500)
    y[0] = 1
    truth, pred = y.astype(bool)[None], prob[None] >= threshold_grid()[:, None, None]
    hits, wrong = (pred & truth).sum(axis=1).astype(float), (pred ^ truth).sum(axis=1)
    f1 = np.divide(2 * hits, 2 * hits + wrong, out=np.zeros_like(hits), where=(2 * hits + wrong) > 0)
    assert threshold_sweep(y, prob)["macro_f1"].tolist() == f1.mean(axis=1).tolist()


def test_location_without_a_validation_protein_gets_the_middle_threshold() -> None:
    y, _, prob = ugly()
    assert choose_label_thresholds(y, prob, PLACES, "val")["c"].value == 0.5
    assert set(threshold_sweep(y[:, [2]], prob[:, [2]])["macro_f1"]) == {0.0}


def test_sweep_grid_and_values() -> None:
    grid = threshold_grid()
    assert len(grid) == 18 and grid[0] == 0.10 and grid[-1] == 0.95
    y, _, prob = ugly()
    sweep = threshold_sweep(y, prob)
    for row in sweep.itertuples():
        point = scores(y, prob >= row.threshold, prob, PLACES)
        assert row.macro_f1 == pytest.approx(point["macro_f1", ""])
        assert row.micro_f1 == pytest.approx(point["micro_f1", ""])
        assert row.accuracy == pytest.approx(point["accuracy", ""])


def test_best_threshold_takes_the_middle_of_equals() -> None:
    y, prob = np.array([[1], [0]]), np.array([[0.9], [0.05]])
    assert best_threshold(threshold_sweep(y, prob)) == 0.5


def test_threshold_is_refused_on_its_own_split() -> None:
    y, _, prob = ugly()
    threshold = choose_threshold(y, prob, "val")
    assert threshold.on("test") == threshold.value
    with pytest.raises(LeakError, match="evaluate it on another split"):
        threshold.on("val")
    with pytest.raises(LeakError):
        threshold.on("val, with structure")
    assert Threshold(0.5, "published").on("val") == 0.5


def test_threshold_per_location_is_the_best_of_each() -> None:
    y = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
    prob = np.array([[0.92, 0.22], [0.82, 0.11], [0.52, 0.21], [0.42, 0.12]])
    chosen = choose_label_thresholds(y, prob, ["a", "b"], "val")
    assert 0.52 < chosen["a"].value <= 0.82 and 0.12 < chosen["b"].value <= 0.21
    assert {t.chosen_on for t in chosen.values()} == {"val"}


def write_runs(values: dict[str, dict[str, float]], file: str = "metrics.csv") -> None:
    """Write the metrics of runs by name: micro F1 of every system; macro F1 is half of it."""
    for name, systems in values.items():
        rows = [("test", s, m, "", v * f) for s, v in systems.items() for m, f in (("micro_f1", 1), ("macro_f1", 0.5))]
        table = pd.DataFrame(rows, columns=["split", "system", "metric", "label", "value"])
        write_csv(RunPaths(name).make().results / file, table)


def test_seeds_are_collected_from_the_runs_of_one_family(root: Path) -> None:
    assert runs_with_other_seeds(RunPaths("demo")) == []
    write_runs({n: {"esm": v} for n, v in {"demo": 0.5, "demo-seed8": 0.7, "demo-seed9": 0.6}.items()})
    write_runs({n: {"esm": 0.0} for n in ("demos", "demo-3000", "demo-seed8-released_code")})
    runs = runs_with_other_seeds(RunPaths("demo-seed8"))
    assert [run.name for run in runs] == ["demo", "demo-seed8", "demo-seed9"]
    found = across_seeds(runs).set_index("metric").loc["micro_f1"]
    assert (found["seeds"], found["lowest"], found["highest"]) == (3, 0.5, 0.7)
    assert (round(found["mean"], 9), round(found["sd"], 9)) == (0.6, 0.1)


def test_a_run_of_notebook_02_alone_counts_for_what_it_holds(root: Path) -> None:
    write_runs({"demo": {"composition": 0.3, "esm": 0.5, "halo": 0.5}})
    write_runs({"demo": {"esm": 0.0}}, "metrics_sequence.csv")  # the same system, measured once
    write_runs({n: {"composition": 0.3, "esm": 0.6} for n in ("demo-seed8", "demo-seed9")}, "metrics_sequence.csv")
    spread = across_seeds(runs_with_other_seeds(RunPaths("demo")))
    assert spread.groupby("system")["seeds"].max().to_dict() == {"composition": 3, "esm": 3, "halo": 1}
    assert spread.loc[spread["system"] == "halo", ["mean", "sd", "lowest", "highest"]].isna().all(axis=None)
    shown = overall(spread, "test")
    assert shown.index.tolist() == ["composition baseline", "fine-tuned ESM"] and shown["seeds"].tolist() == [3, 3]
    assert shown.loc["fine-tuned ESM", "Micro F1"] == "0.567 ± 0.058 (0.500 to 0.600)"
    assert shown.loc["fine-tuned ESM", "Macro F1"] == "0.283 ± 0.029 (0.250 to 0.300)"
    assert remark(spread) == "Fewer than 3 seeds have been run of: HALO (paper)."


@pytest.mark.parametrize(("seeds", "said"), [(1, "1 seed has been run"), (2, "2 seeds have been run")])
def test_below_three_seeds_there_is_no_spread(root: Path, seeds: int, said: str) -> None:
    write_runs({f"demo-seed{i}": {"esm": 0.5 + i / 100} for i in range(seeds)})
    spread = across_seeds(runs_with_other_seeds(RunPaths("demo")))
    assert spread["seeds"].eq(seeds).all() and spread["mean"].isna().all() and overall(spread, "test").empty
    assert remark(spread) == f"{said}; a mean and a range over seeds need 3 or more."
    write_csv(RunPaths("demo").make().results / "seeds.csv", spread)
    assert report.seeds_table(RunPaths("demo")) == remark(spread)


def test_table_of_seeds_shows_what_has_three(root: Path) -> None:
    write_runs({f"demo-seed{i}": {"esm": 0.5 + i / 100} | ({"halo": 0.5} if i < 2 else {}) for i in range(4)})
    spread = across_seeds(runs_with_other_seeds(RunPaths("demo")))
    write_csv(RunPaths("demo").make().results / "seeds.csv", spread)
    assert report.seeds_table(RunPaths("demo")).splitlines() == [
        "| system | seeds | Micro F1, mean ± SD (range) | Macro F1, mean ± SD (range) |",
        "| --- | --- | --- | --- |",
        "| fine-tuned ESM | 4 | 0.515 ± 0.013 (0.500 to 0.530) | 0.258 ± 0.006 (0.250 to 0.265) |",
        "",
        "Fewer than 3 seeds have been run of: HALO (paper).",
    ]


def test_confidence_bins_partition_the_predictions() -> None:
    y, prob = np.array([[1, 0, 1], [0, 1, 1]]), np.array([[0.40, 0.449, 0.95], [0.39, 1.0, 0.55]])
    bins = confidence_bins(y, prob, resamples=50, seed=0).set_index("low")
    assert bins["total"].sum() == 5
    assert bins.loc[0.40, ["total", "wrong"]].tolist() == [2, 1]
    assert bins.loc[0.95, "total"] == 2 and bins.loc[0.55, "total"] == 1
    assert np.isnan(bins.loc[0.70, "accuracy"])


def test_crossing_stops_at_the_first_bad_range_and_counts_predicted_labels_only() -> None:
    y, prob = np.array([[1], [1], [0], [1], [0]]), np.array([[0.97], [0.72], [0.62], [0.52], [0.44]])
    assert predicted_ranges(y, prob, 0.45, resamples=10, seed=0).crossing(0.6).value == pytest.approx(0.70)
    y[2] = 1
    found = predicted_ranges(y, prob, 0.45, resamples=10, seed=0)
    assert found.crossing(0.6).value == pytest.approx(0.50) and found.total.sum() == 4  # no label at 45 to 50 %
    assert predicted_ranges(y, prob, 0.40, resamples=10, seed=0).crossing(0.6).value == pytest.approx(0.50)
    assert predicted_ranges(0 * y, prob, 0.45, resamples=10, seed=0).crossing(0.6).value == 1.0


def calibrated(n: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels that are true as often as their probability says, plus ``shift``."""
    rng = np.random.default_rng(seed)
    prob = rng.random((n, 5))
    return (rng.random((n, 5)) < prob + shift).astype(int), prob


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [-0.1, -0.05, 0.0, 0.05, 0.1])
@pytest.mark.parametrize("n", [60, 600, 6000])
def test_ledger_and_crossing_never_contradict_each_other(n: int, shift: float, seed: int) -> None:
    found = predicted_ranges(*calibrated(n, shift, seed), 0.45, resamples=200, seed=seed)
    crossing = found.crossing(0.6)
    under, over = check_confidence(found, 0.55, 0.6)["verdict"]
    assert (over == "reproduced") == (crossing.high <= 0.55 + 1e-9)
    assert under != "reproduced" or crossing.low >= 0.55 - 1e-9
    assert over != "contradicted" or crossing.low > 0.55 + 1e-9
    if under == over == "reproduced":
        assert (crossing.low, crossing.value, crossing.high) == (0.55, 0.55, 0.55)


def test_an_accuracy_whose_interval_holds_60_percent_has_no_verdict() -> None:
    """The old rule said "reproduced" of 0.6085 [0.598, 0.619], while single ranges above 55 % were far below 60 %."""
    y, prob = calibrated(400, 0.02)
    found = predicted_ranges(y, prob, 0.45, resamples=300, seed=1)
    pooled = 1 - (bins := confidence_bins(y, prob).query("low >= 0.55"))["wrong"].sum() / bins["total"].sum()
    ledger = check_confidence(found, 0.55, 0.6).set_index("claim")
    over = ledger.loc["from 55% confidence on every range reaches 60% accuracy"]
    assert pooled > 0.6 and over["ci_low"] < 0.6 <= over["ci_high"] and over["verdict"] == "not sure"
    high = predicted_ranges(y, prob, 0.6, resamples=20, seed=1)
    assert check_confidence(high, 0.55, 0.6)["verdict"].iloc[0] == "not testable here"  # nothing predicted below


def test_families_widen_the_interval_of_the_crossing() -> None:
    y, prob = calibrated(200, 0.1)
    y, prob = np.repeat(y, 10, axis=0), np.repeat(prob, 10, axis=0)
    alone = predicted_ranges(y, prob, 0.45, resamples=400, seed=0)
    families = predicted_ranges(y, prob, 0.45, resamples=400, seed=0, families=np.arange(2000) // 10)
    width = [np.subtract(*found.below(0.55)[0][:0:-1]) for found in (alone, families)]
    assert families.crossing(0.6).value == alone.crossing(0.6).value and width[1] > 2 * width[0]


def test_calibration_sentence_follows_the_loss() -> None:
    table, error = reliability(*calibrated(2000, 0.0))
    focal, plain = (calibration_sentence(g, table, error) for g in (2.0, 0.0))
    assert "gamma 2" in focal and "plain binary cross-entropy" in plain and f"{error:.3f}" in plain


def test_reliability_error_of_perfect_calibration_is_small() -> None:
    rng = np.random.default_rng(0)
    prob = rng.random((4000, 3))
    table, error = reliability((rng.random((4000, 3)) < prob).astype(int), prob)
    assert error < 0.03 and table["pairs"].sum() == prob.size


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ((0.60, 0.55, 0.65), "from 60% confidence on (95 % interval 55% to 65%) on test and at no confidence"),
        ((0.70, 0.65, 1.0), "from 70% confidence on (95 % interval 65% to none) on test"),
    ],
)
def test_confidence_sentence_gives_intervals_and_says_whether_the_papers_value_is_inside(
    root: Path, ours: tuple[float, ...], words: str
) -> None:
    paths = RunPaths("demo").make()
    rows = [("paper", 0.55, np.nan, np.nan), ("ours, test", *ours), ("ours, val", 1.0, 0.9, 1.0)]
    table = pd.DataFrame(rows, columns=["where", "reliable above", "ci_low", "ci_high"])
    write_csv(paths.results / "confidence_crossing.csv", table)
    sentence = confidence_sentence(paths)
    assert words in sentence and f"{'inside' if ours[1] <= 0.55 else 'outside'} the interval on test" in sentence
