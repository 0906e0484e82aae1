"""TODO."""

from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.core.paths import shown
from halo_utils.core.ranks import is_first, meet
from halo_utils.core.residue_store import ResidueStore, open_if_current, write_store
from halo_utils.data.splits import fingerprint
from halo_utils.embeddings.truncation import count_contacts, seen_residues
from halo_utils.structures.reader import load_structures


def _structures_path(settings: Settings) -> Path:
    return settings.source.work / "structures.npy"


def store_structures(settings: Settings, table: pd.DataFrame, folders: list[Path]) -> pd.DataFrame:
    """Parse every structure once into a store of [L, 4] rows (C-alpha in angstrom, pLDDT) of the residues seen.

    Returns:
        The report of ``load_structures``, one row per protein, with the contacts of the whole structure and
        contacts_read, those between residues seen; NaN for proteins without a structure.
    """
    arrays, report = load_structures(table, folders)
    block = settings.backbone
    own = table[table["accession"].isin(arrays)]
    index = [seen_residues(len(s), block.max_tokens, block.truncation) for s in own["sequence"]]
    cutoff = settings.gat.cutoff_angstrom
    pairs = [count_contacts(arrays[a][:, :3], seen, cutoff) for a, seen in zip(own["accession"], index, strict=True)]
    counts = pd.DataFrame(pairs, columns=["contacts", "contacts_read"], index=own["accession"])
    rows = ((i, arrays[a][index[i]]) for i, a in enumerate(own["accession"]))
    key = structures_key(settings, table)
    path, names, sizes = _structures_path(settings), list(own["accession"]), [len(i) for i in index]
    if is_first():
        write_store(path, key, names, sizes, 4, rows, "float32")
    meet()
    return report.join(counts, on="accession")


def structures_key(settings: Settings, table: pd.DataFrame) -> str:
    """Return the key of the structure store: the proteins and how they are truncated."""
    return digest(fingerprint(table), settings.backbone.max_tokens, settings.backbone.truncation)


def structure_store(settings: Settings, table: pd.DataFrame) -> ResidueStore:
    """Return the store of [L, 4] float32 rows (C-alpha in angstrom, pLDDT) of the proteins with a structure.

    Raises:
        DataError: if notebook 01 has not parsed the structures of this table, or the store is damaged.
    """
    store = open_if_current(_structures_path(settings), structures_key(settings, table))
    if store is None:
        name = shown(_structures_path(settings))
        raise DataError(
            f"{name} is missing, damaged or made from other proteins: run notebook 01_data_preparation again"
        )
    return store


def load_structure_arrays(settings: Settings, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return accession -> [L, 4] float32 of the proteins that have a structure, see ``structure_store``."""
    store = structure_store(settings, table)
    return {a: np.array(store.rows(a)) for a in store.accessions}
