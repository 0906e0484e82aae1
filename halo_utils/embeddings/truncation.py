"""Which residues of a protein a model of limited length reads, and how much of a data set that is."""

import numpy as np
import pandas as pd

from halo_utils.profile import BackboneSettings
from halo_utils.structures.edges import radius_edges


def seen_sequences(sequences: list[str], max_tokens: int = 1024, truncation: str = "head") -> list[str]:
    """Return, per protein, the residues a language model reads."""
    return [truncate(s, max_tokens, truncation) for s in sequences]


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


def count_contacts(ca: np.ndarray, seen: np.ndarray, cutoff_angstrom: float) -> tuple[int, int]:
    """Return the contacts of a whole structure, and those between residues that are read.

    Args:
        ca: [L, 3] C-alpha positions in angstrom of the whole protein; NaN where the structure lacks the residue.
        seen: indices of the residues that are read, [R] int.
        cutoff_angstrom: two residues closer than this are in contact.
    """
    edges, inside = radius_edges(ca, cutoff_angstrom), np.zeros(len(ca), dtype=bool)
    inside[seen] = True
    return edges.shape[1] // 2, int(inside[edges].all(axis=0).sum()) // 2


def read_share(table: pd.DataFrame, backbone: BackboneSettings, report: pd.DataFrame) -> pd.DataFrame:
    """Return, per split, how much of its proteins the models read.

    Args:
        table: dataset table.
        backbone: tokens of the model and what becomes of longer proteins.
        report: from ``inputs.store_structures``.

    Returns:
        One row per split: proteins, tokens, truncation, cut (share of proteins that do not fit), residues_read (share
        of all residues), paper_tokens and paper_cut (the same share with the paper's tokens, section 2.1), structures,
        contacts_read (share of the contacts of whole structures; NaN without any).
    """
    paper, size = BackboneSettings.model_fields["max_tokens"].default, table["sequence"].str.len()
    found = table[["accession", "split"]].merge(report[report["status"] == "matched"], on="accession", validate="1:1")
    rows = []
    for split in pd.unique(table["split"]):
        own, structures = size[table["split"] == split], found[found["split"] == split]
        room, contacts = backbone.max_tokens - SPECIAL_TOKENS, structures["contacts"].sum()
        row = {"split": split, "proteins": len(own), "tokens": backbone.max_tokens, "truncation": backbone.truncation}
        row |= {"cut": (own > room).mean(), "residues_read": own.clip(upper=room).sum() / own.sum()}
        row |= {"paper_tokens": paper, "paper_cut": (own > paper - SPECIAL_TOKENS).mean()}
        row |= {"structures": len(structures)}
        rows.append(row | {"contacts_read": structures["contacts_read"].sum() / contacts if contacts else np.nan})
    return pd.DataFrame(rows)
