"""Which residues of a protein a model of limited length reads."""

import numpy as np

SPECIAL_TOKENS = 2  # <cls> before and <eos> after the residues


def seen_residues(length: int, max_tokens: int, truncation: str) -> np.ndarray:
    """Return the 0-based indices of the residues a model of ``max_tokens`` reads, [L] int64, increasing.

    Args:
        length: residues of the protein.
        max_tokens: tokens of the model, special tokens included.
        truncation: ``head`` keeps the start (paper); ``head_tail`` cuts the middle out, as in DeepLoc 2.0,
            because sorting signals sit at both ends.
    """
    room = max_tokens - SPECIAL_TOKENS
    if length <= room:
        return np.arange(length)
    if truncation == "head":
        return np.arange(room)
    front = (room + 1) // 2
    return np.concatenate([np.arange(front), np.arange(length - (room - front), length)])


def truncate(sequence: str, max_tokens: int, truncation: str) -> str:
    """Return the residues of ``sequence`` that the model reads."""
    index = seen_residues(len(sequence), max_tokens, truncation)
    return sequence if len(index) == len(sequence) else "".join(sequence[i] for i in index)
