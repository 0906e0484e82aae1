"""The graph attention network of HALO and its weighted node features (section 2.2, Fig. 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import global_mean_pool

from halo_utils.models.graph_attention import GraphAttention, SymmetricPattern

Weights = tuple[float, float, float]  # of coordinates, embedding and biochemistry


class FeatureWeights(nn.Module):
    """Multiplies the three groups of node features, ``widths`` channels each, by one weight each.

    ``learned`` weights are trained; they stay positive through a softplus and cannot start at exactly 0.
    """

    def __init__(self, widths: tuple[int, int, int], weights: Weights = (0.5, 1.0, 0.5), learned: bool = False) -> None:
        super().__init__()
        self.widths, self.learned = widths, learned
        start = torch.tensor(weights, dtype=torch.float32)
        if learned:
            self.raw = nn.Parameter(torch.log(torch.expm1(start.clamp_min(1e-3))))  # its pre-image under softplus
        else:
            self.register_buffer("raw", start)

    @property
    def values(self) -> Tensor:
        """The three weights, [3]."""
        return F.softplus(self.raw) if self.learned else self.raw

    def forward(self, x: Tensor) -> Tensor:
        """Return weighted features, [N, 3 + D + 4], from ``x`` of the same shape."""
        return x * torch.repeat_interleave(self.values, torch.tensor(self.widths, device=x.device))


class GatClassifier(nn.Module):
    """Graph attention network over residues; the defaults are the paper's, the layer pattern is the released class's.

    ``layers`` counts the last one, which has a single head; ``hidden`` is channels per head; D = 320 is the 8M ESM-2's.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (3, 320, 4),
        n_locations: int = 10,
        layers: int = 4,
        heads: int = 4,
        hidden: int = 128,
        dropout: float = 0.6,
        weights: Weights = (0.5, 1.0, 0.5),
        learned_weights: bool = False,
    ) -> None:
        super().__init__()
        self.feature_weights = FeatureWeights(widths, weights, learned_weights)
        self.dropout = dropout
        width = hidden * heads
        sizes = [sum(widths)] + [width] * (layers - 2)
        self.convs = nn.ModuleList(GraphAttention(n_in, hidden, heads=heads) for n_in in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in self.convs)
        self.last = GraphAttention(width, n_locations, heads=1, concat=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]; ``batch`` has x [N, 3 + D + 4], edge_index [2, E] and batch [N]."""
        x = self.feature_weights(batch.x)  # [N, 3 + D + 4]
        pattern = SymmetricPattern.of(batch.edge_index, batch.num_nodes) if x.device.type == "cpu" else None
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.elu(norm(conv(x, batch.edge_index, pattern)))  # [N, heads * hidden]
            x = F.dropout(x, self.dropout, self.training)
        x = self.last(x, batch.edge_index, pattern)  # [N, K]
        return global_mean_pool(x, batch.batch, size=batch.num_graphs)  # [B, K]
