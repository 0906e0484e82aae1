"""HALO's graph attention network in the place of a GVP network, where contacts are known and coordinates are not.

``GraphEncoder`` has what ``gvp_ensemble`` asks of a GVP network: ``represent``, ``width`` and ``head``.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import global_mean_pool

from halo_utils.models.gat import GatClassifier


class GraphEncoder(nn.Module):
    """A ``GatClassifier`` up to its last layer, then the mean over residues and a linear head."""

    def __init__(self, gat: GatClassifier, n_locations: int = 10) -> None:
        super().__init__()
        self.gat, self.width = gat, gat.last.in_channels
        gat.last = nn.Identity()  # its own answer is not asked for
        self.head = nn.Linear(self.width, n_locations)

    def represent(self, batch: Batch) -> Tensor:
        """Return one vector per protein, [B, heads * hidden]."""
        x = self.gat.feature_weights(batch.x)
        for conv, norm in zip(self.gat.convs, self.gat.norms, strict=True):
            x = F.dropout(F.elu(norm(conv(x, batch.edge_index))), self.gat.dropout, self.training)
        return global_mean_pool(x, batch.batch, size=batch.num_graphs)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]."""
        return self.head(self.represent(batch))


class WithProteinVector(nn.Module):
    """A model that reads ``batch.embedding``, [B, D], on graphs that hold the states of residues, as ``GraphData``'s.

    ``widths`` are the groups of node features; the second is the language model's.
    """

    def __init__(self, model: nn.Module, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.model, self.states = model, slice(widths[0], widths[0] + widths[1])

    def forward(self, batch: Batch) -> Tensor:
        """Return the model's logits, [B, K]."""
        batch.embedding = global_mean_pool(batch.x[:, self.states], batch.batch, size=batch.num_graphs)
        return self.model(batch)
