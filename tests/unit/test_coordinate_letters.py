"""Letters from backbone coordinates are those of Foldseek and DSSP where the extra is installed, else stand-ins."""

import sys
from pathlib import Path

import numpy as np
import pytest

from halo_utils.data.record import STANDARD
from halo_utils.structures.coordinate_letters import coordinate_letters, encoder_name, oxygens
from halo_utils.structures.reader import BACKBONE, read_structure, structure_index
from halo_utils.structures.structure_letters import DI, SS8, one_hot, read_letters

HELIX = {"N": (1.55, -28.3, -0.92), "CA": (2.29, 0.0, 0.0), "C": (1.68, 26.4, 1.13), "O": (2.00, 23.6, 2.35)}
RISE, TURN = 1.5, 100.0  # an alpha helix in angstrom and degrees a residue; atoms by radius, angle, height


def helix(length: int, *names: str) -> np.ndarray:
    """Return the named atoms of an ideal helix, [L, 3 a]."""
    columns = []
    for name in names:
        radius, angle, height = HELIX[name]
        turned = np.radians(angle + TURN * np.arange(length))
        columns += [radius * np.cos(turned), radius * np.sin(turned), height + RISE * np.arange(length)]
    return np.stack(columns, axis=1)


def rows_of(atoms: np.ndarray) -> np.ndarray:
    return np.column_stack([atoms, np.full(len(atoms), 90.0)])


@pytest.fixture
def extra() -> None:
    pytest.importorskip("mini3di")
    pytest.importorskip("pydssp")


def test_oxygens_lie_where_a_helix_has_them() -> None:
    n, ca, c, o = (helix(24, name) for name in HELIX)
    placed = oxygens(n, ca, c)
    assert np.linalg.norm(placed[:-1] - o[:-1], axis=1).max() < 0.25 and np.isnan(placed[-1]).all()


def test_a_helix_is_h_and_one_letter_of_3di(extra: None) -> None:
    rows = coordinate_letters("P1", rows_of(helix(24, *BACKBONE)))
    di, ss8 = (rows[:, part].argmax(axis=1) for part in (slice(0, len(DI)), slice(len(DI), None)))
    assert rows.shape == (24, 28) and (rows.sum(axis=1) == 2).all()
    assert [SS8[k] for k in ss8[2:-2]] == ["H"] * 20
    assert [DI[k] for k in di[5:-5]] == ["V"] * 14 and DI[di[0]] == "D"  # V is the helix of Foldseek's alphabet


def test_a_hole_is_a_loop_and_leaves_other_residues_alone(extra: None) -> None:
    rows = rows_of(helix(40, *BACKBONE))
    whole, rows[30, :9] = coordinate_letters("P1", rows), np.nan
    holed = coordinate_letters("P1", rows)
    assert holed[30, len(DI) + SS8.index("L")] and np.array_equal(holed[:20, len(DI) :], whole[:20, len(DI) :])


def test_stand_ins_are_named_where_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydssp", None)
    rows = coordinate_letters("P1", rows_of(helix(24, *BACKBONE)))
    assert "stand-in" in encoder_name() and (rows.sum(axis=1) == 2).all()


@pytest.mark.real
def test_letters_of_alphafold_models_are_those_of_foldseek_and_dssp(extra: None, real_data: Path) -> None:
    files, agreed = structure_index([real_data / "structures" / "files"]), []
    for accession, source, di, ss8 in read_letters(real_data / "structures" / "foldseek_3di_ss8.tsv.gz"):
        if len(agreed) < 8 and source == "AlphaFold2" and accession in files:
            record = read_structure(files[accession])
            if len(record.sequence) == len(di) and set(record.sequence) <= set(STANDARD):
                three = "".join({"G": "H", "I": "H", "B": "E"}.get(s, s if s in "HE" else "L") for s in ss8)
                found = coordinate_letters(accession, rows_of(record.atoms.reshape(len(di), -1)))
                same = found & one_hot(accession, di, three)
                agreed.append([same[:, : len(DI)].sum() / len(di), same[:, len(DI) :].sum() / len(di)])
    assert len(agreed) == 8 and (np.mean(agreed, axis=0) > [0.9, 0.95]).all(), np.mean(agreed, axis=0)
