"""The sequence model of HALO: ESM-2, attention pooling over residues, a linear head (section 2.1, Fig. 2)."""

from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.embeddings.esm2 import SplitEsm2, residues_of
from halo_utils.models.pooling import AttentionPooling


class EsmClassifier(nn.Module):
    """Fine-tuned ESM-2: its last layers learn, attention pools the residues, one linear layer gives the logits.

    Args:
        esm2: whole backbone; copied, not changed.
        n_locations: K.
        trainable_layers: encoder layers that learn, or ``all`` (embeddings included).
    """

    def __init__(self, esm2: EsmModel, n_locations: int, trainable_layers: int | str = 2) -> None:
        super().__init__()
        self.encoder = SplitEsm2(esm2, trainable_layers)
        self.pooling = AttentionPooling(self.encoder.width)
        self.head = nn.Linear(self.encoder.width, n_locations)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return logits, [B, K].

        Args:
            tokens: [B, T] int64, or [B, T, D] float32 output of the frozen trunk.
            token_mask: [B, T] bool, true where there is a token.
        """
        states, residue_mask = residues_of(self.encoder(tokens, token_mask), token_mask)  # [B, L, D], [B, L]
        return self.head(self.pooling(states, residue_mask))
