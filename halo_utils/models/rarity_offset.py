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

    def __init__(self, model: nn.Module, offset: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("offset", offset)

    def forward(self, *inputs: Any) -> Tensor:
        """Return logits, [B, K], from the inputs of ``model``."""
        return self.model(*inputs).float() + self.offset


def log_odds(y: np.ndarray) -> Tensor:
    """Return the log-odds of each location in labels [n, K] 0/1, as [K] float32.

    Half a protein is added to both sides, so that an absent location has finite odds.
    """
    present = y.sum(axis=0) + 0.5
    return torch.tensor(np.log(present / (len(y) + 1 - present)), dtype=torch.float32)
