"""Structure files (PDB or mmCIF, gzipped or not) to one record per protein, aligned to its sequence."""

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
from Bio.Align import PairwiseAligner
from tqdm import tqdm

from halo_utils.errors import StructureError

SUFFIXES = (".pdb", ".cif", ".pdb.gz", ".cif.gz")
BACKBONE = ("N", "CA", "C")
MIN_IDENTITY = 0.9  # identical residues over the shorter of the two sequences; below it is another protein


@dataclass(frozen=True)
class StructureRecord:
    """One protein's backbone as read from a file.

    Attributes:
        sequence: one-letter residues that have a C-alpha, in file order; length L.
        backbone: [L, 3, 3] float32, N, CA, C in angstrom; NaN where an N or C is missing.
        plddt: [L] float32, pLDDT 0..100 from the B-factor of the C-alpha; NaN where the file carries none.
    """

    sequence: str
    backbone: np.ndarray
    plddt: np.ndarray

    @property
    def ca(self) -> np.ndarray:
        """C-alpha positions, [L, 3] float32, angstrom."""
        return self.backbone[:, 1]


def structure_file(folder: Path, accession: str) -> Path | None:
    """Return the structure file of an accession in ``folder``, or None."""
    candidates = (folder / f"{accession}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def read_structure(path: Path) -> StructureRecord:
    """Read the first chain of the first model that holds C-alpha atoms.

    Hetero residues that stand for an amino acid (MSE, SEC) count with their parent letter; of alternative
    locations the first is used; waters and ligands are ignored.

    Raises:
        StructureError: if the file cannot be parsed or holds no C-alpha.
    """
    try:
        structure = gemmi.read_structure(str(path), merge_chain_parts=False)
    except (RuntimeError, ValueError, OSError) as error:
        raise StructureError(f"{path.name}: not a readable PDB or mmCIF file ({error}); fetch it again") from error
    for chain in structure[0] if len(structure) else ():
        residues = [(r, r.find_atom("CA", "*", gemmi.Element("C"))) for r in chain]
        residues = [(r, ca) for r, ca in residues if ca is not None]
        if residues:
            return _record(residues)
    raise StructureError(f"{path.name}: no C-alpha atom; expected a protein model, fetch it again")


def _record(residues: list[tuple[gemmi.Residue, gemmi.Atom]]) -> StructureRecord:
    """Turn residues with their C-alpha into arrays."""
    backbone = np.full((len(residues), 3, 3), np.nan, dtype=np.float32)
    letters = []
    for i, (residue, _) in enumerate(residues):
        letter = gemmi.find_tabulated_residue(residue.name).one_letter_code.upper()
        letters.append(letter if letter.isalpha() else "X")
        for j, name in enumerate(BACKBONE):
            atom = residue.find_atom(name, "*")
            if atom is not None:
                backbone[i, j] = atom.pos.tolist()
    b_factors = np.array([ca.b_iso for _, ca in residues], dtype=np.float32)
    return StructureRecord("".join(letters), backbone, plddt_from_b_factors(b_factors))


def plddt_from_b_factors(b_factors: np.ndarray) -> np.ndarray:
    """Return pLDDT 0..100 from the B-factors of a predicted structure, [L] float32.

    ESMFold writes 0..1, which is scaled; files rewritten by other tools carry something else there (values below
    0 or above 100), and their pLDDT is unknown: NaN for every residue, never a wrong number.
    """
    if b_factors.min() < 0 or b_factors.max() > 100:
        return np.full_like(b_factors, np.nan)
    return b_factors * 100 if b_factors.max() <= 1 else b_factors


def align(record: StructureRecord, sequence: str) -> tuple[np.ndarray, float]:
    """Match the residues of a structure with those of the data set's sequence.

    Returns:
        [L] int64, for every residue of ``sequence`` the index of its residue in the record or -1, and the
        identity: identical pairs over the length of the shorter sequence.
    """
    if record.sequence == sequence:
        return np.arange(len(sequence)), 1.0
    aligner = PairwiseAligner(mode="global", match_score=2, mismatch_score=-1, open_gap_score=-5, extend_gap_score=-0.2)
    aligner.end_gap_score = 0.0  # a fragment or a longer construct costs nothing at its ends
    alignment = aligner.align(sequence, record.sequence)[0]
    index, same = np.full(len(sequence), -1), 0
    for (start, end), (other, _) in zip(*alignment.aligned, strict=True):
        index[start:end] = np.arange(other, other + end - start)
        same += sum(sequence[start + i] == record.sequence[other + i] for i in range(end - start))
    return index, same / min(len(sequence), len(record.sequence))


def load_structures(table: pd.DataFrame, folder: Path | None) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Read the structures of a data set.

    Args:
        table: dataset table with ``accession`` and ``sequence``.
        folder: folder of ``<accession>.<pdb|cif>[.gz]`` files, or None when there are no structures.

    Returns:
        accession -> [L, 4] float32 per residue of the data set's sequence: C-alpha x, y, z in angstrom and
        pLDDT, NaN where the structure lacks the residue; and one report row per protein: status
        (``matched``, ``none``, ``mismatched``, ``unreadable``), file, identity, residues placed, mean pLDDT.
        Only matched proteins are in the mapping.
    """
    arrays: dict[str, np.ndarray] = {}
    rows = []
    proteins = zip(table["accession"], table["sequence"], strict=True)
    for accession, sequence in tqdm(proteins, total=len(table), desc="structures", leave=False):
        path = structure_file(folder, accession) if folder else None
        row = {"accession": accession, "status": "none", "file": path.name if path else ""}
        if path:
            row |= _load_one(path, accession, sequence, arrays)
        rows.append(row)
    columns = ["accession", "status", "file", "identity", "residues", "placed", "mean_plddt", "problem"]
    return arrays, pd.DataFrame(rows).reindex(columns=columns)


def _load_one(path: Path, accession: str, sequence: str, arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """Read and align one file; add it to ``arrays`` when it matches and return its report values."""
    try:
        record = read_structure(path)
    except StructureError as error:
        return {"status": "unreadable", "problem": str(error)}
    index, identity = align(record, sequence)
    values = {"identity": identity, "residues": len(sequence), "placed": int((index >= 0).sum())}
    values["mean_plddt"] = float(record.plddt.mean())  # NaN where the file carries no pLDDT
    if identity < MIN_IDENTITY:
        problem = f"{path.name}: identity {identity:.2f} with the data set's sequence, at least {MIN_IDENTITY} expected"
        return {"status": "mismatched", "problem": problem, **values}
    rows = np.column_stack([record.ca, record.plddt])
    arrays[accession] = np.where(index[:, None] >= 0, rows[index], np.nan).astype(np.float32)
    return {"status": "matched", **values}


def structure_table(folder: Path) -> pd.DataFrame:
    """Return what a folder of structure files holds, one row per file format and one for all.

    Returns:
        Indexed by format; columns files, read, ``without pLDDT``, residues, ``mean pLDDT`` over residues.
    """
    rows = []
    for path in sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES)):
        row = {"format": "mmCIF" if ".cif" in path.name else "PDB", "files": 1, "read": 0}
        try:
            record = read_structure(path)
        except StructureError:
            rows.append(row)
            continue
        known = bool(np.isfinite(record.plddt).all())
        row |= {"read": 1, "without pLDDT": int(not known), "residues": len(record.sequence)}
        rows.append(row | {"sum": float(np.nansum(record.plddt)), "known": len(record.sequence) * known})
    table = pd.DataFrame(rows).groupby("format").sum()
    table.loc["all"] = table.sum()
    table["mean pLDDT"] = table.pop("sum") / table.pop("known")
    whole = [c for c in table.columns if c != "mean pLDDT"]
    return table.astype({c: int for c in whole})
