"""The structures of a data set on disk: whole proteins, N, CA, C and pLDDT, parsed once; audit of a folder of files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.core.paths import shown
from halo_utils.core.residue_store import ResidueStore, open_if_current, write_store
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.structures.edges import count_contacts, radius_edges
from halo_utils.structures.reader import CA, WIDTH, load_structures, structure_index

CACHE_VERSION = 2  # raised by hand when a change here changes what is stored


def store_structures(
    path: Path,
    table: pd.DataFrame,
    folders: Sequence[Path],
    *,
    cutoff_angstrom: float = 10.0,
    max_tokens: int = 1024,
    truncation: str = "head",
) -> pd.DataFrame:
    """Parse every structure once into a store; return ``load_structures``' report with contacts, whole and as read."""
    arrays, report = load_structures(table, folders)
    lengths = [len(rows) for rows in arrays.values()]
    write_store(path, _key(table), list(arrays), lengths, WIDTH, enumerate(arrays.values()), "float32")
    reading = (max_tokens, truncation)
    contacts = [count_contacts(a[:, CA], seen_residues(len(a), *reading), cutoff_angstrom) for a in arrays.values()]
    counted = pd.DataFrame(contacts, list(arrays), ["contacts", "contacts_read"], dtype=float)
    return report.join(counted, on="accession")


def _key(table: pd.DataFrame) -> str:
    return digest(dict(zip(table["accession"], table["sequence"], strict=True)), CACHE_VERSION)


def structure_store(path: Path, table: pd.DataFrame) -> ResidueStore:
    """Return the store that ``store_structures`` made of these proteins; DataError if missing, damaged or of others."""
    store = open_if_current(path, _key(table))
    if store is None:
        raise DataError(f"{shown(path)} is missing, damaged or made from other proteins")
    return store


def audit_files(proteins: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return ``load_structures``' report, format and edges of every file of ``folder``, with a sequence or not."""
    files = structure_index([folder])
    arrays, report = load_structures(proteins[proteins["accession"].isin(files)], [folder])
    edges = {accession: radius_edges(rows[:, CA]).shape[1] for accession, rows in arrays.items()}
    audit = pd.DataFrame({"accession": sorted(files)}).merge(report, how="left", on="accession")
    kind = ["mmCIF" if ".cif" in files[accession].name else "PDB" for accession in audit["accession"]]
    status = audit["status"].fillna("no sequence")
    return audit.assign(format=kind, status=status, edges=audit["accession"].map(edges))
