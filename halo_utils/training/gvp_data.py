"""Proteins with their backbones for a GVP network, and for the models that are compared and joined with it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch_geometric.data import Batch, Data

from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.splits import label_matrix
from halo_utils.structures.gvp_features import EDGE_SCALARS, VECTORS, GvpDataset, GvpFeatures
from halo_utils.training.batching import ProteinData


class GvpData(ProteinData):
    """The proteins of a table as batches of GVP graphs, every one whole: none is dropped or cut for its length.

    ``structures`` are of ``store_structures``; ``embeddings``, a row per residue that the language model reads, add the
    mean vector of every protein. A protein without a structure has nodes and no edges, with ``only_graphs`` it is left
    out of every split. ``kept``, accession -> graph, puts every graph together once; folds of one table may share it.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        structures: ResidueStore,
        features: GvpFeatures | None = None,
        embeddings: ResidueStore | None = None,
        *,
        nodes_per_batch: int = 2048,
        seed: int = 7,
        only_graphs: bool = False,
        kept: dict[str, Data] | None = None,
    ) -> None:
        self.structures, self.features, self.embeddings = structures, features or GvpFeatures(), embeddings
        parts = [structures.content, repr(self.features), only_graphs, embeddings and embeddings.content]
        super().__init__(table, locations, nodes_per_batch, Batch.from_data_list, seed, *parts)
        self.kept, self.only_graphs = kept, only_graphs
        self.widths = (self.features.scalars, VECTORS), (EDGE_SCALARS, 1)

    def dataset(self, rows: np.ndarray) -> GvpDataset:
        """Return the graphs of the proteins at the given positions of the table."""
        chosen = self.table.iloc[rows]
        proteins = (list(chosen["accession"]), list(chosen["sequence"]), label_matrix(chosen, self.locations))
        return GvpDataset(*proteins, self.structures, self.features, self.embeddings, self.kept)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the positions of the proteins in the named splits, [B], with ``only_graphs`` of those with one."""
        rows = super().rows(*splits)
        return rows[self._known[rows]] if self.only_graphs else rows

    @property
    def _known(self) -> np.ndarray:
        return self.table["accession"].isin(self.structures.accessions).to_numpy()

    @property
    def predicted(self) -> pd.DataFrame:
        """The proteins of ``predict_dataloader`` in table order: accession, split, has_coordinates."""
        return super().predicted.assign(has_coordinates=self._known[self.rows()])
