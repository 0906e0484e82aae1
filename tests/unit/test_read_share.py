"""How much of the proteins the models read: residues, proteins cut, contacts of whole structures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import load_settings
from halo_utils.core.paths import RunPaths
from halo_utils.data.locations import DEEPLOC
from halo_utils.embeddings import truncation
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.runs import wording
from halo_utils.structures.edges import count_contacts
from halo_utils.structures.store import store_structures
from tests.models import model, write
from tools import statements

LONG = "M" + "ACDEFGHIKLNPQRSTVWY" * 6


def brute_force(ca: np.ndarray, cutoff: float) -> set[tuple[int, int]]:
    distance = np.linalg.norm(ca[:, None] - ca[None], axis=2)
    return {(i, j) for i, j in np.argwhere(distance < cutoff).tolist() if i < j}


def test_contacts_are_counted_in_the_whole_structure_and_among_the_residues_read() -> None:
    line = np.column_stack([4.0 * np.arange(10), np.zeros(10), np.zeros(10)])  # neighbours and next ones under 10 A
    assert count_contacts(line, np.arange(10), 10.0) == (17, 17)
    assert count_contacts(line, np.arange(4), 10.0) == (17, 5)
    assert count_contacts(line, np.array([0, 1, 8, 9]), 10.0) == (17, 2)
    line[9] = np.nan
    assert count_contacts(line, np.array([0, 1, 8, 9]), 10.0) == (15, 1)


def stored(folder: Path, policy: str) -> tuple[pd.DataFrame, set[tuple[int, int]]]:
    """Store a long protein of train with a structure and a short one of test without.

    Returns:
        What a model of 42 tokens reads of them, and the contacts of the structure.
    """
    structure, atoms = model(LONG)
    write(folder / "P1.cif.gz", structure)
    table = pd.DataFrame({"accession": ["P1", "P2"], "sequence": [LONG, "MKVL" * 5], "split": ["train", "test"]})
    table = table.join(pd.DataFrame(np.eye(2, 10, dtype=int), columns=list(DEEPLOC)))
    report = store_structures(folder / "structures.npy", table, [folder], max_tokens=42, truncation=policy)
    return truncation.read_share(table, report, 42, policy), brute_force(atoms[:, 1], 10.0)


@pytest.mark.parametrize("policy", ["head", "head_tail"])
def test_read_share_counts_residues_proteins_and_contacts(root: Path, tmp_path: Path, policy: str) -> None:
    share, pairs = stored(tmp_path / "files", policy)
    train, test = (share.set_index("split").loc[name] for name in ("train", "test"))
    seen = set(seen_residues(len(LONG), 42, policy).tolist())
    kept = sum(i in seen and j in seen for i, j in pairs)
    assert 0 < kept < len(pairs) and train["contacts_read"] == pytest.approx(kept / len(pairs))
    assert (train["cut"], test["cut"]) == (1.0, 0.0)
    assert train["residues_read"] == pytest.approx(40 / len(LONG)) and test["residues_read"] == 1.0
    assert (train["tokens"], train["paper_tokens"], train["paper_cut"]) == (42, 1024, 0.0)
    assert test["structures"] == 0 and np.isnan(test["contacts_read"])


def test_what_is_read_becomes_a_sentence(root: Path, tmp_path: Path) -> None:
    share, _ = stored(tmp_path / "files", "head_tail")
    text = wording.reading(share, "train")
    assert "at most 40 residues of a protein, from both ends" in text
    assert "cuts 100.0 % of the train proteins" in text and "34.8 % of their residues" in text
    assert "1,022 residues of the paper would cut 0.0 %" in text and "contacts" in text
    assert "contacts" not in wording.reading(share, "test")  # no structure, no statement
    paths = RunPaths("x").make()
    share.to_csv(paths.results / "read_share.csv", index=False)
    pd.DataFrame({"split": ["train"], "label": [""]}).to_csv(paths.results / "metrics.csv", index=False)
    assert statements.read_sentence(paths) == text


def test_a_run_made_with_another_profile_says_in_what(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_settings("mini").model_dump(mode="json")
    monkeypatch.setattr(statements.provenance, "records", lambda paths: [{"profile": profile}])
    assert statements.profile_note(RunPaths("mini")) == ""
    profile["backbone"]["max_tokens"], profile["gat"]["focal"]["gamma"] = 256, 2.5
    note = statements.profile_note(RunPaths("mini"))
    assert note.endswith("(then → now): backbone.max_tokens 256 → 1024; gat.focal.gamma 2.5 → 1.0.")
