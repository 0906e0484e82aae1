"""How much two sequences share, in k-mers: the nearest protein, near duplicates, and families of them."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

BASE = 26  # letters
KMER = 6  # residues; two unrelated proteins of 500 residues share a 6-mer about once in a hundred pairs
NEAR_DUPLICATE = 0.5  # share of a protein's 6-mers found in one single other protein
ALMOST_EQUAL = 0.9  # the same, for what differs in a few residues
# The same, from which two proteins of a split are relatives that are resampled together. Far below a near duplicate:
# unrelated proteins share next to nothing, and at this share relatives are still right or wrong together.
FAMILY = 0.05
AT_ONCE = 10_000  # targets compared at once; bounds the memory
PROTEINS_AT_ONCE = 1000  # compared with all others at once; bounds the memory of families


def kmer_windows(values: np.ndarray, lengths: np.ndarray, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Return owner and code, [n] int64, of all k-mers of B proteins end to end, in order, repeats included.

    ``values`` [N] int64 are residues as digits of a number in ``base``; ``lengths`` [B] sum to N. A residue whose value
    is ``-(base**KMER)`` makes the codes of its k-mers negative.
    """
    # scikit-learn's CountVectorizer counts the same, but on text it takes more than twice as long.
    n = max(len(values) - KMER + 1, 0)
    codes = sum(values[place : place + n] * base**place for place in range(KMER))
    protein = np.repeat(np.arange(len(lengths)), lengths)
    whole = protein[:n] == protein[KMER - 1 :]  # it ends in the protein in which it starts
    return protein[:n][whole], codes[whole]


def kmer_matrix(
    sequences: Sequence[str], vocabulary: pd.Index | None = None
) -> tuple[sparse.csr_matrix, pd.Index, np.ndarray]:
    """Return which protein holds which k-mer, [B, V] int32 ones, the V k-mers, and how many each protein has, [B]."""
    values = np.frombuffer("".join(sequences).encode(), dtype=np.uint8).astype(np.int64) - ord("A")
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    owner, codes = kmer_windows(values, lengths, BASE)
    keys = np.sort(owner * BASE**KMER + codes)
    keys = keys[np.diff(keys, prepend=-1) != 0]  # np.unique hashes, which is slow for millions
    owner, flat = np.divmod(keys, BASE**KMER)
    sizes = np.bincount(owner, minlength=len(lengths))
    if vocabulary is None:
        column, distinct = pd.factorize(flat)
        vocabulary = pd.Index(distinct)
    else:
        column = vocabulary.get_indexer(flat)
    known = column >= 0
    places = (np.ones(known.sum(), dtype=np.int32), (owner[known], column[known]))
    return sparse.csr_matrix(places, shape=(len(lengths), max(len(vocabulary), 1))), vocabulary, sizes


def identity(share: float) -> float:
    """Return the identity at which two aligned proteins share this part of their k-mers, changes spread evenly."""
    return share ** (1 / KMER)


def most_similar(queries: Sequence[str], targets: Iterable[str], jaccard: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return every query's largest Jaccard index of k-mers with one target, [B] float64, and its place, [B], or -1."""
    matrix, vocabulary, sizes = kmer_matrix(queries)  # only the k-mers of the queries are columns
    best, where, start, targets = np.zeros(len(queries)), np.full(len(queries), -1), 0, iter(targets)
    while some := list(islice(targets, AT_ONCE)):
        other, _, other_sizes = kmer_matrix(some, vocabulary)
        pairs = (matrix @ other.T).tocoo()
        total = sizes[pairs.row] + (other_sizes[pairs.col] - pairs.data if jaccard else 0)
        share = sparse.csr_matrix((pairs.data / total, (pairs.row, pairs.col)), shape=pairs.shape)
        most = share.max(axis=1).toarray().ravel()
        nearer = most > best
        where[nearer] = start + np.asarray(share.argmax(axis=1)).ravel()[nearer]
        best, start = np.maximum(best, most), start + len(some)
    return best, where


def kmer_containment(queries: Sequence[str], targets: Iterable[str]) -> np.ndarray:
    """Return every query's largest share of distinct k-mers in one target of a stream, [B] float64; 0 if short."""
    return most_similar(queries, targets, jaccard=False)[0]


def kmer_overlap(queries: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Return every query's largest share of k-mers in common with one target, [B] float64; 0 if short.

    The share is of the distinct k-mers of whichever has fewer, as in ``families``: a fragment shares all of its own.
    """
    matrix, vocabulary, sizes = kmer_matrix(targets)
    own, _, own_sizes = kmer_matrix(queries, vocabulary)
    pairs, best = (own @ matrix.T).tocoo(), np.zeros(len(queries))
    np.maximum.at(best, pairs.row, pairs.data / np.minimum(own_sizes[pairs.row], sizes[pairs.col]))
    return best


def families(table: pd.DataFrame, cut: float = FAMILY) -> np.ndarray:
    """Return the family of every protein, [B] int64: the connected components of each split.

    Two proteins are linked where at least ``cut`` of the distinct k-mers of one occur in the other.
    """
    family = np.zeros(len(table), dtype=np.int64)
    for split in pd.unique(table["split"]):
        rows = np.flatnonzero(table["split"] == split)
        matrix, _, sizes = kmer_matrix(list(table["sequence"].iloc[rows]))
        matrix = matrix[:, matrix.getnnz(axis=0) > 1]  # what a single protein has links nothing
        other, pairs = matrix.T.tocsr(), []
        for start in range(0, len(rows), PROTEINS_AT_ONCE):
            shared = (matrix[start : start + PROTEINS_AT_ONCE] @ other).tocoo()
            first, second = shared.row + start, shared.col
            near = shared.data >= cut * np.minimum(sizes[first], sizes[second])
            pairs.append(np.stack([first[near], second[near]]))
        first, second = np.concatenate(pairs, axis=1)
        links = sparse.csr_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(len(rows),) * 2)
        family[rows] = family.max() + 1 + connected_components(links, directed=False)[1]
    return family
