"""Audit tables of notebook 01: what is in a data set and whether its split is honest."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from scipy import sparse

from halo_utils.tables import STANDARD

KMER = 6  # residues; two unrelated proteins of 500 residues share a 6-mer about once in a hundred pairs
SEEN = ("train", "val")  # splits that training or a choice looks at
NEAR_DUPLICATE = 0.5  # share of a protein's 6-mers found in one single other protein
ALMOST_EQUAL = 0.9  # the same, for what differs in a few residues
AT_ONCE = 10_000  # targets compared at once; bounds the memory


def label_counts(table: pd.DataFrame, places: Sequence[str]) -> pd.DataFrame:
    """Return proteins per location and split, with rows for all proteins and for multi-label ones."""
    counts = table.groupby("split")[list(places)].sum().T
    size = table.groupby("split").size()
    several = (table[list(places)].sum(axis=1) > 1).groupby(table["split"]).sum()
    counts.loc["several locations"], counts.loc["all proteins"] = several, size
    counts = counts[list(pd.unique(table["split"]))].astype(int)
    return counts.assign(total=counts.sum(axis=1)).rename_axis("location").reset_index()


def co_occurrence(table: pd.DataFrame, places: Sequence[str]) -> pd.DataFrame:
    """Return the K x K table of proteins that carry both locations; the diagonal counts one location."""
    labels = table[list(places)].to_numpy(dtype=int)
    return pd.DataFrame(labels.T @ labels, index=list(places), columns=list(places))


def lengths(table: pd.DataFrame, max_residues: int) -> pd.DataFrame:
    """Return length statistics per split, in residues, and how many proteins the model truncates.

    Args:
        table: dataset table.
        max_residues: residues the model reads, two fewer than its tokens.
    """
    size = table["sequence"].str.len()
    odd = table["sequence"].map(lambda s: sum(a not in STANDARD for a in s))
    rows = []
    for split in pd.unique(table["split"]):
        own = size[table["split"] == split]
        row = {"split": split, "proteins": len(own), "shortest": own.min(), "median": own.median()}
        row |= {
            "mean": round(own.mean(), 1),
            "longest": own.max(),
            "truncated": int((own > max_residues).sum()),
        }
        row["residues_lost"] = int((own - max_residues).clip(lower=0).sum())
        rows.append(row | {"non_standard_residues": int(odd[table["split"] == split].sum())})
    return pd.DataFrame(rows)


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


def seen_before(table: pd.DataFrame) -> np.ndarray:
    """Return, per protein, the largest share of its 6-mers in one single protein the models have seen, [B] float64.

    Test proteins are compared with train and validation together, validation with train; train has 0.

    Args:
        table: dataset table with a ``train`` split.
    """
    share, split = np.zeros(len(table)), table["split"]
    for own, seen in ((split == "val", split == "train"), (~split.isin(SEEN), split.isin(SEEN))):
        share[own] = kmer_containment(list(table.loc[own, "sequence"]), list(table.loc[seen, "sequence"]))
    return share


def leakage(table: pd.DataFrame, sets: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return, per evaluation set, how much of it the models have already seen.

    Args:
        table: dataset table with a ``train`` split and the columns of ``inputs.read_inputs``: ``containment``, and
            ``corpus_containment``, NaN where the pre-training corpus is not known.
        sets: name -> boolean mask, from ``datasets.evaluation_sets``.

    Returns:
        One row per set: proteins, exact copies, near duplicates (at least half of the 6-mers in one
        single seen protein) and their share, and the median of the largest shared part; then the near duplicates
        in the pre-training corpus, their share, and the share with at least nine tenths of the 6-mers in one protein.
    """
    rows = []
    for name, mask in sets.items():
        seen, own = table.loc[table["split"].isin(SEEN[:1] if name == "val" else SEEN)], table.loc[mask]
        shared = own["containment"]
        near = shared >= NEAR_DUPLICATE
        row = {
            "set": name,
            "proteins": len(own),
            "exact_copies": int(own["sequence"].isin(set(seen["sequence"])).sum()),
        }
        row |= {"near_duplicates": int(near.sum()), "near_duplicate_share": float(near.mean())}
        rows.append(row | {"median_containment": float(shared.median())} | _in_corpus(own["corpus_containment"]))
    return pd.DataFrame(rows)


def _in_corpus(share: pd.Series) -> dict[str, float]:
    """Return the near duplicates in the pre-training corpus, for ``leakage``; NaN where that is not known."""
    known = share.notna().all()
    near, almost = share >= NEAR_DUPLICATE, share >= ALMOST_EQUAL
    found = {"corpus_near_duplicates": near.sum(), "corpus_near_duplicate_share": near.mean()}
    found |= {"corpus_almost_equal_share": almost.mean()}
    return {name: float(value) if known else float("nan") for name, value in found.items()}


def within_split_copies(table: pd.DataFrame) -> pd.DataFrame:
    """Return, per split, the proteins whose sequence occurs earlier in the same split."""
    copies = table.duplicated(["split", "sequence"])
    return copies.groupby(table["split"]).sum().rename("repeated_sequences").reset_index()
