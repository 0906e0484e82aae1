"""Proteins for a head on frozen states, of whatever embedder."""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd

from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.splits import label_matrix
from halo_utils.training.batching import ProteinData
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins
from halo_utils.training.state_store import StateStore

READS: dict[str, Callable[[StateStore, str], np.ndarray]] = {
    "residues": lambda states, accession: states.rows(accession),  # a residue store has these, too
    "mean": lambda states, accession: states.summary(accession)[:1],
    "ends": lambda states, accession: states.summary(accession),
}


class StateData(ProteinData):
    """The proteins of a table as batches of stored states, [B, L, D] and their mask.

    A head ``reads`` all residues, the mean (L is 1) or ``three_means`` (L is 3); of a pooled store L is 1 for residues.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        states: StateStore | ResidueStore,
        *,
        residues_per_batch: int = 8192,
        seed: int = 7,
        reads: str = "residues",
    ) -> None:
        super().__init__(table, locations, residues_per_batch, collate_proteins, seed, states.content, reads)
        self.states = SimpleNamespace(rows=partial(READS[reads], states))  # read as a store is

    def dataset(self, rows: np.ndarray) -> ProteinDataset:
        """Return the proteins at the given positions of the table."""
        chosen = self.table.iloc[rows]
        names, labels = list(chosen["accession"]), label_matrix(chosen, self.locations)
        return ProteinDataset(names, [range(len(self.states.rows(name))) for name in names], labels, self.states)
