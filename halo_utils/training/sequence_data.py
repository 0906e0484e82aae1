"""Proteins for a sequence model: tokens, or the cached states of a frozen trunk, with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.splits import label_matrix
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import pad, tokenize
from halo_utils.embeddings.truncation import SPECIAL_TOKENS, seen_residues, seen_sequences
from halo_utils.training.batching import ProteinBatch, ProteinData

Item = tuple[str, Tensor, Tensor, Tensor | None]  # accession, tokens [T] or states [T, D], labels [K], composition


@dataclass
class ProteinDataset(Dataset):
    """Proteins one by one: tokens [T] or the ``trunk``'s states, labels [B, K], ``composition`` [B, 61] or None."""

    accessions: Sequence[str]
    tokens: Sequence[Tensor]
    labels: np.ndarray
    trunk: ResidueStore | None = None
    composition: np.ndarray | None = None
    kept: Sequence[Tensor] | None = None  # positions of the tokens that are shown, where they are not all

    @property
    def lengths(self) -> list[int]:
        """Tokens per protein, [B]."""
        return [len(t) for t in self.kept or self.tokens]

    def __len__(self) -> int:
        return len(self.accessions)

    def __getitem__(self, i: int) -> Item:
        name = self.accessions[i]
        content = self.tokens[i] if self.trunk is None else torch.tensor(self.trunk.rows(name), dtype=torch.float32)
        content = content if self.kept is None else content[self.kept[i]]
        whole_protein = None if self.composition is None else torch.from_numpy(self.composition[i])
        return name, content, torch.tensor(np.array(self.labels[i]), dtype=torch.float32), whole_protein


def collate_proteins(items: Sequence[Item]) -> ProteinBatch:
    """Pad proteins to one rectangle."""
    accessions, content, labels, whole_proteins = zip(*items, strict=True)
    shares = None if whole_proteins[0] is None else torch.stack(whole_proteins)
    return ProteinBatch(list(accessions), torch.stack(labels), *pad(content), shares)


class SequenceData(ProteinData):
    """The proteins of a table as batches for a sequence model; ``sequences``, as read, and ``tokens`` in table order.

    Longer proteins are truncated to ``max_tokens`` as ``seen_residues`` says, and once more to ``train_tokens`` (None:
    not) where a model learns. ``trunk`` is the store that ``cache_trunk`` returns; set it to train on the frozen
    trunk's states, which saw ``max_tokens``.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        locations: Sequence[str],
        *,
        max_tokens: int = 1024,
        truncation: str = "head",
        train_tokens: int | None = None,
        tokens_per_batch: int = 4096,
        with_composition: bool = False,
        seed: int = 7,
    ) -> None:
        self.learning = (train_tokens, truncation) if train_tokens else None
        super().__init__(table, locations, tokens_per_batch, collate_proteins, seed, max_tokens, truncation)
        self.training_key = digest(self.key, train_tokens) if train_tokens else self.key
        self.sequences = seen_sequences(list(table["sequence"]), max_tokens, truncation)
        self.tokens = tokenize(self.sequences)
        self.composition = np.stack([composition(s) for s in table["sequence"]]) if with_composition else None
        self.trunk: ResidueStore | None = None

    def dataset(self, rows: np.ndarray) -> ProteinDataset:
        """Return the proteins at the given positions of the table."""
        chosen, shares = self.table.iloc[rows], None if self.composition is None else self.composition[rows]
        names, labels = list(chosen["accession"]), label_matrix(chosen, self.locations)
        return ProteinDataset(names, [self.tokens[i] for i in rows], labels, self.trunk, shares)

    def training_dataset(self, rows: np.ndarray) -> ProteinDataset:
        """Return the proteins at the given positions, truncated to ``train_tokens``."""
        whole = self.dataset(rows)
        kept = self.learning and [kept_tokens(length, *self.learning) for length in whole.lengths]
        return replace(whole, kept=kept)


def kept_tokens(length: int, max_tokens: int, truncation: str) -> Tensor:
    """Return the positions, of the ``length`` tokens of a protein, that truncation to ``max_tokens`` keeps, [T]."""
    residues = seen_residues(length - SPECIAL_TOKENS, max_tokens, truncation) + 1
    return torch.from_numpy(np.concatenate([[0], residues, [length - 1]]))
