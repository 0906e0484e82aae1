"""PyG's ``GCNConv`` at the speed of its arithmetic: on CPUs, products with one sparse matrix per graph."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric.nn import GCNConv


class Adjacency(NamedTuple):
    """The matrix [N, N] that mixes nodes with their neighbours and themselves, and its transpose for the gradient."""

    forth: Tensor
    back: Tensor

    @classmethod
    def of(cls, edge_index: Tensor, n_nodes: int) -> "Adjacency":
        """Return the matrices of edges [2, E], sources and targets, none twice; every node gets one loop, weight 1.

        An entry is one over the roots of both ends' incoming edges, loops included (Kipf and Welling 2017).
        """
        warnings.filterwarnings("ignore", ".*Sparse CSR tensor support is in beta.*")
        source, target = edge_index.cpu().numpy()
        loops, apart = np.arange(n_nodes), source != target
        source, target = np.concatenate([source[apart], loops]), np.concatenate([target[apart], loops])
        root = np.bincount(target, minlength=n_nodes) ** -0.5
        weights = (root[source] * root[target]).astype(np.float32)
        matrix = csr_array((weights, (target, source)), shape=(n_nodes, n_nodes))
        return cls(*(_tensor(part) for part in (matrix, matrix.T.tocsr())))


def _tensor(matrix: csr_array) -> Tensor:
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, matrix.shape, check_invariants=False)


class _Product(torch.autograd.Function):
    """Mixed nodes [N, C] from nodes [N, C]."""

    @staticmethod
    @torch.autocast("cpu", enabled=False)  # sparse products know no bfloat16
    def forward(ctx: Any, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency.forth @ x

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.adjacency.back @ gradient.contiguous(), None


def convolve(layer: GCNConv, x: Tensor, adjacency: Adjacency) -> Tensor:
    """Return what ``layer`` makes of nodes [N, D] on the graph of ``adjacency``, [N, C]."""
    return _Product.apply(layer.lin(x).float(), adjacency) + layer.bias
