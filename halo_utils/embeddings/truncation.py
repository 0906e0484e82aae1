"""Which residues of a protein a model of limited length reads, and how much of a data set that is."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

SPECIAL_TOKENS = 2  # <cls> before and <eos> after the residues
PAPER_TOKENS = 1024  # section 2.1


def seen_residues(length: int, max_tokens: int = PAPER_TOKENS, truncation: str = "head") -> np.ndarray:
    """Return the 0-based indices of the residues that a model of ``max_tokens`` reads, [N] int64, increasing.

    ``head`` keeps the start (paper); ``head_tail`` cuts the middle out, because sorting signals sit at both ends.
    """
    room = max_tokens - SPECIAL_TOKENS
    if length <= room:
        return np.arange(length)
    if truncation == "head":
        return np.arange(room)
    front = (room + 1) // 2
    return np.concatenate([np.arange(front), np.arange(length - (room - front), length)])


def truncate(sequence: str, max_tokens: int = PAPER_TOKENS, truncation: str = "head") -> str:
    """Return the residues of ``sequence`` that the model reads."""
    index = seen_residues(len(sequence), max_tokens, truncation)
    return sequence if len(index) == len(sequence) else "".join(sequence[i] for i in index)


def seen_sequences(sequences: Iterable[str], max_tokens: int = PAPER_TOKENS, truncation: str = "head") -> list[str]:
    """Return, per protein, the residues the language model reads."""
    return [truncate(sequence, max_tokens, truncation) for sequence in sequences]


def read_share(
    table: pd.DataFrame, report: pd.DataFrame, max_tokens: int = PAPER_TOKENS, truncation: str = "head"
) -> pd.DataFrame:
    """Return how much of its proteins the models read, one row per split; ``report`` is from ``store_structures``.

    Cut and paper_cut are shares of proteins too long for ``max_tokens`` and for the paper's; residues_read and
    contacts_read are shares of all, NaN without structures.
    """
    size, room = table["sequence"].str.len(), max_tokens - SPECIAL_TOKENS
    matched = table[["accession", "split"]].merge(report[report["status"] == "matched"], validate="1:1")
    rows = []
    for split in pd.unique(table["split"]):
        lengths, structures = size[table["split"] == split], matched[matched["split"] == split]
        row = {"split": split, "proteins": len(lengths), "tokens": max_tokens, "truncation": truncation}
        row |= {"cut": (lengths > room).mean(), "residues_read": lengths.clip(upper=room).sum() / lengths.sum()}
        row |= {"paper_tokens": PAPER_TOKENS, "paper_cut": (lengths > PAPER_TOKENS - SPECIAL_TOKENS).mean()}
        contacts = structures[["contacts", "contacts_read"]].sum()
        share = contacts["contacts_read"] / contacts["contacts"] if contacts["contacts"] else np.nan
        rows.append(row | {"structures": len(structures), "contacts_read": share})
    return pd.DataFrame(rows)
