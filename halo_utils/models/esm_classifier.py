"""The sequence model of HALO: ESM-2, attention pooling over residues, a multi-label head (Fig. 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.embeddings.esm2 import split_backbone
from halo_utils.models.pooling import CompositionNetwork, make_head, make_pooling
from halo_utils.profile import HeadSettings


@dataclass
class ProteinBatch:
    """A batch of proteins, packed: their tokens lie end to end.

    Attributes:
        accessions: the B proteins.
        lengths: tokens per protein, <cls> and <eos> included, [B] list of int; N is their sum.
        y: [B, K] float32 labels.
        tokens: [N] int64, or [N, D] float32 output of the frozen trunk.
        composition: [B, 61] float32 of the whole proteins, or None for a model that does not read it.
    """

    accessions: list[str]
    lengths: list[int]
    y: Tensor
    tokens: Tensor
    composition: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ProteinBatch":
        """Return the batch on another device; Lightning calls this."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        moved = {name: value.to(device, non_blocking=non_blocking) for name, value in tensors.items()}
        return ProteinBatch(**{**vars(self), **moved})


def residues_of(states: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """Return the [L, D] states of each protein without those of <cls> and <eos>, B of them.

    Args:
        states: [N, D] packed states.
        lengths: tokens per protein.
    """
    return [part[1:-1] for part in states.split(lengths)]


class SequenceClassifier(nn.Module):
    """Fine-tuned ESM-2: frozen trunk, trainable top blocks, attention pooling, multi-label head.

    Args:
        backbone: whole ESM-2 model; copied, not changed.
        n_labels: K.
        trainable_layers: encoder blocks that learn, or ``all`` (embeddings included).
        settings: pooling and head; the default is the paper's.

    Attributes:
        width: channels D of a residue's state.
    """

    def __init__(
        self, backbone: EsmModel, n_labels: int, trainable_layers: int | str, settings: HeadSettings | None = None
    ) -> None:
        """Split the backbone and add pooling and head."""
        super().__init__()
        own = settings or HeadSettings()
        self.trunk, self.top = split_backbone(backbone, trainable_layers)
        self.trunk_is_frozen = trainable_layers != "all"
        self.width = backbone.config.hidden_size
        self.pooling = make_pooling(self.width, own)
        self.head = make_head(self.pooling.width, n_labels, own)
        self.composition = CompositionNetwork(n_labels, own.composition) if own.composition else None

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
        logits = self.head(self.pooling(residues_of(self.token_states(batch), batch.lengths)))
        return logits if self.composition is None else logits + self.composition(batch.composition)
