"""The sequence model of HALO: ESM-2, attention pooling over residues, a linear multi-label head (Fig. 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.backbones import split_backbone


@dataclass
class ProteinBatch:
    """A batch of proteins, packed: their tokens lie end to end.

    Attributes:
        accessions: the B proteins.
        lengths: tokens per protein, <cls> and <eos> included, [B] list of int; N is their sum.
        y: [B, K] float32 labels.
        tokens: [N] int64, or [N, D] float32 output of the frozen trunk.
    """

    accessions: list[str]
    lengths: list[int]
    y: Tensor
    tokens: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ProteinBatch":
        """Return the batch on another device; Lightning calls this."""
        moved = {name: getattr(self, name).to(device, non_blocking=non_blocking) for name in ("y", "tokens")}
        return ProteinBatch(**{**vars(self), **moved})


def residues_of(states: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """Return the [L, D] states of each protein without those of <cls> and <eos>, B of them.

    Args:
        states: [N, D] packed states.
        lengths: tokens per protein.
    """
    return [part[1:-1] for part in states.split(lengths)]


class AttentionPooling(nn.Module):
    """Softmax over the residues of a protein, then the weighted sum of their vectors (section 2.1).

    Args:
        width: channels D of a residue's state.
        heads: H attentions, each with a sum of its own; the paper has one.
    """

    def __init__(self, width: int, heads: int = 1) -> None:
        """Make the scoring layer."""
        super().__init__()
        self.score = nn.Linear(width, heads)

    def weights(self, residues: Tensor) -> Tensor:
        """Return the attention of every residue of one protein, [L, H] float32, each column summing to 1.

        Args:
            residues: [L, D].
        """
        return self.score(residues).float().softmax(dim=0)

    def forward(self, proteins: Sequence[Tensor]) -> Tensor:
        """Return H vectors per protein, [B, H, D].

        Args:
            proteins: B tensors [L, D] of residue states, special tokens left out.
        """
        return torch.stack([self.weights(residues).to(residues.dtype).T @ residues for residues in proteins])


class SequenceClassifier(nn.Module):
    """Fine-tuned ESM-2: frozen trunk, trainable top blocks, attention pooling, linear head.

    Args:
        backbone: whole ESM-2 model; copied, not changed.
        n_labels: K.
        trainable_layers: encoder blocks that learn, or ``all`` (embeddings included).
        pooling: ``shared``: one attention for all labels (paper); ``per_label``: one each.
    """

    def __init__(self, backbone: EsmModel, n_labels: int, trainable_layers: int | str, pooling: str = "shared") -> None:
        """Split the backbone and add pooling and head."""
        super().__init__()
        self.trunk, self.top = split_backbone(backbone, trainable_layers)
        self.trunk_is_frozen = trainable_layers != "all"
        width = backbone.config.hidden_size
        self.pooling = AttentionPooling(width, n_labels if pooling == "per_label" else 1)
        self.head = nn.Linear(width, n_labels)

    def trunk_states(self, batch: ProteinBatch) -> Tensor:
        """Return the trunk's output, [N, D], special tokens included because the top attends to them."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.trunk_is_frozen):
            return self.trunk(batch.tokens, batch.lengths)

    def token_states(self, batch: ProteinBatch) -> Tensor:
        """Return the last hidden states, [N, D], from tokens or from the trunk's cached output."""
        hidden = batch.tokens if batch.tokens.is_floating_point() else self.trunk_states(batch)
        return self.top(hidden, batch.lengths)

    def forward(self, batch: ProteinBatch) -> Tensor:
        """Return logits, [B, K]."""
        pooled = self.pooling(residues_of(self.token_states(batch), batch.lengths))  # [B, 1 or K, D]
        if pooled.shape[1] == 1:
            return self.head(pooled[:, 0])
        return (pooled * self.head.weight).sum(dim=2) + self.head.bias
