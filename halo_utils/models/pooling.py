"""From residues to a protein: attention pooling (the paper), light attention (for small backbones), and the head."""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from halo_utils.embeddings.biochemistry import COMPOSITION, STANDARD
from halo_utils.profile import HeadSettings

# Residues from start to stop, counted as Python counts a list: sorting signals sit at fixed distances from the ends.
# Signal and transit peptides fill the first tens of residues, retention signals (KDEL) and the peroxisomal SKL the last
# four, and the rest is composition and domains, which the whole protein tells.
ENDS = ((0, 8), (8, 20), (20, 40), (40, 80), (-40, -10), (-10, -3), (-3, -2), (-2, -1), (-1, None))
REGIONS = ((None, None), *ENDS)
KERNEL = 9  # residues that a convolution sees, as in Stärk et al. 2021
CHANNEL_DROPOUT = 0.1
COMPOSITION_DROPOUT = 0.2


class AttentionPooling(nn.Module):
    """Softmax over the residues of a protein, then the weighted sum of their states (section 2.1).

    Args:
        width: channels D of a residue's state.

    Attributes:
        width: channels W of a protein, here D.
    """

    def __init__(self, width: int) -> None:
        """Make the scoring layer."""
        super().__init__()
        self.width = width
        self.score = nn.Linear(width, 1)

    def weights(self, proteins: Sequence[Tensor]) -> Tensor:
        """Return the attention of every residue, [B, L] float32; the sum over the residues of a protein is 1.

        Args:
            proteins: B tensors of residue states, [length, D]; L is the largest length, and what lies beyond a
                protein's own gets 0.
        """
        scores = self.score(pad_sequence(proteins, batch_first=True)).float()
        return (scores + outside_regions(proteins, REGIONS[:1])).softmax(dim=1)[..., 0]

    def forward(self, proteins: Sequence[Tensor]) -> Tensor:
        """Return one vector per protein, [B, W], from B tensors [length, D], special tokens left out."""
        states = pad_sequence(proteins, batch_first=True)
        return torch.einsum("bl,bld->bd", self.weights(proteins).to(states.dtype), states)


class LightAttention(nn.Module):
    """Convolutions along the protein, then attention in every region and a maximum over the protein.

    After Stärk et al. 2021, "Light attention predicts protein location from the language of life". Theirs has one
    attention per channel over the whole protein; ours has one per region, R of them, because a small backbone does not
    know how far a residue is from the ends, and pools the states beside what the convolutions made of them.

    Args:
        width: channels D of a residue's state.
        channels: C of the convolutions.

    Attributes:
        width: channels W of a protein, R * (C + D) + C.
    """

    def __init__(self, width: int, channels: int) -> None:
        """Make the convolutions."""
        super().__init__()
        self.width = len(REGIONS) * (channels + width) + channels
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout1d(CHANNEL_DROPOUT)
        self.first = nn.Conv1d(width, channels, KERNEL, padding="same")
        self.second = nn.Conv1d(channels, channels, KERNEL, padding="same")
        self.score = nn.Conv1d(width, len(REGIONS), KERNEL, padding="same")

    def forward(self, proteins: Sequence[Tensor]) -> Tensor:
        """Return one vector per protein, [B, W], from B tensors [length, D], special tokens left out."""
        states, outside = pad_sequence(proteins, batch_first=True), outside_regions(proteins, REGIONS)
        padding = outside[:, None, :, 0] != 0  # [B, 1, L]; what lies beyond a protein must not reach its residues
        states = self.dropout(self.norm(states).transpose(1, 2)).masked_fill(padding, 0.0)  # [B, D, L]
        values = F.gelu(self.first(states)).masked_fill(padding, 0.0)
        values = F.gelu(self.second(values))  # [B, C, L]
        weights = (self.score(states).float().transpose(1, 2) + outside).softmax(dim=1).to(values.dtype)  # [B, L, R]
        pooled = [torch.matmul(x.to(values.dtype), weights).flatten(1) for x in (values, states)]
        return torch.cat([*pooled, values.masked_fill(padding, -torch.inf).amax(dim=2)], dim=1)


class CompositionNetwork(nn.Module):
    """Logits from the composition of a protein, which knows what truncation has cut out.

    Attention picks residues and forgets how many there are of each; these logits are added to those of the head.

    Args:
        n_labels: K.
        hidden: units of the hidden layer.
    """

    def __init__(self, n_labels: int, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        first = nn.Sequential(nn.Linear(COMPOSITION, hidden), nn.GELU(), nn.Dropout(COMPOSITION_DROPOUT))
        self.layers = nn.Sequential(*first, nn.Linear(hidden, n_labels))

    def forward(self, composition: Tensor) -> Tensor:
        """Return logits, [B, K], from what ``features.composition`` returns, [B, 61]."""
        shares, length = composition[:, :-1], composition[:, -1:]
        # Near mean 0 and variance 1: shares beside an even one, and log10 of the length beside 400 residues.
        return self.layers(torch.cat([shares * len(STANDARD) - 1.0, 2.0 * (length - 2.6)], dim=1))


def outside_regions(proteins: Sequence[Tensor], regions: tuple[tuple[int | None, int | None], ...]) -> Tensor:
    """Return what is added to the scores of residues, [B, L, R] float32: 0 inside a region, minus infinity outside.

    A protein too short to have a region is pooled whole there.

    Args:
        proteins: B tensors whose first dimension is the residues; L is the largest.
        regions: R pairs (start, stop).
    """
    parts = [_outside(len(residues), regions) for residues in proteins]
    return pad_sequence(parts, batch_first=True, padding_value=-torch.inf).to(proteins[0].device)


@lru_cache(maxsize=2048)
def _outside(length: int, regions: tuple[tuple[int | None, int | None], ...]) -> Tensor:
    """Return ``outside_regions`` of one protein, [length, R]."""
    added = torch.full((length, len(regions)), -torch.inf)
    for column, (start, stop) in enumerate(regions):
        inside = slice(start, stop) if range(length)[start:stop] else slice(None)
        added[inside, column] = 0.0
    return added


def make_pooling(width: int, settings: HeadSettings) -> AttentionPooling | LightAttention:
    """Return the layers from residue states of ``width`` channels to a protein's vector."""
    return AttentionPooling(width) if settings.pooling == "attention" else LightAttention(width, settings.channels)


def make_head(width: int, n_labels: int, settings: HeadSettings) -> nn.Module:
    """Return the layers from a protein's vector, [B, W], to logits, [B, K]: linear, or with a hidden layer.

    Args:
        width: W.
        n_labels: K.
        settings: units of the hidden layer, and the share of inputs that a step leaves out before every linear layer.
    """
    hidden, dropout = settings.hidden, settings.dropout
    if not hidden:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, n_labels)) if dropout else nn.Linear(width, n_labels)
    first = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU())
    return nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(hidden, n_labels))
