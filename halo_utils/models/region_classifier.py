"""A sequence model of our own for small backbones: region attention, a hidden layer, composition."""

import torch
from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.embeddings.biochemistry import COMPOSITION, STANDARD
from halo_utils.embeddings.esm2 import SplitEsm2, residues_of
from halo_utils.models.region_attention import RegionAttention


class CompositionLogits(nn.Module):
    """A small network on shares of amino acids, which adds to the logits of a head. Not in the paper.

    It knows what truncation has cut out, and how many residues there are of each, which attention forgets.
    """

    def __init__(self, n_locations: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(COMPOSITION, hidden), nn.GELU(), nn.Dropout(0.2), nn.Linear(hidden, n_locations)
        )

    def forward(self, composition: Tensor) -> Tensor:
        """Return logits, [B, K], from what ``biochemistry.composition`` returns, [B, 61]."""
        shares, length = composition[:, :-1], composition[:, -1:]
        # Near mean 0 and variance 1: shares beside an even one, and log10 of the length beside 400 residues.
        return self.layers(torch.cat([shares * len(STANDARD) - 1.0, 2.0 * (length - 2.6)], dim=1))


class RegionClassifier(nn.Module):
    """Fine-tuned ESM-2 under ``RegionAttention`` and a head with a hidden layer, plus ``CompositionLogits``.

    ``channels`` are the convolutions'; ``dropout`` is before every linear layer of the head; ``composition`` 0 means
    none.
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
        states, residue_mask = residues_of(self.encoder(tokens, token_mask), token_mask)
        logits = self.head(self.pooling(states, residue_mask))
        return logits if self.composition is None else logits + self.composition(composition)
