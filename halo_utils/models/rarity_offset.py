"""Logits that start at how rare a location is. Not in the paper."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class RarityOffset(nn.Module):
    """A classifier with a constant, [K] float32, added to its logits, in training and in prediction alike.

    The network then need not learn that rare locations are rare. Menon et al. 2021, "Long-tail learning via logit
    adjustment", equation 10, leave the offset out of predictions, which shifts probabilities; here it stays in.
    """

    def __init__(self, model: nn.Module, offset: Tensor | np.ndarray) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("offset", torch.as_tensor(offset, dtype=torch.float32))

    def forward(self, *inputs: Any) -> Tensor:
        """Return logits, [B, K], from the inputs of ``model``."""
        return self.model(*inputs).float() + self.offset
