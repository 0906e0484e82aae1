"""Attention pooling: from the residues of a protein to one vector (section 2.1)."""

import torch
from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """Softmax over the residues of a protein, then the weighted sum of their states.

    ``a_i = softmax_i(w . h_i + b)`` and ``z = sum_i a_i h_i``.

    Args:
        width: channels D of a residue's state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def weights(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return the attention of every residue, [B, L] float32; it sums to 1 over a protein and is 0 on padding.

        Args:
            states: [B, L, D] residue states.
            residue_mask: [B, L] bool, true where there is a residue.
        """
        scores = self.score(states)[..., 0].float()  # [B, L]
        return scores.masked_fill(~residue_mask, -torch.inf).softmax(dim=1)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return one vector per protein, [B, D], from ``states`` [B, L, D] and ``residue_mask`` [B, L]."""
        return torch.einsum("bl,bld->bd", self.weights(states, residue_mask).to(states.dtype), states)
