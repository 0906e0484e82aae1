"""Residue graphs: C-alpha nodes, edges under a distance, node features in three blocks (Fig. 3)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset
from torch_geometric.data import Data

from halo_utils.core.residue_store import ResidueStore
from halo_utils.embeddings.biochemistry import PROPERTIES, biochemistry
from halo_utils.embeddings.truncation import truncate
from halo_utils.structures.edges import COORDINATES, EDGE_TYPE, radius_edges


def centred(ca: np.ndarray) -> np.ndarray:
    """Return positions relative to their mean, [L, 3], zero where a residue has no position.

    AlphaFold places every model in a frame of its own; without centring the node features would carry it.
    """
    if not np.isfinite(ca).any():
        return np.zeros_like(ca)
    return np.nan_to_num(ca - np.nanmean(ca, axis=0))


def node_features(ca: np.ndarray, embedding: np.ndarray, sequence: str) -> np.ndarray:
    """Return unweighted node features, [L, 3 + D + 4] float32: coordinates, embedding, biochemistry.

    Args:
        ca: [L, 3] in angstrom, NaN where unknown.
        embedding: [L, D] residue embeddings.
        sequence: L residues.
    """
    return np.concatenate([centred(ca), embedding, biochemistry(sequence)], axis=1).astype(np.float32)


def build_graph(
    accession: str,
    sequence: str,
    y: np.ndarray,
    embedding: np.ndarray,
    ca: np.ndarray | None,
    edges: np.ndarray | None = None,
    cutoff_angstrom: float = 10.0,
) -> Data:
    """Build the graph of one protein.

    A protein without structure keeps the same feature width, with zero coordinates and no edges (section 2.2).

    Args:
        accession: its name.
        sequence: the L residues the model reads.
        y: [K] 0/1 labels.
        embedding: [L, D].
        ca: [L, 3] in angstrom, or None without structure.
        edges: [2, E] from an earlier call of ``radius_edges``, or None to search them here.
        cutoff_angstrom: distance for that search.

    Returns:
        Data with x [L, 3 + D + 4] float32, edge_index [2, E] int64, y [1, K] float32, accession, has_structure.
    """
    positions = np.full((len(sequence), COORDINATES), np.nan, dtype=np.float32) if ca is None else ca
    found = radius_edges(positions, cutoff_angstrom) if edges is None else edges
    return Data(
        x=torch.from_numpy(node_features(positions, np.asarray(embedding, dtype=np.float32), sequence)),
        edge_index=torch.from_numpy(np.asarray(found, dtype=np.int64)),
        y=torch.tensor(np.array(y), dtype=torch.float32)[None],
        accession=accession,
        has_structure=ca is not None,
    )


def group_widths(embedding_width: int) -> tuple[int, int, int]:
    """Return the widths of the three feature blocks: coordinates, embedding, biochemistry."""
    return COORDINATES, embedding_width, len(PROPERTIES)


class GraphDataset(Dataset):
    """Graphs of many proteins, put together on access from memory-mapped stores; nothing is parsed or searched here.

    Args:
        accessions: B proteins.
        sequences: the residues the model reads, one string per protein.
        labels: [B, K] 0/1.
        embeddings: residue store of the language model.
        structures: store of [L, 4] rows of the proteins that have a structure.
        edges: their edges, from ``store_edges``.
    """

    def __init__(
        self,
        accessions: Sequence[str],
        sequences: Sequence[str],
        labels: np.ndarray,
        embeddings: ResidueStore,
        structures: ResidueStore,
        edges: ResidueStore,
        max_tokens: int = 1024,
        truncation: str = "head",
    ) -> None:
        self.accessions, self.sequences = list(accessions), [truncate(s, max_tokens, truncation) for s in sequences]
        self.labels, self.embeddings = np.asarray(labels), embeddings
        self.structures, self.edges = structures, edges
        self._no_edges = np.empty((2, 0), dtype=EDGE_TYPE)

    @property
    def lengths(self) -> list[int]:
        """Nodes per protein, [B]."""
        return [len(s) for s in self.sequences]

    def __len__(self) -> int:
        """Number of proteins."""
        return len(self.accessions)

    def __getitem__(self, i: int) -> Data:
        """Return the graph of protein ``i``."""
        name = self.accessions[i]
        ca, edges = None, self._no_edges
        if name in self.structures:
            ca, edges = self.structures.rows(name)[:, :COORDINATES], self.edges.rows(name).T
        return build_graph(name, self.sequences[i], self.labels[i], self.embeddings.rows(name), ca, edges)
