"""The edges of residue graphs: C-alpha pairs under a distance, from coordinates or contact maps, kept on disk."""

from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from tqdm import tqdm

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.same_sequence import lookup_names
from halo_utils.structures.contact_maps import ContactMaps, both_ways
from halo_utils.structures.reader import CA

EDGE_TYPE = "uint16"  # the longest protein of UniProt has 45,212 residues
COORDINATES, EXACT, RECOVERED = "coordinates", "contact map, exact", "contact map, recovered"
OTHER_LENGTH, NO_GRAPH = "contact map of another length", "none"
GRAPH_SOURCES = (COORDINATES, EXACT, RECOVERED)  # the others have no graph


def radius_edges(ca: np.ndarray, cutoff_angstrom: float = 10.0) -> np.ndarray:
    """Return C-alpha pairs [L, 3] under the cut-off, both ways, in lexicographic order, [2, E] int64 (section 2.2)."""
    placed = np.flatnonzero(np.isfinite(ca).all(axis=1))
    if len(placed) < 2:
        return np.empty((2, 0), dtype=np.int64)
    tree = cKDTree(ca[placed])
    pairs = tree.query_pairs(np.nextafter(cutoff_angstrom, 0), output_type="ndarray")  # query_pairs includes its radius
    return both_ways(placed[pairs].reshape(-1, 2))


def nearest_edges(ca: np.ndarray, neighbours: int) -> np.ndarray:
    """Return each C-alpha of [L, 3] with its ``neighbours`` nearest ones, both ways, lexicographic, [2, E] int64.

    Not in the paper. A pair is joined where either is among the nearest of the other, so degrees are at least that.
    """
    placed = np.flatnonzero(np.isfinite(ca).all(axis=1))
    if len(placed) < 2:
        return np.empty((2, 0), dtype=np.int64)
    count = min(neighbours + 1, len(placed))
    _, found = cKDTree(ca[placed]).query(ca[placed], k=count)
    pairs = np.stack([np.repeat(np.arange(len(placed)), count), found.ravel()], axis=1)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    return both_ways(placed[pairs])


def edges_by_rule(path: Path, structures: ResidueStore, names: Sequence[str], rule: str) -> ResidueStore:
    """Return a store as that of ``store_edges`` of the named proteins with coordinates, made once, by another ``rule``.

    A rule is ``12 angstrom`` (pairs under a distance), ``16 nearest`` (see ``nearest_edges``) or ``none``.
    """
    number, _, kind = rule.partition(" ")
    if rule != "none" and kind not in ("angstrom", "nearest"):
        raise DataError(f"edges by {rule!r} are not known: expected none, or such as '12 angstrom' or '16 nearest'")
    names = [name for name in names if name in structures]
    key = digest("edges by rule", structures.content, names, rule, EDGE_TYPE)

    def edges(accession: str) -> np.ndarray:
        ca = structures.rows(accession)[:, CA]
        if rule == "none":
            return np.empty((0, 2), dtype=np.int64)
        return (radius_edges(ca, float(number)) if kind == "angstrom" else nearest_edges(ca, int(number))).T

    def make() -> ResidueStore:
        counts = [len(edges(name)) for name in names]  # twice is cheaper than keeping
        return write_store(path, key, names, counts, 2, enumerate(map(edges, names)), EDGE_TYPE)

    return store_of(path, key, make)


def edges_between(edges: np.ndarray, residues: np.ndarray, length: int) -> np.ndarray:
    """Return the edges [2, E] of L residues that join ``residues``, [N] increasing, numbered among them, [2, E']."""
    if len(residues) == length:  # all of them: most proteins
        return np.ascontiguousarray(edges, dtype=np.int64)
    position = np.full(length, -1)
    position[residues] = np.arange(len(residues))
    counted = position[edges]
    return counted[:, (counted >= 0).all(axis=0)]


def count_contacts(ca: np.ndarray, residues: np.ndarray, cutoff_angstrom: float = 10.0) -> tuple[int, int]:
    """Return the contacts of a whole structure, [L, 3], and those between some ``residues``, [N] increasing."""
    edges = radius_edges(ca, cutoff_angstrom)
    return edges.shape[1] // 2, edges_between(edges, residues, len(ca)).shape[1] // 2


def graph_sources(table: pd.DataFrame, structures: Container[str], maps: Sequence[ContactMaps]) -> pd.DataFrame:
    """Return, per protein, the ``source`` of its edges, which of ``maps`` it is (``map``, -1: none) and its name there.

    Coordinates come first, then the first contact map whose length is the sequence's; a map of another length is not
    used, because its contacts are another protein's or isoform's, and is named as such. Of the names of
    ``lookup_names`` the first with such a map counts.
    """
    rows = []
    for accession, names, sequence in zip(table["accession"], lookup_names(table), table["sequence"], strict=True):
        known = [(k, name) for name in names for k, one in enumerate(maps) if name in one]
        fitting = [(k, name) for k, name in known if maps[k].length(name) == len(sequence)]
        if accession in structures:
            rows.append((accession, COORDINATES, -1, accession))
        elif fitting:
            k, name = fitting[0]
            rows.append((accession, EXACT if maps[k].exact(name) else RECOVERED, k, name))
        else:
            rows.append((accession, OTHER_LENGTH if known else NO_GRAPH, -1, accession))
    return pd.DataFrame(rows, columns=["accession", "source", "map", "name"])


def store_edges(
    path: Path,
    table: pd.DataFrame,
    structures: ResidueStore,
    maps: Sequence[ContactMaps] = (),
    cutoff_angstrom: float = 10.0,
) -> ResidueStore:
    """Return the store of the edges of every protein of ``table`` with coordinates or a contact map, made once.

    Rows are [E, 2] uint16 in the whole protein. DataError for a map that was cut at another distance.
    """
    for one in maps:
        if one.cutoff_angstrom != cutoff_angstrom:
            problem = f"{one.name}: contacts under {one.cutoff_angstrom:g} angstrom, expected {cutoff_angstrom:g}"
            remedy = (
                f"set gat.cutoff_angstrom to {one.cutoff_angstrom:g}, move the archive away, or fetch the structures"
            )
            raise DataError(f"{problem}; distances are not in it: {remedy}")
    sources = graph_sources(table, structures, maps)
    chosen = sources[sources["source"].isin(GRAPH_SOURCES)]
    where = {row.accession: (row.map, row.name) for row in chosen.itertuples(index=False)}
    # A map under the protein's own name is its number alone, so that stores from before other names stay current.
    numbers = {accession: k if name == accession else (k, name) for accession, (k, name) in where.items()}
    key = digest("edges", structures.content, [one.content for one in maps], numbers, cutoff_angstrom, EDGE_TYPE)

    def edges(accession: str) -> np.ndarray:
        k, name = where[accession]
        if k >= 0:
            return maps[k].edges(name).T
        return radius_edges(structures.rows(accession)[:, CA], cutoff_angstrom).T

    def make() -> ResidueStore:
        unlike, names = sources.loc[sources["source"] == OTHER_LENGTH, "accession"], list(where)
        if len(unlike):
            named = f"{', '.join(unlike[:5])}{' ...' if len(unlike) > 5 else ''}"
            print(f"contact maps of {len(unlike):,} proteins are of another length and are not used: {named}")
        counts = [len(edges(a)) for a in tqdm(names, desc="edges", leave=False)]  # twice is cheaper than keeping
        return write_store(path, key, names, counts, 2, enumerate(map(edges, names)), EDGE_TYPE)

    return store_of(path, key, make)


def edge_report(
    table: pd.DataFrame,
    structures: ResidueStore,
    edges: ResidueStore,
    cutoff_angstrom: float = 10.0,
    scale: float = 0.5,
) -> pd.DataFrame:
    """Return, per protein of ``table`` with a graph, its residues and edges per residue under two readings.

    The released code measures on coordinates multiplied by their feature weight ``scale``: its 10 A act at 10 / weight.
    A contact map has no distances, so ``released_code`` is NaN where there are no coordinates.
    """
    rows = []
    for accession, sequence in zip(table["accession"], table["sequence"], strict=True):
        if accession not in edges:
            continue
        wider = np.nan
        if accession in structures:
            wider = radius_edges(structures.rows(accession)[:, CA], cutoff_angstrom / scale).shape[1] / len(sequence)
        rows.append((accession, len(sequence), edges.length(accession) / len(sequence), wider))
    columns = ["accession", "residues", "paper", "released_code"]
    return pd.DataFrame(rows, columns=columns).astype({"paper": float, "released_code": float})
