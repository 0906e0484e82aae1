"""From residues to a protein: attention pooling, over the whole protein or over parts of it, and the head above it."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

# Residues from start to stop, counted as Python counts a list: sorting signals sit at fixed distances from the ends.
# Signal and transit peptides fill the first tens of residues, retention signals (KDEL) and the peroxisomal SKL the last
# four, and the rest is composition and domains, which the whole protein tells.
ENDS = ((0, 8), (8, 20), (20, 40), (40, 80), (-40, -10), (-10, -3), (-3, -2), (-2, -1), (-1, None))
WHOLE = (None, None)
REGIONS = {"whole": (WHOLE,), "regions": (WHOLE, *ENDS)}


class AttentionPooling(nn.Module):
    """Softmax over the residues of a region, then the weighted sum of their vectors (section 2.1).

    Args:
        width: channels D of a residue's state.
        regions: R pairs (start, stop), each with an attention of its own; the paper has one, the whole protein.
    """

    def __init__(self, width: int, regions: Sequence[tuple[int | None, int | None]] = (WHOLE,)) -> None:
        """Make the scoring layer."""
        super().__init__()
        self.regions = tuple(regions)
        self.score = nn.Linear(width, len(self.regions))

    def weights(self, proteins: Sequence[Tensor]) -> Tensor:
        """Return the attention of every residue, [B, L, R] float32; the sum over the residues of a protein is 1.

        Args:
            proteins: B tensors of residue states, [length, D]; L is the largest length, and what lies beyond a
                protein's own gets 0.
        """
        outside = [outside_regions(len(residues), self.regions) for residues in proteins]
        outside = pad_sequence(outside, batch_first=True, padding_value=-torch.inf).to(proteins[0].device)
        return (self.score(pad_sequence(proteins, batch_first=True)).float() + outside).softmax(dim=1)

    def forward(self, proteins: Sequence[Tensor]) -> Tensor:
        """Return R vectors per protein, [B, R, D].

        Args:
            proteins: B tensors of residue states, [length, D], special tokens left out.
        """
        weights = self.weights(proteins).to(proteins[0].dtype)
        return weights.transpose(1, 2) @ pad_sequence(proteins, batch_first=True)


@lru_cache(maxsize=2048)
def outside_regions(length: int, regions: tuple[tuple[int | None, int | None], ...]) -> Tensor:
    """Return what is added to the scores of a protein, [L, R] float32: 0 inside a region, minus infinity outside.

    A protein too short to have a region is pooled whole there.
    """
    added = torch.full((length, len(regions)), -torch.inf)
    for column, (start, stop) in enumerate(regions):
        inside = slice(start, stop) if range(length)[start:stop] else slice(None)
        added[inside, column] = 0.0
    return added


def make_head(width: int, n_labels: int, hidden: int, dropout: float) -> nn.Module:
    """Return the layers from pooled vectors, [B, width], to logits, [B, K].

    Args:
        width: channels of all regions together, R * D.
        n_labels: K.
        hidden: units of a hidden layer; 0 for the paper's single linear layer.
        dropout: share of inputs that a step leaves out, before every linear layer.
    """
    if not hidden:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, n_labels)) if dropout else nn.Linear(width, n_labels)
    first = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU())
    return nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(hidden, n_labels))
