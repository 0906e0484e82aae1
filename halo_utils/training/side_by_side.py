"""Small networks on protein vectors, hundreds trained side by side: the same network on other draws of proteins."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUMBERS = 50_000_000  # vectors of the networks that are trained at once; 200 MB


class NetworkStack(nn.Module):
    """R networks of one shape: Linear, ReLU, dropout, linear, on vectors scaled by each one's training proteins.

    First weights are drawn as ``nn.Linear`` draws them. ``mean`` and ``scale`` are [R, 1, D].
    """

    def __init__(self, mean: Tensor, scale: Tensor, n_classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        (networks, _, width), self.dropout = mean.shape, nn.Dropout(dropout)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        for i, (inputs, outputs) in enumerate([(width, hidden), (hidden, n_classes)]):
            for name, shape in (("weight", (networks, inputs, outputs)), ("bias", (networks, 1, outputs))):
                first = torch.empty(shape).uniform_(-(inputs**-0.5), inputs**-0.5)
                self.register_parameter(f"{name}{i}", nn.Parameter(first))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits [R, N, K] from vectors [R, N, D], or from [N, D] that all networks read."""
        hidden = ((vectors - self.mean) / self.scale) @ self.weight0 + self.bias0
        return self.dropout(hidden.relu()) @ self.weight1 + self.bias1


def train_side_by_side(
    vectors: np.ndarray,
    classes: np.ndarray,
    rows: np.ndarray,
    queries: np.ndarray,
    n_classes: int,
    *,
    hidden: int = 128,
    dropout: float = 0.3,
    epochs: int = 100,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.01,
    seed: int = 7,
) -> np.ndarray:
    """Return what R networks say of other proteins, probabilities [R, M, K] of single locations.

    ``vectors`` [B, D] and ``classes`` [B] in 0..K-1 are of all proteins; network r learns from the positions
    ``rows[r]``, of [R, n], and is asked about ``queries[r]``, of [R, M]. Weighted cross-entropy: a location with n_k of
    n proteins has the weight n / (K n_k). AdamW, all proteins of a network in each step, for a fixed number of
    ``epochs``: 43 proteins leave none to stop by.
    """
    x, y = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)), torch.from_numpy(classes.astype(np.int64))
    found = []
    for number, part in enumerate(_parts(len(rows), rows.shape[1] * x.shape[1])):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1000 + number)
            train_x, train_y = x[rows[part]], y[rows[part]]  # [r, n, D], [r, n]
            scale = train_x.std(dim=1, correction=0, keepdim=True)
            mean, scale = train_x.mean(dim=1, keepdim=True), torch.where(scale > 1e-6, scale, torch.ones(()))
            stack = NetworkStack(mean, scale, n_classes, hidden, dropout)
            optimiser = torch.optim.AdamW(stack.parameters(), learning_rate, weight_decay=weight_decay)
            weights = _balance(train_y, n_classes)
            for _ in range(epochs):
                loss = F.cross_entropy(stack(train_x).flatten(0, 1), train_y.flatten(), reduction="none")
                optimiser.zero_grad()
                (loss * weights.flatten()).sum().backward()
                optimiser.step()
        with torch.inference_mode():
            stack.eval()
            found.append(stack(x[queries[part]]).softmax(dim=2).numpy())
    return np.concatenate(found)


def _balance(classes: Tensor, n_classes: int) -> Tensor:
    """Return the weight of every training protein in its network's mean loss, [R, n], of sum 1 per network."""
    counts = F.one_hot(classes, n_classes).sum(dim=1)  # [R, K]
    weights = 1.0 / counts.gather(1, classes)  # n / (K n_k), but for a factor that the sum takes away
    return weights / weights.sum(dim=1, keepdim=True)


def _parts(networks: int, numbers: int) -> Iterator[slice]:
    """Yield networks, as many at once as fit the memory."""
    step = max(1, NUMBERS // numbers)
    yield from (slice(start, start + step) for start in range(0, networks, step))
