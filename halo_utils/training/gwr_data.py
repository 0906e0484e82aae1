"""Proteins for GwR: the fold's graph, the attention graph, the language model's states and structure letters."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset
from torch_geometric.data import Batch, Data
from transformers import EsmModel

from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.splits import label_matrix
from halo_utils.embeddings.attention_graph import attention_maps
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.structures.coordinate_letters import coordinate_letters, moved
from halo_utils.structures.gvp_features import DIHEDRALS, GvpFeatures, as_float, gvp_graph, unit
from halo_utils.structures.reader import PLDDT
from halo_utils.structures.structure_letters import DI, SS8
from halo_utils.training.batching import ProteinData
from halo_utils.training.fit import weights_digest

CONFIDENCES = 16  # Gaussians of pLDDT / 100, as wide as they are apart
SCALARS = DIHEDRALS + len(DI) + len(SS8) + CONFIDENCES
ALPHABETS = slice(0, len(DI)), slice(len(DI), len(DI) + len(SS8))


def confidence(plddt: np.ndarray) -> np.ndarray:
    """Return radial basis functions of pLDDT [L] in 0..100, [L, 16]; of what is not known, those of 0."""
    means = np.linspace(0.0, 1.0, CONFIDENCES)
    return np.exp(-(((np.nan_to_num(plddt)[:, None] / 100 - means) * CONFIDENCES) ** 2))


def frames(backbone: np.ndarray) -> np.ndarray:
    """Return the axes of every residue's N, CA, C, [L, 3 (x, y, z), 3 (axes)]: along CA-C, in the plane, across it."""
    n, ca, c = backbone[:, 0], backbone[:, 1], backbone[:, 2]
    first = unit(c - ca)
    second = unit((n - ca) - (first * (n - ca)).sum(axis=1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def replaced(letters: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return letters [L, 28] in which a share of the residues has others, drawn evenly, in both alphabets."""
    changed, other = rng.random(len(letters)) < share, letters.copy()
    for part in ALPHABETS:
        width = part.stop - part.start
        other[changed, part] = np.eye(width, dtype=letters.dtype)[rng.integers(width, size=int(changed.sum()))]
    return other


def store_attention(
    path: Path,
    esm2: EsmModel,
    table: pd.DataFrame,
    rule: Callable[[np.ndarray], np.ndarray],
    name: str,
    reading: tuple[int, str] = (1024, "head"),
) -> ResidueStore:
    """Return the store of attention edges, [E', 2] uint16 between residues that are read, made once.

    ``rule`` makes edges [2, E'] of an attention map [L, L] (``embeddings.attention_graph``), and ``name`` says which.
    """
    names, sequences = list(table["accession"]), list(table["sequence"])
    key = digest("attention", weights_digest(esm2), names, sequences, name, reading)

    def make() -> ResidueStore:
        maps = attention_maps(esm2, sequences, max_tokens=reading[0], truncation=reading[1])
        edges = [rule(attention).T for attention in maps]
        return write_store(path, key, names, [len(e) for e in edges], 2, enumerate(edges), "uint16")

    return store_of(path, key, make)


def language(data: "GwrData", name: str, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a protein's states, [L, D], 0 where the model does not read, and its attention edges, [2, E']."""
    read = seen_residues(length, *data.reading)
    states = np.zeros((length, data.states.width), dtype=np.float32)
    states[read] = data.states.rows(name)
    return as_float(states), torch.from_numpy(read[np.array(data.attention.rows(name)).T.astype(np.int64)])


class GwrDataset(Dataset):
    """The graphs of B proteins at the rows of a ``GwrData``'s table, put together on access."""

    def __init__(self, data: "GwrData", rows: np.ndarray) -> None:
        chosen = data.table.iloc[rows]
        self.data, self.names, self.sequences = data, list(chosen["accession"]), list(chosen["sequence"])
        self.labels = label_matrix(chosen, data.locations)

    @property
    def lengths(self) -> list[int]:
        """Residues per protein, [B]."""
        return [len(s) for s in self.sequences]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> Data:
        name, data = self.names[i], self.data
        if data.kept is not None and name in data.kept:
            return data.kept[name]
        graph = data.graph(name, self.sequences[i], self.labels[i])
        if data.kept is not None:
            data.kept[name] = graph
        return graph


class GwrData(ProteinData):
    """The proteins of a table as GwR's batches; all must have a structure, states and attention edges.

    Node scalars are dihedrals, letters and confidence (not the residue's own letter, which the language model reads),
    node vectors and edges those of ``gvp_graph``. ``letters`` are of ``store_letters``; None computes them from the
    coordinates. ``corrupted`` replaces that share of the letters, ``noise`` moves atoms by a normal deviate of so many
    angstrom before letters are computed: both for tests. ``kept`` is that of ``GvpData``.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        structures: ResidueStore,
        states: ResidueStore,
        attention: ResidueStore,
        letters: ResidueStore | None = None,
        *,
        neighbours: int = 10,
        corrupted: float = 0.0,
        noise: float = 0.0,
        reading: tuple[int, str] = (1024, "head"),
        nodes_per_batch: int = 2048,
        seed: int = 7,
        kept: dict[str, Data] | None = None,
    ) -> None:
        stores = (structures, states, attention, letters)
        parts = [[store and store.content for store in stores], neighbours, corrupted, noise, reading]
        super().__init__(table, locations, nodes_per_batch, Batch.from_data_list, seed, *parts)
        self.structures, self.states, self.attention, self.letters = stores
        self.neighbours, self.corrupted, self.noise, self.reading = neighbours, corrupted, noise, reading
        self.kept = kept

    def dataset(self, rows: np.ndarray) -> GwrDataset:
        """Return the graphs of the proteins at the given positions of the table."""
        return GwrDataset(self, rows)

    def graph(self, name: str, sequence: str, y: np.ndarray) -> Data:
        """Return a protein's graphs: x [L, 53], states [L, D] (0 where not read), letters [L, 28], frame [L, 3, 3]."""
        structure = moved(name, self.structures.rows(name), self.noise, self.seed)
        features = GvpFeatures(self.neighbours, plddt=False, position=False)
        graph = gvp_graph(name, sequence, y, structure, features)
        letters = coordinate_letters(name, structure) if self.letters is None else np.array(self.letters.rows(name))
        rng = np.random.default_rng([self.seed, *name.encode()])
        letters = replaced(letters, self.corrupted, rng) if self.corrupted else letters
        groups = [graph.x[:, :DIHEDRALS].numpy(), letters, confidence(structure[:, PLDDT])]
        graph.x, graph.letters = as_float(np.concatenate(groups, axis=1)), as_float(letters)
        graph.frame = as_float(frames(structure[:, :9].reshape(-1, 3, 3)))
        graph.states, graph.attention_index = language(self, name, len(sequence))
        return graph
