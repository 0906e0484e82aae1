"""The head of DeepLoc 2.0 (Thumuluri et al. 2022) on frozen states, and the weights of its loss.

Left out of the loss: attention to annotated sorting signals, which are not at hand, and the small penalty on attention
that changes fast along the protein.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTHING = (2, 2.0)  # residues on either side, standard deviation of the Gaussian in residues
# For ``BalancedFocalLoss`` with gamma 1: the ten locations in DeepLoc 2.0's order; its membrane column has 1.
POSITIVE_WEIGHTS = (1.0, 1.0, 3.0, 2.3, 4.0, 9.5, 4.5, 6.6, 7.7, 32.0)


class Deeploc2Head(nn.Module):
    """LayerNorm, 256 channels, LayerNorm, one attention over residues smoothed along the protein, logits.

    Scores are unscaled products with a learned query, its first values of standard deviation 1 / channels.
    """

    def __init__(self, width: int, n_locations: int, channels: int = 256) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, channels), nn.LayerNorm(channels))
        self.query = nn.Parameter(torch.randn(channels) / channels)
        self.head = nn.Linear(channels, n_locations)
        reach, deviation = SMOOTHING
        taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
        self.register_buffer("taps", taps / taps.sum(), persistent=False)  # [5]

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from ``states`` [B, L, D] and ``residue_mask`` [B, L] bool."""
        return self.with_attention(states, residue_mask)[0]

    def with_attention(self, states: Tensor, residue_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, [B, K], and attention, [B, L] float32, of sum 1 and 0 on padding."""
        x = self.project(states.masked_fill(~residue_mask[..., None], 0.0))
        scores = self.smooth((x @ self.query).float(), residue_mask)
        weights = scores.masked_fill(~residue_mask, -torch.inf).softmax(dim=1)
        return self.head(torch.einsum("bl,blc->bc", weights.to(x.dtype), x)), weights

    def smooth(self, scores: Tensor, residue_mask: Tensor) -> Tensor:
        """Return scores [B, L] under a Gaussian of 5 residues; beyond both ends the last residue's score goes on."""
        reach, last = SMOOTHING[0], residue_mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
        position = torch.arange(-reach, scores.shape[1] + reach, device=scores.device)[None]  # [1, L + 4]
        extended = scores.gather(1, torch.minimum(position.clamp(min=0), last))
        return F.conv1d(extended[:, None], self.taps[None, None])[:, 0]
