"""The sequence model of HALO: ESM-2, attention pooling over residues, a linear head (section 2.1, Fig. 2)."""

from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.embeddings.esm2 import SplitEsm2, residues_of
from halo_utils.models.pooling import AttentionPooling


class EsmClassifier(nn.Module):
    """Fine-tuned ESM-2, whose last ``trainable_layers`` learn, attention pooling and one linear layer for K logits."""

    def __init__(self, esm2: EsmModel, n_locations: int, trainable_layers: int | str = 2) -> None:
        super().__init__()
        self.encoder = SplitEsm2(esm2, trainable_layers)
        self.pooling = AttentionPooling(self.encoder.width)
        self.head = nn.Linear(self.encoder.width, n_locations)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return logits, [B, K], from tokens [B, T] or trunk states [B, T, D], and their mask [B, T] bool."""
        states, residue_mask = residues_of(self.encoder(tokens, token_mask), token_mask)  # [B, L, D], [B, L]
        return self.head(self.pooling(states, residue_mask))
