"""Contact maps: a second source of graphs, read strictly, and the controls made from their edges."""

import numpy as np
import pandas as pd
import pytest

from halo_utils.core.errors import DataError
from halo_utils.core.residue_store import write_store
from halo_utils.structures.contact_maps import read_contact_maps, write_contact_maps
from halo_utils.structures.edge_controls import control_edges, rewired_edges
from halo_utils.structures.edges import edge_report, graph_sources, radius_edges, store_edges
from halo_utils.structures.reader import CA, WIDTH

LENGTHS = {"A1": 30, "B2": 41, "C3": 30, "D4": 25}


def trace(name: str) -> np.ndarray:
    """Return C-alpha positions of a random chain, [L, 3] float32."""
    rng = np.random.default_rng(list(name.encode()))
    steps = rng.normal(size=(LENGTHS[name], 3))
    return np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0).astype(np.float32)


def contacts(name: str) -> np.ndarray:
    pairs = radius_edges(trace(name)).T
    return pairs[pairs[:, 0] < pairs[:, 1]]


def archive(path, names=("A1", "B2", "C3"), **options):
    lengths = options.pop("lengths", [LENGTHS[name] for name in names])
    return write_contact_maps(path, names, lengths, [contacts(name) for name in names], **options)


@pytest.fixture
def structures(tmp_path):
    """Return a store with the coordinates of A1 alone."""
    rows = np.full((LENGTHS["A1"], WIDTH), np.nan, dtype=np.float32)
    rows[:, CA] = trace("A1")
    return write_store(tmp_path / "structures.npy", "k", ["A1"], [len(rows)], WIDTH, [(0, rows)], "float32")


def proteins() -> pd.DataFrame:
    return pd.DataFrame({"accession": list(LENGTHS), "sequence": ["M" * n for n in LENGTHS.values()]})


def test_a_map_gives_the_edges_that_its_coordinates_give(tmp_path):
    archive(tmp_path / "maps.npz")
    maps = read_contact_maps(tmp_path / "maps.npz")
    assert (len(maps), maps.cutoff_angstrom, maps.length("B2"), "D4" in maps) == (3, 10.0, 41, False)
    for name in maps.accessions:
        assert np.array_equal(maps.edges(name), radius_edges(trace(name)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "no array source"),
        ({"offset": lambda a: a[:-1]}, "offset is"),
        ({"offset": lambda a: np.r_[a[:-1], a[-1] + 1]}, "offset must rise"),
        ({"source": lambda a: a[::-1].copy()}, "out of place"),
        ({"length": lambda a: a - 20}, "out of place"),
        ({"accession": lambda a: np.array(["A1", "A1", "C3"])}, "occurs twice"),
    ],
)
def test_a_damaged_archive_is_refused_with_one_message(tmp_path, change, message):
    archive(tmp_path / "maps.npz")
    arrays = dict(np.load(tmp_path / "maps.npz"))
    for key, how in change.items():
        arrays[key] = None if how is None else how(arrays[key])
    np.savez(tmp_path / "bad.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(DataError, match=message) as caught:
        read_contact_maps(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)
    assert "fetch or build" in str(caught.value)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "maps.npz").write_bytes(b"PK not a zip")
    with pytest.raises(DataError, match=r"maps\.npz is no readable archive"):
        read_contact_maps(tmp_path / "maps.npz")


def test_coordinates_come_before_maps_and_a_map_of_another_length_is_not_used(tmp_path, structures, capsys):
    maps = [archive(tmp_path / "maps.npz", exact=[True, False, True])]
    table = proteins()
    table.loc[2, "sequence"] += "M"  # C3 is one residue longer than its map
    sources = graph_sources(table, structures, maps).set_index("accession")["source"]
    assert sources["A1"] == "coordinates"
    assert "recovered" in sources["B2"]
    assert "length" in sources["C3"]
    edges = store_edges(tmp_path / "edges.npy", table, structures, maps)
    assert edges.accessions == ["A1", "B2"]
    assert np.array_equal(edges.rows("B2").T, radius_edges(trace("B2")))
    assert "C3" in capsys.readouterr().out


def test_a_map_cut_at_another_distance_is_refused_with_the_remedy(tmp_path, structures):
    maps = [archive(tmp_path / "maps.npz", cutoff_angstrom=8.0)]
    with pytest.raises(DataError, match=r"under 8 angstrom, expected 10.*set gat\.cutoff_angstrom to 8"):
        store_edges(tmp_path / "edges.npy", proteins(), structures, maps)


def controls(tmp_path, structures, kind, families=None):
    maps = [archive(tmp_path / "maps.npz")]
    edges = store_edges(tmp_path / "edges.npy", proteins(), structures, maps)
    return edges, control_edges(tmp_path / f"{kind}.npy", edges, LENGTHS, kind, 7, families)


def test_controls_keep_the_proteins_and_change_the_edges(tmp_path, structures):
    edges, none = controls(tmp_path, structures, "none")
    assert [len(none.rows(name)) for name in edges.accessions] == [0, 0, 0]
    _, near = controls(tmp_path, structures, "sequence")
    apart = np.abs(np.diff(near.rows("B2").astype(int), axis=1))
    assert set(apart.ravel()) == {1, 2, 3, 4}
    assert len(apart) == 2 * (4 * 41 - 10)
    _, wired = controls(tmp_path, structures, "rewired")
    degrees = [np.sort(np.bincount(store.rows("B2")[:, 0], minlength=41)) for store in (edges, wired)]
    assert np.array_equal(*degrees)
    assert not np.array_equal(edges.rows("B2"), wired.rows("B2"))


def test_another_proteins_contacts_are_never_those_of_a_relative(tmp_path, structures):
    edges, other = controls(tmp_path, structures, "other")
    assert np.array_equal(other.rows("A1"), edges.rows("C3"))  # of the same length
    edges, other = controls(tmp_path, structures, "other", {"A1": 0, "B2": 1, "C3": 0})
    assert np.array_equal(other.rows("A1").T, edges.rows("B2").T[:, (edges.rows("B2").T < 30).all(axis=0)])
    with pytest.raises(DataError, match="no protein of another family"):
        controls(tmp_path, structures, "other", dict.fromkeys(LENGTHS, 0))


def test_rewiring_permutes_residues():
    edges = radius_edges(trace("A1"))
    found = rewired_edges(edges, 30, np.random.default_rng(0))
    assert found.shape == edges.shape
    assert {tuple(e) for e in found.T.tolist()} == {tuple(e[::-1]) for e in found.T.tolist()}
    with pytest.raises(DataError, match="edges of kind 'random' are not known"):
        control_edges(None, None, {}, "random", 0)


def test_a_report_on_no_graphs_is_empty_and_numeric(tmp_path):
    none = write_store(tmp_path / "s.npy", "k", [], [], WIDTH, [], "float32")
    edges = store_edges(tmp_path / "edges.npy", proteins(), none)
    report = edge_report(proteins(), none, edges)
    assert len(report) == 0
    assert report[["paper", "released_code"]].describe().loc["mean"].isna().all()
