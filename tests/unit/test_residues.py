"""The residue store: one row per residue, rebuilt when its key or a single byte changed."""

from pathlib import Path

import numpy as np
import pytest

from halo_utils.core import residue_store as residues
from halo_utils.core.errors import DataError
from halo_utils.core.residue_store import ResidueStore, open_if_current, write_store


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


@pytest.mark.parametrize("value", [7e4, -7e4])
def test_store_refuses_what_float16_cannot_hold(tmp_path: Path, value: float) -> None:
    rows = [(0, np.full((1, 3), 65_504.0)), (1, np.array([[1, value, 1], [0, 0, 0]], dtype=np.float32))]
    with pytest.raises(DataError, match=r"b: a state of 7e\+04 does not fit float16"):
        write_store(tmp_path / "s.npy", "k", ["a", "b"], [1, 2], 3, rows)
    assert not (tmp_path / "s.npy").exists() and open_if_current(tmp_path / "s.npy", "k") is None
    whole = write_store(tmp_path / "s.npy", "k", ["a", "b"], [1, 2], 3, rows, dtype="float32")
    assert whole.rows("b")[0].tolist() == [1, value, 1] and (whole.rows("a") == 65_504).all()


NAMES = ["a", "b", "c", "d", "e"]


def rows_until(stop: int, seen: list[set[int]]):
    """Rows of the missing proteins; the work is interrupted before protein ``stop``."""

    def rows(done: set[int]):
        seen.append(done)
        for i in range(5):
            if i == stop:
                raise KeyboardInterrupt
            if i not in done:
                yield i, np.full((i + 1, 3), float(i))

    return rows


def test_an_interrupted_store_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residues, "NOTE_SECONDS", 0)
    lengths, path, seen = [1, 2, 3, 4, 5], tmp_path / "s.npy", []
    with pytest.raises(KeyboardInterrupt):
        write_store(path, "k", NAMES, lengths, 3, rows_until(3, seen))
    assert not path.exists() and open_if_current(path, "k") is None
    found = write_store(path, "k", NAMES, lengths, 3, rows_until(9, seen))
    assert seen == [set(), {0, 1, 2}]
    assert all((found.rows(name) == i).all() for i, name in enumerate(NAMES)) and found.damaged() is None
    assert sorted(p.name for p in tmp_path.iterdir() if "lock" not in p.name) == ["s.json", "s.npy"]
    whole = write_store(tmp_path / "t.npy", "k", NAMES, lengths, 3, rows_until(9, seen))
    assert whole.path.read_bytes() == path.read_bytes() and whole.content == found.content


@pytest.mark.parametrize("change", ["key", "rows", "note"])
def test_what_an_interruption_left_is_not_trusted_blindly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(residues, "NOTE_SECONDS", 0)
    path, seen = tmp_path / "s.npy", []
    with pytest.raises(KeyboardInterrupt):
        write_store(path, "k", NAMES, [1, 2, 3, 4, 5], 3, rows_until(3, seen))
    if change == "rows":  # those of protein b
        part = tmp_path / "s.part.npy"
        start = part.stat().st_size - 15 * 3 * 2 + 1 * 3 * 2
        part.write_bytes(part.read_bytes()[:start] + b"x" + part.read_bytes()[start + 1 :])
    elif change == "note":
        (tmp_path / "s.part.json").write_text("{")
    found = write_store(path, "other" if change == "key" else "k", NAMES, [1, 2, 3, 4, 5], 3, rows_until(9, seen))
    assert seen[1] == ({0, 2} if change == "rows" else set())
    assert all((found.rows(name) == i).all() for i, name in enumerate(NAMES)) and found.damaged() is None
