"""How much two sequences share, in k-mers: the nearest protein, near duplicates, and families of them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

KMER = 6  # residues; two unrelated proteins of 500 residues share a 6-mer about once in a hundred pairs
NEAR_DUPLICATE = 0.5  # share of a protein's 6-mers found in one single other protein
ALMOST_EQUAL = 0.9  # the same, for what differs in a few residues
AT_ONCE = 10_000  # targets compared at once; bounds the memory
# The same, from which two proteins of a split are relatives that are resampled together. Far below a near duplicate:
# unrelated proteins share next to nothing, and at this share relatives are still right or wrong together.
FAMILY = 0.05
PROTEINS_AT_ONCE = 1000  # compared with all others at once; bounds the memory of families


def _kmer_codes(sequence: str, k: int) -> np.ndarray:
    """Return the distinct k-mers of a sequence as integers in base 26, [n] int64."""
    letters = np.frombuffer(sequence.encode(), dtype=np.uint8).astype(np.int64) - ord("A")
    if len(letters) < k:
        return np.empty(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(letters, k)
    return np.unique(windows @ (26 ** np.arange(k, dtype=np.int64)))


def _kmer_matrix(
    sequences: Sequence[str], vocabulary: np.ndarray | None, k: int
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Return the protein x k-mer incidence matrix over ``vocabulary`` (made from the sequences when None).

    Returns:
        The matrix [B, V], the vocabulary [V], and the distinct k-mers per sequence inside it or not, [B].
    """
    codes = [_kmer_codes(s, k) for s in sequences]
    sizes = np.array([len(c) for c in codes], dtype=np.int64)
    rows = np.repeat(np.arange(len(codes)), sizes)
    flat = np.concatenate(codes) if codes else np.empty(0, dtype=np.int64)
    if vocabulary is None:
        vocabulary = np.unique(flat)
    column = np.searchsorted(vocabulary, flat)
    known = vocabulary[np.minimum(column, len(vocabulary) - 1)] == flat if len(vocabulary) else flat < 0
    shape = (len(codes), max(len(vocabulary), 1))
    data = np.ones(int(known.sum()), dtype=np.int32)
    return sparse.csr_matrix((data, (rows[known], column[known])), shape=shape), vocabulary, sizes


def identity(share: float, k: int = KMER) -> float:
    """Return the share of equal residues at which two aligned proteins have a share of their k-mers in common.

    A k-mer survives if all its k residues do; with changes spread evenly that is identity to the power of k.
    """
    return share ** (1 / k)


def _shared_kmers(
    queries: Sequence[str], targets: Iterable[str], k: int
) -> Iterator[tuple[int, sparse.csr_matrix, np.ndarray, np.ndarray]]:
    """Yield what queries share with ``AT_ONCE`` targets at a time, counted in distinct k-mers.

    The vocabulary is that of the queries, so the targets may be a stream of any length.

    Yields:
        Position of the first target, k-mers shared [B, n], k-mers of the queries [B] and of the targets [n].
    """
    own, vocabulary, total = _kmer_matrix(queries, None, k)
    targets, start = iter(targets), 0
    while part := list(islice(targets, AT_ONCE)):
        other, _, sizes = _kmer_matrix(part, vocabulary, k)
        yield start, (own @ other.T).tocsr(), total, sizes
        start += len(part)


def kmer_containment(queries: Sequence[str], targets: Iterable[str], k: int = KMER) -> np.ndarray:
    """Return, per query, the largest share of its distinct k-mers found in one single target, [B] float64.

    A query shorter than k has no k-mer and gets 0.
    """
    best = np.zeros(len(queries))
    for _, shared, total, _ in _shared_kmers(queries, targets, k):
        best = np.maximum(best, shared.max(axis=1).toarray().ravel() / np.maximum(total, 1))
    return best


def most_similar(queries: Sequence[str], targets: Iterable[str], k: int = KMER) -> tuple[np.ndarray, np.ndarray]:
    """Return, per query, the largest similarity to one target and that target's position, the first of equals.

    Returns:
        Jaccard index of the sets of distinct k-mers (shared over all), [B] float64, and positions, [B] int64;
        similarity 0 and position -1 where no target shares a k-mer.
    """
    best, where = np.zeros(len(queries)), np.full(len(queries), -1)
    for start, shared, total, sizes in _shared_kmers(queries, targets, k):
        found = shared.tocoo()
        union = total[found.row] + sizes[found.col] - found.data
        index = sparse.csr_matrix((found.data / union, (found.row, found.col)), shape=shared.shape)
        most = index.max(axis=1).toarray().ravel()
        nearer = most > best
        where[nearer] = start + np.asarray(index.argmax(axis=1)).ravel()[nearer]
        best = np.maximum(best, most)
    return best, where


def _repeated_kmers(sequences: Sequence[str], k: int) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Return the distinct k-mers of each protein, [B], and the incidence matrix of those found in several proteins."""
    codes = [_kmer_codes(s, k) for s in sequences]
    size = np.array([len(c) for c in codes])
    flat = np.concatenate([*codes, np.empty(0, dtype=np.int64)])
    order = np.argsort(flat, kind="stable")
    column = np.cumsum(np.diff(flat[order], prepend=-1) != 0) - 1
    repeated = (np.bincount(column, minlength=1) > 1)[column]
    row, column = np.repeat(np.arange(len(codes)), size)[order][repeated], column[repeated]
    shape = (len(codes), int(column.max(initial=0)) + 1)
    return size, sparse.csr_matrix((np.ones(len(row), dtype=np.int32), (row, column)), shape=shape)


def _linked(sequences: Sequence[str], cut: float, k: int) -> np.ndarray:
    """Return the connected component of every protein, [B], counted from 0; see ``families``."""
    size, matrix = _repeated_kmers(sequences, k)
    other, pairs = matrix.T.tocsr(), []
    for start in range(0, len(size), PROTEINS_AT_ONCE):
        shared = (matrix[start : start + PROTEINS_AT_ONCE] @ other).tocoo()
        first, second = shared.row + start, shared.col
        near = shared.data >= cut * np.minimum(size[first], size[second])
        pairs.append(np.stack([first[near], second[near]]))
    first, second = np.concatenate(pairs, axis=1)
    links = sparse.csr_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(len(size),) * 2)
    return connected_components(links, directed=False)[1]


def families(table: pd.DataFrame, cut: float = FAMILY, k: int = KMER) -> np.ndarray:
    """Return the family of every protein, [B] int64: proteins of one split that are linked, directly or through others.

    Two proteins are linked where at least ``cut`` of the distinct k-mers of one of them occur in the other; families
    are the connected components of a split. A protein shorter than k is a family of its own.

    Args:
        table: dataset table.
        cut: share of k-mers that links two proteins.
        k: residues.
    """
    family, split = np.zeros(len(table), dtype=np.int64), table["split"].to_numpy()
    for name in pd.unique(split):
        own = np.flatnonzero(split == name)
        family[own] = family.max() + 1 + _linked(list(table["sequence"].iloc[own]), cut, k)
    return family
