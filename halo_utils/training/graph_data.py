"""Proteins as residue graphs for a graph network."""

from collections.abc import Sequence

import lightning as L
import pandas as pd
from torch.utils.data import DataLoader
from torch_geometric.data import Batch

from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.splits import fingerprint, label_matrix
from halo_utils.structures.residue_graph import GraphDataset, group_widths
from halo_utils.training.batching import make_loader


class GraphData(L.LightningDataModule):
    """The proteins of a table as batches of residue graphs; a protein without structure has nodes and no edges.

    Args:
        table: dataset table with accession, sequence, split and the location columns.
        locations: the K location columns.
        embeddings: residue store of the language model, one row per residue read.
        structures: store of the whole proteins that have a structure.
        edges: their edges, from ``edges.store_edges``.
        max_tokens: tokens of the language model; graphs have the residues it reads.
        truncation: ``head`` or ``head_tail``, as for the embeddings.
        nodes_per_batch: residues per batch and process.
        seed: seed of the order.

    Attributes:
        widths: channels of the three groups of node features.
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
        super().__init__()
        self.table, self.locations, self.seed = table, list(locations), seed
        self.stores, self.truncation = (embeddings, structures, edges), (max_tokens, truncation)
        self.nodes_per_batch, self.widths = nodes_per_batch, group_widths(embeddings.width)
        contents = [store.content for store in self.stores]
        self.key = digest(fingerprint(table), self.locations, contents, self.truncation, nodes_per_batch)

    def dataset(self, *splits: str) -> GraphDataset:
        """Return the graphs of the named splits; of everything outside train without names."""
        chosen = self.table[self.table["split"].isin(splits) if splits else self.table["split"] != "train"]
        names, sequences = list(chosen["accession"]), list(chosen["sequence"])
        return GraphDataset(names, sequences, label_matrix(chosen, self.locations), *self.stores, *self.truncation)

    def loader(self, *splits: str, shuffle: bool = False, shared: bool = False) -> DataLoader:
        """Return batches of the graphs of the named splits."""
        options = {"shuffle": shuffle, "seed": self.seed, "shared": shared}
        return make_loader(self.dataset(*splits), self.nodes_per_batch, Batch.from_data_list, **options)

    def train_dataloader(self) -> DataLoader:
        """Return the training graphs in a new order every epoch."""
        return self.loader("train", shuffle=True, shared=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation graphs from small to large."""
        return self.loader("val", shared=True)

    def predict_dataloader(self) -> DataLoader:
        """Return every graph outside train from small to large."""
        return self.loader()

    @property
    def predicted(self) -> pd.DataFrame:
        """The proteins of ``predict_dataloader`` in table order: accession, split, has_structure."""
        chosen = self.table.loc[self.table["split"] != "train", ["accession", "split"]]
        return chosen.assign(has_structure=chosen["accession"].isin(self.stores[1].accessions))
