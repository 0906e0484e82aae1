"""The released way of computing, re-implemented minimally for the benchmark; nothing else uses it.

Read from the published scripts (commit 498afbb): every protein padded to 1,024 tokens, float32, the network run again
for each of the 18 thresholds, every structure parsed in every epoch, edges by a double loop. The constants
below are those scripts' own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from Bio.PDB import PDBParser
from torch import Tensor, nn
from transformers import EsmModel

PADDED_TOKENS = 1024
BATCH = 8
THRESHOLDS = 18  # 0.10 to 0.95 in steps of 0.05
PAD_TOKEN = 1


def padded_batches(tokens: Sequence[Tensor], batch: int = BATCH, width: int | None = PADDED_TOKENS) -> list[Tensor]:
    """Return [batch, T] int64 token matrices in the given order.

    Args:
        tokens: one [T_i] tensor per protein.
        batch: proteins per matrix.
        width: T, or None for the longest protein of each batch.
    """
    matrices = []
    for start in range(0, len(tokens), batch):
        part = [t[:PADDED_TOKENS] for t in tokens[start : start + batch]]
        longest = width or max(len(t) for t in part)
        matrix = torch.full((len(part), longest), PAD_TOKEN)
        for row, own in zip(matrix, part, strict=True):
            row[: len(own)] = own
        matrices.append(matrix)
    return matrices


class ReleasedClassifier(nn.Module):
    """Whole ESM-2 with attention pooling over all positions, padding included, and a linear head."""

    def __init__(self, backbone: EsmModel, n_labels: int) -> None:
        """Let the last two blocks, pooling and head learn."""
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        for layer in backbone.encoder.layer[-2:]:
            layer.requires_grad_(True)
        self.score = nn.Linear(backbone.config.hidden_size, 1)
        self.head = nn.Linear(backbone.config.hidden_size, n_labels)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits, [B, K], of [B, T] tokens."""
        states = self.backbone(input_ids=ids, attention_mask=(ids != PAD_TOKEN).long()).last_hidden_state
        weights = self.score(states).softmax(dim=1)
        return self.head((weights * states).sum(dim=1))


def loop_edges(ca: np.ndarray, cutoff_angstrom: float) -> np.ndarray:
    """Return the edges of a residue graph by a double loop, [2, E] int64.

    Args:
        ca: [L, 3] in angstrom.
        cutoff_angstrom: residues closer than this are joined.
    """
    edges = []
    for i in range(len(ca)):
        for j in range(len(ca)):
            if i != j and np.linalg.norm(ca[i] - ca[j]) < cutoff_angstrom:
                edges.append((i, j))
    return np.array(edges).T


def parse_ca(path: Path) -> np.ndarray:
    """Return the C-alpha positions of a PDB file as Biopython's parser reads them, [L, 3] float32."""
    structure = PDBParser(QUIET=True).get_structure("x", path)
    return np.array([residue["CA"].coord for residue in structure.get_residues() if "CA" in residue])
