"""What both data modules share: which proteins of a table are read when, in which order, and in what batches."""

from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader, Dataset

from halo_utils.core.files import digest
from halo_utils.data.splits import fingerprint
from halo_utils.training.batching import BudgetBatchSampler


class ProteinData(L.LightningDataModule):
    """The proteins of a table, with the K ``locations`` columns, in batches under a budget of tokens or nodes.

    ``collate`` makes a batch of items; ``parts`` is what else decides about batches, for the key of what is trained on
    them.
    """

    def __init__(
        self, table: pd.DataFrame, locations: Sequence[str], budget: int, collate: Callable, seed: int, *parts: Any
    ) -> None:
        super().__init__()
        self.table, self.locations, self.budget = table, list(locations), budget
        self.collate, self.seed = collate, seed
        self.key = digest(fingerprint(table), self.locations, *parts, budget)

    def dataset(self, rows: np.ndarray) -> Dataset:
        """Return the proteins at the given positions of the table, with their ``lengths``."""
        raise NotImplementedError

    def rows(self, *splits: str) -> np.ndarray:
        """Return the positions of the proteins in the named splits, [B]; without names, of all outside train."""
        return np.flatnonzero(self.table["split"].isin(splits) if splits else self.table["split"] != "train")

    def loader(self, rows: np.ndarray, *, shuffle: bool = False, shared: bool = False) -> DataLoader:
        dataset = self.dataset(rows)
        sampler = BudgetBatchSampler(dataset.lengths, self.budget, shuffle, self.seed, shared=shared)
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=self.collate)

    def train_dataloader(self) -> DataLoader:
        """Return the training proteins in a new order every epoch."""
        return self.loader(self.rows("train"), shuffle=True, shared=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation proteins from short to long."""
        return self.loader(self.rows("val"), shared=True)

    def predict_dataloader(self) -> DataLoader:
        """Return every protein outside train from short to long."""
        return self.loader(self.rows())

    @property
    def predicted(self) -> pd.DataFrame:
        """The proteins of ``predict_dataloader`` in table order: accession and split."""
        return self.table.iloc[self.rows()][["accession", "split"]]
