"""Focal loss for multi-label targets, with an optional learnable decision threshold per label."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FocalLoss(nn.Module):
    """Binary focal loss, mean over proteins and labels: alpha (1 - p_t)^gamma * BCE.

    With ``n_labels`` every label k owns a learnable threshold tau_k, and its probability is
    sigmoid(logit - logit(tau_k)): it crosses one half where the plain probability crosses tau_k. The paper asks
    for "a focal loss that uses a learnable threshold" (section 2.2) without a formula; this one is smooth,
    exact at the decision, and adds one number per label. A bias in the last layer can do the same, so
    nothing is gained in what the network can express.

    Args:
        gamma: focusing exponent; 0 gives binary cross-entropy times alpha.
        alpha: factor of the whole loss.
        n_labels: K for learnable thresholds, None for none.
        offset: what is added to the logits, in training and in prediction alike, [K] float32, or None. With a share of
            the labels' log-odds the network need not learn that rare labels are rare; probabilities keep their scale.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5; Menon et al. 2021, "Long-tail learning
    via logit adjustment", equation 10, for ``offset`` (they leave it out of predictions, which shifts probabilities).
    """

    def __init__(
        self, gamma: float = 2.0, alpha: float = 1.0, n_labels: int | None = None, offset: Tensor | None = None
    ) -> None:
        """Start every threshold at one half."""
        super().__init__()
        self.gamma, self.alpha = gamma, alpha
        self.register_buffer("offset", offset, persistent=False)
        self.threshold_logit = nn.Parameter(torch.zeros(n_labels)) if n_labels else None

    @property
    def thresholds(self) -> Tensor | None:
        """The thresholds tau, [K] in (0, 1), or None."""
        return None if self.threshold_logit is None else self.threshold_logit.detach().sigmoid()

    def margin(self, logits: Tensor) -> Tensor:
        """Return logits with the offset, measured from the threshold, [B, K] float32."""
        logits = logits.float() if self.offset is None else logits.float() + self.offset
        return logits if self.threshold_logit is None else logits - self.threshold_logit

    def probability(self, logits: Tensor) -> Tensor:
        """Return the probabilities that go into predictions, [B, K] float32 in [0, 1]."""
        return self.margin(logits).sigmoid()

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss, a scalar; ``y`` is [B, K] float 0/1."""
        bce = F.binary_cross_entropy_with_logits(self.margin(logits), y, reduction="none")
        # 1 - p_t, exact for small values; never 0, where the gradient of a power below 1 is infinite.
        missing = -torch.expm1(-bce).clamp_max(-torch.finfo(bce.dtype).tiny)
        return (self.alpha * missing**self.gamma * bce).mean()


def log_odds(y: np.ndarray) -> Tensor:
    """Return how much likelier each label is present than absent, as a logarithm, [K] float32.

    Args:
        y: [n, K] 0/1 labels; half a protein is added to both sides, so that an absent label has finite odds.
    """
    present = y.sum(axis=0) + 0.5
    return torch.tensor(np.log(present / (len(y) + 1 - present)), dtype=torch.float32)
