"""The edges of residue graphs: C-alpha pairs under a distance, searched once and kept on disk."""

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from tqdm import tqdm

from halo_utils.core.files import digest
from halo_utils.core.locks import locked
from halo_utils.core.paths import shown
from halo_utils.core.residue_store import ResidueStore, store_of, write_store

COORDINATES = 3
SEARCH_SECONDS = 3600  # how long a job waits for another one that searches the same edges
EDGE_TYPE = "int16"  # no model reads more than 32,767 residues


def radius_edges(ca: np.ndarray, cutoff_angstrom: float) -> np.ndarray:
    """Return the edges of a residue graph.

    Args:
        ca: [L, 3] C-alpha positions in angstrom, unscaled; NaN rows have no edges.
        cutoff_angstrom: residues closer than this are joined.

    Returns:
        [2, E] int64, both directions of every pair, no self-loops, in lexicographic order.
    """
    placed = np.flatnonzero(np.isfinite(ca).all(axis=1))
    if len(placed) < 2:
        return np.empty((2, 0), dtype=np.int64)
    tree = cKDTree(ca[placed])
    pairs = tree.query_pairs(np.nextafter(cutoff_angstrom, 0), output_type="ndarray")  # query_pairs includes its radius
    pairs = placed[pairs].reshape(-1, 2)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return both[np.lexsort((both[:, 1], both[:, 0]))].T.astype(np.int64)


def store_edges(path: Path, structures: ResidueStore, cutoff_angstrom: float) -> ResidueStore:
    """Search the edges of every structure once and keep them on disk, one row per edge.

    Args:
        path: ``.npy`` file of the store; a store of the same structures and cut-off is read back.
        structures: store of [L, 4] rows, C-alpha and pLDDT.
        cutoff_angstrom: residues closer than this are joined.

    Returns:
        Store of [E, 2] int16 rows: both directions of every pair, positions within the protein.
    """
    key = digest("edges", structures.content, cutoff_angstrom, EDGE_TYPE)
    with locked(path.with_name(".edges.lock"), shown(path), patience=SEARCH_SECONDS):  # jobs of a grid start together
        return store_of(path, key, lambda: _write_edges(path, key, structures, cutoff_angstrom))


def _write_edges(path: Path, key: str, structures: ResidueStore, cutoff_angstrom: float) -> ResidueStore:
    """Search the edges of every structure and write them."""

    def edges(accession: str) -> np.ndarray:
        return radius_edges(structures.rows(accession)[:, :COORDINATES], cutoff_angstrom).T

    names = structures.accessions
    counts = [len(edges(a)) for a in tqdm(names, desc="edges", leave=False)]  # searching twice is cheaper than keeping
    rows = ((i, edges(a).astype(EDGE_TYPE)) for i, a in enumerate(names))
    return write_store(path, key, names, counts, 2, rows, EDGE_TYPE)
