"""The embedder comparison and the baselines of Luo et al.: scores, pilots, the map, networks side by side, SMOTE."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.manifold import trustworthiness
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score

from halo_utils.core.errors import SettingsError
from halo_utils.data.locations import DEEPLOC
from halo_utils.embeddings import feature_strategies
from halo_utils.embeddings.embedder import EMBEDDERS, Embedder
from halo_utils.embeddings.floors import OneHot
from halo_utils.evaluation import arithmetic, class_scores, metrics, pilots, umap
from halo_utils.runs import embedder_comparison, sequence_baselines
from halo_utils.training import luo_classifiers
from halo_utils.training.side_by_side import train_side_by_side

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(3, size=60)
PROB = RNG.dirichlet(np.ones(3), size=60) + 0.5 * np.eye(3)[TRUTH]
PROB /= PROB.sum(axis=1, keepdims=True)
NAMES = ["a", "b", "c"]


def test_scores_of_single_locations_are_those_of_scikit_learn() -> None:
    found = class_scores.class_scores(TRUTH, PROB, NAMES, np.ones((1, 60)))
    pred = PROB.argmax(axis=1)
    expected = precision_recall_fscore_support(TRUTH, pred, average="weighted", zero_division=0)
    for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
        assert found[f"weighted_{name}", ""][0] == pytest.approx(value)
    assert found["accuracy_argmax", ""][0] == pytest.approx(accuracy_score(TRUTH, pred))
    area = roc_auc_score(TRUTH, PROB, multi_class="ovr", average="weighted")
    assert found["weighted_auc", ""][0] == pytest.approx(area)
    weights = metrics.resample_weights(60, 4)
    again = np.repeat(np.arange(60), weights[2].astype(int))
    resampled = class_scores.class_scores(TRUTH, PROB, NAMES, weights)
    assert resampled["weighted_f1", ""][2] == pytest.approx(
        precision_recall_fscore_support(TRUTH[again], pred[again], average="weighted", zero_division=0)[2]
    )


def test_classifiers_are_compared_on_the_same_resamples() -> None:
    drawn = metrics.draw(60, 50)
    found = class_scores.resample_classes(TRUTH, PROB, NAMES, drawn)
    gap = metrics.difference(found, found)
    assert (gap["difference"] == 0).all() and (gap[["ci_low", "ci_high"]] == 0).all(axis=None)
    assert set(metrics.values(found)["metric"]) >= {"accuracy_argmax", "weighted_auc", "roc_auc"}


def test_two_meanings_of_accuracy_and_of_auc() -> None:
    y, pred = np.eye(5, dtype=int)[[0, 1, 2, 3]], np.eye(5, dtype=int)[[0, 1, 2, 4]]
    assert class_scores.one_vs_rest_accuracy(y, pred) == pytest.approx(1 - 2 * 0.25 / 5)
    both = arithmetic.both_accuracies().set_index("system")
    assert both.loc["RF_S", "accuracy"] == pytest.approx(0.7775)
    assert both.loc["MLP_S", "accuracy"] == pytest.approx(0.815)
    truth = np.eye(3, dtype=int)[TRUTH]
    said = metrics.most_probable(PROB)
    areas = [roc_auc_score(truth[:, k], said[:, k]) for k in range(3)]
    assert class_scores.hard_label_auc(truth, said) == pytest.approx(np.mean(areas))
    absent = np.pad(truth, ((0, 0), (0, 1)))
    assert class_scores.hard_label_auc(absent, np.pad(said, ((0, 0), (0, 1)))) == pytest.approx(np.mean(areas))


def test_draws_hold_every_location_at_its_share() -> None:
    classes = np.repeat([0, 1, 2], [60, 37, 3])
    rows = np.arange(100)
    drawn = pilots.stratified_draws(classes, rows, 34, 5, seed=1)
    counts = np.stack([np.bincount(classes[d]) for d in drawn])
    assert drawn.shape == (5, 34) and (counts == [20, 13, 1]).all()
    assert all(len(set(d)) == 34 for d in drawn) and len({tuple(sorted(d)) for d in drawn}) == 5
    assert np.array_equal(np.sort(pilots.stratified_draws(classes, rows, 100, 1, seed=1)[0]), rows)


def test_wrong_orders_of_pilots_are_counted() -> None:
    full = pd.Series({"x": 0.9, "y": 0.8, "z": 0.5})
    said = pd.DataFrame({"x": [0.9, 0.5, 0.7, 0.7], "y": [0.8, 0.6, 0.7, 0.6], "z": [0.1, 0.2, 0.7, 0.9]})
    assert pilots.wrong_best(said, full) == pytest.approx(1 - (1 + 0 + 1 / 3 + 0) / 4)
    pairs = pilots.pair_orders(said, full).set_index(["first", "second"])
    assert pairs.loc[("x", "y"), ["right", "tied", "reversed"]].tolist() == [0.5, 0.25, 0.25]
    assert pairs.index[0] == ("x", "z") and (pairs["difference"] > 0).all()


def test_the_map_keeps_neighbours_and_is_that_of_its_seed() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(shift, size=(50, 10)) for shift in (0, 4, 8)])
    places = umap.umap_2d(x, epochs=100)
    assert places.shape == (150, 2) and np.array_equal(places, umap.umap_2d(x, epochs=100))
    assert trustworthiness(x, places, n_neighbors=10) > 0.9
    group = np.repeat([0, 1, 2], 50)
    centres = np.stack([places[group == k].mean(axis=0) for k in range(3)])
    assert (np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1) == group).mean() > 0.95


def test_the_graph_of_the_map_is_as_defined() -> None:
    x = np.random.default_rng(3).normal(size=(40, 5))
    weights = umap.fuzzy_graph(x, 10).toarray()
    assert np.array_equal(weights, weights.T) and (weights.diagonal() == 0).all()
    distance = np.linalg.norm(x[:, None] - x, axis=2) + np.diag(np.full(40, np.inf))
    assert weights[np.arange(40), distance.argmin(axis=1)] == pytest.approx(np.ones(40))
    assert umap.curve(0.1) == pytest.approx((1.577, 0.895), abs=2e-3)  # the reference implementation's


def test_networks_side_by_side_learn_and_do_not_see_each_other() -> None:
    rng = np.random.default_rng(4)
    classes = rng.integers(2, size=80)
    x = rng.normal(size=(80, 6)).astype(np.float32)
    x[:, 0] += 3 * classes
    rows, asked = np.stack([np.arange(40), np.arange(20, 60)]), np.tile(np.arange(60, 80), (2, 1))
    prob = train_side_by_side(x, classes, rows, asked, 3, epochs=60)
    assert prob.shape == (2, 20, 3) and np.allclose(prob.sum(axis=2), 1, atol=1e-5)
    assert ((prob.argmax(axis=2) == classes[60:]).mean(axis=1) > 0.8).all()
    other = rows.copy()
    other[1] = rows[1][::-1] % 30  # the second network learns from others; the first one must not notice
    first, second = (train_side_by_side(x, classes, r, asked, 3, epochs=60, dropout=0.0)[0] for r in (rows, other))
    assert np.allclose(first, second, atol=1e-5)
    scaled = train_side_by_side(100 * x + 5, classes, rows, asked, 3, epochs=60)
    assert np.allclose(scaled, prob, atol=1e-2)


def test_segments_are_ten_means_and_an_empty_one_is_zero() -> None:
    states = np.arange(26, dtype=np.float32).reshape(13, 2)
    found = feature_strategies.segment_means(states)
    assert found.shape == (10, 2) and found[0].tolist() == [1.0, 2.0] and found[9].tolist() == [24.0, 25.0]
    assert feature_strategies.segment_means(states[:3])[3:].max() == 0


def test_strategies_join_what_the_embedder_has() -> None:
    network = EMBEDDERS["esm2-untrained"]
    proteins = ["MKV", "MKLVA"]
    cls, eos = feature_strategies.ends_of(network, proteins)
    means = np.stack([rows.mean(axis=0) for rows in network(proteins)])
    assert cls.shape == eos.shape == means.shape and not np.allclose(cls, eos)
    alone = feature_strategies.ends_of(network, proteins[:1])
    assert np.allclose(alone[0][0], cls[0], atol=1e-4) and np.allclose(alone[1][0], eos[0], atol=1e-4)
    whole = network.network.with_ends(proteins[1:])[0].numpy()
    assert np.allclose(cls[1], whole[0], atol=1e-4) and np.allclose(eos[1], whole[-1], atol=1e-4) and len(whole) == 7
    segments = np.ones((2, 10, network.width), dtype=np.float32)
    found = feature_strategies.strategies((cls, eos), means, segments)
    assert found["all"].shape == (2, 4 * network.width) and found["ten segments"].shape == (2, 10 * network.width)
    assert feature_strategies.ends_of(EMBEDDERS["one-hot"], proteins) is None
    assert feature_strategies.strategies(None, means, segments)["all"].shape == (2, 2 * network.width)


def test_smote_lies_between_two_of_one_class() -> None:
    rng = np.random.default_rng(5)
    x, classes = rng.normal(size=(37, 3)), np.repeat([0, 1, 2], [30, 6, 1])
    filled, made = luo_classifiers.smote(x, classes, raised=0.5)
    assert np.array_equal(filled[:37], x) and np.bincount(made).tolist() == [30, 15, 15]
    own = x[classes == 1]
    for one in filled[37:][made[37:] == 1]:
        gaps = [np.linalg.norm(one - a) + np.linalg.norm(one - b) - np.linalg.norm(a - b) for a in own for b in own]
        assert min(gaps) < 1e-9  # on the line between two of its class
    assert (filled[37:][made[37:] == 2] == x[-1]).all()


def test_made_up_proteins_before_the_split_flatter_cross_validation() -> None:
    rng = np.random.default_rng(6)
    x, classes = rng.normal(size=(90, 4)), np.repeat([0, 1], [70, 20])  # nothing to learn
    few = lambda seed: luo_classifiers.forest(seed).set_params(n_estimators=15)  # noqa: E731
    by = {p: luo_classifiers.cross_validated(few, x, classes, p) for p in luo_classifiers.PROTOCOLS}
    seen = []

    class Recorder(DummyClassifier):
        def fit(self, x: np.ndarray, y: np.ndarray) -> "Recorder":
            seen.append(np.bincount(y))
            return super().fit(x, y)

    luo_classifiers.cross_validated(lambda _: Recorder(), x, classes, "inside the fold")
    assert len(seen) == 5 and all(n.max() == 56 and n.min() == int(56 * luo_classifiers.RAISED) for n in seen)
    balanced = luo_classifiers.learn(luo_classifiers.forest, x[::3], classes[::3], x[1::3])
    assert by["released_code"] > by["inside the fold"] + 0.05 and balanced.shape == (30, 2)


def test_embedders_are_said_to_be_missing_and_unknown_ones_refused() -> None:
    def fails() -> torch.nn.Module:
        raise SettingsError("its weights are not installed")

    here, broken = Embedder("here", "Here", OneHot), Embedder("broken", "Broken", fails)
    far = Embedder("far", "Far", fails, hub="nobody/nothing")
    found, missing = embedder_comparison.at_hand([here, broken, far])
    assert found == [here] and missing["embedder"].tolist() == ["Broken", "Far"]
    assert "not installed" in missing["reason"][0] and "nobody/nothing" in missing["reason"][1]
    assert "not installed" in embedder_comparison.at_hand([far], fetch=True)[1]["reason"][0]
    with pytest.raises(SettingsError, match="unknown embedder 'nothing': use some of composition"):
        embedder_comparison.chosen_embedders("one-hot, nothing")


def test_cost_counts_residues_and_what_was_learned() -> None:
    found = embedder_comparison.cost(EMBEDDERS["one-hot"], ["MKV" * 20, "MK" * 30])
    assert found["parameters"] == 0 and found["width"] == 20 and found["batch"] == 2 and found["peak_mb"] >= 0
    assert found["residues_per_second"] == pytest.approx(120 / found["seconds"])
    assert embedder_comparison.numbers_of(EMBEDDERS["esm2-untrained"]) > 1_000_000


def test_published_weights_belong_to_the_published_locations() -> None:
    y = np.array([[1, 0], [0, 0], [0, 0]])
    assert sequence_baselines.odds_against(y).tolist() == [2.0, 3.0]
    assert sequence_baselines.deeploc2_weights(y, ["a", "b"]).tolist() == [2.0, 3.0]
    weights = sequence_baselines.deeploc2_weights(np.ones((1, 10), dtype=int), DEEPLOC)
    assert weights.max() == sequence_baselines.MOST == 32.0
