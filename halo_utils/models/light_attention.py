"""Light Attention (Stärk et al. 2021): attention and maximum over the protein, per channel, on frozen states."""

import torch
from torch import Tensor, nn

KERNEL = 9  # residues that a convolution sees


class LightAttention(nn.Module):
    """Two convolutions, one for values and one for scores; ``[sum_l v_l softmax_l(s_l) ; max_l v_l]``; a small network.

    The released code takes the maximum over padding too, so that logits depend on the other proteins of a batch; here
    it is over residues. BatchNorm as published: train on batches of two or more.
    """

    def __init__(self, width: int, n_locations: int, hidden: int = 32, dropout: float = 0.25) -> None:
        super().__init__()
        self.value, self.score = (nn.Conv1d(width, width, KERNEL, padding="same") for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        first = nn.Sequential(nn.Linear(2 * width, hidden), nn.Dropout(dropout), nn.ReLU(), nn.BatchNorm1d(hidden))
        self.head = nn.Sequential(first, nn.Linear(hidden, n_locations))

    def weights(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return attention, [B, D, L], of sum 1 per channel and 0 on padding, from [B, L, D] and the mask [B, L]."""
        scores = self.score(_channels(states, residue_mask))
        return scores.masked_fill(~residue_mask[:, None], -torch.inf).softmax(dim=2)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from ``states`` [B, L, D] and ``residue_mask`` [B, L] bool."""
        values = self.dropout(self.value(_channels(states, residue_mask)))  # [B, D, L]
        attended = (values * self.weights(states, residue_mask)).sum(dim=2)
        highest = values.masked_fill(~residue_mask[:, None], -torch.inf).amax(dim=2)
        return self.head(torch.cat([attended, highest], dim=1))


def _channels(states: Tensor, residue_mask: Tensor) -> Tensor:
    """Return [B, D, L] with zeros on padding, which is what a convolution sees beyond the ends."""
    return states.masked_fill(~residue_mask[..., None], 0.0).transpose(1, 2)
