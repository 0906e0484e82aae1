"""The per-residue array store: one contiguous memory-mapped array [sum(L), D] plus an index.

Exactly one row per residue; special tokens are stripped before rows get here. The index carries the key
of what made the store and a checksum per protein: a store with another key, or with damaged rows, is rebuilt,
never read.
"""

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from halo_utils.errors import DataError
from halo_utils.files import atomic_path, digest, write_json
from halo_utils.locks import locked
from halo_utils.paths import shown


class ResidueStore:
    """Rows of many proteins in one ``.npy`` file, found by accession.

    Attributes:
        accessions: the B proteins of the store, in file order.
        width: D, values per residue.
        key: digest of what made the rows (model, revision, sequences, settings).
        content: digest of the rows themselves.
    """

    def __init__(self, path: Path) -> None:
        """Open a finished store.

        Raises:
            DataError: if the array and its index do not agree.
        """
        self.path = path
        remedy = "delete both and run the notebook that made it again"
        try:
            index = json.loads(_index_path(path).read_text(encoding="utf-8"))
            self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
            self.key: str = index["key"]
            self.accessions: list[str] = index["accessions"]
            self.checksums: list[int] = index["checksums"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{shown(path)} or its index cannot be read ({error}): {remedy}") from error
        self.content = digest(self.accessions, self.checksums)
        self._start = dict(zip(self.accessions, np.cumsum([0, *index["lengths"]][:-1]).tolist(), strict=True))
        self._length = dict(zip(self.accessions, index["lengths"], strict=True))
        self.width: int = self._rows.shape[1]
        if len(self._rows) != sum(index["lengths"]):
            raise DataError(
                f"{shown(path)}: {len(self._rows)} rows, its index counts {sum(index['lengths'])}: {remedy}"
            )

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        """Cross to another process by name, not by content."""
        return ResidueStore, (self.path,)

    def __contains__(self, accession: str) -> bool:
        """Whether the protein has rows here."""
        return accession in self._start

    def __len__(self) -> int:
        """Number of proteins."""
        return len(self.accessions)

    def length(self, accession: str) -> int:
        """Return L, the residues of a protein."""
        return self._length[accession]

    def rows(self, accession: str) -> np.ndarray:
        """Return the rows of a protein, [L, D], without copying.

        Raises:
            DataError: if the protein is not in the store.
        """
        if accession not in self._start:
            raise DataError(f"{accession} is not in the residue store: run notebook 02 again for this data set")
        start = self._start[accession]
        return self._rows[start : start + self._length[accession]]

    def damaged(self) -> str | None:
        """Return the first protein whose rows differ from their checksum, or None; reads the whole file."""
        for accession, checksum in zip(self.accessions, self.checksums, strict=True):
            if _checksum(self.rows(accession)) != checksum:
                return accession
        return None


def _checksum(rows: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(rows).data)


def _index_path(path: Path) -> Path:
    return path.with_suffix(".json")


def open_if_current(path: Path, key: str) -> ResidueStore | None:
    """Return the store at ``path`` if it was made by ``key`` and every row is whole, else None."""
    if not (path.is_file() and _index_path(path).is_file()):
        return None
    try:
        store = ResidueStore(path)
        damaged = store.damaged() if store.key == key else None
    except DataError as error:
        print(f"{error}; it is made again now")
        return None
    if damaged is not None:
        print(f"{shown(path)}: the rows of {damaged} are damaged; the store is made again")
        return None
    return store if store.key == key else None


def write_store(
    path: Path,
    key: str,
    accessions: Sequence[str],
    lengths: Sequence[int],
    width: int,
    rows: Iterable[tuple[int, np.ndarray]],
    dtype: str = "float16",
) -> ResidueStore:
    """Write a store protein by protein, in any order, without holding it in memory.

    Args:
        path: ``.npy`` file; the index goes beside it as ``.json``.
        key: digest of what makes the rows.
        accessions: B proteins.
        lengths: residues per protein, [B].
        width: D.
        rows: (position in ``accessions``, [L, D] array) pairs, each protein once.
        dtype: type on disk.

    Raises:
        DataError: if a protein's rows do not number its residues, or a protein is missing or repeated.
        StorageError: if the disk cannot hold it, before anything is computed.
        BusyError: if another process writes it.
    """
    with locked(path.with_name(f".{path.name}.lock"), shown(path)):
        _index_path(path).unlink(missing_ok=True)  # an index never describes another array
        with atomic_path(path) as temporary:
            array = _allocate(temporary, (int(sum(lengths)), width), np.dtype(dtype))
            checksums = _fill(array, accessions, lengths, rows)
            array.flush()
        index = {"key": key, "accessions": list(accessions), "lengths": [int(n) for n in lengths]}
        write_json(_index_path(path), {**index, "checksums": checksums})
    return ResidueStore(path)


def _allocate(path: Path, shape: tuple[int, int], dtype: np.dtype) -> np.memmap:
    """Return a new memory-mapped array whose bytes are reserved: a full disk is an error here, not a crash later."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _fill(
    array: np.memmap, accessions: Sequence[str], lengths: Sequence[int], rows: Iterable[tuple[int, np.ndarray]]
) -> list[int]:
    """Write the rows of every protein to its place and return their checksums, [B]."""
    starts = np.cumsum([0, *lengths])
    checksums: dict[int, int] = {}
    for position, values in rows:
        name, expected = accessions[position], (lengths[position], array.shape[1])
        if values.shape != expected:
            raise DataError(f"{name}: rows of shape {values.shape}, expected {expected}")
        if position in checksums:
            raise DataError(f"{name}: written twice, expected once")
        array[starts[position] : starts[position + 1]] = values
        checksums[position] = _checksum(array[starts[position] : starts[position + 1]])
    missing = sorted(set(range(len(accessions))) - set(checksums))
    if missing:
        raise DataError(f"{accessions[missing[0]]}: never written, expected once")
    return [checksums[i] for i in range(len(accessions))]
