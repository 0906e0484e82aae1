"""Packed batches of proteins under a budget of tokens or nodes, and the loaders built on them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from halo_utils.core.residue_store import ResidueStore
from halo_utils.models.esm_classifier import ProteinBatch


def ranks() -> tuple[int, int]:
    """Return the number of this process and how many train together; (0, 1) when it trains alone."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)


class BudgetBatchSampler(Sampler[list[int]]):
    """Groups proteins into batches of nearly the same number of tokens or nodes.

    Batches are packed, never padded, so proteins of any length may share one: a shuffled order is cut into a fixed
    number of pieces. Lightning asks for the number of batches once, and every epoch has the same. Where several
    processes train together each takes its share of the pieces; what they take in one step is what a single process
    with a budget as many times as large would take.

    Args:
        lengths: tokens or nodes per protein, [B].
        budget: tokens per batch and process; a batch holds at most this and one more protein.
        shuffle: draw a new order in every epoch; else from short to long.
        seed: seed of the shuffling; the order is a function of seed and epoch, so a resumed run repeats it.
        shared: let the processes that train together share the batches; else each takes all of them.
    """

    def __init__(
        self, lengths: Sequence[int], budget: int, shuffle: bool, seed: int = 0, *, shared: bool = False
    ) -> None:
        """Start with the first epoch."""
        self.lengths, self.budget, self.shared = np.asarray(lengths), budget, shared
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    @property
    def sampler(self) -> "BudgetBatchSampler":
        """Itself: Lightning looks here for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each one."""
        self.epoch = epoch

    def _ranks(self) -> tuple[int, int]:
        return ranks() if self.shared else (0, 1)

    @property
    def batches(self) -> list[list[int]]:
        """The batches of this process in this epoch, as positions."""
        if self.shuffle:
            order = np.random.default_rng([self.seed, 50, self.epoch]).permutation(len(self.lengths))
        else:
            order = np.argsort(self.lengths, kind="stable")
        rank, world = self._ranks()
        count = len(self) * world
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
        _, world = self._ranks()
        return max(1, min(-(-int(self.lengths.sum()) // (self.budget * world)), len(self.lengths) // world))


class SequenceDataset(Dataset):
    """Proteins as tokens, or as rows of the cached trunk, with their labels.

    Args:
        accessions: B proteins.
        tokens: one [T] tensor per protein.
        labels: [B, K] 0/1.
        trunk: store with T rows per protein (special tokens included), or None to pass tokens.
        composition: [B, 61] float32 of the whole proteins, or None for a model that does not read it.
    """

    def __init__(
        self,
        accessions: Sequence[str],
        tokens: Sequence[Tensor],
        labels: np.ndarray,
        trunk: ResidueStore | None = None,
        composition: np.ndarray | None = None,
    ) -> None:
        """Keep references; nothing is copied."""
        self.accessions, self.tokens, self.trunk = list(accessions), list(tokens), trunk
        self.composition = [None] * len(tokens) if composition is None else torch.from_numpy(composition)
        self.labels = torch.tensor(np.array(labels), dtype=torch.float32)

    @property
    def lengths(self) -> list[int]:
        """Tokens per protein, [B]."""
        return [len(t) for t in self.tokens]

    def __len__(self) -> int:
        """Number of proteins."""
        return len(self.accessions)

    def __getitem__(self, i: int) -> tuple[str, Tensor, Tensor, Tensor | None]:
        """Return accession, tokens [T] or trunk rows [T, D], labels [K], and composition [61] or None."""
        name = self.accessions[i]
        content = self.tokens[i] if self.trunk is None else torch.tensor(self.trunk.rows(name), dtype=torch.float32)
        return name, content, self.labels[i], self.composition[i]


def collate_proteins(items: Sequence[tuple[str, Tensor, Tensor, Tensor | None]]) -> ProteinBatch:
    """Lay proteins end to end."""
    accessions, content, labels, composition = zip(*items, strict=True)
    whole = None if composition[0] is None else torch.stack(composition)
    return ProteinBatch(list(accessions), [len(x) for x in content], torch.stack(labels), torch.cat(content), whole)


def make_loader(
    dataset: Any,
    budget: int,
    collate: Callable[[Sequence[Any]], Any],
    *,
    shuffle: bool = False,
    seed: int = 0,
) -> DataLoader:
    """Return a loader over a dataset that has ``lengths``, batched under ``budget`` tokens or nodes."""
    sampler = BudgetBatchSampler(dataset.lengths, budget, shuffle, seed)
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate)


def names_of(batch: Any) -> Iterator[str]:
    """Yield the accessions of a batch, whichever kind it is."""
    yield from getattr(batch, "accessions", None) or batch.accession


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes that train together, [sum of B, K]; the same rows when there is one.

    Args:
        rows: [B, K], with another B in every process.
    """
    _, world = ranks()
    if world == 1:
        return rows
    sizes = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(world)]
    torch.distributed.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    longest = max(int(n) for n in sizes)
    padded = torch.zeros(longest, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
    padded[: len(rows)] = rows
    parts = [torch.zeros_like(padded) for _ in range(world)]
    torch.distributed.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, sizes, strict=True)])


def share_of_step(proteins: int, device: torch.device) -> float:
    """Return this process's proteins over the mean of all processes: the weight of its loss in the common gradient."""
    _, world = ranks()
    if world == 1:
        return 1.0
    total = torch.tensor([float(proteins)], device=device)
    torch.distributed.all_reduce(total)
    return proteins * world / float(total)
