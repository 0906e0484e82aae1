"""Coordinates on the scale of the other features, and no orientation to learn. Not in the paper."""

import copy

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

COORDINATES = slice(0, 3)  # the first group of node features


class RandomFrame(nn.Module):
    """A graph network whose coordinates are in units of ``angstrom``, every protein turned at random in training.

    The paper's coordinates are those of AlphaFold's arbitrary frame, ten times as large as a channel of the embedding;
    what a network learns from one orientation it cannot use in another.
    """

    def __init__(self, model: nn.Module, angstrom: float = 10.0) -> None:
        super().__init__()
        self.model, self.angstrom = model, angstrom

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K], of graphs with x [N, 3 + D + 4], whose coordinates are in angstrom."""
        coordinates = batch.x[:, COORDINATES] / self.angstrom  # [N, 3]
        if self.training:
            turns = random_rotations(batch.num_graphs, batch.x.device)
            coordinates = torch.einsum("ni,nij->nj", coordinates, turns[batch.batch])
        turned = copy.copy(batch)
        turned.x = torch.cat([coordinates, batch.x[:, COORDINATES.stop :]], dim=1)
        return self.model(turned)

    def extra_repr(self) -> str:
        """Name the unit, which decides about what is learned."""
        return f"angstrom={self.angstrom:g}"


def random_rotations(number: int, device: torch.device | str = "cpu") -> Tensor:
    """Return uniformly random rotations, [B, 3, 3] float32, from unit quaternions (Shoemake 1992)."""
    w, x, y, z = nn.functional.normalize(torch.randn(4, number, device=device), dim=0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
