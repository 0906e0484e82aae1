"""The per-residue array store: one contiguous memory-mapped array [sum(L), D] plus an index.

Exactly one row per residue; special tokens are stripped before rows get here. The index carries the key
of what made the store, and a store with another key is rebuilt, never read.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from halo_utils.errors import DataError
from halo_utils.files import atomic_path, write_json


class ResidueStore:
    """Rows of many proteins in one ``.npy`` file, found by accession.

    Attributes:
        accessions: the B proteins of the store, in file order.
        width: D, values per residue.
        key: digest of what made the rows (model, revision, sequences, settings).
    """

    def __init__(self, path: Path) -> None:
        """Open a finished store.

        Raises:
            DataError: if the array and its index do not agree.
        """
        index = json.loads(_index_path(path).read_text(encoding="utf-8"))
        self.key: str = index["key"]
        self.accessions: list[str] = index["accessions"]
        self._start = dict(zip(self.accessions, np.cumsum([0, *index["lengths"]][:-1]).tolist(), strict=True))
        self._length = dict(zip(self.accessions, index["lengths"], strict=True))
        self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
        self.width: int = self._rows.shape[1]
        if len(self._rows) != sum(index["lengths"]):
            raise DataError(
                f"{path.name}: {len(self._rows)} rows, its index counts {sum(index['lengths'])}; delete both"
            )

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


def _index_path(path: Path) -> Path:
    return path.with_suffix(".json")


def open_if_current(path: Path, key: str) -> ResidueStore | None:
    """Return the store at ``path`` if it is whole and was made by ``key``, else None."""
    if not (path.is_file() and _index_path(path).is_file()):
        return None
    try:
        store = ResidueStore(path)
    except (DataError, ValueError, KeyError):
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
    """
    starts = np.cumsum([0, *lengths])
    _index_path(path).unlink(missing_ok=True)  # an index never describes another array
    seen = np.zeros(len(accessions), dtype=int)
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=(int(starts[-1]), width))
        for position, values in rows:
            if values.shape != (lengths[position], width):
                name = accessions[position]
                raise DataError(f"{name}: rows of shape {values.shape}, expected {(lengths[position], width)}")
            array[starts[position] : starts[position + 1]] = values
            seen[position] += 1
        array.flush()
        if (seen != 1).any():
            name = accessions[int(np.flatnonzero(seen != 1)[0])]
            raise DataError(f"{name}: written {seen[seen != 1][0]} times, expected once")
    write_json(_index_path(path), {"key": key, "accessions": list(accessions), "lengths": [int(n) for n in lengths]})
    return ResidueStore(path)
