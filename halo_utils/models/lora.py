"""Low-rank adaptation (Hu et al. 2022): frozen layers learn a small difference. Not in the paper."""

import math

import torch
from torch import Tensor, nn

from halo_utils.embeddings.packed_encoder import PackedEncoder


class LoraLinear(nn.Module):
    """A frozen linear layer W plus what is learned, ``W x + (scale / rank) B A x`` (Hu et al. 2022, section 4.1).

    A is [rank, D_in] with random values, B is [D_out, rank] and zero, so that it starts as the layer it is given.
    """

    def __init__(self, layer: nn.Linear, rank: int = 4, scale: float = 8.0) -> None:
        super().__init__()
        self.layer, self.factor = layer.requires_grad_(False), scale / rank
        self.a = nn.Parameter(torch.empty(rank, layer.in_features))
        self.b = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., D_out] from [..., D_in]."""
        return self.layer(x) + self.factor * (x @ self.a.T @ self.b.T)


def adapt(encoder: PackedEncoder, rank: int = 4, scale: float = 8.0) -> int:
    """Freeze an encoder in place, and let query and value of its layers learn a difference; return its parameters.

    Query and value are what Hu et al. adapt (section 5.1).
    """
    encoder.requires_grad_(False)
    for layer in encoder.layers:
        own = layer.attention.self
        own.query, own.value = LoraLinear(own.query, rank, scale), LoraLinear(own.value, rank, scale)
    return sum(p.numel() for p in encoder.parameters() if p.requires_grad)
