"""Geometric vector perceptrons (Jing et al. 2021) as a classifier of proteins, without a compiled extension.

A state is a pair: scalars [M, n], which stay when the protein turns, and vectors [M, 3, v], which turn with it; x, y
and z come before the channels, so that mixing channels is one matrix product. M counts nodes (N) or edges (E).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_geometric.data import Batch
from torch_geometric.nn import global_mean_pool

Sizes = tuple[int, int]  # channels of scalars and of vectors, (n, v)
State = tuple[Tensor, Tensor]
EDGES_AT_ONCE = 2**16  # whose messages are held in memory; more are computed in turns, and again for the gradient
FIRST_PROBABILITY = 0.1  # of a label, before training
TINY = 1e-8  # below a root, whose gradient at 0 is infinite


def lengths(vectors: Tensor) -> Tensor:
    """Return the lengths of vectors [M, 3, v], [M, v]."""
    return (vectors.square().sum(dim=1) + TINY).sqrt()


class Gvp(nn.Module):
    """One perceptron from ``inputs`` (n, v) to ``outputs`` (m, u) channels; u may be 0.

    Without ``active`` both outputs are linear. Vectors are scaled by the sigmoid of their length, with ``gated`` of a
    linear function of the scalars (Jing et al. 2021b).
    """

    def __init__(self, inputs: Sizes, outputs: Sizes, *, active: bool = True, gated: bool = False) -> None:
        super().__init__()
        (n, v), (m, u) = inputs, outputs
        hidden = max(v, u)
        self.mix = nn.Linear(v, hidden, bias=False)
        self.scalars = nn.Linear(n + hidden, m)
        self.vectors = nn.Linear(hidden, u, bias=False) if u else None
        self.gate = nn.Linear(m, u) if gated and u else None
        self.active = active

    def forward(self, s: Tensor, vectors: Tensor) -> State:
        """Return scalars [M, m] and vectors [M, 3, u] from [M, n] and [M, 3, v]."""
        mixed = self.mix(vectors)  # [M, 3, h]
        return self.outputs(self.scalars(torch.cat([s, lengths(mixed)], dim=1)), mixed)

    def outputs(self, s: Tensor, mixed: Tensor) -> State:
        """Return the state that scalars [M, m] before their activation and mixed vectors [M, 3, h] make."""
        vectors = mixed.new_zeros(len(mixed), 3, 0) if self.vectors is None else self.vectors(mixed)
        if self.gate is not None:
            vectors = vectors * self.gate(s).sigmoid()[:, None]
        elif self.active and self.vectors is not None:
            vectors = vectors * lengths(vectors).sigmoid()[:, None]
        return (F.relu(s) if self.active else s), vectors


class StateNorm(nn.Module):
    """Layer norm of a state: PyTorch's of scalars; vectors by the root of their mean square length, so 0 stays 0."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.scalars = nn.LayerNorm(sizes[0])

    def forward(self, s: Tensor, vectors: Tensor) -> State:
        """Return a state of the same shapes."""
        mean_square = vectors.square().sum(dim=1, keepdim=True).mean(dim=2, keepdim=True)  # [M, 1, 1]
        return self.scalars(s), vectors * (mean_square + 1e-4).rsqrt()


class GvpConv(nn.Module):
    """The mean over a node's incoming edges of a message that three GVPs make of both ends and the edge."""

    def __init__(self, nodes: Sizes, edges: Sizes, gated: bool = False) -> None:
        super().__init__()
        (n, v), (n_edge, v_edge) = nodes, edges
        self.parts = (n, n_edge, n), (v, v_edge, v)  # of the first GVP's inputs: source, edge, target
        self.first = Gvp((2 * n + n_edge, 2 * v + v_edge), nodes, gated=gated)
        self.second = Gvp(nodes, nodes, gated=gated)
        self.third = Gvp(nodes, nodes, active=False, gated=gated)

    def forward(self, nodes: State, edge_index: Tensor, edges: State) -> State:
        """Return new nodes, [N, n] and [N, 3, v], 0 without edges; ``edge_index`` [2, E] holds sources and targets."""
        s, vectors = nodes
        # What the first GVP multiplies both ends with is multiplied once per node, not once per edge.
        (source_s, _, target_s, _), (source_v, _, target_v) = self._first_weights()
        ends = F.linear(s, source_s), F.linear(s, target_s), F.linear(vectors, source_v), F.linear(vectors, target_v)
        total = s.new_zeros(len(s), s.shape[1] + 3 * vectors.shape[2])
        n_edges = edge_index.shape[1]
        for start in range(0, n_edges, EDGES_AT_ONCE):
            part = slice(start, start + EDGES_AT_ONCE)
            inputs = (*ends, edge_index[:, part], *(e[part] for e in edges))
            if n_edges > EDGES_AT_ONCE and torch.is_grad_enabled():
                messages = checkpoint(self._messages, *inputs, use_reentrant=False, preserve_rng_state=False)
            else:
                messages = self._messages(*inputs)
            total = total.index_add(0, edge_index[1, part], messages.to(total.dtype))
        mean = total / torch.bincount(edge_index[1], minlength=len(s)).clamp_min(1)[:, None]
        return mean[:, : s.shape[1]], mean[:, s.shape[1] :].unflatten(1, (3, -1))

    def _first_weights(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the first GVP's weights of the parts of its inputs, and of the lengths of its mixed vectors."""
        (scalars, vectors), gvp = self.parts, self.first
        return gvp.scalars.weight.split([*scalars, gvp.mix.out_features], 1), gvp.mix.weight.split(vectors, 1)

    def _messages(
        self,
        source_s: Tensor,
        target_s: Tensor,
        source_v: Tensor,
        target_v: Tensor,
        edge_index: Tensor,
        edge_s: Tensor,
        edge_v: Tensor,
    ) -> Tensor:
        """Return messages [E, n + 3 v] along edges, from the first GVP's products with nodes, [N, n] and [N, 3, h]."""
        (_, by_edge, _, by_length), (_, mix_edge, _) = self._first_weights()
        source, target = edge_index
        mixed = source_v.index_select(0, source) + target_v.index_select(0, target) + F.linear(edge_v, mix_edge)
        s = F.linear(
            torch.cat([edge_s, lengths(mixed)], 1), torch.cat([by_edge, by_length], 1), self.first.scalars.bias
        )
        s = s + source_s.index_select(0, source) + target_s.index_select(0, target)
        s, vectors = self.third(*self.second(*self.first.outputs(s, mixed)))
        return torch.cat([s, vectors.flatten(1)], dim=1)


class GvpLayer(nn.Module):
    """A convolution and a network of two GVPs per node, each added to its input and normed."""

    def __init__(self, nodes: Sizes, edges: Sizes, dropout: float = 0.1, gated: bool = False) -> None:
        super().__init__()
        hidden = 4 * nodes[0], 2 * nodes[1]
        self.conv = GvpConv(nodes, edges, gated)
        self.widen = Gvp(nodes, hidden, gated=gated)
        self.narrow = Gvp(hidden, nodes, active=False, gated=gated)
        self.norms = nn.ModuleList(StateNorm(nodes) for _ in range(2))
        self.dropout = dropout

    def forward(self, nodes: State, edge_index: Tensor, edges: State) -> State:
        """Return nodes of the same shapes, (N, n) and (N, 3, v)."""
        nodes = self._add(0, nodes, self.conv(nodes, edge_index, edges))
        return self._add(1, nodes, self.narrow(*self.widen(*nodes)))

    def _add(self, number: int, nodes: State, change: State) -> State:
        s = F.dropout(change[0], self.dropout, self.training)
        kept = F.dropout(torch.ones_like(change[1][:, :1]), self.dropout, self.training)  # whole channels
        return self.norms[number](nodes[0] + s, nodes[1] + change[1] * kept)


class GvpClassifier(nn.Module):
    """GVP network over residues; sizes, depth and readout are those of Jing et al.'s model quality network and LM-GVP.

    ``inputs`` and ``edge_inputs`` are channels of node and edge features, as ``GvpData.widths`` has them.
    """

    def __init__(
        self,
        inputs: Sizes = (46, 3),
        edge_inputs: Sizes = (32, 1),
        n_locations: int = 10,
        nodes: Sizes = (100, 16),
        edges: Sizes = (32, 1),
        layers: int = 3,
        dropout: float = 0.1,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.node_norm, self.node_input = StateNorm(inputs), Gvp(inputs, nodes, active=False)
        self.edge_norm, self.edge_input = StateNorm(edge_inputs), Gvp(edge_inputs, edges, active=False)
        self.layers = nn.ModuleList(GvpLayer(nodes, edges, dropout, gated) for _ in range(layers))
        self.out_norm, self.out = StateNorm(nodes), Gvp(nodes, (nodes[0], 0))
        self.width = nodes[0]  # of the vector of a protein
        hidden = nn.Sequential(nn.Linear(self.width, 2 * self.width), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Sequential(*hidden, nn.Linear(2 * self.width, n_locations))
        # Labels start rare, as in Lin et al. 2017, section 4.1: from one half, the first steps only learn that they
        # are, through the states, which end up alike for every protein.
        nn.init.constant_(self.head[-1].bias, math.log(FIRST_PROBABILITY / (1 - FIRST_PROBABILITY)))

    def residues(self, batch: Batch) -> State:
        """Return the state of every node, [N, n] and [N, 3, v], from what ``gvp_graph`` makes."""
        nodes = self.node_input(*self.node_norm(batch.x, batch.vectors))
        edges = self.edge_input(*self.edge_norm(batch.edge_attr, batch.edge_vectors))
        for layer in self.layers:
            nodes = layer(nodes, batch.edge_index, edges)
        return nodes

    def represent(self, batch: Batch) -> Tensor:
        """Return one vector per protein, [B, n], the mean over its nodes."""
        s, _ = self.out(*self.out_norm(*self.residues(batch)))  # [N, n]
        return global_mean_pool(s, batch.batch, size=batch.num_graphs)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]."""
        return self.head(self.represent(batch))
