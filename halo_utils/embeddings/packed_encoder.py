"""ESM-2's encoder (Lin et al. 2023) over packed proteins: those of a batch lie end to end, no padding is computed."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import EsmModel

# ESM-2 was trained with 12 % of its tokens zeroed and scales embeddings down by that share when none is.
UNMASKED_SHARE = 1 - 0.15 * 0.8
MASK = 32  # id of <mask>


class PackedEncoder(nn.Module):
    """Layers ``start`` to ``stop`` of an ESM-2, with the embeddings before the first and the norm after the last.

    Hugging Face's modules are taken over, not copied; the way through them is our own. ``compiled`` fuses the
    arithmetic of a layer with ``torch.compile``; the first batch then takes a minute.
    """

    def __init__(self, model: EsmModel, start: int, stop: int) -> None:
        super().__init__()
        count = len(model.encoder.layer)
        self.compiled = False
        self.layers = model.encoder.layer[start:stop]
        self.embeddings = model.embeddings.word_embeddings if start == 0 else None
        self.norm = model.encoder.emb_layer_norm_after if stop == count else None
        self.heads = model.config.num_attention_heads
        # Rotary frequencies, [d / 2] for d channels of a head, are read, not computed: published checkpoints store them
        # rounded to float16 and were trained with those. Early versions of transformers 5 hold one copy per layer.
        rotary = getattr(model, "rotary_embeddings", None) or model.encoder.layer[0].attention.self.rotary_embeddings
        self.register_buffer("frequency", rotary.inv_freq.detach().float().clone(), persistent=False)

    def forward(self, x: Tensor, token_mask: Tensor) -> Tensor:
        """Return states [B, T, D], 0 on padding, from tokens [B, T] or states, and their mask [B, T], left-filled."""
        states = self.packed(x[token_mask], token_mask.sum(dim=1).tolist())
        padded = states.new_zeros(*token_mask.shape, states.shape[-1])
        padded[token_mask] = states
        return padded

    def packed(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return states [N, D] of proteins end to end from tokens [N] or states [N, D]; N is the sum of ``lengths``.

        States given to the first layers are taken for what ``embed`` returns.
        """
        if not x.is_floating_point():
            x = self.embed(x, lengths)
        position = torch.cat([torch.arange(n, device=x.device) for n in lengths])
        angle = position[:, None] * self.frequency  # [N, d / 2]
        turn = torch.cat([angle, angle], dim=1)[:, None]  # [N, 1, d]
        cos, sin = turn.cos(), turn.sin()
        before, after = compiled_parts() if self.compiled else (before_attention, after_attention)
        for layer in self.layers:
            query, key, value = before(layer, x, cos, sin, self.heads)
            x = after(layer, x, attend(query, key, value, lengths))
        return x if self.norm is None else self.norm(x)

    def embed(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return embeddings, [N, D], with ESM-2's token dropout: masks are zeros, the rest is scaled up for them."""
        x, masked = self.embeddings(tokens), tokens == MASK
        if not masked.any():
            return x * UNMASKED_SHARE
        sizes = torch.tensor(lengths, device=tokens.device)
        owner = torch.arange(len(sizes), device=tokens.device).repeat_interleave(sizes, output_size=len(tokens))
        masks = torch.zeros(len(sizes), device=tokens.device).index_add_(0, owner, masked.float())
        scale = (UNMASKED_SHARE / (1 - masks / sizes))[owner]
        return x.masked_fill(masked[:, None], 0.0) * scale[:, None]


def before_attention(
    layer: nn.Module, x: Tensor, cos: Tensor, sin: Tensor, heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return query (scaled), key and value, [N, heads, d], queries and keys turned by their positions."""
    h, own = layer.attention.LayerNorm(x), layer.attention.self
    query, key, value = (part(h).unflatten(1, (heads, -1)) for part in (own.query, own.key, own.value))
    return rotate(query * query.shape[2] ** -0.5, cos, sin), rotate(key, cos, sin), value


def after_attention(layer: nn.Module, x: Tensor, mixed: Tensor) -> Tensor:
    """Return x [N, D] with the result of attention, [N, heads, d], and then the feed-forward's added."""
    x = x + layer.attention.output.dense(mixed.flatten(1))
    return x + layer.output.dense(F.gelu(layer.intermediate.dense(layer.LayerNorm(x))))


@cache
def compiled_parts() -> tuple[Callable, Callable]:
    """Return both halves of a layer as ``torch.compile`` makes them, for any number of tokens."""
    return torch.compile(before_attention, dynamic=True), torch.compile(after_attention, dynamic=True)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x with rotary positions, [N, heads, d], in the type of x (Su et al. 2021)."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return attention within each protein, [N, heads, d]; the query is already scaled.

    Neighbours of equal length go together and need no padding. On a CPU that is done for every length; on a GPU, where
    many small kernels would cost more than padding does, proteins of several lengths are computed under a mask.
    """
    runs = [(length, len(list(group))) for length, group in groupby(lengths)]
    if query.device.type != "cpu" and len(runs) > 1:
        return attend_padded(query, key, value, lengths)
    sizes = [length * count for length, count in runs]
    parts = zip(runs, query.split(sizes), key.split(sizes), value.split(sizes), strict=True)
    return torch.cat([attend_equal(q, k, v, count) for (_, count), q, k, v in parts])


def attend_equal(query: Tensor, key: Tensor, value: Tensor, count: int) -> Tensor:
    """Return what ``attend`` returns for ``count`` proteins of one length, [N, heads, d]."""
    q, k, v = (x.unflatten(0, (count, -1)).transpose(1, 2) for x in (query, key, value))  # [B, heads, T, d]
    return F.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).flatten(0, 1)


def attend_padded(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return what ``attend`` returns, computed on [B, heads, T, d] with a mask over the padding."""
    q, k, v = (pad_sequence(list(x.split(lengths)), batch_first=True).transpose(1, 2) for x in (query, key, value))
    size = torch.tensor(lengths, device=query.device)
    inside = torch.arange(q.shape[2], device=query.device)[None] < size[:, None]  # [B, T]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=inside[:, None, None], scale=1.0)
    return mixed.transpose(1, 2)[inside]
