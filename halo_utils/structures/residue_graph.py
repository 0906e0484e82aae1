"""Residue graphs: C-alpha nodes, edges under a distance, node features in three or four groups (Fig. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from torch_geometric.data import Data

from halo_utils.core.residue_store import ResidueStore
from halo_utils.embeddings.biochemistry import PROPERTIES, biochemistry
from halo_utils.embeddings.truncation import SPECIAL_TOKENS, seen_residues, truncate
from halo_utils.structures.edges import edges_between
from halo_utils.structures.reader import CA


def node_features(
    ca: np.ndarray, embedding: np.ndarray, sequence: str, letters: np.ndarray | None = None
) -> np.ndarray:
    """Return node features, [N, 3 + D + 4] float32, of C-alphas [N, 3] (NaN: unknown), embedding [N, D], N residues.

    With structure ``letters``, [N, 28], they are a fourth group, [N, 3 + D + 4 + 28].
    """
    # Relative to their mean, as AlphaFold places every model in a frame of its own; zero where there is no position.
    centred = np.nan_to_num(ca - np.nanmean(ca, axis=0)) if np.isfinite(ca).any() else np.zeros_like(ca)
    groups = [centred, embedding, biochemistry(sequence), *([] if letters is None else [letters])]
    return np.concatenate(groups, axis=1, dtype=np.float32)


def group_widths(embedding_width: int, letters_width: int = 0) -> tuple[int, ...]:
    """Return the widths of the feature groups: coordinates, embedding, biochemistry, and structure letters if any."""
    return 3, embedding_width, len(PROPERTIES), *([letters_width] if letters_width else [])


def residue_graph(
    accession: str,
    sequence: str,
    y: np.ndarray,
    embedding: np.ndarray,
    ca: np.ndarray | None = None,
    edges: np.ndarray | None = None,
    letters: np.ndarray | None = None,
    *,
    max_tokens: int = 1024,
    truncation: str = "head",
) -> Data:
    """Return the graph of one protein, whose nodes are the N residues that the language model reads.

    ``sequence``, ``ca`` ([L, 3] in angstrom, NaN where unknown), ``edges`` ([2, E], of ``radius_edges`` or a contact
    map) and structure ``letters`` ([L, 28], if the network reads any) are of the whole protein, ``y`` is [K],
    ``embedding`` [N, D]; x is [N, 3 + D + 4 (+ 28)] float32, edge_index [2, E'] int64, y [1, K]. Without coordinates
    they are zero; without edges known there are none (section 2.2): ``has_coordinates`` and ``has_graph``.
    """
    nodes, read = seen_residues(len(sequence), max_tokens, truncation), truncate(sequence, max_tokens, truncation)
    positions = np.full((len(nodes), 3), np.nan, dtype=np.float32) if ca is None else ca[nodes]
    joined = np.empty((2, 0), dtype=np.int64) if edges is None else edges_between(edges, nodes, len(sequence))
    states = None if letters is None else letters[nodes]
    return Data(
        x=torch.from_numpy(node_features(positions, np.asarray(embedding, dtype=np.float32), read, states)),
        edge_index=torch.from_numpy(joined),
        y=torch.tensor(np.array(y), dtype=torch.float32)[None],
        accession=accession,
        has_graph=edges is not None,
        has_coordinates=ca is not None,
    )


@dataclass(eq=False)
class GraphDataset(Dataset):
    """Graphs of B proteins with ``labels`` [B, K], put together on access; nothing is parsed or searched here."""

    accessions: Sequence[str]
    sequences: Sequence[str]
    labels: np.ndarray
    embeddings: ResidueStore  # one row per residue read
    structures: ResidueStore  # of store_structures
    edges: ResidueStore  # of store_edges, or a control of it
    max_tokens: int = 1024
    truncation: str = "head"
    letters: ResidueStore | None = None  # of store_letters; zeros where a protein has none

    @property
    def lengths(self) -> list[int]:
        """Nodes per protein, [B]."""
        return [min(len(s), self.max_tokens - SPECIAL_TOKENS) for s in self.sequences]

    def __len__(self) -> int:
        return len(self.accessions)

    def __getitem__(self, i: int) -> Data:
        name, sequence, letters = self.accessions[i], self.sequences[i], None
        ca = self.structures.rows(name)[:, CA] if name in self.structures else None
        edges = self.edges.rows(name).T if name in self.edges else None
        if self.letters is not None:
            known = name in self.letters
            letters = self.letters.rows(name) if known else np.zeros((len(sequence), self.letters.width), np.uint8)
        protein = (name, sequence, self.labels[i], self.embeddings.rows(name))
        return residue_graph(*protein, ca, edges, letters, max_tokens=self.max_tokens, truncation=self.truncation)
