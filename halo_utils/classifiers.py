"""The sequence model of HALO: ESM-2, attention pooling over residues, a linear multi-label head (Fig. 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.backbones import split_backbone


@dataclass
class ProteinBatch:
    """A padded batch of proteins.

    Attributes:
        accessions: the B proteins.
        attention_mask: [B, T] int64, 1 for <cls>, residues and <eos>, 0 for padding.
        residue_mask: [B, T] bool, True for residues only.
        y: [B, K] float32 labels.
        input_ids: [B, T] int64 tokens, or None when ``hidden`` is given.
        hidden: [B, T, D] output of the frozen trunk, or None.
    """

    accessions: list[str]
    attention_mask: Tensor
    residue_mask: Tensor
    y: Tensor
    input_ids: Tensor | None = None
    hidden: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ProteinBatch":
        """Return the batch on another device; Lightning calls this."""
        moved = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return ProteinBatch(**{**vars(self), **moved})


class AttentionPooling(nn.Module):
    """Softmax over the residues of a protein, then the weighted sum of their vectors (section 2.1)."""

    def __init__(self, width: int) -> None:
        """Make the scoring layer for states of ``width`` channels."""
        super().__init__()
        self.score = nn.Linear(width, 1)

    def weights(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return the attention of every position, [B, T] float32; rows sum to 1, masked positions are 0.

        Args:
            states: [B, T, D].
            residue_mask: [B, T] bool, True for residues; every row needs at least one.
        """
        score = self.score(states).squeeze(-1).float()  # [B, T]
        return score.masked_fill(~residue_mask, -torch.inf).softmax(dim=1)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return one vector per protein, [B, D]."""
        weights = self.weights(states, residue_mask)
        return torch.einsum("bt,btd->bd", weights.to(states.dtype), states)


class SequenceClassifier(nn.Module):
    """Fine-tuned ESM-2: frozen trunk, trainable top blocks, attention pooling, linear head.

    Args:
        backbone: whole ESM-2 model; copied, not changed.
        n_labels: K.
        trainable_layers: encoder blocks that learn, or ``all`` (embeddings included).
    """

    def __init__(self, backbone: EsmModel, n_labels: int, trainable_layers: int | str) -> None:
        """Split the backbone and add pooling and head."""
        super().__init__()
        self.trunk, self.top = split_backbone(backbone, trainable_layers)
        self.trunk_is_frozen = trainable_layers != "all"
        width = backbone.config.hidden_size
        self.pooling = AttentionPooling(width)
        self.head = nn.Linear(width, n_labels)

    def trunk_states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the trunk's output, [B, T, D], special tokens included because the top attends to them."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.trunk_is_frozen):
            return self.trunk(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    def token_states(self, batch: ProteinBatch) -> Tensor:
        """Return the last hidden states, [B, T, D]."""
        hidden = batch.hidden
        if hidden is None:
            hidden = self.trunk_states(batch.input_ids, batch.attention_mask)
        return self.top(inputs_embeds=hidden, attention_mask=batch.attention_mask).last_hidden_state

    def forward(self, batch: ProteinBatch) -> Tensor:
        """Return logits, [B, K]."""
        states = self.token_states(batch)  # [B, T, D]
        return self.head(self.pooling(states, batch.residue_mask))  # [B, K]
