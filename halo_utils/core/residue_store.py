"""The per-residue array store: one contiguous memory-mapped array [sum(L), D] plus an index.

Exactly one row per residue; special tokens are stripped before rows get here. The index carries the key
of what made the store and a checksum per protein: a store with another key, or with damaged rows, is rebuilt,
never read.
"""

import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from halo_utils.core.errors import DataError
from halo_utils.core.files import atomic_path, digest, storage_errors, write_json
from halo_utils.core.locks import locked
from halo_utils.core.paths import shown
from halo_utils.core.ranks import is_first, meet

Rows = Iterable[tuple[int, np.ndarray]]  # position of a protein, [L, D]
NOTE_SECONDS = 20  # how often a resumable store notes what is in it


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


def store_of(path: Path, key: str, make: Callable[[], ResidueStore | None]) -> ResidueStore | None:
    """Return the store at ``path`` if it is current, else the one that ``make`` writes there.

    Of several processes that run together the first one makes it, and the others wait for it.
    """
    store = None
    if is_first():
        store = open_if_current(path, key)
        store = make() if store is None else store
    meet()
    if not is_first() and _index_path(path).is_file():
        store = ResidueStore(path)
    return store


def write_store(
    path: Path,
    key: str,
    accessions: Sequence[str],
    lengths: Sequence[int],
    width: int,
    rows: Rows | Callable[[set[int]], Rows],
    dtype: str = "float16",
) -> ResidueStore:
    """Write a store protein by protein, in any order, without holding it in memory.

    Rows that take long to compute can be resumed: then ``rows`` is a function of the positions that an interrupted
    call of the same key has left behind.

    Args:
        path: ``.npy`` file; the index goes beside it as ``.json``.
        key: digest of what makes the rows.
        accessions: B proteins.
        lengths: residues per protein, [B].
        width: D.
        rows: (position in ``accessions``, [L, D] array) pairs, each protein once; or a function that returns those
            which are missing.
        dtype: type on disk.

    Raises:
        DataError: if a protein's rows do not number its residues, or a protein is missing or repeated.
        StorageError: if the disk cannot hold it, before anything is computed.
        BusyError: if another process writes it.
    """
    with locked(path.with_name(f".{path.name}.lock"), shown(path)):
        _index_path(path).unlink(missing_ok=True)  # an index never describes another array
        shape = (int(sum(lengths)), width)
        if callable(rows):
            checksums = _write_resumable(path, key, accessions, lengths, rows, shape, np.dtype(dtype))
        else:
            with atomic_path(path) as temporary:
                array = _allocate(temporary, shape, np.dtype(dtype))
                checksums = _fill(array, accessions, lengths, rows, {})
                array.flush()
        index = {"key": key, "accessions": list(accessions), "lengths": [int(n) for n in lengths]}
        write_json(_index_path(path), {**index, "checksums": checksums})
    return ResidueStore(path)


def _allocate(path: Path, shape: tuple[int, int], dtype: np.dtype) -> np.memmap:
    """Return a new memory-mapped array whose bytes are reserved: a full disk is an error here, not a crash later."""
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array


def _write_resumable(
    path: Path,
    key: str,
    accessions: Sequence[str],
    lengths: Sequence[int],
    rows: Callable[[set[int]], Rows],
    shape: tuple[int, int],
    dtype: np.dtype,
) -> list[int]:
    """Fill ``<name>.part.npy``, noting now and then which proteins are in, and rename it when all are."""
    part, note = path.with_name(f"{path.stem}.part.npy"), path.with_name(f"{path.stem}.part.json")
    plan = digest(key, list(accessions), [int(n) for n in lengths], shape, str(dtype))
    with storage_errors(path):
        array, checksums = _reopen(part, note, plan, lengths) or (_allocate(part, shape, dtype), {})
        if checksums:
            print(f"{shown(path)}: goes on, {len(checksums):,} of {len(accessions):,} proteins are in it")
        noted = time.monotonic()

        def save() -> None:
            nonlocal noted
            if time.monotonic() - noted >= NOTE_SECONDS:
                array.flush()  # what the note claims is on disk before the note is
                write_json(note, {"plan": plan, "checksums": checksums})
                noted = time.monotonic()

        found = _fill(array, accessions, lengths, rows(set(checksums)), checksums, save)
        array.flush()
        part.replace(path)
        note.unlink(missing_ok=True)
    return found


def _reopen(part: Path, note: Path, plan: str, lengths: Sequence[int]) -> tuple[np.memmap, dict[int, int]] | None:
    """Return the array of an interrupted call and the checksums of its whole proteins, or None if there is none."""
    try:
        written = json.loads(note.read_text(encoding="utf-8"))
        array = np.lib.format.open_memmap(part, mode="r+")
        known = {int(position): checksum for position, checksum in written["checksums"].items()}
    except (OSError, ValueError, KeyError):
        return None
    if written.get("plan") != plan:
        return None
    starts = np.cumsum([0, *lengths])
    whole = {i: c for i, c in known.items() if _checksum(array[starts[i] : starts[i + 1]]) == c}
    return array, whole


def _fill(
    array: np.memmap,
    accessions: Sequence[str],
    lengths: Sequence[int],
    rows: Rows,
    checksums: dict[int, int],
    after: Callable[[], None] = lambda: None,
) -> list[int]:
    """Write the rows of every protein to its place, calling ``after`` each time, and return their checksums, [B].

    ``checksums`` holds those of the proteins that are in the array already and grows with it.
    """
    starts = np.cumsum([0, *lengths])
    for position, values in rows:
        name, expected = accessions[position], (lengths[position], array.shape[1])
        if values.shape != expected:
            raise DataError(f"{name}: rows of shape {values.shape}, expected {expected}")
        if position in checksums:
            raise DataError(f"{name}: written twice, expected once")
        with np.errstate(over="ignore"):  # said below, with the protein's name
            array[starts[position] : starts[position + 1]] = values
        written = array[starts[position] : starts[position + 1]]
        if array.dtype == np.float16 and np.isinf(written).any():
            raise DataError(
                f"{name}: a state of {np.abs(values).max():.3g} does not fit float16, which ends at 65,504; set"
                " compute.precision to 32-true in the profile, or use another backbone"
            )
        checksums[position] = _checksum(written)
        after()
    missing = sorted(set(range(len(accessions))) - set(checksums))
    if missing:
        raise DataError(f"{accessions[missing[0]]}: never written, expected once")
    return [checksums[i] for i in range(len(accessions))]
