"""Batches of proteins under a budget of tokens or nodes, shared among the processes that train together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from torchmetrics.utilities.distributed import gather_all_tensors

from halo_utils.core.files import digest
from halo_utils.data.splits import fingerprint


def ranks() -> tuple[int, int]:
    """Return the number of this process and how many train together; (0, 1) when it trains alone."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)


class BudgetBatchSampler(Sampler[list[int]]):
    """Groups proteins of any length into batches of nearly the same number of tokens or nodes.

    An order, new in every epoch with ``shuffle``, else from short to long, is cut into a fixed number of pieces,
    because Lightning asks for it once; a batch holds at most ``budget`` and one more protein. It is a function of seed
    and epoch, so a resumed run repeats it. With ``shared``, what processes that train together take in one step is what
    one with a budget as many times as large would take. With ``steps`` an epoch is that many batches, and the next one
    goes on in the same pass over the proteins.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        budget: int,
        shuffle: bool,
        seed: int = 0,
        *,
        shared: bool = False,
        steps: int | None = None,
    ) -> None:
        self.lengths, self.budget, self.shared, self.steps = np.asarray(lengths), budget, shared, steps
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    @property
    def sampler(self) -> "BudgetBatchSampler":
        """Itself: Lightning looks here for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each one."""
        self.epoch = epoch

    @property
    def batches(self) -> list[list[int]]:
        """The batches of this process in this epoch, as positions."""
        if self.steps is None:
            return self._pass(self.epoch)
        per_pass, first = self._per_pass(), self.epoch * self.steps
        passes = range(first // per_pass, (first + self.steps - 1) // per_pass + 1)
        batches = [batch for number in passes for batch in self._pass(number)]
        return batches[first % per_pass :][: self.steps]

    def _pass(self, number: int) -> list[list[int]]:
        """Return the batches of one pass over all proteins."""
        if self.shuffle:
            order = np.random.default_rng([self.seed, 50, number]).permutation(len(self.lengths))
        else:
            order = np.argsort(self.lengths, kind="stable")
        rank, world = ranks() if self.shared else (0, 1)
        count = self._per_pass() * world
        middle = np.cumsum(self.lengths[order]) - self.lengths[order] / 2
        piece = (middle * count / self.lengths.sum()).astype(int)  # the piece that holds a protein's middle
        pieces = np.split(order, np.searchsorted(piece, np.arange(1, count)))
        if not all(len(part) for part in pieces):  # a protein longer than the budget can leave a piece empty
            pieces = np.array_split(order, count)
        # Neighbours of one length run together in attention, so every batch goes from short to long.
        return [part[np.argsort(self.lengths[part], kind="stable")].tolist() for part in pieces[rank::world]]

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of positions; a generator, because Lightning makes the iterator before it sets the epoch."""
        yield from self.batches

    def __len__(self) -> int:
        """Number of batches of every epoch, the same for every process."""
        return self.steps or self._per_pass()

    def _per_pass(self) -> int:
        """Return the batches of one pass over all proteins."""
        world = ranks()[1] if self.shared else 1
        return max(1, min(-(-int(self.lengths.sum()) // (self.budget * world)), len(self.lengths) // world))


@dataclass
class ProteinBatch:
    """B proteins for a sequence model; tokens may be the frozen trunk's states, composition is of whole proteins."""

    accessions: list[str]
    y: Tensor
    tokens: Tensor
    token_mask: Tensor
    composition: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a sequence model is called with."""
        return tuple(part for part in (self.tokens, self.token_mask, self.composition) if part is not None)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ProteinBatch":
        """Return the batch on another device; Lightning calls this."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: value.to(device, non_blocking=non_blocking) for name, value in tensors.items()})


class ProteinData(L.LightningDataModule):
    """The proteins of a table, with the K ``locations`` columns, in batches under a budget of tokens or nodes.

    ``collate`` makes a batch of items; ``parts`` is what else decides about batches, for the cache ``key``;
    ``training_key`` also holds what only a training sees.
    """

    steps: int | None = None  # between two validations; None: one pass over the training proteins

    def __init__(
        self, table: pd.DataFrame, locations: Sequence[str], budget: int, collate: Callable, seed: int, *parts: Any
    ) -> None:
        super().__init__()
        self.table, self.locations, self.budget, self.collate, self.seed = table, list(locations), budget, collate, seed
        self.key = self.training_key = digest(fingerprint(table), self.locations, *parts, budget)

    def dataset(self, rows: np.ndarray) -> Dataset:
        """Return the proteins at the given positions of the table, with their ``lengths``."""
        raise NotImplementedError

    def training_dataset(self, rows: np.ndarray) -> Dataset:
        """Return the proteins at the given positions as a model learns from them; the same, unless a class differs."""
        return self.dataset(rows)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the positions of the proteins in the named splits, [B]; without names, of all outside train."""
        return np.flatnonzero(self.table["split"].isin(splits) if splits else self.table["split"] != "train")

    def loader(
        self, rows: np.ndarray, *, shuffle: bool = False, shared: bool = False, steps: int | None = None
    ) -> DataLoader:
        """Return batches of the proteins at the given positions, see ``BudgetBatchSampler``; shuffled ones to learn."""
        dataset = self.training_dataset(rows) if shuffle else self.dataset(rows)
        sampler = BudgetBatchSampler(dataset.lengths, self.budget, shuffle, self.seed, shared=shared, steps=steps)
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=self.collate)

    def train_dataloader(self) -> DataLoader:
        """Return the training proteins in a new order every pass; with ``steps`` an epoch is so many batches."""
        return self.loader(self.rows("train"), shuffle=True, shared=True, steps=self.steps)

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


def logits_of(model: nn.Module, batch: Any) -> Tensor:
    """Return a model's logits for a batch, [B, K]: proteins are passed as tensors, graphs as PyG's batch."""
    return model(*batch.inputs) if isinstance(batch, ProteinBatch) else model(batch)


def names_of(batch: Any) -> list[str]:
    """Return the accessions of a batch, whichever kind it is."""
    return list(batch.accessions if isinstance(batch, ProteinBatch) else batch.accession)


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes that train together, [sum of B, K]; the same rows when there is one."""
    return rows if ranks()[1] == 1 else torch.cat(gather_all_tensors(rows))


def share_of_step(proteins: int, device: torch.device) -> float:
    """Return this process's proteins over the mean of all processes: the weight of its loss in the common gradient."""
    _, world = ranks()
    if world == 1:
        return 1.0
    total = torch.tensor([float(proteins)], device=device)
    torch.distributed.all_reduce(total)
    return proteins * world / float(total)
