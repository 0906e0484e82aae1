"""The residue store: one row per residue, made again when its key, its size or its index changed."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from halo_utils.core.errors import DataError
from halo_utils.core.residue_store import ResidueStore, open_if_current, write_store


def store(path: Path, key: str = "k") -> ResidueStore:
    rows = [(1, np.full((2, 3), 1.0)), (0, np.zeros((4, 3)))]
    return write_store(path, key, ["a", "b"], [4, 2], 3, rows)


def damaged(store: ResidueStore) -> str | None:
    """Return the first protein whose rows differ from their checksum, or None."""
    pairs = zip(store.accessions, store.checksums, strict=True)
    return next((name for name, known in pairs if zlib.crc32(store.rows(name)) != known), None)


def test_store_returns_one_row_per_residue(tmp_path: Path) -> None:
    found = store(tmp_path / "s.npy")
    assert found.rows("a").shape == (4, 3) and (found.rows("b") == 1).all()
    assert len(found) == 2 and "a" in found and "c" not in found and found.length("b") == 2
    with pytest.raises(DataError, match="c is not in the residue store"):
        found.rows("c")


def test_store_may_be_empty(tmp_path: Path) -> None:
    empty = write_store(tmp_path / "s.npy", "k", [], [], 3, [])
    assert len(empty) == 0 and empty.width == 3 and damaged(empty) is None


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
    with pytest.raises(DataError, match="a: written twice, expected once"):
        write_store(tmp_path / "s.npy", "k", ["a", "b"], [1, 1], 3, [(0, np.zeros((1, 3)))] * 2)
    assert list(tmp_path.iterdir()) == []  # nothing half-written stays


@pytest.mark.parametrize("value", [7e4, -7e4])
def test_store_refuses_what_float16_cannot_hold(tmp_path: Path, value: float) -> None:
    rows = [(0, np.full((1, 3), 65_504.0)), (1, np.array([[1, value, 1], [0, 0, 0]], dtype=np.float32))]
    with pytest.raises(DataError, match=r"b: a state of 7e\+04 does not fit float16.* another backbone"):
        write_store(tmp_path / "s.npy", "k", ["a", "b"], [1, 2], 3, rows)
    assert not (tmp_path / "s.npy").exists() and open_if_current(tmp_path / "s.npy", "k") is None
    whole = write_store(tmp_path / "s.npy", "k", ["a", "b"], [1, 2], 3, rows, dtype="float32")
    assert whole.rows("b")[0].tolist() == [1, value, 1] and (whole.rows("a") == 65_504).all()


def test_store_that_was_interrupted_is_not_there(tmp_path: Path) -> None:
    def rows():
        yield 0, np.zeros((4, 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "s.npy", "k", ["a", "b"], [4, 2], 3, rows())
    assert list(tmp_path.iterdir()) == [] and open_if_current(tmp_path / "s.npy", "k") is None


def test_store_and_index_of_two_writings_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed between the array and its index, an old index of the same shape lies beside a new array."""
    path = tmp_path / "s.npy"
    old = store(path)
    index = path.with_suffix(".json").read_bytes()
    new = write_store(path, "k", ["a", "b"], [4, 2], 3, [(0, np.full((4, 3), 9.0)), (1, np.ones((2, 3)))])
    assert new.content != old.content and (old.rows("a") == 0).all()  # an open store keeps the rows it was opened with
    path.with_suffix(".json").write_bytes(index)
    assert open_if_current(path, "k") is None and "its index is of another array" in capsys.readouterr().out


def test_store_is_the_same_bytes_in_any_order_and_says_which_protein_is_damaged(tmp_path: Path) -> None:
    first, rows = store(tmp_path / "s.npy"), [(0, np.zeros((4, 3))), (1, np.full((2, 3), 1.0))]
    second = write_store(tmp_path / "t.npy", "k", ["a", "b"], [4, 2], 3, rows)
    assert first.path.read_bytes() == second.path.read_bytes() and first.content == second.content
    assert damaged(first) is None
    content = bytearray(first.path.read_bytes())
    content[-17] ^= 1  # the last byte of the last row, before the digest
    first.path.write_bytes(content)
    assert damaged(open_if_current(first.path, "k")) == "b"
