"""Controls for the edges: the same proteins with edges that know less of the fold, each kept on disk."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.structures.contact_maps import both_ways, lexicographic
from halo_utils.structures.edges import EDGE_TYPE

# No edges; |i - j| <= REACH; the contacts with the residues exchanged at random; the contacts of another protein.
KINDS = ("none", "sequence", "rewired", "other")
REACH = 4  # residues along the chain, a turn of a helix


def sequence_edges(length: int, reach: int = REACH) -> np.ndarray:
    """Return the pairs of ``length`` residues at most ``reach`` apart, both ways, lexicographic, [2, E] int64."""
    steps = [np.arange(max(length - step, 0)) for step in range(1, reach + 1)]
    pairs = [np.stack([first, first + step], axis=1) for step, first in enumerate(steps, 1)]
    return both_ways(np.concatenate(pairs))


def rewired_edges(edges: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the edges [2, E] after one permutation of the residues: the same degrees, at other residues."""
    return lexicographic(rng.permutation(length)[edges])


def borrowed_edges(edges: np.ndarray, owner_length: int, length: int) -> np.ndarray:
    """Return another protein's edges [2, E] for ``length`` residues; beyond its end there are sequence neighbours."""
    near = sequence_edges(length) if owner_length < length else np.empty((2, 0), dtype=np.int64)
    near = near[:, (near >= owner_length).any(axis=0)]
    return lexicographic(np.concatenate([edges[:, (edges < length).all(axis=0)], near], axis=1))


def donors(lengths: Mapping[str, int], families: Mapping[str, int], seed: int) -> dict[str, str]:
    """Return, per protein, the one of another family that is nearest to it in length, at random among equals."""
    names = sorted(lengths)
    rng = np.random.default_rng([seed, 61])
    names = [names[i] for i in np.lexsort((rng.random(len(names)), [lengths[name] for name in names]))]
    chosen = {}
    for i, name in enumerate(names):
        ways = (range(i - 1, -1, -1), range(i + 1, len(names)))
        others = (next((names[j] for j in way if families[names[j]] != families[name]), None) for way in ways)
        found = [other for other in others if other is not None]
        if not found:
            problem = "no protein of another family has edges"
            raise DataError(f"{name}: {problem}, one was expected to lend its contacts: use more proteins")
        chosen[name] = min(found, key=lambda other: abs(lengths[other] - lengths[name]))
    return chosen


def control_edges(
    path: Path,
    edges: ResidueStore,
    lengths: Mapping[str, int],
    kind: str,
    seed: int,
    families: Mapping[str, int] | None = None,
) -> ResidueStore:
    """Return a store as that of ``store_edges``, of the same proteins, with the edges of a control of ``KINDS``.

    ``lengths`` are residues per protein; ``families`` say for ``other`` who is related to whom (default: nobody).
    Edges are of whole proteins: of those that a model cuts, ``rewired`` keeps fewer than the contacts do, because
    contacts are mostly between near residues.
    """
    if kind not in KINDS:
        raise DataError(f"edges of kind {kind!r} are not known: expected {', '.join(KINDS)}")
    names = edges.accessions
    if missing := [name for name in names if name not in lengths]:
        raise DataError(f"{missing[0]}: its length is not given, expected that of every protein with edges")
    sizes = {name: int(lengths[name]) for name in names}
    related = {name: k if families is None else families[name] for k, name in enumerate(names)}
    lender = donors(sizes, related, seed) if kind == "other" else {}
    known = digest("control", kind, edges.content, seed, sizes, lender)

    def make_edges(name: str) -> np.ndarray:
        if kind == "none":
            return np.empty((0, 2), dtype=np.int64)
        if kind == "sequence":
            return sequence_edges(sizes[name]).T
        if kind == "rewired":  # the protein's own draw: it does not depend on which others there are
            rng = np.random.default_rng([seed, 60, zlib.crc32(name.encode())])
            return rewired_edges(edges.rows(name).T, sizes[name], rng).T
        owner = lender[name]
        return borrowed_edges(edges.rows(owner).T, sizes[owner], sizes[name]).T

    def make() -> ResidueStore:
        counts = [len(make_edges(name)) for name in tqdm(names, desc=f"edges, {kind}", leave=False)]
        return write_store(path, known, names, counts, 2, enumerate(map(make_edges, names)), EDGE_TYPE)

    return store_of(path, known, make)
