"""GwR (Gou et al. 2025): two residue graphs of one protein, of a language model's attention and of its fold.

The released code cannot run, so this follows the document and what of the code is unambiguous. Batches are those of
``GwrData``; E and E' are edges of the fold and of attention. One reading: letters and confidence join the other node
scalars before the first layer; the release adds them after it.
"""

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GCNConv
from torch_geometric.utils import to_dense_batch

from halo_utils.core.errors import SettingsError
from halo_utils.models.esm_classifier import AttentionPooling
from halo_utils.models.graph_convolution import Adjacency, convolve
from halo_utils.models.gvp import GvpClassifier, Sizes
from halo_utils.models.ses_adapter import COORDINATES, SesAdapter

FUSIONS = ("concat", "cross_attention")


class LaGcn(nn.Module):
    """Layer-aggregated graph convolutions, on the attention graph: the mean of what all layers say, not the last.

    ``nodes`` and ``edges`` name what of a batch is read. On ``letters`` and ``edge_index`` it is a fold's branch for
    proteins without coordinates: it knows which residues are near and sees no distance, direction or angle.
    """

    def __init__(
        self, width: int, hidden: int = 128, layers: int = 3, nodes: str = "states", edges: str = "attention_index"
    ) -> None:
        super().__init__()
        sizes = [width, *[hidden] * (layers - 1)]
        self.layers, self.width = nn.ModuleList(GCNConv(size, hidden) for size in sizes), hidden
        self.nodes, self.edges = nodes, edges

    def forward(self, batch: Batch) -> Tensor:
        """Return [N, hidden] from nodes [N, width] and edges [2, E] of the batch."""
        x, edges, outputs = batch[self.nodes], batch[self.edges], []
        adjacency = Adjacency.of(edges, len(x)) if x.device.type == "cpu" else None
        for layer in self.layers:
            x = (layer(x, edges) if adjacency is None else convolve(layer, x, adjacency)).relu()
            outputs.append(x)
        return torch.stack(outputs).mean(dim=0)


class FoldBranch(nn.Module):
    """A GVP network that gives every residue its scalars and its vectors, as seen from the residue's own frame.

    Turned into the frame of N, CA and C, vectors are numbers that stay when the protein turns.
    """

    def __init__(self, gvp: GvpClassifier, nodes: Sizes) -> None:
        super().__init__()
        self.gvp, self.width = gvp, nodes[0] + 3 * nodes[1]
        gvp.out_norm = gvp.out = gvp.head = nn.Identity()  # its own answer is not asked for

    def forward(self, batch: Batch) -> Tensor:
        """Return [N, n + 3 v] from the fold's graph and ``frame`` [N, 3 (x, y, z), 3 (axes)]."""
        s, vectors = self.gvp.residues(batch)
        seen = torch.einsum("nxa,nxv->nav", batch.frame, vectors)
        return torch.cat([s, seen.flatten(1)], dim=1)


class Gwr(nn.Module):
    """One branch or both, fused, pooled by attention, and a head of two layers.

    ``fusion`` puts both side by side, or lets every residue of the fold ask all residues of the sequence.
    """

    def __init__(
        self,
        sequence: LaGcn | None,
        fold: FoldBranch | LaGcn | None,
        n_locations: int = 10,
        fusion: str = "concat",
        heads: int = 8,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        branches = [branch for branch in (sequence, fold) if branch is not None]
        if fusion not in FUSIONS or not branches:
            raise SettingsError(f"fusion {fusion!r} of {len(branches)} branches: use {' or '.join(FUSIONS)} of 1 or 2")
        self.branches, self.norms = nn.ModuleList(branches), nn.ModuleList(nn.LayerNorm(b.width) for b in branches)
        self.cross = None
        width = sum(branch.width for branch in branches)
        if fusion == "cross_attention" and len(branches) == 2:
            width = heads * -(-max(b.width for b in branches) // heads)
            self.to_common = nn.ModuleList(nn.Linear(b.width, width) for b in branches)
            self.cross = nn.MultiheadAttention(width, heads, attention_dropout, batch_first=True)
        self.pooling = AttentionPooling(width)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.Dropout(dropout), nn.ReLU(), nn.Linear(width, n_locations)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]."""
        parts = [norm(branch(batch)) for branch, norm in zip(self.branches, self.norms, strict=True)]
        if self.cross is None:
            x, mask = to_dense_batch(torch.cat(parts, dim=1), batch.batch, batch_size=batch.num_graphs)
            return self.head(self.pooling(x, mask))
        common = [to(part) for to, part in zip(self.to_common, parts, strict=True)]
        dense = [to_dense_batch(part, batch.batch, batch_size=batch.num_graphs) for part in common]
        (states, mask), (asking, _) = dense
        x, _ = self.cross(asking, states, states, key_padding_mask=~mask, need_weights=False)
        return self.head(self.pooling(x, mask))


class AdapterOnGwr(nn.Module):
    """SES-Adapter on the batches of GwR: it reads their states and letters and no edge.

    As published it attends at the language model's ``width``; a smaller ``hidden`` projects the states to it first.
    """

    def __init__(self, width: int, n_locations: int = 10, hidden: int | None = None, **options: float) -> None:
        super().__init__()
        hidden = min(width, hidden or width)
        self.project = nn.Linear(width, hidden) if hidden < width else nn.Identity()
        self.adapter = SesAdapter((COORDINATES, hidden, 4, 28), n_locations, **options)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]."""
        zeros = batch.states.new_zeros(len(batch.states), COORDINATES + 4)
        parts = [zeros[:, :COORDINATES], self.project(batch.states), zeros[:, COORDINATES:], batch.letters]
        view = Batch(x=torch.cat(parts, dim=1), batch=batch.batch)
        view._num_graphs = batch.num_graphs
        return self.adapter(view)
