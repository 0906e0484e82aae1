"""Attention pooling: from the residues of a protein to one vector (section 2.1)."""

import torch
from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """Softmax over residues, ``a_i = softmax_i(w . h_i + b)``, then the weighted sum ``z = sum_i a_i h_i``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def weights(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return attention [B, L] float32, of sum 1 and 0 on padding, from states [B, L, D] and their mask [B, L]."""
        scores = self.score(states)[..., 0].float()  # [B, L]
        return scores.masked_fill(~residue_mask, -torch.inf).softmax(dim=1)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return one vector per protein, [B, D], from ``states`` [B, L, D] and ``residue_mask`` [B, L]."""
        return torch.einsum("bl,bld->bd", self.weights(states, residue_mask).to(states.dtype), states)
