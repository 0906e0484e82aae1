"""Frozen states as nodes of graphs: their principal components, kept in a store of the run."""

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import load_settings
from halo_utils.core.paths import RunPaths
from halo_utils.core.residue_store import write_store
from halo_utils.evaluation import hybrid_ground
from halo_utils.evaluation.systems import CONTROLS
from halo_utils.runs import frozen_hybrid
from halo_utils.training.state_store import StateStore


@pytest.fixture
def states(tmp_path):
    """States [L, 6] of three proteins, nearly all of whose variance is along two directions."""
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    rows = [(rng.normal(size=(n, 2)) * (5.0, 2.0)) @ plane + 0.01 * rng.normal(size=(n, 6)) + 3 for n in (400, 300, 50)]
    store = write_store(tmp_path / "all.npy", "k", ["a", "b", "c"], [400, 300, 50], 6, enumerate(rows), "float32")
    return StateStore((store,), False, 6)


def test_components_are_uncorrelated_of_one_scale_and_sorted(states):
    mean, axes = frozen_hybrid.principal_axes(states, ["a", "b"], components=2)
    x = np.concatenate([states.rows("a"), states.rows("b")])
    projected = (x - mean) @ axes
    spread = np.cov(projected, rowvar=False)
    assert np.trace(spread) / 2 == pytest.approx(1, rel=1e-3) and abs(spread[0, 1]) < 1e-3
    assert spread[0, 0] / spread[1, 1] == pytest.approx((5 / 2) ** 2, rel=0.2)
    lengths = np.linalg.norm(axes, axis=0)
    assert lengths == pytest.approx(lengths[0])  # distances are those of the states
    back = projected @ axes.T / lengths[0] ** 2 + mean
    assert np.abs(back - x).max() < 0.1


def test_only_as_many_residues_are_read_as_asked_for(states):
    first, _ = frozen_hybrid.principal_axes(states, ["a", "b"], components=2, most=100)
    assert first == pytest.approx(states.rows("a").mean(axis=0), rel=1e-5)


def test_nodes_are_made_of_training_residues_once(states, tmp_path, monkeypatch):
    settings = load_settings("demo")
    monkeypatch.setattr(type(settings), "source", property(lambda self: RunPaths("tiny-frozen")))
    monkeypatch.setattr(RunPaths, "work", property(lambda self: tmp_path))
    monkeypatch.setattr(frozen_hybrid, "COMPONENTS", 2)
    table = pd.DataFrame({"accession": ["c", "a", "b"], "split": ["test", "train", "val"]})
    made = frozen_hybrid.node_states(settings, states, table)
    assert made.accessions == ["c", "a", "b"] and made.width == 2 and made.rows("c").shape == (50, 2)
    assert np.square(made.rows("a").astype(float)).mean() == pytest.approx(1, rel=0.01)  # of training alone
    monkeypatch.setattr(frozen_hybrid, "principal_axes", lambda *_: pytest.fail("made again"))
    assert frozen_hybrid.node_states(settings, states, table).content == made.content


def test_names_cover_every_system_that_the_ground_can_show():
    trained = {variant.system for variant in frozen_hybrid.variants((0.3, 1.0, 0.3))}
    assert {*CONTROLS, hybrid_ground.BEST} < trained
    assert all(variant.embeddings == "frozen" for variant in frozen_hybrid.variants((0.3, 1.0, 0.3)))
    shown = trained | {"esm", "composition", "esm_gat_mean"}
    gates = {gate for gate, (first, second) in hybrid_ground.GATES.items() if {first, second} <= shown}
    assert shown | gates == set(frozen_hybrid.NAMES)
