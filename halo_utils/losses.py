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
        prior: what training adds to the logits, [K] float32, and prediction leaves out, or None. With a share of the
            labels' log-odds the network need not learn that rare labels are rare, and one threshold suits all.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5; Menon et al. 2021, "Long-tail learning
    via logit adjustment", equation 10, for ``prior``.
    """

    def __init__(
        self, gamma: float = 2.0, alpha: float = 1.0, n_labels: int | None = None, prior: Tensor | None = None
    ) -> None:
        """Start every threshold at one half."""
        super().__init__()
        self.gamma, self.alpha = gamma, alpha
        self.register_buffer("prior", prior, persistent=False)
        self.threshold_logit = nn.Parameter(torch.zeros(n_labels)) if n_labels else None

    @property
    def thresholds(self) -> Tensor | None:
        """The thresholds tau, [K] in (0, 1), or None."""
        return None if self.threshold_logit is None else self.threshold_logit.detach().sigmoid()

    def margin(self, logits: Tensor) -> Tensor:
        """Return logits measured from the threshold, [B, K] float32."""
        logits = logits.float()
        return logits if self.threshold_logit is None else logits - self.threshold_logit

    def probability(self, logits: Tensor) -> Tensor:
        """Return the probabilities that go into predictions, [B, K] float32 in [0, 1]."""
        return self.margin(logits).sigmoid()

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss, a scalar; ``y`` is [B, K] float 0/1."""
        margin = self.margin(logits)
        margin = margin if self.prior is None else margin + self.prior
        bce = F.binary_cross_entropy_with_logits(margin, y, reduction="none")
        p_true = torch.exp(-bce)  # probability given to the true side
        return (self.alpha * (1.0 - p_true) ** self.gamma * bce).mean()


def log_odds(y: np.ndarray) -> Tensor:
    """Return how much likelier each label is present than absent, as a logarithm, [K] float32.

    Args:
        y: [n, K] 0/1 labels; half a protein is added to both sides, so that an absent label has finite odds.
    """
    present = y.sum(axis=0) + 0.5
    return torch.tensor(np.log(present / (len(y) + 1 - present)), dtype=torch.float32)
