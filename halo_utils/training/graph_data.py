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
    """The proteins of a table as batches of residue graphs; a protein without a graph has nodes and no edges.

    ``embeddings`` has a row per residue that the language model reads, ``structures`` whole proteins, ``edges`` what
    ``store_edges`` or ``control_edges`` returns, ``strings`` what ``store_letters`` returns (a fourth group of
    features); ``widths`` are channels of the groups. With ``only_graphs`` proteins without edges are left out of every
    split; ``steps`` are optimiser steps between two validations (None: one pass over the training proteins).
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
        steps: int | None = None,
        only_graphs: bool = False,
        strings: ResidueStore | None = None,
    ) -> None:
        self.stores, self.reading, self.strings = (embeddings, structures, edges), (max_tokens, truncation), strings
        parts = [[store.content for store in self.stores], self.reading, steps, only_graphs]
        parts += [] if strings is None else [strings.content]
        super().__init__(table, locations, nodes_per_batch, Batch.from_data_list, seed, *parts)
        self.steps, self.only_graphs = steps, only_graphs
        self.widths = group_widths(embeddings.width, 0 if strings is None else strings.width)

    def dataset(self, rows: np.ndarray) -> GraphDataset:
        """Return the graphs of the proteins at the given positions of the table."""
        chosen = self.table.iloc[rows]
        proteins = (list(chosen["accession"]), list(chosen["sequence"]), label_matrix(chosen, self.locations))
        return GraphDataset(*proteins, *self.stores, *self.reading, self.strings)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the positions of the proteins in the named splits, [B], with ``only_graphs`` of those with edges."""
        rows = super().rows(*splits)
        return rows[self._known(self.stores[2])[rows]] if self.only_graphs else rows

    def _known(self, store: ResidueStore) -> np.ndarray:
        return self.table["accession"].isin(store.accessions).to_numpy()

    @property
    def predicted(self) -> pd.DataFrame:
        """The proteins of ``predict_dataloader`` in table order: accession, split, has_graph, has_coordinates."""
        chosen, rows = super().predicted, self.rows()
        _, structures, edges = (self._known(store)[rows] for store in self.stores)
        return chosen.assign(has_graph=edges, has_coordinates=structures)
