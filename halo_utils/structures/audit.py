"""Audit of a folder of structure files: every file read, aligned with its protein, and its graph counted."""

from pathlib import Path

import pandas as pd

from halo_utils.structures.edges import radius_edges
from halo_utils.structures.reader import CA, load_structures, structure_index


def audit_files(proteins: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return ``load_structures``' report, format and edges of every file of ``folder``, with a sequence or not."""
    files = structure_index([folder])
    arrays, report = load_structures(proteins[proteins["accession"].isin(files)], [folder])
    edges = {accession: radius_edges(rows[:, CA]).shape[1] for accession, rows in arrays.items()}
    audit = pd.DataFrame({"accession": sorted(files)}).merge(report, how="left", on="accession")
    kind = ["mmCIF" if ".cif" in files[accession].name else "PDB" for accession in audit["accession"]]
    status = audit["status"].fillna("no sequence")
    return audit.assign(format=kind, status=status, edges=audit["accession"].map(edges))
