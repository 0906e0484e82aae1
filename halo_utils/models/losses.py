"""Focal loss for multi-label targets, with an optional learnable decision threshold per location."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FocalLoss(nn.Module):
    """Binary focal loss, mean over proteins and locations: ``alpha (1 - p_t)^gamma BCE`` (Lin et al. 2017, eq. 5).

    With ``n_locations`` every location k owns a learnable threshold tau_k, and its probability is sigmoid(logit -
    logit(tau_k)): it crosses one half where the plain probability crosses tau_k. The paper asks for "a focal loss that
    uses a learnable threshold" (section 2.2) without a formula; this one is smooth, exact at the decision, and adds one
    number per location. A bias in the last layer can do the same, so the network can express no more.
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 1.0, n_locations: int | None = None) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha
        self.threshold_logit = nn.Parameter(torch.zeros(n_locations)) if n_locations else None

    @property
    def thresholds(self) -> Tensor | None:
        """The thresholds tau, [K] in (0, 1), or None."""
        return None if self.threshold_logit is None else self.threshold_logit.detach().sigmoid()

    def margin(self, logits: Tensor) -> Tensor:
        """Return logits measured from the threshold, [B, K] float32."""
        return logits.float() if self.threshold_logit is None else logits.float() - self.threshold_logit

    def probability(self, logits: Tensor) -> Tensor:
        """Return the probabilities that go into predictions, [B, K] float32 in [0, 1]."""
        return self.margin(logits).sigmoid()

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss, a scalar; ``y`` is [B, K] float 0/1."""
        bce = F.binary_cross_entropy_with_logits(self.margin(logits), y, reduction="none")
        # 1 - p_t, exact for small values; never 0, where the gradient of a power below 1 is infinite.
        missing = -torch.expm1(-bce).clamp_max(-torch.finfo(bce.dtype).tiny)
        return (self.alpha * missing**self.gamma * bce).mean()


class BalancedFocalLoss(FocalLoss):
    """Focal loss in which positives of location k count ``positive_weights[k]``-fold; gamma 0 is weighted BCE.

    DeepLoc 2.0 (Thumuluri et al. 2022): gamma 1 and weights of its own; embedder comparisons: gamma 0 and, per
    location, negatives over positives of the training proteins.
    """

    def __init__(self, positive_weights: Sequence[float], gamma: float = 1.0) -> None:
        super().__init__(gamma)
        self.alpha = tuple(float(w) for w in positive_weights)  # in the place of the one weight of Lin et al.
        self.register_buffer("positive_weights", torch.tensor(self.alpha), persistent=False)  # [K]

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of logits [B, K], a scalar; ``y`` is [B, K] float 0/1."""
        logits = logits.float()
        weighted = F.binary_cross_entropy_with_logits(logits, y, pos_weight=self.positive_weights, reduction="none")
        missing = torch.where(y > 0.5, -logits, logits).sigmoid()  # 1 - p_t
        return (missing**self.gamma * weighted).mean()
