"""Structure files as the world serves them: what is read, aligned, accepted, refused, and said about it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest

from halo_utils.core.errors import StructureError
from halo_utils.core.residue_store import write_store
from halo_utils.embeddings import truncation
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.structures import store
from halo_utils.structures.edges import radius_edges, store_edges
from halo_utils.structures.reader import CA, load_structures, read_structure, structure_index
from halo_utils.structures.residue_graph import GraphDataset
from halo_utils.structures.store import audit_files
from tests.models import model, text, write
from tools.data_card import audit_table

LONG = "M" + "".join(np.random.default_rng(5).choice(list("ACDEFGHIKLMNPQRSTVY"), 79))  # no W


FIFTH = "".join("W" if i % 5 == 4 else letter for i, letter in enumerate(LONG))


def other_chain(structure: gemmi.Structure, sequence: str, first: bool) -> None:
    """Add a chain of another protein before or after the one that is there."""
    chain = model(sequence)[0][0][0].clone()
    chain.name = "B"
    structure[0].add_chain(chain, pos=0 if first else -1)


def two_locations(structure: gemmi.Structure) -> None:
    """Give one C-alpha a second location 5 A away."""
    residue = structure[0][0][3]
    first = residue.find_atom("CA", "*")
    first.altloc = "A"
    second = first.clone()
    second.altloc, second.pos = "B", gemmi.Position(first.pos.x + 5, first.pos.y, first.pos.z)
    residue.add_atom(second)


def ligand(structure: gemmi.Structure) -> None:
    """Add water, a calcium ion (whose atom is called CA) and a ligand."""
    for name, atom_name, element in (("HOH", "O", "O"), ("CA", "CA", "Ca"), ("ATP", "PA", "P")):
        residue, atom = gemmi.Residue(), gemmi.Atom()
        residue.name, residue.seqid, residue.het_flag = name, gemmi.SeqId(900, " "), "H"
        atom.name, atom.element = atom_name, gemmi.Element(element)
        residue.add_atom(atom)
        structure[0][0].add_residue(residue)


def drop_ca(structure: gemmi.Structure, position: int) -> None:
    structure[0][0][position].remove_atom("CA", "\0", gemmi.Element("C"))


def insertion(structure: gemmi.Structure) -> None:
    """Number residues 10, 10A, 10B, then 11 on."""
    for i, residue in enumerate(structure[0][0]):
        residue.seqid = gemmi.SeqId(10, " AB"[i]) if i < 3 else gemmi.SeqId(8 + i, " ")


def rename(structure: gemmi.Structure, position: int, name: str) -> None:
    structure[0][0][position].name = name


def second_model(structure: gemmi.Structure) -> None:
    """Add a second model with all positions at the origin, as in an NMR ensemble."""
    extra = structure[0].clone()
    extra.num = 2
    for residue in extra[0]:
        for atom in residue:
            atom.pos = gemmi.Position(0, 0, 0)
    structure.add_model(extra)


# What is done to a model of LONG, the protein's sequence, and what must come out: status, residues placed, mismatches.
CASES: dict[str, tuple[Callable[[gemmi.Structure], object], str, tuple[str, int, int]]] = {
    "nothing": (lambda s: None, LONG, ("matched", 80, 0)),
    "a chain of another protein first": (lambda s: other_chain(s, "W" * 50, True), LONG, ("matched", 80, 0)),
    "a chain of another protein after": (lambda s: other_chain(s, "W" * 50, False), LONG, ("matched", 80, 0)),
    "two models": (second_model, LONG, ("matched", 80, 0)),
    "water, ion and ligand": (ligand, LONG, ("matched", 80, 0)),
    "two locations of an atom": (two_locations, LONG, ("matched", 80, 0)),
    "a missing C-alpha": (lambda s: drop_ca(s, 7), LONG, ("matched", 79, 0)),
    "insertion codes": (insertion, LONG, ("matched", 80, 0)),
    "selenomethionine": (lambda s: rename(s, 0, "MSE"), LONG, ("matched", 80, 0)),
    "selenocysteine": (lambda s: rename(s, 3, "SEC"), LONG[:3] + "U" + LONG[4:], ("matched", 80, 0)),
    "pyrrolysine": (lambda s: rename(s, 1, "PYL"), "MO" + LONG[2:], ("matched", 80, 0)),
    "a model without the selenium": (lambda s: rename(s, 3, "CYS"), LONG[:3] + "U" + LONG[4:], ("matched", 80, 1)),
    "an unknown residue in the model": (lambda s: rename(s, 3, "UNK"), LONG, ("matched", 80, 1)),
    "X, B and Z in the sequence": (lambda s: None, "XBZ" + LONG[3:], ("matched", 80, 0)),
    "another version of the sequence": (lambda s: None, LONG[:30] + "WW" + LONG[32:], ("matched", 80, 2)),
    "a sequence that is longer": (lambda s: None, LONG + "G" * 100, ("matched", 80, 0)),
    "a sequence that is shorter": (lambda s: None, LONG[10:60], ("matched", 50, 0)),
    "a signal peptide removed from the model": (lambda s: None, "MLLLLLLLLLLLLLLLLLLLA" + LONG, ("matched", 80, 0)),
    "another protein": (lambda s: None, "WGWG" * 20, ("mismatched", 80, 60)),
    "a fifth of the residues exchanged": (lambda s: None, FIFTH, ("mismatched", 80, 16)),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["pdb", "cif"])
@pytest.mark.parametrize("case", CASES)
def test_structure_with(tmp_path: Path, case: str, kind: str) -> None:
    change, sequence, (status, placed, mismatches) = CASES[case]
    structure = model(LONG)[0]
    change(structure)
    write(tmp_path / f"P1.{kind}", structure)
    table = pd.DataFrame({"accession": ["P1"], "sequence": [sequence]})
    arrays, report = load_structures(table, [tmp_path])
    found = report.iloc[0]
    assert (found["status"], found["residues"]) == (status, len(sequence))
    if status == "mismatched":
        assert not arrays and "at least 0.9 and 30 expected; it runs without structure" in found["problem"]
        return
    assert (found["placed"], found["mismatches"]) == (placed, mismatches)
    ca = arrays["P1"][:, CA]
    assert ca.shape == (len(sequence), 3) and np.isfinite(ca).all(axis=1).sum() == placed
    # Every placed residue carries its own coordinates: those of the same residue of the untouched model.
    shift = sequence.find(LONG[32:60]) - 32
    own = np.flatnonzero(np.isfinite(ca).all(axis=1))
    assert np.allclose(ca[own], model(LONG)[1][own - shift, 1], atol=1e-3)


def test_structure_of_a_fragmented_protein_is_its_first(tmp_path: Path) -> None:
    write(tmp_path / "AF-P1-F2-model_v4.cif.gz", model("W" * 40)[0])
    write(tmp_path / "AF-P1-F1-model_v4.cif.gz", model(LONG)[0])
    table = pd.DataFrame({"accession": ["P1"], "sequence": [LONG + "W" * 40]})
    arrays, report = load_structures(table, [tmp_path])
    assert report.loc[0, ["status", "file", "placed"]].tolist() == ["matched", "AF-P1-F1-model_v4.cif.gz", 80]
    assert np.isnan(arrays["P1"][80:]).all()


def test_structure_files_are_found_by_every_name(tmp_path: Path) -> None:
    names = ["AF-P1-F1-model_v4.cif", "AF-P1-F1-model_v6.cif", "P2.pdb", "AF-P2-F1-model_v6.cif", "P3.pdb.gz"]
    names += ["AF-P4-2-F1-model_v1.pdb", "NP_001.2.cif", ".part-P5.cif", "notes.txt", "P6.fasta"]
    for name in names:
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).touch()
    (tmp_path / "b").mkdir()
    for name in ("P1.pdb", "P7.cif"):
        (tmp_path / "b" / name).touch()
    found = {a: f"{p.parent.name}/{p.name}" for a, p in structure_index([tmp_path / "a", tmp_path / "b"]).items()}
    assert found == {
        "P1": "a/AF-P1-F1-model_v6.cif", "P2": "a/P2.pdb", "P3": "a/P3.pdb.gz", "P4-2": "a/AF-P4-2-F1-model_v1.pdb",
        "NP_001.2": "a/NP_001.2.cif", "P7": "b/P7.cif",
    }  # fmt: skip


def nowhere(structure: gemmi.Structure) -> gemmi.Structure:
    """Take the position of one C-alpha away."""
    structure[0][0][5].find_atom("CA", "*").pos = gemmi.Position(np.nan, np.nan, np.nan)
    return structure


CUT = text(model(LONG)[0])
UNREADABLE: dict[str, tuple[str, bytes]] = {
    "an empty file": ("P1.pdb", b""),
    "a web page": ("P1.cif", b"<!DOCTYPE html><p>404</p>"),
    "an mmCIF cut in a line": ("P1.cif", CUT[: len(CUT) // 2]),
    "a gzip cut off": ("P1.cif.gz", gzip.compress(CUT)[:-200]),
    "a gzip that is none": ("P1.cif.gz", b"not gzip at all"),
    "nucleic acid only": ("P1.pdb", b"ATOM      1  P    DA A   1      11.1  22.2  33.3  1.00 50.00           P\nEND\n"),
    "coordinates that are no numbers": ("P1.cif", text(nowhere(model(LONG)[0]))),
    "another program's file": ("P1.pdb", b"\x89PNG\r\n\x1a\n" + bytes(200)),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_structure_file_that_is(tmp_path: Path, case: str) -> None:
    name, content = UNREADABLE[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StructureError, match=rf"{name}: .*; .*fetch|{name}: no C-alpha"):
        read_structure(tmp_path / name)
    arrays, report = load_structures(pd.DataFrame({"accession": ["P1"], "sequence": [LONG]}), [tmp_path])
    assert not arrays and report.loc[0, "status"] == "unreadable" and name in report.loc[0, "problem"]


def test_structure_and_sequence_are_cut_alike(root: Path, tmp_path: Path) -> None:
    """A protein longer than the model: residues, structure rows and counts follow one policy."""
    long = "M" + "ACDEFGHIKLNPQRSTVWY" * 6
    folder = tmp_path / "files"
    structure, backbone = model(long)
    write(folder / "P1.cif.gz", structure)
    table = pd.DataFrame({"accession": ["P1"], "sequence": [long]})
    store.store_structures(root / "structures.npy", table, [folder], max_tokens=42)
    structures = store.structure_store(root / "structures.npy", table)
    assert np.allclose(structures.rows("P1")[:, :9].reshape(-1, 3, 3), backbone, atol=1e-3)  # whole, N and C as well
    edges = store_edges(root / "edges.npy", table, structures)
    embeddings = write_store(root / "embeddings.npy", "k", ["P1"], [40], 2, [(0, np.zeros((40, 2)))])
    for policy in ("head", "head_tail"):
        (seen,) = truncation.seen_sequences([long], 42, policy)
        index = seen_residues(len(long), 42, policy)
        graphs = GraphDataset(["P1"], [long], np.ones((1, 10)), embeddings, structures, edges, 42, policy)
        graph, ca = graphs[0], backbone[index, 1]
        assert graphs.lengths == [40] and len(graph.x) == 40 and seen == "".join(long[i] for i in index)
        assert np.allclose(graph.x[:, :3], ca - ca.mean(axis=0), atol=2e-3)
        assert np.array_equal(graph.edge_index, radius_edges(structures.rows("P1")[index, CA]))
    assert index.tolist() == [*range(20), *range(len(long) - 20, len(long))]


def test_structure_audit_counts_every_file(tmp_path: Path) -> None:
    write(tmp_path / "P1.pdb.gz", model(LONG)[0])
    write(tmp_path / "P2.cif", model("W" * 60)[0])
    write(tmp_path / "P3.cif", model(LONG)[0])
    (tmp_path / "P4.pdb").write_text("nothing")
    proteins = pd.DataFrame({"accession": ["P1", "P2", "P4"], "sequence": [LONG, "G" * 60, LONG]})
    audit = audit_files(proteins, tmp_path)
    assert audit["status"].tolist() == ["matched", "mismatched", "no sequence", "unreadable"]
    row = audit_table(audit).loc["all"]
    assert row[["files", "read", "matched", "mismatched", "residues"]].tolist() == [4, 3, 1, 1, 80]
    assert 60 < row["mean pLDDT"] < 100 and 5 < row["edges per residue at 10 A"] < 20
