"""The classifier of embedder comparisons: the mean of residue states, one hidden layer, logits; and one with ends."""

import torch
from torch import Tensor, nn

END = 60  # residues from either end: signal peptides, transit peptides and tails lie within


class MeanNetwork(nn.Module):
    """Linear, ReLU, dropout, linear on the mean over residues; padding counts nowhere, for any embedder."""

    def __init__(self, width: int, n_locations: int, hidden: int = 128, dropout: float = 0.3) -> None:
        super().__init__()
        first = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Sequential(first, nn.Linear(hidden, n_locations))

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from ``states`` [B, L, D] and ``residue_mask`` [B, L] bool; L may be 1."""
        present = residue_mask[..., None]
        return self.head(states.masked_fill(~present, 0.0).sum(dim=1) / present.sum(dim=1))


class EndsNetwork(nn.Module):
    """``MeanNetwork``'s layers on three means side by side: of the whole protein, of its first and last ``END``."""

    def __init__(self, width: int, n_locations: int, hidden: int = 256, dropout: float = 0.4) -> None:
        super().__init__()
        first = nn.Sequential(nn.LayerNorm(3 * width), nn.Dropout(dropout), nn.Linear(3 * width, hidden), nn.ReLU())
        self.head = nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(hidden, n_locations))

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from ``states`` [B, L, D] and ``residue_mask`` [B, L] bool; L may be 1."""
        position = residue_mask.cumsum(dim=1)  # of residues, from 1
        from_end = residue_mask.sum(dim=1, keepdim=True) - position
        parts = torch.stack([residue_mask, residue_mask & (position <= END), residue_mask & (from_end < END)], dim=1)
        weights = parts / parts.sum(dim=2, keepdim=True)  # [B, 3, L]
        means = torch.bmm(weights.to(states.dtype), states.masked_fill(~residue_mask[..., None], 0.0))
        return self.head(means.flatten(1))
