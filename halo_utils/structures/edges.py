"""The edges of residue graphs: C-alpha pairs under a distance, searched once over whole proteins and kept on disk."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from tqdm import tqdm

from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.structures.reader import CA

EDGE_TYPE = "uint16"  # the longest protein of UniProt has 45,212 residues


def radius_edges(ca: np.ndarray, cutoff_angstrom: float = 10.0) -> np.ndarray:
    """Return C-alpha pairs [L, 3] under the cut-off, both ways, in lexicographic order, [2, E] int64 (section 2.2)."""
    placed = np.flatnonzero(np.isfinite(ca).all(axis=1))
    if len(placed) < 2:
        return np.empty((2, 0), dtype=np.int64)
    tree = cKDTree(ca[placed])
    pairs = tree.query_pairs(np.nextafter(cutoff_angstrom, 0), output_type="ndarray")  # query_pairs includes its radius
    pairs = placed[pairs].reshape(-1, 2)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return both[np.lexsort((both[:, 1], both[:, 0]))].T.astype(np.int64)


def edges_between(edges: np.ndarray, residues: np.ndarray, length: int) -> np.ndarray:
    """Return the edges [2, E] of L residues that join ``residues``, [N] increasing, numbered among them, [2, E']."""
    position = np.full(length, -1)
    position[residues] = np.arange(len(residues))
    counted = position[edges]
    return counted[:, (counted >= 0).all(axis=0)]


def count_contacts(ca: np.ndarray, residues: np.ndarray, cutoff_angstrom: float = 10.0) -> tuple[int, int]:
    """Return the contacts of a whole structure, [L, 3], and those between some ``residues``, [N] increasing."""
    edges = radius_edges(ca, cutoff_angstrom)
    return edges.shape[1] // 2, edges_between(edges, residues, len(ca)).shape[1] // 2


def store_edges(path: Path, structures: ResidueStore, cutoff_angstrom: float = 10.0) -> ResidueStore:
    """Return the store of the edges of every structure, [E, 2] uint16 in the whole protein, searched once."""
    key = digest("edges", structures.content, cutoff_angstrom, EDGE_TYPE)

    def make() -> ResidueStore:
        names, edges = structures.accessions, (lambda a: radius_edges(structures.rows(a)[:, CA], cutoff_angstrom).T)
        counts = [len(edges(a)) for a in tqdm(names, desc="edges", leave=False)]  # twice is cheaper than keeping
        return write_store(path, key, names, counts, 2, enumerate(map(edges, names)), EDGE_TYPE)

    return store_of(path, key, make)


def edge_report(structures: ResidueStore, cutoff_angstrom: float = 10.0, scale: float = 0.5) -> pd.DataFrame:
    """Return, per protein of the store, its residues and edges per residue under two readings of the cut-off.

    The released code measures on coordinates multiplied by their feature weight ``scale``: its 10 A act at 10 / weight.
    """
    rows = []
    for accession in structures.accessions:
        ca = structures.rows(accession)[:, CA]
        densities = [radius_edges(ca, cutoff_angstrom / s).shape[1] / len(ca) for s in (1.0, scale)]
        rows.append((accession, len(ca), *densities))
    return pd.DataFrame(rows, columns=["accession", "residues", "paper", "released_code"])
