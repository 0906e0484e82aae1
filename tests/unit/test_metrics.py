"""Metrics on ugly cases, and the resampled formulas held against scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from halo_utils.blocks import FocalSettings
from halo_utils.calibration import (
    Threshold,
    best_threshold,
    calibration_sentence,
    choose_label_thresholds,
    choose_threshold,
    confidence_bins,
    predicted_ranges,
    reliability,
    threshold_grid,
    threshold_sweep,
)
from halo_utils.claims import check_confidence
from halo_utils.errors import LeakError
from halo_utils.files import write_csv
from halo_utils.metrics import (
    evaluate,
    paired_difference,
    resample_weights,
    resampled_scores,
    scores,
    weighted_auc,
)
from halo_utils.paths import RunPaths
from halo_utils.report import confidence_sentence
from halo_utils.seeds import across_seeds, runs_with_other_seeds

PLACES = ["a", "b", "c", "d"]


def ugly(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels where c is never present, d never predicted, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, 4))
    y[:, 2] = 0
    prob = np.round(rng.random((n, 4)), 1)
    prob[:, 3] = 0.1
    return y, (prob >= 0.5).astype(int), prob


def test_unit_weights_give_the_sklearn_values() -> None:
    y, pred, prob = ugly()
    point = scores(y, pred, prob, PLACES)
    drawn = resampled_scores(y, pred, prob, PLACES, np.ones((1, len(y)), dtype=np.float32))
    assert set(point) == set(drawn)
    for key, value in point.items():
        assert drawn[key][0] == pytest.approx(value, nan_ok=True), key


@pytest.mark.parametrize("seed", range(4))
def test_resampled_values_equal_sklearn_on_the_resample(seed: int) -> None:
    y, pred, prob = ugly(seed)
    weights = resample_weights(len(y), 3, seed)
    drawn = resampled_scores(y, pred, prob, PLACES, weights)
    for r in range(3):
        rows = np.repeat(np.arange(len(y)), weights[r].astype(int))
        expected = scores(y[rows], pred[rows], prob[rows], PLACES)
        for key, value in expected.items():
            assert drawn[key][r] == pytest.approx(value, nan_ok=True, abs=1e-9), key


def test_label_never_present_or_never_predicted() -> None:
    y, pred, prob = ugly()
    point = scores(y, pred, prob, PLACES)
    assert point["f1", "c"] == 0 and point["f1", "d"] == 0
    assert point["mcc", "c"] == 0 and point["mcc", "d"] == 0
    assert np.isnan(point["roc_auc", "c"])
    assert np.isfinite(point["roc_auc_macro", ""])
    assert scores(y, pred, prob, PLACES, zero_division=1)["macro_precision", ""] > point["macro_precision", ""]


def test_perfect_and_inverted_predictions() -> None:
    y = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    perfect = scores(y, y, y.astype(float), ["a", "b"])
    inverted = scores(y, 1 - y, 1.0 - y, ["a", "b"])
    assert perfect["accuracy", ""] == 1 and perfect["mcc_overall", ""] == 1 and perfect["roc_auc_micro", ""] == 1
    assert inverted["mcc_overall", ""] == -1 and inverted["roc_auc_micro", ""] == 0
    assert perfect["jaccard", ""] == 0.75  # the protein without any label scores 0


def test_auc_counts_ties_half() -> None:
    y, prob = np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.2, 0.9])
    assert weighted_auc(y, prob, np.ones((1, 4)))[0] == pytest.approx(roc_auc_score(y, prob))


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


def test_seeds_are_collected_from_the_runs_of_one_family(root: Path) -> None:
    assert runs_with_other_seeds(RunPaths("demo")) == []
    rows = {"split": "test", "system": "esm", "metric": "micro_f1", "label": ""}
    for name, value in {"demo": 0.5, "demo-seed8": 0.7, "demo-seed9": 0.6, "demos": 0.0}.items():
        write_csv(RunPaths(name).make().results / "metrics.csv", pd.DataFrame([rows | {"value": value}]))
    runs = runs_with_other_seeds(RunPaths("demo-seed8"))
    assert [run.name for run in runs] == ["demo", "demo-seed8", "demo-seed9"]
    found = across_seeds(runs).iloc[0]
    assert (found["seeds"], round(found["mean"], 9), found["lowest"], found["highest"]) == (3, 0.6, 0.5, 0.7)


def test_confidence_bins_partition_the_predictions() -> None:
    y, prob = np.array([[1, 0, 1], [0, 1, 1]]), np.array([[0.40, 0.449, 0.95], [0.39, 1.0, 0.55]])
    bins = confidence_bins(y, prob).set_index("low")
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
    families = predicted_ranges(y, prob, 0.45, resamples=400, seed=0, groups=np.arange(2000) // 10)
    width = [np.subtract(*found.below(0.55)[0][:0:-1]) for found in (alone, families)]
    assert families.crossing(0.6).value == alone.crossing(0.6).value and width[1] > 2 * width[0]


def test_calibration_sentence_follows_the_loss() -> None:
    table, error = reliability(*calibrated(2000, 0.0))
    focal, plain = (calibration_sentence(FocalSettings(gamma=g), table, error) for g in (2.0, 0.0))
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
