"""Pooling of our own for small backbones, not in the paper: convolutions, then attention in ten regions."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

# Residues from start to stop, counted as Python counts a list: sorting signals sit at fixed distances from the ends.
# Signal and transit peptides fill the first tens of residues, retention signals (KDEL) and the peroxisomal SKL the last
# four, and the rest is composition and domains, which the whole protein tells.
ENDS = ((0, 8), (8, 20), (20, 40), (40, 80), (-40, -10), (-10, -3), (-3, -2), (-2, -1), (-1, None))
REGIONS = ((None, None), *ENDS)
KERNEL = 9  # residues that a convolution sees, as in Stärk et al. 2021
CHANNEL_DROPOUT = 0.1


class RegionAttention(nn.Module):
    """Convolutions along the protein, then attention in every region and a maximum over the protein.

    After Light Attention (Stärk et al. 2021), which has one attention per channel over the whole protein; a small
    backbone does not know how far a residue is from the ends. The states are pooled beside what the convolutions made
    of them: ``width`` W is R * (C + D) + C for R regions, C channels.
    """

    def __init__(self, width: int, channels: int = 128) -> None:
        super().__init__()
        self.width = len(REGIONS) * (channels + width) + channels
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout1d(CHANNEL_DROPOUT)
        self.first = nn.Conv1d(width, channels, KERNEL, padding="same")
        self.second = nn.Conv1d(channels, channels, KERNEL, padding="same")
        self.score = nn.Conv1d(width, len(REGIONS), KERNEL, padding="same")

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return one vector per protein, [B, W], from ``states`` [B, L, D] and ``residue_mask`` [B, L] bool."""
        outside = outside_regions(residue_mask)  # [B, L, R]
        padding = ~residue_mask[:, None]  # [B, 1, L]; what lies beyond a protein must not reach its residues
        x = self.dropout(self.norm(states).transpose(1, 2)).masked_fill(padding, 0.0)  # [B, D, L]
        values = F.gelu(self.first(x)).masked_fill(padding, 0.0)
        values = F.gelu(self.second(values))  # [B, C, L]
        weights = (self.score(x).float().transpose(1, 2) + outside).softmax(dim=1).to(values.dtype)  # [B, L, R]
        pooled = [torch.matmul(part.to(values.dtype), weights).flatten(1) for part in (values, x)]
        return torch.cat([*pooled, values.masked_fill(padding, -torch.inf).amax(dim=2)], dim=1)


def outside_regions(residue_mask: Tensor) -> Tensor:
    """Return what is added to the scores of residues, [B, L, R] float32: 0 inside a region, minus infinity outside.

    A protein too short to have a region is pooled whole there. ``residue_mask`` is [B, L] bool.
    """
    parts = [_outside(length) for length in residue_mask.sum(dim=1).tolist()]
    added = pad_sequence(parts, batch_first=True, padding_value=-torch.inf)
    return F.pad(added, (0, 0, 0, residue_mask.shape[1] - added.shape[1]), value=-torch.inf).to(residue_mask.device)


@lru_cache(maxsize=2048)
def _outside(length: int) -> Tensor:
    added = torch.full((length, len(REGIONS)), -torch.inf)
    for column, (start, stop) in enumerate(REGIONS):
        inside = slice(start, stop) if range(length)[start:stop] else slice(None)
        added[inside, column] = 0.0
    return added
