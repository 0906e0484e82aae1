"""The head of DeepLoc 2.0 (Thumuluri et al. 2022) on frozen states, and the weights of its loss.

The released model also learns to attend to annotated sorting signals; those annotations are not at hand.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTHING = (2, 2.0)  # residues on either side, standard deviation of the Gaussian in residues
WAVE, SOFTNESS, PROLONGED = 6, 0.2, 8  # of the penalty on attention that changes fast
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


def roughness(attention: Tensor, residue_mask: Tensor) -> Tensor:
    """Return how fast attention changes along the protein, a scalar in [0, 1]; DeepLoc 2.0's loss has a tenth of it.

    ``attention`` is [B, L] of sum 1. One less the share of its cosine transform's magnitude at frequencies 1 to L / 6;
    x above that a frequency still counts by 1 / (1 + x^0.2). The ends are prolonged by 8 residues.
    """
    shares = []
    for row, mask in zip(attention, residue_mask, strict=True):
        values = row[mask]
        values = torch.cat([values[:1].expand(PROLONGED), values, values[-1:].expand(PROLONGED)])
        k = torch.arange(len(values), device=row.device)
        turned = torch.fft.rfft(torch.cat([values, values.flip(0)]))[:-1] * torch.exp(-0.5j * torch.pi / len(k) * k)
        size = turned.real.abs() / torch.where(k == 0, 2**0.5, 1.0)  # of the orthonormal transform, but for a factor
        above = (k - int(mask.sum()) // WAVE).clamp(min=0).float()
        share = torch.where(above > 0, 1 / (1 + above**SOFTNESS), 1.0)
        shares.append((size[1:] * share[1:]).sum() / size.sum())
    return 1 - torch.stack(shares).mean()
