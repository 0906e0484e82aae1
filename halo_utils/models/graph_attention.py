"""A graph attention layer at the speed of its arithmetic: PyG's ``GATConv`` by products with sparse matrices.

PyG gathers and scatters [E, H * C] values. On the graphs of this project, which are symmetric and sorted, the same
function is, per head, a product of a sparse [N, N] matrix with the states [N, C], and its gradients are a product with
the transposed matrix and products sampled at the edges: nothing of size E * C is ever made.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric.nn import GATConv

LARGEST_SPREAD = 60.0  # of scores; below it every weight of a softmax is far from the end of float32, e ** -87


class SymmetricPattern(NamedTuple):
    """Where the E edges of a symmetric graph with N nodes stand in its sparse matrix, self-loops included."""

    starts: Tensor  # [N + 1] int32, of every row
    columns: Tensor  # [E] int32, increasing in every row
    row: Tensor  # [E] int64
    column: Tensor  # [E] int64
    mirrored: Tensor  # [E] int64, the position of edge (j, i) for edge (i, j)

    @classmethod
    def of(cls, edge_index: Tensor, n_nodes: int) -> "SymmetricPattern | None":
        """Return the pattern of edges [2, E'] without self-loops, which are added; None where they are not symmetric.

        Edges are in the lexicographic order of ``structures.edges`` (else None, too), none twice.
        """
        warnings.filterwarnings("ignore", ".*Sparse CSR tensor support is in beta.*")
        row, column = edge_index.cpu().numpy()
        if ((row[1:] < row[:-1]) | ((row[1:] == row[:-1]) & (column[1:] <= column[:-1]))).any():
            return None
        # Every earlier row has one loop before an edge, and its own row has one where the edge points further on.
        position = np.arange(len(row)) + row + (column > row)
        starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n_nodes) + 1)]).astype(np.int32)
        columns = np.repeat(np.arange(n_nodes, dtype=np.int32), np.diff(starts))
        rows = columns.astype(np.int64)
        columns[position] = column
        mirror = csr_array((np.arange(len(rows)), columns, starts), shape=(n_nodes, n_nodes)).tocsc()
        if not (np.array_equal(mirror.indptr, starts) and np.array_equal(mirror.indices, columns)):
            return None
        parts = (starts, columns, rows, columns.astype(np.int64), mirror.data)
        return cls(*(torch.from_numpy(part) for part in parts))

    def matrix(self, values: Tensor) -> Tensor:
        """Return the sparse matrix [N, N] with ``values``, [E], at the edges."""
        size = (len(self.starts) - 1,) * 2
        return torch.sparse_csr_tensor(self.starts, self.columns, values, size, check_invariants=False)

    def at_rows(self, values: Tensor) -> Tensor:
        """Return values of nodes, [N], at the receiving ends of the edges, [E]."""
        return values.contiguous().index_select(0, self.row)

    def at_columns(self, values: Tensor) -> Tensor:
        """Return values of nodes, [N], at the sending ends of the edges, [E]."""
        return values.contiguous().index_select(0, self.column)

    def row_sums(self, values: Tensor) -> Tensor:
        """Return the sums of values of edges, [E], over the edges that a node receives, [N]."""
        return values.new_zeros(len(self.starts) - 1).scatter_add_(0, self.row, values)


class _Attention(torch.autograd.Function):
    """Softmax over the neighbours and the mean that it weighs, from states [N, H, C] and scores [N, H] of both ends."""

    @staticmethod
    @torch.autocast("cpu", enabled=False)  # sparse products know no bfloat16
    def forward(
        ctx: Any, states: Tensor, source: Tensor, target: Tensor, slope: float, pattern: SymmetricPattern
    ) -> Tensor:
        """Return mixed states, [N, H, C]."""
        highest = F.leaky_relu(source.amax(dim=0) + target.amax(dim=0), slope)  # [H], no weight exceeds 1
        outputs, kept = [], []
        for head in range(states.shape[1]):
            scores = pattern.at_columns(source[:, head]).add_(pattern.at_rows(target[:, head]))  # [E]
            is_negative = scores < 0
            weights = F.leaky_relu_(scores, slope).sub_(highest[head]).exp_()
            total, values = pattern.row_sums(weights)[:, None], states[:, head].contiguous()  # [N, 1], [N, C]
            outputs.append((pattern.matrix(weights) @ values).div_(total))
            kept += [weights, is_negative, values, total]
        output = torch.stack(outputs, dim=1)
        ctx.save_for_backward(output, *kept)
        ctx.slope, ctx.pattern = slope, pattern
        return output

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of states and scores: that of a score is alpha_ij (g_i . h_j - g_i . out_i)."""
        output, *kept = ctx.saved_tensors
        pattern, of_states, of_source, of_target = ctx.pattern, [], [], []
        nothing = pattern.matrix(torch.zeros_like(kept[0]))
        for head in range(output.shape[1]):
            weights, is_negative, values, total = kept[4 * head : 4 * head + 4]
            scaled = gradient[:, head] / total  # [N, C]
            inner = (scaled * output[:, head]).sum(dim=1)  # [N]
            sampled = torch.sparse.sampled_addmm(nothing, scaled, values.t(), beta=0.0).values()  # [E]
            of_score = sampled.sub_(pattern.at_rows(inner)).mul_(weights)
            of_score = torch.where(is_negative, ctx.slope * of_score, of_score)
            of_target.append(pattern.row_sums(of_score))
            of_source.append(torch.zeros_like(inner).scatter_add_(0, pattern.column, of_score))
            of_states.append(pattern.matrix(weights.index_select(0, pattern.mirrored)) @ scaled)
        stacked = (torch.stack(parts, dim=1) for parts in (of_states, of_source, of_target))
        return *stacked, None, None


class GraphAttention(GATConv):
    """PyG's ``GATConv`` (Velickovic et al. 2018), weights and function alike; with a ``pattern`` faster on CPUs."""

    def forward(self, x: Tensor, edge_index: Tensor, pattern: SymmetricPattern | None = None) -> Tensor:
        """Return mixed states, [N, H * C], or their mean [N, C] without ``concat``, from ``x`` [N, D].

        ``edge_index`` is [2, E] without self-loops, which are added; ``pattern`` is ``SymmetricPattern.of`` it.
        """
        if pattern is None or x.device.type != "cpu" or (self.training and self.dropout):
            return super().forward(x, edge_index)
        states = self.lin(x).view(-1, self.heads, self.out_channels).float()  # [N, H, C]
        source, target = ((states * weights).sum(dim=-1) for weights in (self.att_src, self.att_dst))  # [N, H]
        spread = sum(score.detach().amax(dim=0) - score.detach().amin(dim=0) for score in (source, target))  # [H]
        if float(spread.max()) > LARGEST_SPREAD:
            return super().forward(x, edge_index)
        mixed = _Attention.apply(states, source, target, self.negative_slope, pattern)
        mixed = mixed.flatten(1) if self.concat else mixed.mean(dim=1)
        return mixed if self.bias is None else mixed + self.bias
