"""The graph attention network of HALO and its weighted node features (Fig. 3).

Layer pattern from the released model class: GATConv layers with concatenated heads, batch norm, ELU and dropout,
a last single-head layer that gives K values per node, mean pooling over nodes. Source: section 2.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GATConv, global_mean_pool

from halo_utils.profile import GatSettings

BLOCKS = ("coord", "esm", "bio")


class FeatureWeights(nn.Module):
    """Multiplies the three blocks of node features by one weight each.

    Args:
        blocks: widths of coordinates, embedding and biochemistry.
        weights: starting values, not negative.
        learned: train them; they stay positive through a softplus and cannot start at exactly 0.
    """

    def __init__(
        self, blocks: tuple[int, int, int], weights: tuple[float, float, float], learned: bool = False
    ) -> None:
        """Store the weights or their pre-images under softplus."""
        super().__init__()
        self.blocks, self.learned = blocks, learned
        start = torch.tensor(weights, dtype=torch.float32)
        if learned:
            start = torch.log(torch.expm1(start.clamp_min(1e-3)))
            self.raw = nn.Parameter(start)
        else:
            self.register_buffer("raw", start)

    @property
    def values(self) -> Tensor:
        """The three weights, [3]."""
        return F.softplus(self.raw) if self.learned else self.raw

    def forward(self, x: Tensor) -> Tensor:
        """Return weighted features, [N, 3 + D + 4]."""
        per_column = torch.repeat_interleave(self.values, torch.tensor(self.blocks, device=x.device))
        return x * per_column


class GatClassifier(nn.Module):
    """Graph attention network over residues.

    Args:
        blocks: widths of the three feature blocks.
        n_labels: K.
        settings: layers, heads, hidden width per head, dropout.
        weights: weights of coordinates, embedding and biochemistry.
        learned_weights: train the weights.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int],
        n_labels: int,
        settings: GatSettings,
        weights: tuple[float, float, float],
        learned_weights: bool = False,
    ) -> None:
        """Build the layers."""
        super().__init__()
        self.feature_weights = FeatureWeights(blocks, weights, learned_weights)
        self.dropout = settings.dropout
        width = settings.hidden * settings.heads
        sizes = [sum(blocks)] + [width] * (settings.layers - 1)
        self.convs = nn.ModuleList(GATConv(n_in, settings.hidden, heads=settings.heads) for n_in in sizes[:-1])
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in self.convs)
        self.last = GATConv(width, n_labels, heads=1, concat=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]; ``batch`` has x [N, D], edge_index [2, E], batch [N]."""
        x = self.feature_weights(batch.x)  # [N, D]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.elu(norm(conv(x, batch.edge_index)))  # [N, heads * hidden]
            x = F.dropout(x, self.dropout, self.training)
        x = self.last(x, batch.edge_index)  # [N, K]
        return global_mean_pool(x, batch.batch, size=batch.num_graphs)  # [B, K]
