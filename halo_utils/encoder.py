"""ESM-2's encoder over packed proteins: the proteins of a batch lie end to end, and no padding is ever computed.

The weights and modules are those of Hugging Face's ``EsmModel``; only the way through them is our own. Linear layers
and norms see one long [N, D] matrix, attention runs inside each protein. Source: Lin et al. 2023 (ESM-2).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import EsmModel

# ESM-2 was trained with 12 % of its tokens zeroed and scales embeddings down by that share when none is.
UNMASKED_SHARE = 1 - 0.15 * 0.8


class PackedEncoder(nn.Module):
    """Some consecutive blocks of an ESM-2, with the embeddings before or the last norm after them, or both.

    Args:
        model: whole backbone, in evaluation mode; its modules are taken over, not copied.
        start: first block.
        stop: block after the last one.
    """

    def __init__(self, model: EsmModel, start: int, stop: int) -> None:
        """Take over the blocks ``start`` to ``stop``."""
        super().__init__()
        blocks = len(model.encoder.layer)
        self.layers = model.encoder.layer[start:stop]
        self.embeddings = model.embeddings.word_embeddings if start == 0 else None
        self.norm = model.encoder.emb_layer_norm_after if stop == blocks else None
        self.heads = model.config.num_attention_heads
        self.head_width = model.config.hidden_size // self.heads
        frequency = 10_000.0 ** (-torch.arange(0, self.head_width, 2) / self.head_width)  # rotary positions
        self.register_buffer("frequency", frequency, persistent=False)

    def forward(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the states after the last block, [N, D].

        Args:
            x: [N] int64 tokens where the embeddings belong to this part, else [N, D] states; N = sum(lengths).
            lengths: tokens per protein, [B].
        """
        if self.embeddings is not None:
            x = self.embeddings(x) * UNMASKED_SHARE
        position = torch.cat([torch.arange(n, device=x.device) for n in lengths])
        angle = position[:, None] * self.frequency  # [N, d / 2]
        turn = torch.cat([angle, angle], dim=1)[:, None]  # [N, 1, d]
        cos, sin = turn.cos(), turn.sin()
        for layer in self.layers:
            x = self._block(layer, x, cos, sin, lengths)
        return x if self.norm is None else self.norm(x)

    def _block(self, layer: nn.Module, x: Tensor, cos: Tensor, sin: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return x after attention and feed-forward, each normed before and added after."""
        h, own = layer.attention.LayerNorm(x), layer.attention.self
        shape = (len(x), self.heads, self.head_width)
        query = rotate(own.query(h).view(shape) * self.head_width**-0.5, cos, sin)
        key = rotate(own.key(h).view(shape), cos, sin)
        mixed = attend(query, key, own.value(h).view(shape), lengths)
        x = x + layer.attention.output.dense(mixed.reshape(x.shape))
        h = F.gelu(layer.intermediate.dense(layer.LayerNorm(x)))
        return x + layer.output.dense(h)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x with rotary positions, [N, heads, d], in the type of x (Su et al. 2021)."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return attention within each protein, [N, heads, d]; the query is already scaled.

    On a CPU one protein after another, which skips padding; on a GPU, where many small kernels would cost more than
    padding does, all at once under a mask.
    """
    if query.device.type == "cpu":
        parts = zip(query.split(lengths), key.split(lengths), value.split(lengths), strict=True)
        mixed = [
            F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in part), scale=1.0)[0].transpose(0, 1)
            for part in parts
        ]
        return torch.cat(mixed)
    return attend_padded(query, key, value, lengths)


def attend_padded(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return what ``attend`` returns, computed on [B, heads, T, d] with a mask over the padding."""
    q, k, v = (pad_sequence(list(x.split(lengths)), batch_first=True).transpose(1, 2) for x in (query, key, value))
    size = torch.tensor(lengths, device=query.device)
    inside = torch.arange(q.shape[2], device=query.device)[None] < size[:, None]  # [B, T]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=inside[:, None, None], scale=1.0)
    return mixed.transpose(1, 2)[inside]
