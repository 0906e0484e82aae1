"""The sequence model of HALO: ESM-2, attention pooling over residues, a linear head (section 2.1, Fig. 2)."""

import torch
from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.embeddings.esm2 import SplitEsm2, residues_of


class AttentionPooling(nn.Module):
    """Softmax over residues, ``a_i = softmax_i(w . h_i + b)``, then the weighted sum ``z = sum_i a_i h_i``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def weights(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return attention [B, L] float32, of sum 1 and 0 on padding, from states [B, L, D] and their mask [B, L]."""
        scores = self.score(states)[..., 0].float()  # [B, L]
        return scores.masked_fill(~residue_mask, -torch.inf).softmax(dim=1)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return one vector per protein, [B, D], from ``states`` [B, L, D] and ``residue_mask`` [B, L]."""
        return torch.einsum("bl,bld->bd", self.weights(states, residue_mask).to(states.dtype), states)


class AttentionHead(nn.Module):
    """Attention pooling and one linear layer for K logits, on frozen states of any embedder."""

    def __init__(self, width: int, n_locations: int) -> None:
        super().__init__()
        self.pooling, self.head = AttentionPooling(width), nn.Linear(width, n_locations)

    def forward(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from ``states`` [B, L, D] and ``residue_mask`` [B, L] bool."""
        return self.head(self.pooling(states.masked_fill(~residue_mask[..., None], 0.0), residue_mask))


class EsmClassifier(nn.Module):
    """Fine-tuned ESM-2, whose last ``trainable_layers`` learn, attention pooling and one linear layer for K logits."""

    def __init__(self, esm2: EsmModel, n_locations: int, trainable_layers: int | str = 2) -> None:
        super().__init__()
        self.encoder = SplitEsm2(esm2, trainable_layers)
        self.pooling = AttentionPooling(self.encoder.width)
        self.head = nn.Linear(self.encoder.width, n_locations)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from tokens [B, T] or trunk states [B, T, D], and their mask [B, T] bool."""
        return self.on_residues(*residues_of(self.encoder(tokens, token_mask), token_mask))

    def on_residues(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from the encoder's states [B, L, D] of residues and their mask [B, L] bool."""
        return self.head(self.pooling(states, residue_mask))
