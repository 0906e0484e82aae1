"""Contact maps: which C-alpha atoms of a protein are closer than a distance, without coordinates; one archive for many.

An archive is an npz of plain arrays. The contacts of protein k are ``source[offset[k]:offset[k + 1]]`` with ``target``
beside it: residues counted from 0, source < target, in lexicographic order. ``exact`` says that a list is complete,
``cutoff_angstrom`` at which distance it was cut.
"""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from halo_utils.core.errors import DataError
from halo_utils.core.files import atomic_path, digest
from halo_utils.core.paths import shown

CUTOFF_ANGSTROM = 10.0  # of an archive that does not say
RESIDUE = "uint16"  # the longest protein of UniProt has 45,212 residues
ARRAYS = ("accession", "uniprot", "exact", "length", "offset", "source", "target")
AGAIN = "fetch or build the archive again (python -m halo_utils fetch contacts builds one)"


class ContactMaps:
    """The contact maps of one archive, its arrays in memory (4 bytes a contact); ``content`` is their digest."""

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str = "contact maps") -> None:
        """Take the arrays of the archive ``name``; DataError, naming the protein, where they are not as agreed."""
        self.name, self.arrays = name, dict(arrays)
        _check(self.arrays, name)
        self.cutoff_angstrom = float(self.arrays.get("cutoff_angstrom", CUTOFF_ANGSTROM))
        self.accessions: list[str] = self.arrays["accession"].tolist()
        self._row = {accession: row for row, accession in enumerate(self.accessions)}
        sums = [zlib.crc32(np.ascontiguousarray(self.arrays[key])) for key in ARRAYS]
        self.content = digest(sums, self.cutoff_angstrom)

    def __contains__(self, accession: str) -> bool:
        return accession in self._row

    def __len__(self) -> int:
        return len(self.accessions)

    def length(self, accession: str) -> int:
        """Return L, the residues of the protein whose contacts these are."""
        return int(self.arrays["length"][self._row[accession]])

    def exact(self, accession: str) -> bool:
        """Return whether the map is a complete list, not one recovered from other data."""
        return bool(self.arrays["exact"][self._row[accession]])

    def contacts(self, accession: str) -> np.ndarray:
        """Return the contacts, each once, [C, 2] uint16, source < target, in lexicographic order."""
        row, offset = self._row[accession], self.arrays["offset"]
        part = slice(offset[row], offset[row + 1])
        return np.stack([self.arrays["source"][part], self.arrays["target"][part]], axis=1)

    def edges(self, accession: str) -> np.ndarray:
        """Return the contacts both ways in lexicographic order, [2, E] int64, as ``radius_edges`` gives them."""
        return both_ways(self.contacts(accession))


def both_ways(pairs: np.ndarray) -> np.ndarray:
    """Return pairs of residues, each once, [C, 2], both ways in lexicographic order, [2, 2 C] int64."""
    return lexicographic(np.concatenate([pairs, pairs[:, ::-1]]).T)


def lexicographic(edges: np.ndarray) -> np.ndarray:
    """Return edges [2, E] sorted by source, then by target, [2, E] int64."""
    key = np.sort(edges[0].astype(np.int64) << 32 | edges[1].astype(np.int64))  # many times faster than lexsort
    return np.stack([key >> 32, key & 0xFFFFFFFF])


def read_contact_maps(path: Path) -> ContactMaps:
    """Read an archive; DataError, with the protein and the remedy, if it is missing, damaged or not as agreed."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in ARRAYS if name not in archive.files]
            if missing:
                raise DataError(f"{shown(path)}: no array {', '.join(missing)}, expected {', '.join(ARRAYS)}: {AGAIN}")
            arrays = {name: archive[name] for name in archive.files if name in (*ARRAYS, "cutoff_angstrom")}
    except (OSError, ValueError, EOFError, TypeError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{shown(path)} is no readable archive of contact maps ({error}): {AGAIN}") from error
    return ContactMaps(arrays, shown(path))


def write_contact_maps(
    path: Path,
    accessions: Iterable[str],
    lengths: Iterable[int],
    contacts: Iterable[np.ndarray],
    *,
    uniprot: Iterable[str] | None = None,
    exact: Iterable[bool] | None = None,
    cutoff_angstrom: float = CUTOFF_ANGSTROM,
) -> ContactMaps:
    """Write an archive and return it; ``contacts`` of B proteins, [C, 2] each, as ``ContactMaps.contacts`` gives them.

    ``uniprot`` are the accessions in UniProt where the data set has others, ``exact`` is true where not given.
    """
    names, pairs = [str(name) for name in accessions], [np.asarray(p, dtype=RESIDUE).reshape(-1, 2) for p in contacts]
    joined = np.concatenate([np.empty((0, 2), dtype=RESIDUE), *pairs])
    arrays = {
        "accession": np.array(names, dtype=str),
        "uniprot": np.array(names if uniprot is None else list(uniprot), dtype=str),
        "exact": np.array([True] * len(names) if exact is None else list(exact), dtype=bool),
        "length": np.array(list(lengths), dtype=np.int32),
        "offset": np.cumsum([0, *map(len, pairs)], dtype=np.int64),
        "source": np.ascontiguousarray(joined[:, 0]),
        "target": np.ascontiguousarray(joined[:, 1]),
        "cutoff_angstrom": np.float64(cutoff_angstrom),
    }
    maps = ContactMaps(arrays, shown(path))  # what is wrong is refused before it is on the disk
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return maps


def _check(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Refuse arrays that are unlike in length or type, and contacts that are out of order or of their protein."""
    accession, length, offset = arrays["accession"], arrays["length"], arrays["offset"]
    source, target = arrays["source"], arrays["target"]
    kinds = {
        "accession": "U",
        "uniprot": "U",
        "exact": "b",
        "length": "iu",
        "offset": "iu",
        "source": "u",
        "target": "u",
    }
    sizes = dict.fromkeys(("uniprot", "exact", "length"), len(accession)) | {"offset": len(accession) + 1}
    sizes |= {"target": len(source)}
    for key, kind in kinds.items():
        array, expected = arrays[key], (sizes.get(key, len(arrays[key])),)
        if array.dtype.kind not in kind or array.shape != expected:
            found = f"{key} is {array.dtype} of shape {array.shape}"
            raise DataError(f"{name}: {found}, expected kind {kind!r} of shape {expected}: {AGAIN}")
    if offset[0] != 0 or offset[-1] != len(source) or (np.diff(offset.astype(np.int64)) < 0).any():
        raise DataError(f"{name}: offset must rise from 0 to {len(source):,}, the number of contacts: {AGAIN}")
    unique, counts = np.unique(accession, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{name}: {unique[counts > 1][0]} occurs twice, expected once: remove one, or {AGAIN}")
    if not float(arrays.get("cutoff_angstrom", CUTOFF_ANGSTROM)) > 0:
        raise DataError(f"{name}: cutoff_angstrom is {arrays['cutoff_angstrom']}, expected a distance: {AGAIN}")
    for row, protein in enumerate(accession):  # protein by protein: all at once would take gigabytes
        first, second = source[offset[row] : offset[row + 1]], target[offset[row] : offset[row + 1]]
        order = first.astype(np.uint32) * 65536 + second
        if (first >= second).any() or (len(second) and second.max() >= length[row]):
            expected = f"source < target < {length[row]}, its length"
        elif (order[1:] <= order[:-1]).any():
            expected = "lexicographic order, each once"
        else:
            continue
        raise DataError(f"{name}: contacts of {protein} are out of place, expected {expected}: {AGAIN}")
