"""Audit of a folder of structure files: every file read, aligned with its protein, and its graph counted."""

from pathlib import Path

import pandas as pd

from halo_utils.structures.edges import radius_edges
from halo_utils.structures.reader import CA, load_structure, structure_index


def audit_files(proteins: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return one row per protein that has a file in ``folder``.

    Args:
        proteins: ``accession`` and ``sequence`` of the proteins that are known.
        folder: structure files.

    Returns:
        Columns accession, format, status (``matched``, ``mismatched``, ``unreadable``, or ``no sequence`` where no
        table names the protein), residues, placed, mismatches, mean_plddt (NaN where the file carries none), edges
        (directed, C-alpha under 10 A), problem.
    """
    sequences = dict(zip(proteins["accession"], proteins["sequence"], strict=True))
    rows = []
    for accession, path in sorted(structure_index([folder]).items()):
        row: dict[str, object] = {"accession": accession, "format": "mmCIF" if ".cif" in path.name else "PDB"}
        if accession not in sequences:
            rows.append(row | {"status": "no sequence"})
            continue
        values, backbone = load_structure(path, accession, sequences[accession])
        if backbone is not None:
            row["edges"] = radius_edges(backbone[:, CA]).shape[1]
        rows.append(row | values)
    columns = ["accession", "format", "status", "residues", "placed", "mismatches", "mean_plddt", "edges", "problem"]
    return pd.DataFrame(rows).reindex(columns=columns)


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    """Return the counts of ``audit_files`` per file format and over all.

    Returns:
        Indexed by format; files, read, matched, mismatched, without pLDDT, residues, mean pLDDT over residues of
        the files that carry it, edges per residue at 10 A.
    """
    matched = audit["status"] == "matched"
    weight = audit["residues"].where(audit["mean_plddt"].notna())
    sums = pd.DataFrame(
        {
            "format": audit["format"],
            "files": 1,
            "read": audit["status"] != "unreadable",
            "matched": matched,
            "mismatched": audit["status"] == "mismatched",
            "without pLDDT": matched & audit["mean_plddt"].isna(),
            "residues": audit["residues"].where(matched),
            "plddt": audit["mean_plddt"] * weight,
            "weight": weight,
            "edges": audit["edges"],
        }
    )
    table = sums.groupby("format").sum()
    table.loc["all"] = table.sum()
    table["mean pLDDT"] = table.pop("plddt") / table.pop("weight")
    table["edges per residue at 10 A"] = table.pop("edges") / table["residues"]
    whole = ["files", "read", "matched", "mismatched", "without pLDDT", "residues"]
    return table.astype({name: int for name in whole})
