"""The classifier of embedder comparisons, one hidden layer on the mean of residue states; and one with both ends."""

import torch
from torch import Tensor, nn


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
    """``MeanNetwork``'s layers on three means side by side: of the whole protein, of its first and of its last part."""

    def __init__(self, width: int, n_locations: int, hidden: int = 256, dropout: float = 0.4) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(3 * width))
        self.register_buffer("scale", torch.ones(3 * width))
        first = nn.Sequential(nn.Dropout(dropout / 2), nn.Linear(3 * width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Sequential(first, nn.Linear(hidden, n_locations))

    def standardise(self, means: Tensor) -> None:
        """Take the mean and the deviation over training proteins, ``means`` [B, 3, D], out of what is read."""
        self.centre.copy_(means.flatten(1).mean(dim=0))
        self.scale.copy_(means.flatten(1).std(dim=0) + 1e-6)

    def forward(self, means: Tensor, mask: Tensor) -> Tensor:
        """Return logits, [B, K], from ``means`` [B, 3, D], see ``state_store.three_means``; all of ``mask`` is true."""
        return self.head((means.flatten(1) - self.centre) / self.scale)
