"""Features of a protein's backbone for a GVP network: numbers that stay and vectors that turn when the protein turns.

Those of LM-GVP (Wang et al. 2022, after Jing et al. 2021) with the residue's letter for the language model's states,
and the two attributes of Dubourg-Felonneau et al. 2022, pLDDT and the position in the sequence, as switches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch.utils.data import Dataset
from torch_geometric.data import Data

from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.record import STANDARD
from halo_utils.structures.reader import CA, PLDDT

DIHEDRALS, VECTORS, WAVES, GAUSSIANS = 9, 3, 16, 16  # columns of each group of features
FARTHEST = 20.0  # angstrom, the mean of the last Gaussian of a distance
EDGE_SCALARS = GAUSSIANS + WAVES


@dataclass(frozen=True)
class GvpFeatures:
    """Which features a GVP network reads: ``neighbours`` of a residue, its ``plddt``, its ``position``."""

    neighbours: int = 30
    plddt: bool = True
    position: bool = True

    @property
    def scalars(self) -> int:
        """Columns of the node scalars: dihedrals, residue letter, pLDDT if read, position if read."""
        return DIHEDRALS + len(STANDARD) + self.plddt + WAVES * self.position


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [..., 3] at length 1; what has no direction or is not known is 0."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)  # NaN > 0 is false


def dihedrals(backbone: np.ndarray) -> np.ndarray:
    """Return cosines of phi, psi and omega, their sines, and whether each is known, [L, 9], of N, CA, C [L, 3, 3].

    An angle that lacks an atom, as phi of the first residue does, is 0 in all three of its columns: the published code
    gives it the cosine of a true 0 degrees.
    """
    steps = np.diff(backbone.reshape(-1, 3), axis=0)  # bonds along N, CA, C, N, ...
    normals = np.cross(steps[:-1], steps[1:], axis=-1)
    first, second = unit(normals[:-1]), unit(normals[1:])
    cosine, sine = (first * second).sum(axis=-1), (unit(steps[1:-1]) * np.cross(first, second, axis=-1)).sum(axis=-1)
    known = (first.any(axis=-1) & second.any(axis=-1)).astype(backbone.dtype)
    parts = [np.pad(part, (1, 2)).reshape(-1, 3) for part in (cosine, sine, known)]  # the chain's ends lack an angle
    return np.concatenate(parts, axis=1)


def directions(backbone: np.ndarray) -> np.ndarray:
    """Return unit vectors to the next and the previous C-alpha and along the side chain, [L, 3 (x, y, z), 3].

    The side chain is where a tetrahedral carbon puts it, so that glycine has one, too; 0 where atoms are missing.
    """
    n, ca, c = backbone[:, 0], backbone[:, 1], backbone[:, 2]
    forward = np.zeros_like(ca)
    forward[:-1] = unit(np.diff(ca, axis=0))
    backward = np.zeros_like(ca)
    backward[1:] = -forward[:-1]
    to_n, to_c = unit(n - ca), unit(c - ca)
    known = to_n.any(axis=-1, keepdims=True) & to_c.any(axis=-1, keepdims=True)
    across = unit(np.cross(to_c, to_n, axis=-1))
    side_chain = -np.sqrt(1 / 3) * unit(to_c + to_n) - np.sqrt(2 / 3) * across
    return np.stack([forward, backward, side_chain * known], axis=-1)


def waves(position: np.ndarray) -> np.ndarray:
    """Return the cosines and sines of positions, [..., 16], at 8 wavelengths (Vaswani et al. 2017)."""
    half = WAVES // 2
    phase = position[..., None] * 10000.0 ** (-np.arange(half) / half)
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)


def gaussians(distance: np.ndarray) -> np.ndarray:
    """Return radial basis functions of distances in angstrom, [..., 16]: Gaussians with means from 0 to 20."""
    means, width = np.linspace(0.0, FARTHEST, GAUSSIANS), FARTHEST / GAUSSIANS
    return np.exp(-(((distance[..., None] - means) / width) ** 2))


def neighbour_edges(ca: np.ndarray, neighbours: int) -> np.ndarray:
    """Return edges from the nearest C-alphas, [L, 3], of every residue to it, [2, E] int64, by residue and neighbour.

    Residues without a position have none. Of neighbours at one distance, which only ideal geometry has, any is taken.
    """
    placed = np.flatnonzero(np.isfinite(ca).all(axis=1))
    if len(placed) < 2:
        return np.empty((2, 0), dtype=np.int64)
    found = cKDTree(ca[placed]).query(ca[placed], min(neighbours + 1, len(placed)))[1]
    target, found = np.repeat(np.arange(len(placed)), found.shape[1]), np.sort(found, axis=1).ravel()
    return placed[np.stack([found, target])[:, found != target]]


def gvp_graph(
    accession: str, sequence: str, y: np.ndarray, structure: np.ndarray | None, features: GvpFeatures
) -> Data:
    """Return the graph of one whole protein of L residues, each a node, of ``structure`` [L, 10] or None.

    x [L, S] and edge_attr [E, 32] are the scalars, vectors [L, 3, 3] and edge_vectors [E, 3, 1] the vectors (x, y, z
    first), edge_index [2, E] leads to the receiving residue, y is [1, K]. Nothing is truncated; a residue without
    coordinates has no edges and no vectors, and a pLDDT that is not known is 0.
    """
    unknown = np.full((len(sequence), 10), np.nan)
    rows = unknown if structure is None else np.asarray(structure, dtype=np.float64)
    backbone, ca, index = rows[:, :9].reshape(-1, 3, 3), rows[:, CA], np.arange(len(sequence))
    letters = np.frombuffer(sequence.encode("ascii"), np.uint8)[:, None]
    groups = [dihedrals(backbone), letters == np.frombuffer(STANDARD.encode(), np.uint8)]
    groups += [np.nan_to_num(rows[:, PLDDT, None]) / 100] if features.plddt else []
    groups += [waves(index)] if features.position else []
    edges = neighbour_edges(ca, features.neighbours)
    apart = ca[edges[0]] - ca[edges[1]]
    joined = [gaussians(np.linalg.norm(apart, axis=1)), waves(edges[0] - edges[1])]
    return Data(
        x=as_float(np.concatenate(groups, axis=1)),
        vectors=as_float(directions(backbone)),
        edge_index=torch.from_numpy(edges),
        edge_attr=as_float(np.concatenate(joined, axis=1)),
        edge_vectors=as_float(unit(apart)[..., None]),
        y=as_float(np.asarray(y))[None],
        accession=accession,
        has_coordinates=structure is not None,
    )


def as_float(values: np.ndarray) -> torch.Tensor:
    """Return the values as a float32 tensor of its own."""
    return torch.tensor(values, dtype=torch.float32)


@dataclass(eq=False)
class GvpDataset(Dataset):
    """GVP graphs of B proteins with ``labels`` [B, K], put together on access; ``embeddings`` add protein vectors.

    With ``kept``, accession -> graph, a graph is put together once and stays in memory: 140 bytes an edge.
    """

    accessions: Sequence[str]
    sequences: Sequence[str]
    labels: np.ndarray
    structures: ResidueStore  # of store_structures
    features: GvpFeatures
    embeddings: ResidueStore | None = None  # a row per residue that the language model reads
    kept: dict[str, Data] | None = None

    @property
    def lengths(self) -> list[int]:
        """Residues per protein, [B]: every one is a node."""
        return [len(s) for s in self.sequences]

    def __len__(self) -> int:
        return len(self.accessions)

    def __getitem__(self, i: int) -> Data:
        name = self.accessions[i]
        if self.kept is not None and name in self.kept:
            return self.kept[name]
        graph = self._graph(i, name)
        if self.kept is not None:
            self.kept[name] = graph
        return graph

    def _graph(self, i: int, name: str) -> Data:
        structure = self.structures.rows(name) if name in self.structures else None
        graph = gvp_graph(name, self.sequences[i], self.labels[i], structure, self.features)
        if self.embeddings is not None:
            graph.embedding = as_float(self.embeddings.rows(name).mean(axis=0, dtype=np.float32))[None]  # [1, D]
        return graph
