"""Structure files (PDB or mmCIF, gzipped or not) to one record per protein, aligned to its sequence.

Of models, fragments and alternative locations the first is read, of chains the best; MSE, SEC and PYL are residues.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
from Bio.Align import PairwiseAligner
from tqdm import tqdm

from halo_utils.core.errors import StructureError
from halo_utils.data.same_sequence import lookup_names

CARBON = gemmi.Element("C")  # CA is calcium, too
CA, PLDDT, WIDTH = slice(3, 6), 9, 10  # of the rows of a protein: x, y, z of N, CA and C in angstrom, then pLDDT
BACKBONE = ("N", "CA", "C")
MISSING = [np.nan] * 3  # the position of an atom that the file lacks
MIN_IDENTITY = 0.9  # identical residues over the shorter of the two sequences; below it is another protein
MIN_PLACED = 30  # residues a structure must place, or half of a protein shorter than twice that
WILDCARDS = frozenset("XBZ")  # letters of a sequence that stand for several residues and so fit any of them
# P04637.cif.gz, AF-P04637-F1-model_v6.cif, AF-P04637-2-F1-model_v6.pdb.gz
FILE_NAME = re.compile(
    r"(?:AF-)?(?P<accession>[A-Za-z0-9][A-Za-z0-9_.-]*?)(?:-F(?P<fragment>\d+))?(?:-model_v(?P<version>\d+))?"
    r"\.(?P<format>pdb|cif)(?:\.gz)?"
)


@dataclass(frozen=True)
class StructureRecord:
    """One protein's backbone as read from a file: its L residues that have a C-alpha, in file order."""

    sequence: str  # one letter per residue
    atoms: np.ndarray  # [L, A, 3] float32, the A atoms asked for in angstrom; NaN where one but the C-alpha is missing
    plddt: np.ndarray  # [L] float32, 0..100, from the B-factor of the C-alpha; NaN where the file carries none


def structure_index(folders: Iterable[Path]) -> dict[str, Path]:
    """Return accession -> file; first come first served, then first fragment, no version, newest version."""
    ranked = []
    for order, folder in enumerate(folders):
        for path in folder.iterdir():
            if name := FILE_NAME.fullmatch(path.name):
                rank = (order, int(name["fragment"] or 1), -int(name["version"] or 10**6), path.name)
                ranked.append((rank, name["accession"], path))
    return {accession: path for _, accession, path in sorted(ranked, reverse=True)}  # the last one wins


def read_structure(path: Path, sequence: str | None = None, atoms: Sequence[str] = BACKBONE) -> StructureRecord:
    """Read the chain of the first model that fits best, or first; StructureError if damaged or without C-alpha.

    ``atoms`` are the names of those to read; N, CA and C come first.
    """
    try:
        structure = gemmi.read_structure(str(path), merge_chain_parts=False)
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0].replace(str(path), path.name)
        raise StructureError(f"{path.name}: not a readable PDB or mmCIF file ({reason}); fetch it again") from error
    model = structure[0] if len(structure) else ()
    chains = [[(r, ca) for r in chain if (ca := r.find_atom("CA", "*", CARBON))] for chain in model]
    records = [_record(path, residues, atoms) for residues in chains if residues]
    if not records:
        raise StructureError(f"{path.name}: no C-alpha atom; expected a protein model, fetch it again")
    if sequence is None or len(records) == 1:
        return records[0]
    return max(records, key=lambda record: align(record, sequence)[1])


def _record(path: Path, found: list[tuple[gemmi.Residue, gemmi.Atom]], names: Sequence[str]) -> StructureRecord:
    """Return the record of a chain's residues, each with its C-alpha."""
    residues = [residue for residue, _ in found]
    letters = [gemmi.find_tabulated_residue(residue.name).one_letter_code.upper() for residue in residues]
    named = (residue.find_atom(name, "*") for residue in residues for name in names)
    positions = [atom.pos.tolist() if atom else MISSING for atom in named]
    atoms = np.array(positions, dtype=np.float32).reshape(len(residues), len(names), 3)
    if not np.isfinite(atoms[:, 1]).all():
        raise StructureError(f"{path.name}: a C-alpha without finite coordinates; fetch the file again")
    sequence = "".join(letter if letter.isalpha() else "X" for letter in letters)
    b_factors = np.array([ca.b_iso for _, ca in found], dtype=np.float32)
    return StructureRecord(sequence, atoms, plddt_from_b_factors(b_factors))


def plddt_from_b_factors(b_factors: np.ndarray) -> np.ndarray:
    """Return pLDDT 0..100 from a prediction's B-factors, [L] float32; ESMFold's 0..1 is scaled, others are NaN."""
    if b_factors.min() < 0 or b_factors.max() > 100:
        return np.full_like(b_factors, np.nan)
    return b_factors * 100 if b_factors.max() <= 1 else b_factors


def align(record: StructureRecord, sequence: str) -> tuple[np.ndarray, float]:
    """Return every residue's index in the record or -1, [L] int64, and the identity over the shorter sequence."""
    if record.sequence == sequence:
        return np.arange(len(sequence)), 1.0
    aligner = PairwiseAligner(mode="global", match_score=2, mismatch_score=-1, open_gap_score=-5, extend_gap_score=-0.2)
    aligner.wildcard = "X"
    aligner.end_gap_score = 0.0  # a fragment or a longer construct costs nothing at its ends
    in_sequence, in_record = aligner.align(sequence, record.sequence)[0].indices
    index = in_record[in_sequence >= 0]
    fits = len(sequence) - count_mismatches(record, sequence, index) - int((index < 0).sum())
    return index, fits / min(len(sequence), len(record.sequence))


def count_mismatches(record: StructureRecord, sequence: str, index: np.ndarray) -> int:
    """Return the residues that the structure places but names otherwise."""
    pairs = ((letter, record.sequence[i]) for letter, i in zip(sequence, index, strict=True) if i >= 0)
    return sum(a != b and a not in WILDCARDS for a, b in pairs)


def load_structures(table: pd.DataFrame, folders: Sequence[Path]) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Read the structures of a data set: accession -> [L, WIDTH] float32 of the matched, and a report on all.

    NaN stands where the structure lacks an atom of the sequence, ``extra`` counts residues that the sequence lacks;
    ``status`` is ``matched``, ``none``, ``mismatched`` or ``unreadable``. In ``folders`` first come is first served; of
    the names of ``lookup_names`` the first with a file.
    """
    arrays, rows, files = {}, [], structure_index(folders)
    proteins = zip(table["accession"], lookup_names(table), table["sequence"], strict=True)
    for accession, names, sequence in tqdm(proteins, total=len(table), desc="structures", leave=False):
        path = next((files[name] for name in names if name in files), None)
        values, arrays[accession] = load_structure(path, accession, sequence) if path else ({"status": "none"}, None)
        rows.append({"accession": accession, "file": path.name if path else ""} | values)
    columns = ["accession", "status", "file", "identity", "residues", "placed", "mismatches", "extra", "mean_plddt"]
    report = pd.DataFrame(rows).reindex(columns=[*columns, "problem"])
    return {accession: values for accession, values in arrays.items() if values is not None}, report


def load_structure(path: Path, accession: str, sequence: str) -> tuple[dict[str, object], np.ndarray | None]:
    """Read and align one file; return its report values and its rows, [L, 10], where it matches."""
    try:
        record = read_structure(path, sequence)
    except StructureError as error:
        return {"status": "unreadable", "problem": str(error)}, None
    index, identity = align(record, sequence)
    placed = int((index >= 0).sum())
    values = {"identity": identity, "residues": len(sequence), "placed": placed}
    values |= {"mismatches": count_mismatches(record, sequence, index), "extra": len(record.sequence) - placed}
    values["mean_plddt"] = float(record.plddt.mean())  # NaN where the file carries no pLDDT
    needed = min(MIN_PLACED, len(sequence) // 2)
    if identity < MIN_IDENTITY or placed < needed:
        found = f"{accession} has identity {identity:.2f} with it and {placed} residues placed"
        expected = f"at least {MIN_IDENTITY} and {needed} expected; it runs without structure"
        problem = f"{path.name}: {found}, {expected}"
        return {"status": "mismatched", "problem": problem, **values}, None
    rows = np.column_stack([record.atoms.reshape(-1, 9), record.plddt])
    return {"status": "matched", **values}, np.where(index[:, None] >= 0, rows[index], np.nan).astype(np.float32)
