"""The benchmark compares like with like: the released way computes the same things, and its sums add up."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from halo_utils import bench_cases as cases
from halo_utils.bench_graphs import graph_building
from halo_utils.bench_growth import PeakMemory, exponents, walks
from halo_utils.edges import radius_edges
from halo_utils.released import ReleasedClassifier, loop_edges, padded_batches

CPU = torch.device("cpu")


def test_the_released_edges_are_ours() -> None:
    ca = np.random.default_rng(0).normal(scale=9, size=(60, 3)).astype(np.float32)
    assert np.array_equal(loop_edges(ca, 10.0), radius_edges(ca, 10.0)) and len(loop_edges(ca, 10.0)[0]) > 100


def test_released_batches_are_padded_to_1024_and_user_batches_to_their_longest() -> None:
    tokens = cases.draw_tokens(np.array([30, 100, 50]), 0)
    assert [tuple(m.shape) for m in padded_batches(tokens, 2)] == [(2, 1024), (1, 1024)]
    assert [tuple(m.shape) for m in padded_batches(tokens, 2, width=None)] == [(2, 102), (1, 52)]
    assert (padded_batches(tokens, 2)[0] != 1).sum(1).tolist() == [32, 102]


def test_the_released_classifier_trains_two_blocks_only() -> None:
    model = ReleasedClassifier(cases.backbone((3, 16, 2), "sdpa", CPU), 4)
    assert model(padded_batches(cases.draw_tokens(np.array([10]), 0), width=None)[0]).shape == (1, 4)
    learning = {n.split(".")[3] for n, p in model.named_parameters() if p.requires_grad and "encoder" in n}
    assert learning == {"1", "2"}


def test_lengths_follow_deeploc() -> None:
    lengths = cases.draw_lengths(20_000, 0)
    assert abs(np.median(lengths) - cases.MEDIAN) < 15 and lengths.max() == cases.LONGEST
    assert 0.08 < (lengths == cases.LONGEST).mean() < 0.14  # 10.7 % of DeepLoc 2.0 are longer


def test_floating_point_operations_of_a_known_shape() -> None:
    assert cases.embedding_flops((1, 2, 1), np.array([3])) == 24 * 4 * 3 + 4 * 2 * 9


def test_small_measurements_give_positive_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cases.SHAPES, "8M", (3, 16, 2))
    rows = cases.finetuning(CPU, proteins=6) + cases.embedding(CPU, proteins=6) + cases.precision(CPU, proteins=2)
    rows += graph_building(tmp_path, proteins=2)
    values = {(r.case, r.quantity): r.value for r in rows}
    assert all(v > 0 for v in values.values())
    ratio = values["fine-tuning", "released protocol"] / values["fine-tuning", "ours"]
    assert values["fine-tuning", "ratio"] == pytest.approx(ratio)
    assert values["edges", "ratio"] > 50 and values["GAT epoch", "loading"] < 1
    assert values["bf16", "largest difference of a probability"] < 0.1


def test_exponents_and_memory() -> None:
    steps = {"axis": ["proteins"] * 3, "x": [1, 2, 4], "a": [1.0, 2.0, 4.0], "b": [3.0, 12.0, 48.0]}
    found = {
        r.quantity: r.value
        for r in exponents(pd.DataFrame(steps | {"memory": [100, 101, 105], "memory, blocks kept": [100, 110, 120]}))
    }
    assert found["a, exponent in proteins"] == pytest.approx(1.0)
    assert found["b, exponent in proteins"] == pytest.approx(2.0)
    assert found["peak memory, x1 to x8"] == pytest.approx(0.05)
    assert found["peak memory, blocks kept, x1 to x8"] == pytest.approx(0.2)


def test_peak_memory_sees_what_is_freed_again() -> None:
    with PeakMemory() as before:
        torch.zeros(10).sum()
        time.sleep(0.1)
    with PeakMemory() as peak:
        block = torch.ones(50_000_000)
        time.sleep(0.1)
        del block
    assert peak.mb - before.mb > 150


def test_model_structures_are_as_dense_as_real_ones() -> None:
    ((_, rows),) = walks(np.array([300]))
    assert 8 < radius_edges(rows[:, :3].astype(np.float32), 10.0).shape[1] / 300 < 16
