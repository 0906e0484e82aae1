"""The demo proteome: seeded, balanced as promised, with the planted signals and sensible geometry."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import Settings, load_settings
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.record import STANDARD
from halo_utils.data.synthetic.folds import build_backbone
from halo_utils.data.synthetic.proteome import BACKGROUND, STRUCTURE_SHARE, frequencies, make_proteome, write_structures
from halo_utils.structures.reader import read_structure


@pytest.fixture(scope="module")
def proteome() -> tuple[pd.DataFrame, dict]:
    demo = load_settings("demo")
    return make_proteome(demo.data.synthetic_proteins, demo.seed)


def test_the_demo_chooses_nothing_for_its_result() -> None:
    demo = load_settings("demo")
    assert demo.seed == Settings.model_fields["seed"].default
    assert (0.0, 0.0) in demo.gat.weights.pairs and len(demo.gat.weights.pairs) <= 4


def test_same_seed_same_proteome(proteome: tuple) -> None:
    demo = load_settings("demo")
    again, folds = make_proteome(demo.data.synthetic_proteins, demo.seed)
    assert proteome[0].equals(again) and proteome[1] == folds
    assert not make_proteome(demo.data.synthetic_proteins, demo.seed + 1)[0]["sequence"].equals(again["sequence"])


def test_size_labels_and_splits(proteome: tuple) -> None:
    table = proteome[0]
    assert abs(len(table) - load_settings("demo").data.synthetic_proteins) < 50
    assert table["split"].value_counts()[["val", "test"]].min() >= 180  # enough for steady thresholds and bands
    assert 0.20 <= (table[list(DEEPLOC)].sum(axis=1) > 1).mean() <= 0.25
    assert (table.groupby("split")[list(DEEPLOC)].sum() > 0).all().all()
    counts = table[list(DEEPLOC)].sum()
    assert counts["Cytoplasm"] > 5 * counts["Peroxisome"]
    assert set("".join(table["sequence"])) <= set(STANDARD)


def test_no_family_in_two_splits(proteome: tuple) -> None:
    assert proteome[0].groupby("family")["split"].nunique().max() == 1


def test_structures_for_about_85_percent(proteome: tuple) -> None:
    assert abs(len(proteome[1]) / len(proteome[0]) - STRUCTURE_SHARE) < 0.04


SIGNALS = {
    "Peroxisome": r"(SKL|AKL|SRL)$",
    "Endoplasmic reticulum": r"(KDEL|HDEL)$",
    "Nucleus": r"P[KR]{4}K[VR]|[KR]{2}[PATGQS]{10}[KR]{4}",
    "Plastid": r"^MA[STAVLPKRN]{28,41}V[RK]A",
    "Mitochondrion": r"^M[LAS]R[^DE]{15,40}",
    "Lysosome/Vacuole": r"([DE][RQNTS]{3}L[LI]|GY[EQTS]{2}[FILMV])[SPG]{2}$",
    "Golgi apparatus": r"^M[SGTRKN]{4,8}[RK]{2}[LFVIAW]{17,19}SS",
}


@pytest.mark.parametrize("location", SIGNALS)
def test_planted_signals(proteome: tuple, location: str) -> None:
    table = proteome[0]
    single = (table[list(DEEPLOC)].sum(axis=1) == 1) & (table[location] == 1)
    assert table.loc[single, "sequence"].map(lambda s: bool(re.search(SIGNALS[location], s))).all()
    others = table.loc[table[location] == 0, "sequence"]
    assert others.map(lambda s: bool(re.search(SIGNALS[location], s))).mean() < 0.15


def test_secreted_proteins_start_with_a_signal_peptide(proteome: tuple) -> None:
    table = proteome[0]
    secreted = table[(table[list(DEEPLOC)].sum(axis=1) == 1) & (table["Extracellular"] == 1)]
    assert secreted["sequence"].str.match(r"^M[KRST]{2,4}[LAVFI]{9,12}[GSTPQ]{2}A[SLQH]A").all()


def test_compositions_depart_from_the_background() -> None:
    background = BACKGROUND / BACKGROUND.sum()
    assert frequencies("Extracellular")[STANDARD.index("C")] > 2 * background[STANDARD.index("C")]
    assert np.allclose(frequencies("Lysosome/Vacuole"), frequencies("Golgi apparatus"))
    assert frequencies("Cytoplasm").sum() == pytest.approx(1)


@pytest.mark.parametrize("style", ["compact", "elongated", "membrane"])
def test_chain_geometry(style: str) -> None:
    backbone = build_backbone("DDDD" + "HHHHHHHHHHHHCCCC" * 5 + "EEEEEECCC" * 3, style, np.random.default_rng(1))
    n, ca, c = backbone[:, 0], backbone[:, 1], backbone[:, 2]
    assert np.allclose(np.linalg.norm(np.diff(ca, axis=0), axis=1), 3.8, atol=0.05)
    assert np.allclose(np.linalg.norm(ca - n, axis=1), 1.458, atol=1e-3)
    assert np.allclose(np.linalg.norm(n[1:] - c[:-1], axis=1), 1.329, atol=1e-3)
    assert np.allclose(ca.mean(axis=0), 0, atol=1e-3)


def test_helix_rises_as_a_right_handed_helix() -> None:
    ca = build_backbone("H" * 18, "compact", np.random.default_rng(0))[:, 1]
    assert np.linalg.norm(ca[3:] - ca[:-3], axis=1).mean() == pytest.approx(5.0, abs=0.5)
    a, b, c = ca[1:-2] - ca[:-3], ca[2:-1] - ca[1:-2], ca[3:] - ca[2:-1]
    assert (np.einsum("ij,ij->i", np.cross(a, b), c) > 0).all()


def test_folds_differ_in_size() -> None:
    states = "HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHCC" * 3
    radius = {
        s: np.mean(
            [np.linalg.norm(build_backbone(states, s, np.random.default_rng(i))[:, 1], axis=1).mean() for i in range(4)]
        )
        for s in ("compact", "elongated")
    }
    assert radius["elongated"] > 1.3 * radius["compact"]


def test_files_are_read_by_the_real_parser(tmp_path: Path, proteome: tuple) -> None:
    table, folds = proteome
    few = dict(list(folds.items())[:6])
    write_structures(table, few, tmp_path, seed=10)
    assert {path.stem for path in tmp_path.glob("*.pdb")} == set(few)
    sequences = table.set_index("accession")["sequence"]
    for accession, (states, _) in few.items():
        record = read_structure(tmp_path / f"{accession}.pdb")
        assert record.sequence == sequences[accession]
        loose, firm = record.plddt[[s == "D" for s in states]], record.plddt[[s in "HE" for s in states]]
        assert loose.mean() < 50 < 80 < firm.mean()


def test_structures_resume_identically(tmp_path: Path, proteome: tuple) -> None:
    table, folds = proteome
    few = dict(list(folds.items())[:3])
    write_structures(table, few, tmp_path, seed=10)
    last = tmp_path / f"{list(few)[-1]}.pdb"
    before = last.read_bytes()
    last.unlink()
    write_structures(table, few, tmp_path, seed=10)
    assert last.read_bytes() == before
    write_structures(table, few, tmp_path, seed=11)
    assert last.read_bytes() != before  # another seed, other folds
