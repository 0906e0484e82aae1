"""The graph attention layer is PyG's, and turning a protein changes nothing but its coordinates."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GATConv

from halo_utils.models.coordinate_frame import RandomFrame, random_rotations
from halo_utils.models.gat import GatClassifier
from halo_utils.models.graph_attention import LARGEST_SPREAD, GraphAttention, SymmetricPattern
from halo_utils.structures.edges import radius_edges


def chain(length: int, seed: int) -> torch.Tensor:
    """Return the edges of a random chain with steps of 3.8 angstrom, [2, E]."""
    steps = np.random.default_rng(seed).normal(size=(length, 3))
    steps *= 3.8 / np.linalg.norm(steps, axis=1, keepdims=True)
    return torch.from_numpy(radius_edges(np.cumsum(steps, axis=0)))


def several(lengths: tuple[int, ...]) -> tuple[torch.Tensor, int]:
    """Return the edges of several chains beside each other, one of them without any, and the number of nodes."""
    graphs = [Data(edge_index=chain(n, n), num_nodes=n) for n in lengths]
    graphs.append(Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=7))
    batch = Batch.from_data_list(graphs)
    return batch.edge_index, batch.num_nodes


def outcome(layer: GATConv, x: torch.Tensor, *arguments: object) -> list[torch.Tensor]:
    """Return the output of a layer, and the gradients of its input and weights for a loss that tells all apart."""
    x = x.clone().requires_grad_()
    output = layer(x, *arguments)
    (output * torch.sin(torch.arange(output.numel()).float()).view_as(output)).sum().backward()
    return [output.detach(), x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize(("heads", "concat"), [(4, True), (1, False), (3, False)])
@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_outputs_and_gradients_are_those_of_pyg(heads, concat, scale):
    edges, nodes = several((40, 90, 13))
    torch.manual_seed(0)
    reference = GATConv(12, 16, heads=heads, concat=concat)
    ours = GraphAttention(12, 16, heads=heads, concat=concat)
    ours.load_state_dict(reference.state_dict())
    x = scale * torch.randn(nodes, 12)
    pattern = SymmetricPattern.of(edges, nodes)
    expected, actual = outcome(reference, x, edges), outcome(ours, x, edges, pattern)
    assert len(expected) == len(actual) == 6
    for one, other in zip(expected, actual, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5 * float(one.abs().max()) + 1e-5)


def test_the_fast_path_runs_and_no_other(monkeypatch):
    edges, nodes = several((30,))
    layer, x = GraphAttention(5, 4), torch.randn(nodes, 5)
    monkeypatch.setattr(GATConv, "forward", lambda *_: pytest.fail("PyG's layer was called"))
    assert layer(x, edges, SymmetricPattern.of(edges, nodes)).shape == (nodes, 4)


def test_it_runs_under_autocast_and_computes_in_float32():
    edges, nodes = several((30,))
    torch.manual_seed(1)
    layer, x = GraphAttention(5, 4), torch.randn(nodes, 5)
    pattern = SymmetricPattern.of(edges, nodes)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x, edges, pattern)
        output.sum().backward()
    assert output.dtype == torch.float32
    assert torch.allclose(output, layer(x, edges, pattern), atol=0.05)
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_scores_too_far_apart_for_float32_go_to_pyg():
    edges, nodes = several((30,))
    layer, pattern = GraphAttention(1, 1, bias=False), SymmetricPattern.of(edges, nodes)
    with torch.no_grad():
        layer.lin.weight.fill_(1.0), layer.att_src.fill_(5 * LARGEST_SPREAD), layer.att_dst.fill_(1.0)
    x = torch.randn(nodes, 1)
    assert torch.equal(layer(x, edges, pattern), GATConv.forward(layer, x, edges))
    assert torch.isfinite(layer(x, edges, pattern)).all()


def test_the_pattern_has_every_edge_once_a_loop_per_node_and_its_mirror():
    edges, nodes = several((25, 3))
    pattern = SymmetricPattern.of(edges, nodes)
    pairs = list(zip(pattern.row.tolist(), pattern.column.tolist(), strict=True))
    loops = {(i, i) for i in range(nodes)}
    assert pairs == sorted({tuple(edge) for edge in edges.T.tolist()} | loops)
    assert [pairs[k] for k in pattern.mirrored.tolist()] == [(j, i) for i, j in pairs]
    dense = pattern.matrix(torch.ones(len(pairs))).to_dense()
    assert dense.sum() == len(pairs)
    assert torch.equal(dense, dense.T)


@pytest.mark.parametrize(
    "edges", [[[0, 1], [1, 2]], [[1, 0], [0, 1]], [[0, 0, 1, 1], [1, 1, 0, 0]]], ids=["one-way", "unsorted", "twice"]
)
def test_other_graphs_have_no_pattern_and_run_as_pyg_runs_them(edges):
    edges = torch.tensor(edges)
    assert SymmetricPattern.of(edges, 3) is None
    layer, x = GraphAttention(2, 2), torch.randn(3, 2)
    assert torch.equal(layer(x, edges, None), GATConv.forward(layer, x, edges))


def graphs(n: int = 3) -> Batch:
    """Return ``n`` small graphs with three coordinates, two channels of embedding and one more."""
    items = []
    for k in range(n):
        edges = chain(10 + k, k)
        x = torch.randn(10 + k, 6, generator=torch.Generator().manual_seed(k))
        items.append(Data(x=x, edge_index=edges, accession=f"P{k}"))
    return Batch.from_data_list(items)


def network(weights: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> GatClassifier:
    torch.manual_seed(0)
    return GatClassifier((3, 2, 1), n_locations=4, layers=2, heads=2, hidden=3, dropout=0.0, weights=weights)


def test_rotations_are_rotations():
    turns = random_rotations(50)
    assert torch.allclose(turns @ turns.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(50), atol=1e-5)
    assert turns.mean(dim=0).abs().max() < 0.35  # no direction is preferred


def test_a_frame_scales_always_and_turns_every_protein_by_itself_in_training_only():
    batch, seen = graphs(), []
    frame = RandomFrame(network(), angstrom=10.0)
    frame.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].x))
    frame.eval()(batch)
    assert torch.allclose(seen[0][:, :3], batch.x[:, :3] / 10)
    frame.train()(batch)
    assert torch.equal(seen[1][:, 3:], batch.x[:, 3:])
    for k in range(3):
        before, after = batch.x[batch.batch == k, :3] / 10, seen[1][batch.batch == k, :3]
        assert torch.allclose(before @ before.T, after @ after.T, atol=1e-5)  # lengths and angles stay
        assert not torch.allclose(before, after, atol=1e-2)
    turn = [torch.linalg.lstsq(batch.x[batch.batch == k, :3], seen[1][batch.batch == k, :3]).solution for k in (0, 1)]
    assert not torch.allclose(turn[0], turn[1], atol=1e-3)
    assert batch.x[:, :3].abs().max() > 1  # the batch itself is as it was


def test_where_coordinates_have_no_weight_turning_changes_nothing():
    batch = graphs()
    frame = RandomFrame(network((0.0, 1.0, 1.0)))
    assert torch.allclose(frame.train()(batch), frame(batch), atol=1e-6)
