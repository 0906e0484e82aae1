"""SES-Adapter (Tan et al. 2024): structure letters read the language model's states by cross-attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.utils import to_dense_batch

from halo_utils.core.errors import SettingsError
from halo_utils.models.esm_classifier import AttentionPooling

COORDINATES, STATES = 3, (20, 8)  # columns of node features before the embedding; letters of 3Di and of SS8


def rotate(x: Tensor) -> Tensor:
    """Return queries or keys [B, H, L, C], turned by their position (Su et al. 2021); C is even."""
    half = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = torch.arange(x.shape[-2], device=x.device)[:, None] * rates  # [L, C / 2]
    first, second = x[..., :half], x[..., half:]
    turned = [first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()]
    return torch.cat(turned, dim=-1).to(x.dtype)


class LetterAttention(nn.Module):
    """Every residue's structure letter asks the states of all residues; as released, nothing projects the answer."""

    def __init__(self, letters: int, width: int, heads: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        self.letter = nn.Linear(letters, width, bias=False)  # of one-hot letters: a table of vectors
        nn.init.normal_(self.letter.weight)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.heads, self.dropout = heads, dropout

    def forward(self, letters: Tensor, states: Tensor, lengths: list[int]) -> Tensor:
        """Return [N, D] from one-hot ``letters`` [N, S] and ``states`` [N, D] of B proteins of these ``lengths``.

        Proteins attend one by one: nothing is padded, so no mask keeps the fast kernels away.
        """
        parts = (self.query(self.letter(letters)), self.key(states), self.value(states))
        heads = (part.unflatten(1, (self.heads, -1)).transpose(0, 1)[None] for part in parts)  # [1, H, N, C]
        dropout = self.dropout if self.training else 0.0
        mixed = [
            F.scaled_dot_product_attention(rotate(query), rotate(key), value, dropout_p=dropout)
            for query, key, value in zip(*(part.split(lengths, dim=2) for part in heads), strict=True)
        ]
        return torch.cat(mixed, dim=2)[0].transpose(0, 1).flatten(1)


class SesAdapter(nn.Module):
    """Frozen states, then 3Di and SS8 one after the other, each added and normed, then attention pooling and a head.

    Reads the graphs of ``GraphData`` with strings, not their edges; ``widths`` are its groups'. ``di`` and ``ss8``
    switch letters off; a residue without letters asks with the same query as every other one without.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int],
        n_locations: int = 10,
        heads: int = 8,
        dropout: float = 0.1,
        di: bool = True,
        ss8: bool = True,
    ) -> None:
        super().__init__()
        width = widths[1]
        if width % (2 * heads):
            raise SettingsError(f"embedding of width {width}, expected a multiple of {2 * heads}: choose other heads")
        self.widths = widths
        self.di = LetterAttention(STATES[0], width, heads, dropout) if di else None
        self.ss8 = LetterAttention(STATES[1], width, heads, dropout) if ss8 else None
        self.norm = nn.LayerNorm(width)  # one for both, as released
        self.pooling = AttentionPooling(width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_locations))

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K], of graphs with x [N, 3 + D + 4 + 28]."""
        lengths = torch.bincount(batch.batch, minlength=batch.num_graphs).tolist()
        states = batch.x[:, COORDINATES : COORDINATES + self.widths[1]]
        for attention, letters in zip(
            (self.di, self.ss8), batch.x[:, -sum(STATES) :].split(STATES, dim=1), strict=True
        ):
            if attention is not None:
                states = self.norm(states + attention(letters, states, lengths))
        return self.head(self.pooling(*to_dense_batch(states, batch.batch, batch_size=batch.num_graphs)))
