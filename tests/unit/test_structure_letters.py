"""Structure letters are read strictly, become one-hot rows, and reach the nodes of a graph as a fourth group."""

import gzip

import numpy as np
import pandas as pd
import pytest

from halo_utils.core.errors import DataError
from halo_utils.core.residue_store import write_store
from halo_utils.structures.structure_letters import DI, SS8, WIDTH, one_hot, store_letters
from halo_utils.training.graph_data import GraphData

TABLE = pd.DataFrame(
    {"accession": ["A1", "B2", "C3"], "sequence": ["MKVLA", "MAV", "MMMM"], "split": ["train", "val", "test"]}
).assign(Nucleus=1)
HEADER = "acc\tdatasets\tstructure_source\tfoldseek_3di\tss8\tpath\trecord_name\n"


def write(path, *rows):
    lines = ["\t".join((acc, "x", source, di, ss8, "", "")) + "\n" for acc, source, di, ss8 in rows]
    path.write_bytes(gzip.compress((HEADER + "".join(lines)).encode()))
    return path


def test_the_first_source_of_the_right_length_is_read_and_others_are_named(tmp_path, capsys):
    file = write(
        tmp_path / "letters.tsv.gz",
        ("A1", "ESMFold", "AAAAA", "LLLLL"),
        ("A1", "AlphaFold2", "DVVPC", "LHHLE"),
        ("B2", "AlphaFold2", "DVVP", "LLLL"),
        ("Z9", "AlphaFold2", "D", "L"),
    )
    store = store_letters(tmp_path / "letters.npy", TABLE, file)
    assert store.accessions == ["A1"]
    rows = store.rows("A1")
    assert rows.shape == (5, WIDTH)
    assert (rows.sum(axis=1) == 2).all()
    assert [DI[i] for i in rows[:, : len(DI)].argmax(axis=1)] == list("DVVPC")
    assert [SS8[i] for i in rows[:, len(DI) :].argmax(axis=1)] == list("LHHLE")
    assert "B2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("di", "ss8", "message"),
    [
        ("DVX", "LLL", "foldseek_3di has 'X' at residue 3"),
        ("DV", "Lc", "ss8 has 'c' at residue 2"),
        ("D", "LL", "1 3Di"),
    ],
)
def test_strange_letters_are_refused_by_protein_and_place(di, ss8, message):
    with pytest.raises(DataError, match=f"^P1: .*{message}"):
        one_hot("P1", di, ss8)


def test_graphs_carry_letters_edges_without_coordinates_and_say_so(tmp_path):
    states = [np.ones((len(s), 2), dtype=np.float32) for s in TABLE["sequence"]]
    names, lengths = list(TABLE["accession"]), [len(s) for s in states]
    embeddings = write_store(tmp_path / "e.npy", "k", names, lengths, 2, enumerate(states))
    structures = write_store(tmp_path / "s.npy", "k", [], [], 10, [], "float32")
    both = np.array([[0, 1], [1, 0]], dtype=np.uint16)
    edges = write_store(tmp_path / "edges.npy", "k", ["A1", "C3"], [2, 2], 2, [(0, both), (1, both)], "uint16")
    file = write(tmp_path / "letters.tsv.gz", ("A1", "AlphaFold2", "DVVPC", "LHHLE"))
    letters = store_letters(tmp_path / "letters.npy", TABLE, file)
    data = GraphData(TABLE, ["Nucleus"], embeddings, structures, edges, strings=letters, only_graphs=True)
    assert data.widths == (3, 2, 4, WIDTH)
    assert (data.rows("train").tolist(), data.rows("val").tolist(), data.rows().tolist()) == ([0], [], [2])
    assert data.predicted[["accession", "has_graph", "has_coordinates"]].to_numpy().tolist() == [["C3", True, False]]
    with_letters, without = data.dataset(np.array([0, 2]))[0], data.dataset(np.array([0, 2]))[1]
    assert (with_letters.x[:, :3] == 0).all()
    assert with_letters.edge_index.tolist() == [[0, 1], [1, 0]]
    assert with_letters.x[:, -WIDTH:].sum() == 10
    assert without.x[:, -WIDTH:].sum() == 0
