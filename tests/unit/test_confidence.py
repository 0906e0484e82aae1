"""Confidence on the right scale: probabilities carry the offset of training, and Fig. 4 counts families and grounds."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from halo_utils.core.errors import DataError
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.splits import log_odds
from halo_utils.evaluation.calibration import confidence_bins, reliability, share_wrong, without_offset
from halo_utils.evaluation.test_sets import ALL, WITH_GRAPH, evaluation_set, grounds
from halo_utils.figures.confidence_figures import beside_the_statement, confidence_ranges, crossing_title
from halo_utils.models.losses import FocalLoss
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.training.predict import predict

FEW = {"resamples": 200, "seed": 0}


class Batch(SimpleNamespace):
    def to(self, where: object) -> "Batch":
        return self


class Linear(torch.nn.Linear):
    def forward(self, batch: Batch) -> torch.Tensor:
        return super().forward(batch.x)


@pytest.fixture(scope="module")
def rare() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of rare locations, their true probabilities, and the offset that training would add to the logits."""
    rng = np.random.default_rng(1)
    prob = expit(rng.normal([-1.0, -2.5, -4.0], 1.5, (4000, 3)))
    y = (rng.random(prob.shape) < prob).astype(int)
    return y, prob, 0.5 * log_odds(y)


def test_stored_probabilities_carry_the_offset() -> None:
    """Thresholds, ranges of confidence and the gate read what ``predict`` stores."""
    torch.manual_seed(0)
    model, x, offset = Linear(3, 2), torch.randn(5, 3), np.array([-2.0, -4.0], dtype=np.float32)
    names = list("abcde")
    data = SimpleNamespace(locations=["k1", "k2"], predicted=pd.DataFrame({"accession": names, "split": "test"}))
    data.predict_dataloader = lambda: [Batch(x=x, accession=names)]
    stored = predict(SimpleNamespace(model=RarityOffset(model, offset), loss=FocalLoss()), data)[
        ["k1", "k2"]
    ].to_numpy()
    with torch.no_grad():
        bare = model(Batch(x=x)).sigmoid().numpy()
    assert stored == pytest.approx(expit(np.log(bare / (1 - bare)) + offset), abs=1e-5)
    assert without_offset(stored, offset) == pytest.approx(bare, abs=1e-5) and np.abs(stored - bare).max() > 0.2


def test_leaving_the_offset_out_spoils_calibration(rare: tuple[np.ndarray, ...]) -> None:
    y, prob, offset = rare
    with_offset, without = (reliability(y, p)[1] for p in (prob, without_offset(prob, offset)))
    assert with_offset < 0.02 and without > 5 * with_offset
    wrong = [share_wrong(y, p, 0.4, 0.55, **FEW)[0].value for p in (prob, without_offset(prob, offset))]
    assert wrong[0] == pytest.approx(0.53, abs=0.08) and wrong[1] > wrong[0] + 0.1


def test_copies_of_proteins_widen_the_interval_of_a_range(rare: tuple[np.ndarray, ...]) -> None:
    y, prob, _ = (np.repeat(part[:150], 20, axis=0) for part in rare)
    families = np.repeat(np.arange(150), 20)
    alone, together = (confidence_bins(y, prob, families=f, **FEW) for f in (None, families))
    assert alone[["total", "wrong"]].equals(together[["total", "wrong"]])
    width = [(bins["ci_high"] - bins["ci_low"]).sum() for bins in (alone, together)]
    assert width[1] > 2 * width[0]
    together = together.dropna()
    assert (together["ci_low"] <= together["accuracy"]).all() and (together["accuracy"] <= together["ci_high"]).all()


def test_a_range_that_is_always_right_still_has_an_interval() -> None:
    bins = confidence_bins(np.ones((9, 1)), np.full((9, 1), 0.97), **FEW).set_index("low")
    assert bins.loc[0.95, "accuracy"] == bins.loc[0.95, "ci_high"] == 1 and bins.loc[0.95, "ci_low"] < 0.75
    assert bins.loc[0.40].isna().sum() == 3  # no pair: no accuracy, no interval


def test_share_of_wrong_predictions_takes_its_lower_edge_and_not_its_upper() -> None:
    y, prob = np.array([[0], [1], [1], [0]]), np.array([[0.40], [0.54], [0.55], [0.9]])
    assert share_wrong(y, prob, 0.40, 0.55, **FEW)[0].value == 0.5 and share_wrong(y, prob, 0.40, 0.55, **FEW)[1] == 2
    assert share_wrong(y, prob, 0.55, np.inf, **FEW)[1] == 2
    empty, pairs = share_wrong(y, prob, 0.6, 0.7, **FEW)
    assert pairs == 0 and np.isnan(empty.value)


def proteins(graph: list[bool]) -> pd.DataFrame:
    names = [f"P{i}" for i in range(len(graph))]
    table = pd.DataFrame({"accession": names, "split": "test", "subset": "", "family": range(len(graph))})
    return table.assign(graph=graph, **dict.fromkeys(DEEPLOC, 1))


def test_grounds_are_all_proteins_and_those_with_a_graph() -> None:
    table = proteins([True, False, True])
    found = grounds(table, evaluation_set(table, "test", "deeploc2"))
    assert list(found) == [ALL, WITH_GRAPH] and found[WITH_GRAPH].name == "test, with a graph"
    assert found[WITH_GRAPH].accessions.tolist() == ["P0", "P2"] and len(found[ALL].y) == 3
    table = proteins([False, False])
    assert list(grounds(table, evaluation_set(table, "test", "deeploc2"))) == [ALL]
    with pytest.raises(DataError, match="prepare the data again"):
        grounds(table.drop(columns="graph"), evaluation_set(table, "test", "deeploc2"))


@pytest.mark.parametrize(("threshold", "left_end", "said"), [(0.45, 0.5, "45–55%"), (0.2, -0.5, "begins below")])
def test_the_band_of_the_gate_is_shaded_on_every_ground(
    rare: tuple[np.ndarray, ...], threshold: float, left_end: float, said: str
) -> None:
    bins = confidence_bins(*rare[:2], **FEW)
    both = pd.concat([bins.assign(ground=ALL), bins.assign(ground=WITH_GRAPH)])
    fig = confidence_ranges(both, (threshold, 0.55), (0.55, 0.6, 0.5), "x")
    shaded = [patch for ax in fig.axes for patch in ax.patches if patch.get_alpha() == 0.15]
    assert len(shaded) == 4 and [p.get_x() for p in shaded] == pytest.approx([left_end] * 4)
    assert [p.get_x() + p.get_width() for p in shaded] == pytest.approx([2.5] * 4)  # 55 %: between two ranges
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert sum(said in text for text in legend) == 1 and len(legend) == len(set(legend))
    one = confidence_ranges(bins.assign(ground=ALL), (threshold, 0.55), (0.55, 0.6, 0.5), "x")
    assert len(one.axes) == 2  # accuracy over counts


def test_right_and_wrong_predictions_stand_on_each_other_and_the_title_says_where_they_become_reliable() -> None:
    low = np.round(np.arange(0.4, 1.0, 0.05), 2)
    bins = pd.DataFrame({"low": low, "high": np.round(low + 0.05, 2), "total": 10, "wrong": [8, 3, 6, *[1] * 9]})
    bins = bins.assign(accuracy=1 - bins["wrong"] / 10, ci_low=0.1, ci_high=0.99, ground=ALL)
    fig = confidence_ranges(bins, (0.45, 0.55), (0.55, 0.6, 0.5), "x")
    right, wrong = fig.axes[1].containers
    (stated,) = [line for line in fig.axes[0].lines if "nearly half" in str(line.get_label())]
    assert stated.get_xdata() == pytest.approx([-0.5, 2.5]) and set(stated.get_ydata()) == {0.5}  # at its low end
    assert [bar.get_height() for bar in right] == [2, 7, 4, *[9] * 9] and wrong[2].get_y() == 4
    title = crossing_title(bins, (0.55, 0.6, 0.5), "here")
    assert title.startswith(
        "Predictions are right at least 60% of the time from 55% confidence on; the paper reads 55%"
    )
    assert "least reliable range: 20% right; here" in title
    assert "from no confidence on" in crossing_title(bins.assign(accuracy=0.1), (0.55, 0.6, 0.5), "here")


def test_the_papers_statement_stands_beside_ours_below_the_gate_only(rare: tuple[np.ndarray, ...]) -> None:
    bins = confidence_bins(*rare[:2], **FEW)
    rows = [(low, min(high, 1), *share_wrong(*rare[:2], low, high, **FEW)[0]) for low, high in ((0.4, 0.55), (0.55, 2))]
    shares = pd.DataFrame(rows, columns=["low", "high", "wrong", "ci_low", "ci_high"])
    left, right = beside_the_statement(bins, shares, (0.55, 0.5), "x").axes
    heights = [patch.get_height() for patch in left.patches]
    assert heights == pytest.approx(1 - bins["accuracy"].to_numpy())
    assert [(p.get_x() + 0.4, p.get_height()) for p in right.patches] == [(0, 0.5), (1, 0.5), (2, 0.5)]
