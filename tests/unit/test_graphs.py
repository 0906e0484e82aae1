"""Residue graphs on hand-made geometry, and the graph network on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Batch

from halo_utils.core.residue_store import write_store
from halo_utils.data.record import STANDARD
from halo_utils.embeddings.biochemistry import PROPERTIES, biochemistry, composition, raw_properties
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.models.gat import FeatureWeights, GatClassifier
from halo_utils.structures.edges import radius_edges, store_edges
from halo_utils.structures.reader import CA, WIDTH
from halo_utils.structures.residue_graph import GraphDataset, group_widths, node_features, residue_graph

# Four residues on a line at 0, 6, 12 and 22 angstrom: 0-1 and 1-2 are under 10, 2-3 is exactly 10, 0-2 is 12.
LINE = np.array([[0.0, 0, 0], [6, 0, 0], [12, 0, 0], [22, 0, 0]], dtype=np.float32)
Y = np.array([1, 0, 0])


def rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q


def edge_set(edges: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, edges.T.tolist()))


def test_four_residues_at_ten_angstrom() -> None:
    assert edge_set(radius_edges(LINE, 10.0)) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert edge_set(radius_edges(LINE, 10.01)) == {(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)}


def test_edges_agree_with_a_double_loop() -> None:
    ca = np.random.default_rng(1).normal(scale=9, size=(60, 3))
    expected = {(i, j) for i in range(60) for j in range(60) if i != j and np.linalg.norm(ca[i] - ca[j]) < 10}
    assert edge_set(radius_edges(ca, 10.0)) == expected


def test_missing_positions_have_no_edges() -> None:
    ca = LINE.copy()
    ca[1] = np.nan
    assert radius_edges(ca, 10.0).shape == (2, 0)
    assert radius_edges(np.full((3, 3), np.nan), 10.0).shape == (2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_rotation_and_translation_leave_edges_unchanged(seed: int) -> None:
    ca = np.random.default_rng(seed).normal(scale=9, size=(80, 3))
    moved = ca @ rotation(seed).T + np.array([30.0, -7.0, 2.0])
    assert edge_set(radius_edges(ca, 10.0)) == edge_set(radius_edges(moved, 10.0))


def test_translation_leaves_features_unchanged() -> None:
    embedding = np.zeros((4, 2))
    here, there = (node_features(LINE + shift, embedding, "MKVL") for shift in (0.0, 40.0))
    assert np.allclose(here, there, atol=1e-5)


@pytest.mark.xfail(strict=True, reason="the paper feeds coordinates to the network, so a rotation changes its input")
def test_rotation_leaves_features_unchanged() -> None:
    embedding = np.zeros((4, 2))
    turned = (LINE @ rotation(1).T).astype(np.float32)
    assert np.allclose(node_features(LINE, embedding, "MKVL"), node_features(turned, embedding, "MKVL"), atol=1e-3)


@pytest.mark.parametrize("ca", [LINE, None])
def test_node_width_with_and_without_structure(ca: np.ndarray | None) -> None:
    graph = residue_graph("P1", "MKVL", Y, np.ones((4, 5)), ca, None if ca is None else radius_edges(ca))
    assert graph.x.shape == (4, 3 + 5 + len(PROPERTIES))
    assert graph.y.shape == (1, 3)
    assert graph.has_graph == graph.has_coordinates == (ca is not None)
    assert (graph.num_edges == 0) == (ca is None)
    assert bool((graph.x[:, :3] == 0).all()) == (ca is None)


@pytest.mark.parametrize("policy", ["head", "head_tail"])
def test_a_cut_graph_is_the_graph_of_the_residues_read(tmp_path: Path, policy: str) -> None:
    """Whole proteins are stored and searched; a graph has the nodes, edges and order of a search on what is read."""
    rng = np.random.default_rng(2)
    rows = rng.normal(scale=12, size=(90, WIDTH)).astype(np.float32)
    rows[[3, 50, 88]] = np.nan  # residues that the structure lacks
    sequence = "".join(rng.choice(list(STANDARD), 90))
    structures = write_store(tmp_path / "s.npy", "k", ["P1"], [90], WIDTH, [(0, rows)], "float32")
    table = pd.DataFrame({"accession": ["P1"], "sequence": [sequence]})
    edges, embedding = store_edges(tmp_path / "e.npy", table, structures), rng.normal(size=(38, 5))
    embeddings = write_store(tmp_path / "x.npy", "k", ["P1"], [38], 5, [(0, embedding)], "float32")
    graphs = GraphDataset(["P1"], [sequence], Y[None], embeddings, structures, edges, 40, policy)
    graph, read = graphs[0], seen_residues(90, 40, policy)
    assert graphs.lengths == [38] and read[0] == 0 and (policy == "head" or read[-1] == 89)
    found = radius_edges(rows[read, CA])
    assert 0 < found.shape[1] < edges.length("P1") and np.array_equal(graph.edge_index, found)
    expected = node_features(rows[read, CA], embedding.astype(np.float32), "".join(sequence[i] for i in read))
    assert np.array_equal(graph.x, expected)


def test_weights_scale_features_and_never_edges() -> None:
    weights = FeatureWeights((3, 2, 4), (0.5, 1.0, 2.0))
    assert weights(torch.ones(1, 9)).tolist() == [[0.5] * 3 + [1.0] * 2 + [2.0] * 4]


def test_learned_weights_start_where_told_and_learn() -> None:
    weights = FeatureWeights((3, 2, 4), (0.5, 1.0, 0.0), learned=True)
    assert torch.allclose(weights.values, torch.tensor([0.5, 1.0, 1e-3]), atol=1e-5)
    weights(torch.ones(1, 9)).sum().backward()
    assert (weights.raw.grad > 0).all()


def test_graph_network_does_not_mix_proteins() -> None:
    torch.manual_seed(0)
    model = GatClassifier(group_widths(5), 3, hidden=4).eval()
    rng = np.random.default_rng(0)
    graphs = [
        residue_graph("P1", "MKVL", Y, rng.normal(size=(4, 5)), LINE, radius_edges(LINE)),
        residue_graph("P2", "MKVLAG", Y, rng.normal(size=(6, 5))),
    ]
    with torch.no_grad():
        together = model(Batch.from_data_list(graphs))
        alone = torch.cat([model(Batch.from_data_list([g])) for g in graphs])
    assert together.shape == (2, 3)
    assert torch.allclose(together, alone, atol=1e-5)


def test_edges_matter() -> None:
    torch.manual_seed(0)
    model = GatClassifier(group_widths(5), 3, hidden=4, weights=(0.0, 1.0, 0.0)).eval()
    embedding = np.random.default_rng(0).normal(size=(4, 5))
    with_edges = residue_graph("P", "MKVL", Y, embedding, LINE, radius_edges(LINE))
    without = residue_graph("P", "MKVL", Y, embedding)
    with torch.no_grad():
        assert not torch.allclose(model(Batch.from_data_list([with_edges])), model(Batch.from_data_list([without])))


def test_published_properties() -> None:
    table = raw_properties()
    assert table["I"][0] == 4.5 and table["R"][0] == -4.5  # Kyte and Doolittle
    assert table["K"][1] > 0.99 and table["D"][1] < -0.99 and 0 < table["H"][1] < 0.5
    assert table["D"][2] == 13.0 and table["L"][2] == 4.9  # Grantham
    assert table["G"][3] == pytest.approx(57.05, abs=0.01) and table["W"][3] == pytest.approx(186.21, abs=0.01)


def test_biochemistry_is_standardised_and_knows_rare_letters() -> None:
    values = biochemistry("ACDEFGHIKLMNPQRSTVWY")
    assert np.allclose(values.mean(0), 0, atol=1e-6) and np.allclose(values.std(0), 1, atol=1e-5)
    assert np.allclose(biochemistry("U"), biochemistry("C"))
    assert np.allclose(biochemistry("X"), 0, atol=1e-6)
    assert np.allclose(biochemistry("B"), (biochemistry("D") + biochemistry("N")) / 2)


def test_composition_shares() -> None:
    vector = composition("AC" * 60)
    assert vector.shape == (61,)
    assert vector[:2].tolist() == [0.5, 0.5]
    assert vector[60] == pytest.approx(np.log10(120))
