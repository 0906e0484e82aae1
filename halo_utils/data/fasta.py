"""Proteins of a user's FASTA file, one in memory at a time: what is tolerated, what is refused, what is warned of."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from halo_utils.core.errors import DataError
from halo_utils.data.tables import LETTERS, check_sequence, name_of, stream_fasta

NUCLEOTIDES = frozenset("ACGTUN")
NUCLEOTIDE_SHARE, NUCLEOTIDE_LENGTH = 0.95, 15  # these letters are a quarter of a protein; silk, an extreme, has 75 %
GAPS = frozenset("-.")
NAME = re.compile(r"[\w(\[][^\s\"'<>;,]{0,199}")  # no spreadsheet takes it for a formula, and it is one cell
FRAGMENT = re.compile(r"\(?\bfragments?\b\)?", re.IGNORECASE)  # UniProt writes (Fragment) behind the protein's name
MOSTLY = 0.5


@dataclass(frozen=True)
class Protein:
    """One protein of a FASTA file: its name, its whole header, and its L residues in upper case."""

    name: str
    title: str
    sequence: str

    def warnings(self) -> list[str]:
        """Return what of the sequence makes a prediction less sure, one sentence each."""
        found = []
        if FRAGMENT.search(self.title):
            found.append("The header says that this is a fragment: a sorting signal may be missing.")
        if self.sequence[0] != "M":
            found.append("It does not start with M: a fragment, or a mature chain without its signal peptide.")
        if (unknown := self.sequence.count("X") / len(self.sequence)) >= MOSTLY:
            found.append(f"{unknown:.0%} of its residues are unknown (X).")
        return found


def sequence_hash(sequence: str) -> int:
    """Return 64 bits of BLAKE2b of a sequence as a signed integer; they tell whether it is known, not what it is."""
    return int.from_bytes(hashlib.blake2b(sequence.encode(), digest_size=8).digest(), "big", signed=True)


def read_protein(where: str, title: str, letters: str) -> Protein:
    """Return a FASTA record as a protein, its name shortened as ``name_of`` does, lower case and a last ``*`` forgiven.

    DataError, naming file and record (``where``) and the remedy, for an unfit name, an empty sequence, nucleotides or
    letters that are no residues.
    """
    name, sequence = name_of(title), letters.upper().removesuffix("*")
    where = f"{where} ({name[:40] or 'no name'})"
    if not NAME.fullmatch(name):
        expected = "expected one word of at most 200 characters that starts with a letter or digit"
        raise DataError(f"{where}: the name {name[:40]!r} is not valid: {expected}; rename the protein")
    if not sequence:
        raise DataError(f"{where}: empty sequence; remove the record or fill it in")
    if set(sequence) & GAPS and set(sequence) - GAPS <= LETTERS:
        raise DataError(f"{where}: gaps (- or .), expected a protein on its own: remove the gaps of the alignment")
    if "*" in sequence and set(sequence) - {"*"} <= LETTERS:
        raise DataError(f"{where}: a stop codon (*) inside the sequence; cut the protein there, or remove the record")
    check_sequence(sequence, where)
    share = sum(map(sequence.count, NUCLEOTIDES)) / len(sequence)
    if len(sequence) >= NUCLEOTIDE_LENGTH and share >= NUCLEOTIDE_SHARE:
        problem = f"{share:.0%} of its letters are A, C, G, T, U or N: nucleotides, expected amino acids"
        raise DataError(f"{where}: {problem}; translate it first")
    return Protein(name, title, sequence)


def stream_proteins(path: Path) -> Iterator[Protein]:
    """Yield the proteins of a FASTA file (plain, gzip or xz) without ever holding more than one; DataError if unfit."""
    if not path.is_file():
        raise DataError(f"{path.name} not found: expected a FASTA file, or - to read standard input")
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty: expected FASTA records (>name, then the residues of a protein)")
    for number, (title, letters) in enumerate(stream_fasta(path), 1):
        yield read_protein(f"{path.name} record {number}", title, letters)


def in_chunks(proteins: Iterable[Protein], size: int) -> Iterator[list[Protein]]:
    """Yield lists of ``size`` proteins, the last one of the rest; nothing is read before it is asked for."""
    proteins = iter(proteins)
    while chunk := list(islice(proteins, size)):
        yield chunk


def count_proteins(path: Path, size: int = 10_000) -> int:
    """Return how many proteins a FASTA file has after reading all of it once; DataError for the first unfit record.

    A name that occurs twice is unfit, too. Of the names 8 bytes each are kept.
    """
    count, seen = 0, np.empty(0, dtype=np.int64)
    for chunk in in_chunks(stream_proteins(path), size):
        names = np.array([sequence_hash(protein.name) for protein in chunk])
        first = np.zeros(len(names), dtype=bool)
        first[np.unique(names, return_index=True)[1]] = True
        place = np.searchsorted(seen, names)
        known = seen[np.minimum(place, len(seen) - 1)] == names if len(seen) else np.zeros(len(names), dtype=bool)
        for k in np.flatnonzero(known | ~first):
            problem = f"{path.name} record {count + k + 1} ({chunk[k].name}): the name occurs before"
            raise DataError(f"{problem}; every protein needs a name of its own: rename or remove it")
        seen, count = np.sort(np.concatenate([seen, names]), kind="stable"), count + len(chunk)
    return count
