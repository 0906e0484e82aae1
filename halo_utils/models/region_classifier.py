"""A sequence model of our own for small backbones: region attention, a hidden layer, composition."""

from torch import Tensor, nn
from transformers import EsmModel

from halo_utils.embeddings.esm2 import SplitEsm2, residues_of
from halo_utils.models.composition_logits import CompositionLogits
from halo_utils.models.region_attention import RegionAttention


class RegionClassifier(nn.Module):
    """Fine-tuned ESM-2 under ``RegionAttention`` and a head with a hidden layer, plus ``CompositionLogits``.

    ``channels`` are the convolutions'; ``dropout`` is before every linear layer of the head; ``composition`` 0 means
    none.
    """

    def __init__(
        self,
        esm2: EsmModel,
        n_locations: int,
        trainable_layers: int | str = 1,
        channels: int = 128,
        hidden: int = 256,
        dropout: float = 0.4,
        composition: int = 128,
    ) -> None:
        super().__init__()
        self.encoder = SplitEsm2(esm2, trainable_layers)
        self.pooling = RegionAttention(self.encoder.width, channels)
        width = self.pooling.width
        first = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU())
        self.head = nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(hidden, n_locations))
        self.composition = CompositionLogits(n_locations, composition) if composition else None

    def forward(self, tokens: Tensor, token_mask: Tensor, composition: Tensor | None = None) -> Tensor:
        """Return logits, [B, K], from what ``EsmClassifier`` reads and, where it counts, composition [B, 61]."""
        states, residue_mask = residues_of(self.encoder(tokens, token_mask), token_mask)
        logits = self.head(self.pooling(states, residue_mask))
        return logits if self.composition is None else logits + self.composition(composition)
