"""Proteins as residue graphs for a graph network."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch_geometric.data import Batch

from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.splits import label_matrix
from halo_utils.structures.residue_graph import GraphDataset, group_widths
from halo_utils.training.batching import ProteinData


class GraphData(ProteinData):
    """The proteins of a table as batches of residue graphs; a protein without structure has nodes and no edges.

    ``embeddings`` has a row per residue that the language model reads, ``structures`` whole proteins, ``edges`` what
    ``store_edges`` returns; ``widths`` are channels of the three groups of features.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        embeddings: ResidueStore,
        structures: ResidueStore,
        edges: ResidueStore,
        *,
        max_tokens: int = 1024,
        truncation: str = "head",
        nodes_per_batch: int = 8192,
        seed: int = 7,
    ) -> None:
        stores, self.reading = (embeddings, structures, edges), (max_tokens, truncation)
        parts = [[store.content for store in stores], self.reading]
        super().__init__(table, locations, nodes_per_batch, Batch.from_data_list, seed, *parts)
        self.stores, self.widths = stores, group_widths(embeddings.width)

    def dataset(self, rows: np.ndarray) -> GraphDataset:
        """Return the graphs of the proteins at the given positions of the table."""
        chosen = self.table.iloc[rows]
        names, sequences = list(chosen["accession"]), list(chosen["sequence"])
        return GraphDataset(names, sequences, label_matrix(chosen, self.locations), *self.stores, *self.reading)

    @property
    def predicted(self) -> pd.DataFrame:
        """The proteins of ``predict_dataloader`` in table order: accession, split, has_structure."""
        chosen = super().predicted
        return chosen.assign(has_structure=chosen["accession"].isin(self.stores[1].accessions))
