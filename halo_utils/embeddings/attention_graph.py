"""A graph of residues from a language model's self-attention: who looks at whom, and three ways to draw edges."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from transformers import EsmModel

from halo_utils.embeddings.esm2 import tokenize
from halo_utils.embeddings.truncation import truncate

RELEASED = 0.2  # below it GwR drops an entry of the mean attention


def attention_maps(
    esm2: EsmModel, sequences: Iterable[str], *, layers: int = 1, max_tokens: int = 1024, truncation: str = "head"
) -> Iterator[np.ndarray]:
    """Yield the attention of the residues that are read, [L, L] float32, row i looks at column j.

    It is the mean over the heads of the last ``layers`` layers; the special tokens' rows and columns are left out, so a
    row sums to less than 1. ``esm2`` changes to an implementation that returns attention.
    """
    esm2.set_attn_implementation("eager")
    esm2.eval()
    for sequence in sequences:
        tokens = tokenize([truncate(sequence, max_tokens, truncation)])[0][None]
        with torch.inference_mode():
            found = esm2(tokens, attention_mask=torch.ones_like(tokens), output_attentions=True).attentions
        yield torch.stack(found[-layers:]).mean(dim=(0, 1, 2))[1:-1, 1:-1].float().numpy()


def corrected(attention: np.ndarray) -> np.ndarray:
    """Return a symmetric map [L, L] without what rows and columns say by themselves (APC, Dunn et al. 2008)."""
    both = attention + attention.T
    return both - np.outer(both.sum(axis=1), both.sum(axis=0)) / max(both.sum(), 1e-12)


def threshold_edges(attention: np.ndarray, threshold: float = RELEASED) -> np.ndarray:
    """Return edges from i to j where row i gives column j at least ``threshold``, [2, E] int64; none to itself."""
    found = attention >= threshold
    np.fill_diagonal(found, val=False)
    return np.stack(np.nonzero(found)).astype(np.int64)


def top_k_edges(attention: np.ndarray, k: int = 5) -> np.ndarray:
    """Return edges from every residue i to the k others it looks at most, [2, L k] int64, by source and target."""
    others = attention.astype(float)
    np.fill_diagonal(others, -np.inf)
    k = min(k, len(others) - 1)
    best = np.sort(np.argsort(-others, axis=1, kind="stable")[:, :k], axis=1)
    return np.stack([np.repeat(np.arange(len(others)), k), best.ravel()])
