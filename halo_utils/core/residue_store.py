"""The per-residue array store: one memory-mapped array [sum(L), D], a row per residue, and an index (JSON).

The array file ends with the digest of the index's checksums: what does not belong together is made again.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from halo_utils.core.errors import DataError
from halo_utils.core.files import atomic_path, digest, write_json
from halo_utils.core.paths import shown

Rows = Iterable[tuple[int, np.ndarray]]  # position of a protein, and its [L, D] array


class ResidueStore:
    """Rows [L, D] of B proteins in one ``.npy`` file; ``key`` is of what made them, ``content`` is their own digest."""

    def __init__(self, path: Path) -> None:
        """Open a finished store; DataError if its files are damaged or unlike in size (rows: ``damaged``)."""
        self.path = path
        try:
            index = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
            self.key, self.accessions, self.checksums = index["key"], index["accessions"], index["checksums"]
            self.content = digest(self.accessions, self.checksums)
            self.width: int = self._rows.shape[1]
            stops = zip(self.accessions, np.cumsum(index["lengths"]).tolist(), index["lengths"], strict=True)
            self._slices = {accession: slice(stop - length, stop) for accession, stop, length in stops}
            signature = np.memmap(path, mode="r")[-16:].tobytes()
            if len(self._rows) != sum(index["lengths"]) or signature != self.content.encode():
                raise ValueError("its index is of another array")
        except (OSError, ValueError, LookupError) as error:
            raise DataError(
                f"{shown(path)} or its index cannot be read ({error}): delete both, make it again"
            ) from error

    def __reduce__(self) -> tuple[type, tuple[Path]]:  # crosses to another process by name, not by content
        return ResidueStore, (self.path,)

    def __contains__(self, accession: str) -> bool:
        return accession in self._slices

    def __len__(self) -> int:
        return len(self.accessions)

    def length(self, accession: str) -> int:
        """Return L, the residues of a protein."""
        return self._slices[accession].stop - self._slices[accession].start

    def rows(self, accession: str) -> np.ndarray:
        """Return the rows of a protein, [L, D], without copying; DataError if it is not in the store."""
        if accession not in self._slices:
            raise DataError(f"{accession} is not in the residue store {shown(self.path)}: make it for this data set")
        return self._rows[self._slices[accession]]


def open_if_current(path: Path, key: str) -> ResidueStore | None:
    """Return the store at ``path`` if it was made by ``key``, else None; says so where it is damaged."""
    if not (path.is_file() and path.with_suffix(".json").is_file()):
        return None
    try:
        store = ResidueStore(path)
    except DataError as error:
        print(f"{error}; this is done now")
        return None
    return store if store.key == key else None


def store_of(path: Path, key: str, make: Callable[[], ResidueStore | None]) -> ResidueStore | None:
    """Return the store at ``path`` if it is current, else the one that ``make`` writes there."""
    store = open_if_current(path, key)
    return make() if store is None else store


def write_store(
    path: Path,
    key: str,
    accessions: Sequence[str],
    lengths: Sequence[int],
    width: int,
    rows: Rows,
    dtype: str = "float16",
) -> ResidueStore:
    """Write a store protein by protein, in any order, without holding it in memory; the index goes beside ``path``.

    ``rows`` yields each of the B proteins once: its position in ``accessions`` and its [L, width] array. DataError for
    rows that do not fit ``lengths``, [B], or ``dtype``; StorageError for a full disk, before anything is computed.
    """
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.dtype(dtype), (int(sum(lengths)), width))
        with temporary.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a crash (SIGBUS) later
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size + 16)
        checksums = _fill(array, accessions, lengths, rows)
        array.flush()
        with temporary.open("r+b") as file:
            file.seek(array.offset + array.nbytes)
            file.write(digest(list(accessions), checksums).encode())
    index = {"key": key, "accessions": list(accessions), "lengths": [int(n) for n in lengths], "checksums": checksums}
    write_json(path.with_suffix(".json"), index)
    return ResidueStore(path)


def _fill(array: np.memmap, accessions: Sequence[str], lengths: Sequence[int], rows: Rows) -> list[int]:
    """Write the rows of every protein to its place and return their checksums, [B]."""
    starts, checksums = np.cumsum([0, *lengths]), dict[int, int]()
    for position, values in rows:
        name, expected = accessions[position], (lengths[position], array.shape[1])
        if values.shape != expected:
            raise DataError(f"{name}: rows of shape {values.shape}, expected {expected}")
        if position in checksums:
            raise DataError(f"{name}: written twice, expected once")
        written = array[starts[position] : starts[position + 1]]
        with np.errstate(over="ignore"):  # said below, with the protein's name
            written[:] = values
        if array.dtype == np.float16 and np.isinf(written).any():
            limit = "float16, which ends at 65,504 and is what states are stored in: use another backbone"
            raise DataError(f"{name}: a state of {np.abs(values).max():.3g} does not fit {limit}")
        checksums[position] = zlib.crc32(written)
    for position, name in enumerate(accessions):
        if position not in checksums:
            raise DataError(f"{name}: never written, expected once")
    return [checksums[position] for position in range(len(accessions))]
