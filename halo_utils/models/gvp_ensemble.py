"""A language model's protein vector and a GVP network together (Dubourg-Felonneau et al. 2022, no code released).

All read the batches of ``GvpData`` with embeddings. The mean of two separately trained models' probabilities, the
paper's first ensemble, is ``training.baselines.mean_of``. What the paper leaves open is a reading, said where it is.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch

from halo_utils.models.gvp import GvpClassifier


class EmbeddingCnn(nn.Module):
    """The paper's baseline, "a 3 layers convolutional neural network" on the mean vector of the language model.

    Channels, kernel, stride and dropout are a reading; the convolutions run along the D numbers of the vector.
    """

    def __init__(
        self, n_locations: int = 10, channels: tuple[int, ...] = (32, 64, 128), kernel: int = 5, dropout: float = 0.2
    ) -> None:
        super().__init__()
        pairs = zip((1, *channels), channels, strict=False)
        parts = [(nn.Conv1d(i, o, kernel, stride=2, padding=kernel // 2), nn.ReLU()) for i, o in pairs]
        self.layers = nn.Sequential(*(module for pair in parts for module in (*pair, nn.Dropout(dropout))))
        self.head = nn.Linear(channels[-1], n_locations)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K], of the vectors ``embedding`` [B, D]."""
        return self.head(self.layers(batch.embedding[:, None]).mean(dim=2))


class ResidueCnn(nn.Module):
    """The other reading of the baseline: three convolutions along the residues, then their mean and their maximum."""

    def __init__(
        self, width: int, n_locations: int = 10, channels: int = 256, kernel: int = 5, dropout: float = 0.2
    ) -> None:
        super().__init__()
        sizes = [width, channels, channels, channels]
        self.layers = nn.ModuleList(
            nn.Conv1d(i, o, kernel, padding=kernel // 2) for i, o in zip(sizes, sizes[1:], strict=False)
        )
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(2 * channels, n_locations)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], of residue states [B, L, D] and their mask [B, L]; padding never tells."""
        mask = residue_mask[:, None]  # [B, 1, L]
        x = states.transpose(1, 2)
        for layer in self.layers:
            x = self.dropout(F.relu(layer(x * mask)))
        x = x * mask  # ReLU: the maximum of a protein is at least 0, which is what padding holds
        return self.head(torch.cat([x.sum(dim=2) / mask.sum(dim=2), x.amax(dim=2)], dim=1))


class MeanOfBoth(nn.Module):
    """Two models trained together through the mean of their probabilities, the paper's differentiable mean."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits of the mean probability, [B, K]: a loss on logits is then a loss on the mean."""
        both = torch.stack([self.first(batch), self.second(batch)]).float()
        return F.logsigmoid(both).logsumexp(dim=0) - F.logsigmoid(-both).logsumexp(dim=0)  # log p - log (1 - p)


class DenseResidual(nn.Module):
    """The paper's proposed "dense-residual type head" on the language model's vector, [B, D], and the GVP network's.

    A reading: both are brought to ``width``, each block adds as many channels to all before it (Huang et al. 2017), and
    a linear skip leads from the start to the logits. Layer norm, because one long protein can be a batch of its own.
    """

    def __init__(
        self,
        gvp: GvpClassifier,
        embedding_width: int,
        n_locations: int = 10,
        width: int = 256,
        blocks: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.gvp = gvp
        gvp.head = nn.Identity()  # its own answer is not asked for
        self.from_embedding, self.from_graph = nn.Linear(embedding_width, width), nn.Linear(gvp.width, width)
        sizes = [2 * width + width * i for i in range(blocks + 1)]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(size, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
            for size in sizes[:-1]
        )
        self.last, self.skip = nn.Linear(sizes[-1], n_locations), nn.Linear(sizes[0], n_locations)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]."""
        parts = [self.from_embedding(batch.embedding), self.from_graph(self.gvp.represent(batch))]
        start = state = torch.cat(parts, dim=1)  # [B, 2 W]
        for block in self.blocks:
            state = torch.cat([state, block(state)], dim=1)
        return self.last(state) + self.skip(start)
