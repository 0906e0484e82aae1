"""Logits of our own from the composition of a protein, which knows what truncation has cut out. Not in the paper."""

import torch
from torch import Tensor, nn

from halo_utils.embeddings.biochemistry import COMPOSITION, STANDARD

DROPOUT = 0.2


class CompositionLogits(nn.Module):
    """A small network on shares of amino acids, which adds to the logits of a head. Not in the paper.

    It knows what truncation has cut out, and how many residues there are of each, which attention forgets.
    """

    def __init__(self, n_locations: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(COMPOSITION, hidden), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(hidden, n_locations)
        )

    def forward(self, composition: Tensor) -> Tensor:
        """Return logits, [B, K], from what ``biochemistry.composition`` returns, [B, 61]."""
        shares, length = composition[:, :-1], composition[:, -1:]
        # Near mean 0 and variance 1: shares beside an even one, and log10 of the length beside 400 residues.
        return self.layers(torch.cat([shares * len(STANDARD) - 1.0, 2.0 * (length - 2.6)], dim=1))
