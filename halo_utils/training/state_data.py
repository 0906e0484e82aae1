"""Proteins for a head on frozen states, of whatever embedder."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.data.splits import label_matrix
from halo_utils.training.batching import ProteinData
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins
from halo_utils.training.state_store import StateStore


class StateData(ProteinData):
    """The proteins of a table as batches of stored states, [B, L, D] and their mask; L is 1 where means are stored."""

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        states: StateStore,
        *,
        residues_per_batch: int = 8192,
        seed: int = 7,
    ) -> None:
        super().__init__(table, locations, residues_per_batch, collate_proteins, seed, states.content)
        self.states = states

    def dataset(self, rows: np.ndarray) -> ProteinDataset:
        """Return the proteins at the given positions of the table."""
        chosen = self.table.iloc[rows]
        names, labels = list(chosen["accession"]), label_matrix(chosen, self.locations)
        return ProteinDataset(names, [range(len(self.states.rows(name))) for name in names], labels, self.states)
