"""The classifier of embedder comparisons: the mean of residue states, one hidden layer, logits."""

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
