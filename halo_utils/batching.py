"""Batches of proteins of similar length under a budget of tokens or nodes, and the loaders built on them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from halo_utils.classifiers import ProteinBatch
from halo_utils.residues import ResidueStore

PAD_TOKEN = 1
BUCKETS = 8  # lengths are noised by 1/8 before sorting, so batches differ between epochs and stay tight


class BudgetBatchSampler(Sampler[list[int]]):
    """Groups proteins so that batch size x longest member stays under a budget.

    Args:
        lengths: tokens or nodes per protein, [B].
        budget: most padded tokens per batch; a longer protein is a batch of its own.
        shuffle: noise the order by length and shuffle the batches, anew in every epoch.
        seed: seed of the shuffling; the order is a function of seed and epoch, so a resumed run repeats it.
    """

    def __init__(self, lengths: Sequence[int], budget: int, shuffle: bool, seed: int = 0) -> None:
        """Plan the first epoch."""
        self.lengths, self.budget = np.asarray(lengths), budget
        self.shuffle, self.seed = shuffle, seed
        self.count = 0
        self.set_epoch(0)

    @property
    def sampler(self) -> "BudgetBatchSampler":
        """Itself: Lightning looks here for ``set_epoch``."""
        return self

    def _group(self, rng: np.random.Generator) -> list[list[int]]:
        """Return batches of similar length within the budget, shortest first."""
        keys = self.lengths.astype(float)
        if self.shuffle:
            keys = keys * rng.uniform(1 - 1 / BUCKETS, 1 + 1 / BUCKETS, len(keys))
        batches: list[list[int]] = [[]]
        longest = 0
        for i in np.argsort(keys, kind="stable").tolist():
            longest = max(longest, int(self.lengths[i]))
            if batches[-1] and longest * (len(batches[-1]) + 1) > self.budget:
                batches.append([])
                longest = int(self.lengths[i])
            batches[-1].append(i)
        return [batch for batch in batches if batch]

    def set_epoch(self, epoch: int) -> None:
        """Plan the batches of an epoch; Lightning calls this before each one.

        Lightning asks for the number of batches once, so every epoch must have the same: the first plan plus a
        reserve of a twentieth, reached by halving the largest batches.
        """
        rng = np.random.default_rng([self.seed, epoch])
        batches = self._group(rng)
        if self.shuffle:
            self.count = self.count or min(len(self.lengths), len(batches) + len(batches) // 20 + 1)
            while len(batches) < self.count:
                largest = batches.pop(max(range(len(batches)), key=lambda i: len(batches[i])))
                batches += [largest[::2], largest[1::2]]
            while len(batches) > self.count:  # more than the reserve: the two shortest share a batch
                batches = [batches[0] + batches[1], *batches[2:]]
            batches = [batches[i] for i in rng.permutation(len(batches))]
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of positions; a generator, because Lightning makes the iterator before it sets the epoch."""
        yield from self.batches

    def __len__(self) -> int:
        """Number of batches of the current epoch."""
        return len(self.batches)

    def padding_efficiency(self) -> float:
        """Return real tokens over padded tokens, 1.0 where nothing is padded."""
        padded = sum(len(b) * self.lengths[b].max() for b in self.batches)
        return float(self.lengths.sum() / padded)


class SequenceDataset(Dataset):
    """Proteins as tokens, or as rows of the cached trunk, with their labels.

    Args:
        accessions: B proteins.
        tokens: one [T] tensor per protein.
        labels: [B, K] 0/1.
        trunk: store with T rows per protein (special tokens included), or None to pass tokens.
    """

    def __init__(
        self,
        accessions: Sequence[str],
        tokens: Sequence[Tensor],
        labels: np.ndarray,
        trunk: ResidueStore | None = None,
    ) -> None:
        """Keep references; nothing is copied."""
        self.accessions, self.tokens, self.trunk = list(accessions), list(tokens), trunk
        self.labels = torch.tensor(np.array(labels), dtype=torch.float32)

    @property
    def lengths(self) -> list[int]:
        """Tokens per protein, [B]."""
        return [len(t) for t in self.tokens]

    def __len__(self) -> int:
        """Number of proteins."""
        return len(self.accessions)

    def __getitem__(self, i: int) -> tuple[str, Tensor, Tensor, Tensor | None]:
        """Return accession, tokens [T], labels [K] and trunk rows [T, D] or None."""
        rows = None if self.trunk is None else torch.tensor(self.trunk.rows(self.accessions[i]), dtype=torch.float32)
        return self.accessions[i], self.tokens[i], self.labels[i], rows


def collate_proteins(items: Sequence[tuple[str, Tensor, Tensor, Tensor | None]]) -> ProteinBatch:
    """Pad a list of proteins to the longest of them."""
    accessions, tokens, labels, rows = zip(*items, strict=True)
    size = torch.tensor([len(t) for t in tokens])
    position = torch.arange(int(size.max()))[None]
    attention_mask = (position < size[:, None]).long()
    residue_mask = (position > 0) & (position < size[:, None] - 1)
    batch = ProteinBatch(list(accessions), attention_mask, residue_mask, torch.stack(labels))
    if rows[0] is None:
        batch.input_ids = pad_sequence(list(tokens), batch_first=True, padding_value=PAD_TOKEN)
    else:
        batch.hidden = pad_sequence(list(rows), batch_first=True)
    return batch


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
