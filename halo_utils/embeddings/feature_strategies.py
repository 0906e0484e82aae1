"""One vector per protein, in the ways Luo et al. 2024 compare: special tokens, the mean, means of segments."""

from collections.abc import Sequence

import numpy as np
import torch

from halo_utils.embeddings.embedder import Embedder, batches
from halo_utils.embeddings.esm2 import Esm2States

SEGMENTS = 10


def segment_means(states: np.ndarray, segments: int = SEGMENTS) -> np.ndarray:
    """Return the mean state of ten nearly equal pieces of a protein, [10, D] float32, from states [L, D].

    The first pieces take one residue more where L is no multiple of ten; a piece without a residue is 0.
    """
    pieces = np.array_split(states.astype(np.float32), segments)
    return np.stack([p.mean(axis=0) if len(p) else np.zeros(states.shape[1], dtype=np.float32) for p in pieces])


def ends_of(embedder: Embedder, sequences: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the states of <cls> and of <eos> of B proteins, [B, D] each; None for an embedder without such tokens."""
    if not isinstance(embedder.network, Esm2States):
        return None
    found = np.zeros((2, len(sequences), embedder.width), dtype=np.float32)
    for batch in batches([len(s) for s in sequences], embedder.residues_per_batch):
        with torch.inference_mode():
            states = embedder.network.with_ends([sequences[i] for i in batch])
        for i, protein in zip(batch, states, strict=True):
            found[:, i] = protein[[0, -1]].float().cpu().numpy()
    return found[0], found[1]


def strategies(
    ends: tuple[np.ndarray, np.ndarray] | None, means: np.ndarray, segments: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the name of every strategy -> vectors [B, its width], from means [B, D] and segments [B, 10, D].

    ``all`` joins cls, eos, mean and the first segment, as published but for what needs UniProt's phosphorylation sites.
    """
    found = {"mean": means, "segment 0": segments[:, 0], "ten segments": segments.reshape(len(segments), -1)}
    if ends is not None:
        found = {"cls": ends[0], "eos": ends[1]} | found
    joined = [found[name] for name in ("cls", "eos", "mean", "segment 0") if name in found]
    return found | {"all": np.concatenate(joined, axis=1)}
