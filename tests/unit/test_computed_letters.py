"""Letters computed from coordinates are those of the given strings, or the item that is missing is named."""

import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest

from halo_utils.core.errors import DataError, SettingsError
from halo_utils.data.record import STANDARD
from halo_utils.structures.computed_letters import computed_letters
from halo_utils.structures.reader import read_structure, structure_index
from halo_utils.structures.structure_letters import DI, SS8, one_hot, read_letters

HELIX = {"N": (1.55, -28.3, -0.92), "CA": (2.29, 0.0, 0.0), "C": (1.68, 26.4, 1.13), "O": (2.00, 23.6, 2.35)}
RISE, TURN = 1.5, 100.0  # an alpha helix in angstrom and degrees a residue; atoms by radius, angle, height


def helix(path: Path, length: int, without: tuple[int, str] | None = None) -> Path:
    """Write a poly-alanine helix, [L] residues without CB, one atom left out where asked for."""
    chain = gemmi.Chain("A")
    for i in range(length):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(i + 1, " ")
        for name, (radius, angle, height) in HELIX.items():
            atom, turned = gemmi.Atom(), np.radians(angle + TURN * i)
            atom.name, atom.element = name, gemmi.Element(name[0])
            atom.pos = gemmi.Position(radius * np.cos(turned), radius * np.sin(turned), height + RISE * i)
            if (i, name) != without:
                residue.add_atom(atom)
        chain.add_residue(residue)
    model, structure = gemmi.Model(1), gemmi.Structure()
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(path))
    return path


@pytest.fixture
def extra() -> None:
    pytest.importorskip("mini3di")
    pytest.importorskip("pydssp")


def test_a_helix_is_h_and_one_letter_of_3di(extra: None, tmp_path: Path) -> None:
    rows = computed_letters(helix(tmp_path / "P1.pdb", 24), "P1", "A" * 24)
    di, ss8 = (rows[:, part].argmax(axis=1) for part in (slice(0, len(DI)), slice(len(DI), None)))
    assert rows.shape == (24, 28) and (rows.sum(axis=1) == 2).all()
    assert [SS8[k] for k in ss8[2:-2]] == ["H"] * 20
    assert [DI[k] for k in di[5:-5]] == ["V"] * 14 and DI[di[0]] == "D"  # V is the helix of Foldseek's alphabet


@pytest.mark.parametrize(("sequence", "without", "residue"), [("A" * 24, (6, "O"), 7), ("A" * 24 + "W", None, 25)])
def test_a_hole_is_named_and_not_filled(
    extra: None, tmp_path: Path, sequence: str, without: tuple[int, str] | None, residue: int
) -> None:
    with pytest.raises(DataError, match=f"^P1: P1.pdb lacks N, CA, C or O of residue {residue}, expected"):
        computed_letters(helix(tmp_path / "P1.pdb", 24, without), "P1", sequence)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mini3di", None)
    with pytest.raises(SettingsError, match="mini3di, which is missing: install .*letters"):
        computed_letters(tmp_path / "P1.pdb", "P1", "A")


@pytest.mark.real
def test_letters_of_alphafold_models_are_those_of_foldseek_and_dssp(extra: None, real_data: Path) -> None:
    files, agreed = structure_index([real_data / "structures" / "files"]), []
    for accession, source, di, ss8 in read_letters(real_data / "structures" / "foldseek_3di_ss8.tsv.gz"):
        if len(agreed) < 8 and source == "AlphaFold2" and accession in files:
            sequence = read_structure(files[accession]).sequence
            if len(sequence) == len(di) and set(sequence) <= set(STANDARD):
                three = "".join({"G": "H", "I": "H", "B": "E"}.get(s, s if s in "HE" else "L") for s in ss8)
                same = computed_letters(files[accession], accession, sequence) & one_hot(accession, di, three)
                agreed.append([same[:, : len(DI)].sum() / len(di), same[:, len(DI) :].sum() / len(di)])
    assert len(agreed) == 8 and (np.mean(agreed, axis=0) > [0.9, 0.95]).all(), np.mean(agreed, axis=0)
