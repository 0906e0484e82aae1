"""States that no language model made, below which no embedder should fall: one letter at a time, and composition."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from halo_utils.data.record import STANDARD
from halo_utils.embeddings.biochemistry import COMPOSITION, STAND_INS, composition
from halo_utils.embeddings.residue_ids import residue_ids


class OneHot(nn.Module):
    """The residue itself, [20]; shares for the ambiguous. The mean over a protein is its amino-acid composition."""

    width = len(STANDARD)

    def __init__(self) -> None:
        super().__init__()
        parents = {a: a for a in STANDARD} | STAND_INS
        self.ids = {letter: i for i, letter in enumerate(parents)}
        rows = [[parent.count(a) / len(parent) for a in STANDARD] for parent in parents.values()]
        self.register_buffer("table", torch.tensor(rows), persistent=False)  # letters, nothing learned

    def forward(self, sequences: Sequence[str]) -> list[Tensor]:
        """Return [L, 20] float32 per protein, rows of sum 1."""
        return [self.table[ids.to(self.table.device)] for ids in residue_ids(sequences, self.ids, "one-hot")]


class Composition(nn.Module):
    """The composition of the protein and of its ends, the same for every residue: no head can tell residues apart."""

    width = COMPOSITION

    def forward(self, sequences: Sequence[str]) -> list[Tensor]:
        """Return what ``biochemistry.composition`` returns, [61], as L equal rows per protein."""
        rows = torch.from_numpy(np.stack([composition(sequence) for sequence in sequences]))
        return [row.expand(len(sequence), -1) for row, sequence in zip(rows, sequences, strict=True)]
