"""Proteins for GwR without coordinates: structure letters on contacts or chain neighbours, beside the attention graph.

Whole structures of real proteins are few. Letters (3Di, SS8) are at hand for thousands, from two predictors, and say
much of the fold; this is the ground on which GwR's claims about structure can be tested at some scale.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import Batch, Data

from halo_utils.core.errors import SettingsError
from halo_utils.core.residue_store import ResidueStore
from halo_utils.structures.contact_maps import both_ways, lexicographic
from halo_utils.structures.edge_controls import sequence_edges
from halo_utils.structures.gvp_features import as_float
from halo_utils.structures.structure_letters import DI, SS8
from halo_utils.training.batching import ProteinData
from halo_utils.training.gwr_data import ALPHABETS, GwrDataset, language, replaced

REACH, TURN = 2, 4  # residues along the chain that are near in any fold; from one turn of a helix to the next
COLUMNS = dict(zip(("3Di", "SS8"), ALPHABETS, strict=True))
HELIX = len(DI) + SS8.index("H")


def fold_edges(letters: np.ndarray) -> np.ndarray:
    """Return what letters [L, 28] alone say of who is near whom, both ways, lexicographic, [2, E] int64.

    Residues at most ``REACH`` apart along the chain, and those one turn apart within a helix.
    """
    chain, helix = sequence_edges(len(letters), REACH), letters[:, HELIX] > 0
    runs = np.flatnonzero(np.convolve(helix, np.ones(TURN + 1, dtype=int), "valid") == TURN + 1)
    return lexicographic(np.concatenate([chain, both_ways(np.stack([runs, runs + TURN], axis=1))], axis=1))


class LetterData(ProteinData):
    """The proteins of a table as GwR's batches without coordinates; all must have states, attention edges and letters.

    Edges of the fold are the protein's ``contacts`` (of ``store_edges``) where it has them, else ``fold_edges``.
    ``alphabets`` are those that are read, the others' columns are 0. ``corrupted`` replaces that share of the letters.
    ``kept`` is that of ``GvpData``.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        states: ResidueStore,
        attention: ResidueStore,
        letters: ResidueStore,
        contacts: ResidueStore | None = None,
        *,
        alphabets: Sequence[str] = tuple(COLUMNS),
        corrupted: float = 0.0,
        reading: tuple[int, str] = (1024, "head"),
        nodes_per_batch: int = 2048,
        seed: int = 7,
        kept: dict[str, Data] | None = None,
    ) -> None:
        if unknown := [name for name in alphabets if name not in COLUMNS]:
            raise SettingsError(f"alphabet {unknown[0]!r}: use {' or '.join(COLUMNS)}")
        stores = (states, attention, letters, contacts)
        parts = [[store and store.content for store in stores], list(alphabets), corrupted, reading]
        super().__init__(table, locations, nodes_per_batch, Batch.from_data_list, seed, "letters alone", *parts)
        self.states, self.attention, self.letters, self.contacts = stores
        self.unread = [columns for name, columns in COLUMNS.items() if name not in alphabets]
        self.corrupted, self.reading = corrupted, reading
        self.kept = kept

    def dataset(self, rows: np.ndarray) -> GwrDataset:
        """Return the graphs of the proteins at the given positions of the table."""
        return GwrDataset(self, rows)

    def graph(self, name: str, sequence: str, y: np.ndarray) -> Data:
        """Return a protein's graphs: letters [L, 28], edge_index [2, E], states [L, D], attention_index [2, E']."""
        letters, length = np.array(self.letters.rows(name)), len(sequence)
        if self.contacts is not None and name in self.contacts:
            edges = np.array(self.contacts.rows(name)).T.astype(np.int64)
        else:
            edges = fold_edges(letters)
        if self.corrupted:
            letters = replaced(letters, self.corrupted, np.random.default_rng([self.seed, *name.encode()]))
        for columns in self.unread:
            letters[:, columns] = 0
        states, attention = language(self, name, length)
        graph = Data(edge_index=torch.from_numpy(edges), y=as_float(y)[None], num_nodes=length, accession=name)
        graph.letters, graph.states, graph.attention_index = as_float(letters), states, attention
        return graph
