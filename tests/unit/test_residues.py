"""The residue store: one row per residue, rebuilt when its key or a single byte changed."""

from pathlib import Path

import numpy as np
import pytest

from halo_utils.errors import DataError
from halo_utils.residues import ResidueStore, open_if_current, write_store


def store(path: Path, key: str = "k") -> ResidueStore:
    rows = [(1, np.full((2, 3), 1.0)), (0, np.zeros((4, 3)))]
    return write_store(path, key, ["a", "b"], [4, 2], 3, rows)


def test_store_returns_one_row_per_residue(tmp_path: Path) -> None:
    found = store(tmp_path / "s.npy")
    assert found.rows("a").shape == (4, 3) and (found.rows("b") == 1).all()
    assert len(found) == 2 and "a" in found and "c" not in found and found.length("b") == 2
    with pytest.raises(DataError, match="c is not in the residue store"):
        found.rows("c")


def test_store_is_rebuilt_when_its_key_or_file_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.npy"
    store(path)
    assert open_if_current(path, "k") is not None
    assert open_if_current(path, "other") is None
    path.write_bytes(path.read_bytes()[:-8])
    assert open_if_current(path, "k") is None


def test_store_refuses_wrong_shapes_and_missing_proteins(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a: rows of shape \(3, 3\), expected \(4, 3\)"):
        write_store(tmp_path / "s.npy", "k", ["a"], [4], 3, [(0, np.zeros((3, 3)))])
    with pytest.raises(DataError, match="b: never written, expected once"):
        write_store(tmp_path / "s.npy", "k", ["a", "b"], [1, 1], 3, [(0, np.zeros((1, 3)))])
    assert [p.name for p in tmp_path.iterdir() if "lock" not in p.name] == []  # nothing half-written stays
