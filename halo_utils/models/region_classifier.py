"""A sequence model of our own for small backbones, not in the paper: attention in ten regions, and composition."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import EsmModel

from halo_utils.embeddings.biochemistry import COMPOSITION, STANDARD
from halo_utils.embeddings.esm2 import SplitEsm2, residues_of

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
        padding, x = ~residue_mask[:, None], self._channels(states, residue_mask)  # [B, 1, L], [B, D, L]
        values = F.gelu(self.first(x)).masked_fill(padding, 0.0)
        values = F.gelu(self.second(values))  # [B, C, L]
        weights = self._weights(x, residue_mask).to(values.dtype)  # [B, L, R]
        pooled = [torch.matmul(part.to(values.dtype), weights).flatten(1) for part in (values, x)]
        return torch.cat([*pooled, values.masked_fill(padding, -torch.inf).amax(dim=2)], dim=1)

    def weights(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return attention, [B, L, R] float32, of sum 1 in every region and 0 outside, from what ``forward`` reads."""
        return self._weights(self._channels(states, residue_mask), residue_mask)

    def _channels(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return states as the convolutions read them, [B, D, L]; padding is 0 and must not reach the residues."""
        return self.dropout(self.norm(states).transpose(1, 2)).masked_fill(~residue_mask[:, None], 0.0)

    def _weights(self, x: Tensor, residue_mask: Tensor) -> Tensor:
        return (self.score(x).float().transpose(1, 2) + outside_regions(residue_mask)).softmax(dim=1)


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


class CompositionLogits(nn.Module):
    """A small network on shares of amino acids, which adds to the logits of a head. Not in the paper.

    It knows what truncation has cut out, and how many residues there are of each, which attention forgets.
    """

    def __init__(self, n_locations: int, hidden: int = 128) -> None:
        super().__init__()
        first, last = nn.Linear(COMPOSITION, hidden), nn.Linear(hidden, n_locations)
        self.layers = nn.Sequential(first, nn.GELU(), nn.Dropout(0.2), last)

    def forward(self, composition: Tensor) -> Tensor:
        """Return logits, [B, K], from what ``biochemistry.composition`` returns, [B, 61]."""
        shares, length = composition[:, :-1], composition[:, -1:]
        # Near mean 0 and variance 1: shares beside an even one, and log10 of the length beside 400 residues.
        return self.layers(torch.cat([shares * len(STANDARD) - 1.0, 2.0 * (length - 2.6)], dim=1))


class RegionClassifier(nn.Module):
    """Fine-tuned ESM-2 under ``RegionAttention`` and a head with a hidden layer, plus ``CompositionLogits``.

    ``channels`` are the convolutions'; ``dropout`` is before every linear layer of the head; ``composition`` may be 0.
    """

    def __init__(
        self,
        esm2: EsmModel,
        n_locations: int,
        trainable_layers: int | str = 1,
        channels: int = 128,
        hidden: int = 256,
        dropout: float = 0.4,
        composition: int = 128,
    ) -> None:
        super().__init__()
        self.encoder = SplitEsm2(esm2, trainable_layers)
        self.pooling = RegionAttention(self.encoder.width, channels)
        width = self.pooling.width
        first = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU())
        self.head = nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(hidden, n_locations))
        self.composition = CompositionLogits(n_locations, composition) if composition else None

    def forward(self, tokens: Tensor, token_mask: Tensor, composition: Tensor | None = None) -> Tensor:
        """Return logits, [B, K], from what ``EsmClassifier`` reads and, where it counts, composition [B, 61]."""
        return self.on_residues(*residues_of(self.encoder(tokens, token_mask), token_mask), composition)

    def on_residues(self, states: Tensor, residue_mask: Tensor, composition: Tensor | None = None) -> Tensor:
        """Return logits, [B, K], from the encoder's states [B, L, D] of residues and their mask [B, L] bool."""
        logits = self.head(self.pooling(states, residue_mask))
        return logits if self.composition is None else logits + self.composition(composition)
