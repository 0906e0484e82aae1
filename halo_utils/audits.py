"""Audit tables of notebook 01: what is in a data set and whether its split is honest."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from halo_utils.blocks import BackboneSettings
from halo_utils.edges import radius_edges
from halo_utils.tables import STANDARD
from halo_utils.truncation import SPECIAL_TOKENS

KMER = 6  # residues; two unrelated proteins of 500 residues share a 6-mer about once in a hundred pairs
SEEN = ("train", "val")  # splits that training or a choice looks at
NEAR_DUPLICATE = 0.5  # share of a protein's 6-mers found in one single other protein
ALMOST_EQUAL = 0.9  # the same, for what differs in a few residues
AT_ONCE = 10_000  # targets compared at once; bounds the memory
FAMILY = NEAR_DUPLICATE  # the same, from which two proteins of a split are relatives that are resampled together
PROTEINS_AT_ONCE = 1000  # compared with all others at once; bounds the memory of families


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


def count_contacts(ca: np.ndarray, seen: np.ndarray, cutoff_angstrom: float) -> tuple[int, int]:
    """Return the contacts of a whole structure, and those between residues that are read.

    Args:
        ca: [L, 3] C-alpha positions in angstrom of the whole protein; NaN where the structure lacks the residue.
        seen: indices of the residues that are read, [R] int.
        cutoff_angstrom: two residues closer than this are in contact.
    """
    edges, inside = radius_edges(ca, cutoff_angstrom), np.zeros(len(ca), dtype=bool)
    inside[seen] = True
    return edges.shape[1] // 2, int(inside[edges].all(axis=0).sum()) // 2


def read_share(table: pd.DataFrame, backbone: BackboneSettings, report: pd.DataFrame) -> pd.DataFrame:
    """Return, per split, how much of its proteins the models read.

    Args:
        table: dataset table.
        backbone: tokens of the model and what becomes of longer proteins.
        report: from ``inputs.store_structures``.

    Returns:
        One row per split: proteins, tokens, truncation, cut (share of proteins that do not fit), residues_read (share
        of all residues), paper_tokens and paper_cut (the same share with the paper's tokens, section 2.1), structures,
        contacts_read (share of the contacts of whole structures; NaN without any).
    """
    paper, size = BackboneSettings.model_fields["max_tokens"].default, table["sequence"].str.len()
    found = table[["accession", "split"]].merge(report[report["status"] == "matched"], on="accession", validate="1:1")
    rows = []
    for split in pd.unique(table["split"]):
        own, structures = size[table["split"] == split], found[found["split"] == split]
        room, contacts = backbone.max_tokens - SPECIAL_TOKENS, structures["contacts"].sum()
        row = {"split": split, "proteins": len(own), "tokens": backbone.max_tokens, "truncation": backbone.truncation}
        row |= {"cut": (own > room).mean(), "residues_read": own.clip(upper=room).sum() / own.sum()}
        row |= {"paper_tokens": paper, "paper_cut": (own > paper - SPECIAL_TOKENS).mean()}
        row |= {"structures": len(structures)}
        rows.append(row | {"contacts_read": structures["contacts_read"].sum() / contacts if contacts else np.nan})
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
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the protein x k-mer incidence matrix over ``vocabulary`` (made from the sequences when None)."""
    codes = [_kmer_codes(s, k) for s in sequences]
    rows = np.repeat(np.arange(len(codes)), [len(c) for c in codes])
    flat = np.concatenate(codes) if codes else np.empty(0, dtype=np.int64)
    if vocabulary is None:
        vocabulary = np.unique(flat)
    column = np.searchsorted(vocabulary, flat)
    known = vocabulary[np.minimum(column, len(vocabulary) - 1)] == flat if len(vocabulary) else flat < 0
    shape = (len(codes), max(len(vocabulary), 1))
    data = np.ones(int(known.sum()), dtype=np.int32)
    return sparse.csr_matrix((data, (rows[known], column[known])), shape=shape), vocabulary


def identity(share: float, k: int = KMER) -> float:
    """Return the share of equal residues at which two aligned proteins have a share of their k-mers in common.

    A k-mer survives if all its k residues do; with changes spread evenly that is identity to the power of k.
    """
    return share ** (1 / k)


def _shared_kmers(
    queries: Sequence[str], targets: Iterable[str], k: int
) -> Iterator[tuple[int, sparse.csr_matrix, np.ndarray]]:
    """Yield (first position, shared distinct k-mers [B, n], k-mers per target [n]) of ``AT_ONCE`` targets at a time.

    The vocabulary is that of the queries, so the targets may be a stream of any length.
    """
    own, vocabulary = _kmer_matrix(queries, None, k)
    targets, start = iter(targets), 0
    while part := list(islice(targets, AT_ONCE)):
        other, sizes = _kmer_matrix(part, vocabulary, k)[0], np.array([len(_kmer_codes(t, k)) for t in part])
        yield start, (own @ other.T).tocsr(), sizes
        start += len(part)


def kmer_containment(queries: Sequence[str], targets: Iterable[str], k: int = KMER) -> np.ndarray:
    """Return, per query, the largest share of its distinct k-mers found in one single target, [B] float64.

    A query shorter than k has no k-mer and gets 0.
    """
    best = np.zeros(len(queries))
    for _, shared, _ in _shared_kmers(queries, targets, k):
        best = np.maximum(best, shared.max(axis=1).toarray().ravel())
    return best / np.maximum([len(_kmer_codes(q, k)) for q in queries], 1)


def most_similar(queries: Sequence[str], targets: Iterable[str], k: int = KMER) -> tuple[np.ndarray, np.ndarray]:
    """Return, per query, the largest similarity to one target and that target's position, the first of equals.

    Returns:
        Jaccard index of the sets of distinct k-mers (shared over all), [B] float64, and positions, [B] int64;
        similarity 0 and position -1 where no target shares a k-mer.
    """
    best, where = np.zeros(len(queries)), np.full(len(queries), -1)
    total = np.array([len(_kmer_codes(q, k)) for q in queries])
    for start, shared, sizes in _shared_kmers(queries, targets, k):
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


def family_sizes(table: pd.DataFrame, sets: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return, per evaluation set, how many families its proteins form and how many have relatives inside the set.

    Args:
        table: dataset table with the column ``family`` of ``families``.
        sets: name -> boolean mask, from ``datasets.evaluation_sets``.
    """
    rows = []
    for name, mask in sets.items():
        size = table.loc[mask, "family"].value_counts()
        row = {"set": name, "proteins": int(mask.sum()), "families": len(size)}
        rows.append(row | {"with_relatives": int(size[size > 1].sum()), "largest_family": int(size.max())})
    return pd.DataFrame(rows)


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
