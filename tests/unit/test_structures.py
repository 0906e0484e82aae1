"""Structure files: both formats, gzip, odd residues, alignment, and pLDDT that is not one."""

from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest

from halo_utils.core.errors import StructureError
from halo_utils.structures.reader import (
    StructureRecord,
    align,
    load_structures,
    plddt_from_b_factors,
    read_structure,
    structure_index,
)
from tests.models import SEQUENCE, model, write


@pytest.mark.parametrize("suffix", ["pdb", "cif", "pdb.gz", "cif.gz"])
def test_formats_read_alike(tmp_path: Path, suffix: str) -> None:
    structure, backbone = model()
    record = read_structure(write(tmp_path / f"P1.{suffix}", structure))
    assert record.sequence == SEQUENCE
    assert np.allclose(record.atoms, backbone, atol=1e-3)
    assert record.plddt.shape == (20,) and 60 < record.plddt.mean() < 100
    assert structure_index([tmp_path])["P1"].name == f"P1.{suffix}"


def test_selenomethionine_counts_as_methionine_and_water_is_ignored(tmp_path: Path) -> None:
    structure, _ = model()
    structure[0][0][0].name = "MSE"
    water = gemmi.Residue()
    water.name, water.seqid = "HOH", gemmi.SeqId(300, " ")
    structure[0][0].add_residue(water)
    assert read_structure(write(tmp_path / "P1.pdb", structure)).sequence == SEQUENCE


@pytest.mark.parametrize("content", ["", "not a structure\n", "<html>404</html>"])
def test_unreadable_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "P1.pdb").write_text(content)
    with pytest.raises(StructureError, match="P1.pdb: (no C-alpha atom|not a readable)"):
        read_structure(tmp_path / "P1.pdb")


def record(sequence: str) -> StructureRecord:
    return StructureRecord(
        sequence, np.zeros((len(sequence), 5, 3), np.float32), np.full(len(sequence), 90, np.float32)
    )


def test_alignment_places_a_fragment() -> None:
    index, identity = align(record(SEQUENCE[5:15]), SEQUENCE)
    assert index.tolist() == [-1] * 5 + list(range(10)) + [-1] * 5
    assert identity == 1.0


def test_alignment_counts_a_mismatch() -> None:
    changed = SEQUENCE[:4] + "W" + SEQUENCE[5:]
    index, identity = align(record(changed), SEQUENCE)
    assert index.tolist() == list(range(20)) and identity == pytest.approx(0.95)


def test_plddt_scales_and_unknown() -> None:
    assert plddt_from_b_factors(np.array([30.0, 98.0])).tolist() == [30.0, 98.0]
    assert plddt_from_b_factors(np.array([0.5, 1.0])).tolist() == [50.0, 100.0]
    assert np.isnan(plddt_from_b_factors(np.array([-77.0, 400.0]))).all()


def test_loading_joins_by_accession_and_reports_everything(tmp_path: Path, five_proteins: pd.DataFrame) -> None:
    by_name = five_proteins.set_index("accession")["sequence"]
    write(tmp_path / "P1.pdb", model(by_name["P1"])[0])
    write(tmp_path / "P3.pdb", model(by_name["P3"][:6])[0])
    write(tmp_path / "P4.cif", model("WWWWWWWW")[0])
    (tmp_path / "P5.pdb").write_text("nothing here")
    arrays, report = load_structures(five_proteins, [tmp_path])
    assert report["status"].tolist() == ["matched", "none", "matched", "mismatched", "unreadable"]
    assert set(arrays) == {"P1", "P3"}
    assert arrays["P3"].shape == (10, 10) and np.isnan(arrays["P3"][6:]).all() and np.isfinite(arrays["P3"][:6]).all()
    assert report["problem"].notna().sum() == 2
    assert load_structures(five_proteins, [])[1]["status"].eq("none").all()
