"""States of any embedder kept on disk, part by part, so that an interrupted pass goes on where it stopped."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from halo_utils.core.devices import resolve
from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, open_if_current, write_store
from halo_utils.embeddings.embedder import Embedder
from halo_utils.training.embed import DISK_RESERVE
from halo_utils.training.fit import weights_digest

CACHE_VERSION = 1  # of stored states; raised by hand when a change of code changes numbers
END = 60  # residues from either end: signal peptides, transit peptides and tails lie within
PART_RESIDUES = 250_000  # what is lost at most when a pass is interrupted


def three_means(states: np.ndarray) -> np.ndarray:
    """Return the means of a whole protein, of its first and of its last ``END`` residues, [3, D], from [L, D]."""
    return np.stack([part.mean(axis=0, dtype=np.float32) for part in (states, states[:END], states[-END:])])


@dataclass(frozen=True)
class StateStore:
    """States of all proteins of a table, one store per part; where ``pooled``, no more than ``three_means`` of each.

    It is read as a ``ResidueStore`` is.
    """

    parts: tuple[ResidueStore, ...]
    pooled: bool
    width: int

    @cached_property
    def _part_of(self) -> dict[str, ResidueStore]:
        return {accession: part for part in self.parts for accession in part.accessions}

    @property
    def content(self) -> str:
        """A digest of all rows."""
        return digest([part.content for part in self.parts])

    def rows(self, accession: str) -> np.ndarray:
        """Return the states of a protein, [L, D] float16, or their mean, [1, D] float32; DataError if it has none."""
        rows = self._part_of.get(accession, self.parts[0]).rows(accession)
        return rows[:1] if self.pooled else rows

    def summary(self, accession: str) -> np.ndarray:
        """Return the ``three_means`` of a protein, [3, D] float32; DataError if it has none."""
        if self.pooled:
            return self._part_of.get(accession, self.parts[0]).rows(accession)
        if accession not in self._summaries:
            self._summaries[accession] = three_means(self.rows(accession))
        return self._summaries[accession]

    @cached_property
    def _summaries(self) -> dict[str, np.ndarray]:
        return {}

    def means(self, accessions: Sequence[str]) -> np.ndarray:
        """Return the mean state of every protein, [B, D] float32."""
        rows = [self.rows(accession).mean(axis=0, dtype=np.float32) for accession in accessions]
        return np.stack(rows) if rows else np.zeros((0, self.width), dtype=np.float32)


def store_states(
    embedder: Embedder,
    accessions: Sequence[str],
    sequences: Sequence[str],
    folder: Path,
    *,
    pooled: bool = False,
    part_residues: int = PART_RESIDUES,
) -> StateStore:
    """Return what ``embedder`` makes of B proteins, computed once; parts that ``folder`` already has are taken as are.

    ``pooled`` keeps ``three_means`` alone; so does a disk too small for all of them, which is said. The keys hold
    names, sequences, weights and precision.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    parts, weights = list(_parts(lengths, part_residues)), weights_digest(embedder.network)
    if not pooled:
        folder.mkdir(parents=True, exist_ok=True)
        need, free = int(lengths.sum()) * embedder.width * 2, shutil.disk_usage(folder).free
        pooled = need > DISK_RESERVE * free + sum(path.stat().st_size for path in folder.glob("residues-*.npy"))
        if pooled:
            print(
                f"{embedder.title}: states need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: only means are kept"
            )
    stores = []
    for number, part in enumerate(parts):
        names, chosen = [accessions[i] for i in part], [sequences[i] for i in part]
        kept = "three means" if pooled else False
        key = digest(embedder.name, weights, names, chosen, kept, resolve("auto"), CACHE_VERSION)
        path = folder / f"{'means' if pooled else 'residues'}-{number:04}.npy"
        stores.append(open_if_current(path, key) or _write(embedder, path, key, names, chosen, pooled))
    return StateStore(tuple(stores), pooled, embedder.width)


def _parts(lengths: np.ndarray, residues: int) -> Iterator[np.ndarray]:
    """Yield the positions of proteins from short to long, in pieces of about so many residues."""
    order = np.argsort(lengths, kind="stable")
    number = (np.cumsum(lengths[order]) - lengths[order]) // residues
    yield from np.split(order, np.flatnonzero(np.diff(number)) + 1)


def _write(
    embedder: Embedder, path: Path, key: str, names: Sequence[str], sequences: Sequence[str], pooled: bool
) -> ResidueStore:
    """Compute and write one part."""
    states = embedder.stream(sequences)
    if pooled:
        means = ((i, three_means(rows)) for i, rows in states)
        return write_store(path, key, names, [3] * len(names), embedder.width, means, "float32")
    return write_store(path, key, names, [len(s) for s in sequences], embedder.width, states)
