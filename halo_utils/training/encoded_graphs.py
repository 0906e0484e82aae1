"""Residue graphs with other numbers in the channels of the coordinates: frames, distances, angles. Not in the paper.

Every encoding fills the same three channels, so that the networks that read them have the same size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data

from halo_utils.core.files import digest
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.structures.reader import CA
from halo_utils.structures.residue_graph import GraphDataset
from halo_utils.training.graph_data import GraphData

UNIT = 10.0  # angstrom; brings distances to the size of the other features


def distances(ca: np.ndarray) -> np.ndarray:
    """Return distances of C-alphas [N, 3] to their centre, the first and the last one, [N, 3], in 10 angstrom."""
    placed = ca[np.isfinite(ca).all(axis=1)]
    ends = np.stack([placed.mean(axis=0), placed[0], placed[-1]])
    return np.linalg.norm(ca[:, None] - ends, axis=2) / UNIT


def angles(ca: np.ndarray) -> np.ndarray:
    """Return sine and cosine of the C-alpha dihedral i-1, i, i+1, i+2 and the cosine of the angle at i, [N, 3].

    They tell helix from strand without a frame; 0 where a chain ends.
    """
    out = np.zeros((len(ca), 3))
    if len(ca) < 4:
        return out
    step = np.diff(ca, axis=0)  # [N - 1, 3]
    a, b, c = step[:-2], step[1:-1], step[2:]
    left, right = np.cross(a, b), np.cross(b, c)
    sine = np.linalg.norm(b, axis=1) * (a * right).sum(axis=1)
    cosine = (left * right).sum(axis=1)
    length = np.hypot(sine, cosine)
    out[1:-2, :2] = np.stack([sine, cosine], axis=1) / np.maximum(length, 1e-9)[:, None]
    sizes = np.linalg.norm(step, axis=1)
    out[1:-1, 2] = -(step[:-1] * step[1:]).sum(axis=1) / np.maximum(sizes[:-1] * sizes[1:], 1e-9)
    return out


ENCODINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda ca: np.zeros_like(ca),
    "raw": lambda ca: ca,  # the frame of the structure file
    "centred": lambda ca: ca - np.nanmean(ca, axis=0),  # what every graph of this companion holds
    "in 10 angstrom": lambda ca: (ca - np.nanmean(ca, axis=0)) / UNIT,
    "distances": distances,
    "angles": angles,
}


@dataclass(eq=False)
class EncodedDataset(GraphDataset):
    """Graphs with another encoding in their first three channels; zeros where a position is not known."""

    encoding: str = "centred"

    def __getitem__(self, i: int) -> Data:
        graph, name = super().__getitem__(i), self.accessions[i]
        if name in self.structures and graph.has_coordinates:
            nodes = seen_residues(len(self.sequences[i]), self.max_tokens, self.truncation)
            ca = self.structures.rows(name)[nodes][:, CA].astype(np.float64)
            if np.isfinite(ca).all(axis=1).any():
                encoded = np.nan_to_num(ENCODINGS[self.encoding](ca))
                graph.x[:, :3] = torch.from_numpy(encoded.astype(np.float32))
        return graph


class EncodedGraphs(GraphData):
    """``GraphData`` with one of ``ENCODINGS`` in place of the centred coordinates."""

    def __init__(self, *args: Any, encoding: str = "centred", **options: Any) -> None:
        super().__init__(*args, **options)
        self.encoding = encoding
        self.key = self.training_key = digest(self.key, encoding)

    def dataset(self, rows: np.ndarray) -> EncodedDataset:
        """Return the graphs of the proteins at the given positions of the table."""
        plain = super().dataset(rows)
        return EncodedDataset(**vars(plain), encoding=self.encoding)
