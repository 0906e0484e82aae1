"""Profiles, paths, published tables, claims, sources, files, and what importing may not do."""

import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest

from halo_utils.config import VARIATIONS, load_settings, profile_names
from halo_utils.core.errors import SettingsError
from halo_utils.core.files import digest, write_csv
from halo_utils.core.paths import REPOSITORY, RunPaths, data_dir
from halo_utils.data.locations import DEEPLOC, LUO2024
from halo_utils.evaluation import claims
from halo_utils.evaluation.published import published_table, text_value
from halo_utils.profile import GatSettings
from tools.pairs import sources


@pytest.mark.parametrize("name", ["demo", "mini", "paper", "quick"])
def test_shipped_profiles_are_valid(name: str) -> None:
    settings = load_settings(name)
    assert settings.profile == name and name in profile_names()
    assert settings.gate.confident == 0.55 and settings.gat.cutoff_angstrom == 10


def test_paper_profile_holds_the_papers_values() -> None:
    s = load_settings("paper")
    assert s.backbone.source == "facebook/esm2_t33_650M_UR50D" and len(s.backbone.revision) == 40
    assert (s.backbone.max_tokens, s.backbone.trainable_layers, s.backbone.truncation) == (1024, 2, "head")
    assert (s.esm.learning_rate, s.esm.epochs, s.esm.focal.gamma, s.esm.focal.alpha) == (1e-5, 10, 2.0, 1.0)
    assert (s.gat.layers, s.gat.heads, s.gat.hidden, s.gat.dropout) == (4, 4, 128, 0.6)


def test_run_name_follows_what_changes_the_proteins() -> None:
    assert load_settings("demo").run_name == "demo"
    assert load_settings("mini").run_name == "deeploc2-mini"
    assert load_settings("mini", max_proteins=3000, seed=8).run_name == "deeploc2-mini-3000-seed8"
    assert load_settings("mini", dataset="luo2024", max_proteins=0).run_name == "luo2024-mini"
    assert load_settings("demo", seed=4).run_name == "demo-seed4"


def test_a_parameter_of_one_notebook_gives_the_run_another_name_and_reads_the_plain_run() -> None:
    named = {
        "gate_rule": ("released_code", "demo-released_code"),
        "gate_confidence": (0.6, "demo-gate_confidence0.6"),
        "weight_mode": ("learned", "demo-learned"),
        "cutoff_angstrom": (8.0, "demo-cutoff_angstrom8"),
        "epochs": (3, "demo-epochs3"),
        "rounds": (2, "demo-rounds2"),
    }
    assert set(named) == set(VARIATIONS)
    for name, (value, run) in named.items():
        settings = load_settings("demo", **{name: value})
        assert (settings.run_name, settings.source_run) == (run, "demo")
        assert settings.paths.results != settings.source.results == load_settings("demo").paths.results
        *blocks, key = VARIATIONS[name].split(".")
        assert getattr(attrgetter(".".join(blocks))(settings), key) == value
    own = {"gate_rule": "paper", "gate_confidence": 0.55, "weight_mode": "", "cutoff_angstrom": -1.0, "epochs": -1}
    assert load_settings("demo", **own) == load_settings("demo")
    both = load_settings("demo", seed=4, gate_rule="released_code")
    assert (both.run_name, both.source_run) == ("demo-released_code-seed4", "demo-seed4")  # of no family of demo's
    with pytest.raises(SettingsError, match="gate.rule: Input should be"):
        load_settings("demo", gate_rule="relesed_code")


@pytest.mark.parametrize("name", VARIATIONS)
def test_every_parameter_of_one_notebook_is_one_and_is_passed_on(name: str) -> None:
    books = [path for path in sources() if re.search(rf"^{name}: ", path.read_text(encoding="utf-8"), re.MULTILINE)]
    assert len(books) == 1 and re.search(rf"load_settings\([^)]*\b{name}={name}", books[0].read_text(encoding="utf-8"))


def test_every_notebook_parameter_is_common_or_a_variation() -> None:
    # The others change no value of a run: rows of heads, a folder's name, how much is explained, one's own proteins.
    common = {"profile", "dataset", "max_proteins", "seed", "compare_heads", "ship_to", "per_location", "windows"}
    common |= {"fasta", "structures", "model", "protein"}
    # Those of related systems: what is compared, on how many proteins, and how long small networks are trained.
    common |= {"embedders", "embeddings", "classifier_of", "ground", "budget", "proteins", "test_proteins", "draws"}
    common |= {"pilots", "repeats", "folds", "seeds", "trials", "top_k", "read_tokens"}
    common |= {"network_epochs", "graph_epochs", "sequence_epochs", "heads", "only_means", "luo_budget"}
    for path in sources():
        cell = next(c for c in jupytext.read(path).cells if "parameters" in c.metadata.get("tags", []))
        assert set(re.findall(r"^(\w+):", cell.source, re.MULTILINE)) <= common | set(VARIATIONS), path.name


def test_a_profile_keeps_values_of_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    start = "description: x\ndata: {dataset: deeploc2}\nbackbone: {source: data/checkpoints/halo-mini}\n"
    text = "esm: {epochs: 6, weight_decay: 0.5}\ndatasets:\n  luo2024: {esm: {epochs: 12}, gat: {epochs: 3}}\n"
    path.write_text(start + text)
    profile, own = load_settings(str(path)), load_settings(str(path), dataset="luo2024")
    assert (profile.esm.epochs, profile.esm.weight_decay, profile.gat.epochs) == (6, 0.5, GatSettings().epochs)
    assert (own.esm.epochs, own.esm.weight_decay, own.gat.epochs) == (12, 0.5, 3)
    assert load_settings(str(path), dataset="luo2024", esm={"epochs": 2}).esm.epochs == 2


def test_settings_are_frozen_and_hashed() -> None:
    settings = load_settings("demo")
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 1
    assert settings.hash() == load_settings("demo").hash() != load_settings("demo", seed=4).hash()


# Rows, columns, values and the sum of all values of each published table, added up from the printed lines of the paper.
PUBLISHED = {1: (17, 3, 51, 28.52), 2: (19, 3, 51, 32.6101), 3: (19, 6, 93, 56.3101), 4: (19, 9, 124, 63.6559)}


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_tables_are_complete(number: int) -> None:
    rows, columns, values, total = PUBLISHED[number]
    table = published_table(number)
    wide = table.pivot(index=["metric", "label"], columns="system", values="published")
    assert wide.shape == (rows, columns) and len(table) == values
    assert table["published"].sum() == pytest.approx(total, abs=1e-9)
    places = LUO2024 if number == 4 else DEEPLOC
    assert set(table.loc[table["metric"] == "mcc", "label"]) == set(places)


def test_published_values_agree_between_tables() -> None:
    one, two, three = (published_table(n).set_index(["metric", "label", "system"])["published"] for n in (1, 2, 3))
    for key in two.index:
        assert three[key] == two[key]
    assert all(one[m, la, "WF-ESM"] == two[m, la, "GAT"] for m, la, s in two.index if s == "GAT")
    assert two["macro_recall", "", "HALO"] <= two["macro_recall", "", "Fine-tuned ESM"]


def test_text_values() -> None:
    assert text_value("halo_mcc_overall") == 0.7131 and text_value("gate_confidence") == 0.55


@pytest.mark.parametrize(
    ("difference", "low", "high", "verdict"),
    [
        (0.02, 0.01, 0.03, "reproduced"),
        (0.02, -0.01, 0.05, "same direction, not sure"),
        (-0.02, -0.05, 0.01, "opposite direction, not sure"),
        (-0.02, -0.03, -0.01, "contradicted"),
        (0.001, 0.0005, 0.0015, "no effect of relevant size"),  # the paper's difference is 0.008
        (-0.001, -0.0015, 0.0001, "no effect of relevant size"),
        (0.0, 0.0, 0.0, "no difference"),
    ],
)
def test_verdicts(difference: float, low: float, high: float, verdict: str) -> None:
    row = {"metric": "macro_f1", "label": "", "difference": difference, "ci_low": low, "ci_high": high}
    table = pd.DataFrame([row | {"first": "gat_finetuned", "second": "gat_pretrained", "split": "test", "seeds": 3}])
    ledger = claims.check_claims(table, "test").set_index(["claim", "metric"])
    found = ledger.loc[("Fine-tuned embeddings improve the GAT", "macro_f1")]
    assert found["verdict"] == verdict and found["seeds"] == 3
    one = claims.check_claims(table.drop(columns="seeds"), "test").set_index(["claim", "metric"]).loc[found.name]
    assert one["verdict"] == "one seed: not sure" and one["reason"].startswith(f"so far: {verdict}; ")
    assert found["relevant"] == (abs(difference) >= 0.25 * 0.008)
    assert (ledger["verdict"] == "not measured").sum() == len(claims.CLAIMS) - 1


def test_published_numbers_support_every_claim() -> None:
    nothing = ["split", "label", "first", "second", "metric", "difference", "ci_low", "ci_high"]
    paper = claims.check_claims(pd.DataFrame(columns=nothing), "test")["paper"]
    asked = [(p > 0) == c.greater for p, c in zip(paper, claims.CLAIMS, strict=True) if not c.reason]
    assert asked == [True] * (len(claims.CLAIMS) - 1)


def test_csv_and_digest(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", pd.DataFrame({"a": [1, 2], "b": [0.1234567891, np.nan]}))
    assert path.read_text() == "a,b\n1,0.123457\n2,\n"
    assert digest(1, {"b": 2, "a": 1}) == digest(1, {"a": 1, "b": 2}) != digest(2, {"a": 1, "b": 2})


def test_paths_do_not_depend_on_the_working_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert RunPaths("demo").results == root / "data" / "results" / "demo"
    monkeypatch.setenv("HALO_DATA_DIR", "../elsewhere")
    assert data_dir() == (REPOSITORY / "../elsewhere").resolve()


def test_paths_of_a_run_follow_the_output_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = RunPaths("demo")  # a constant of a module, made at its import
    monkeypatch.setenv("HALO_ROOT", str(tmp_path))
    assert paths.results == tmp_path / "data" / "results" / "demo" and paths.dataset.is_relative_to(tmp_path)
    monkeypatch.chdir(tmp_path)  # as a notebook's kernel is elsewhere than make
    for given, folder in (("", REPOSITORY), ("out", REPOSITORY / "out")):
        monkeypatch.setenv("HALO_ROOT", given)
        assert paths.results == folder / "data" / "results" / "demo"


def test_importing_does_nothing(tmp_path: Path) -> None:
    package = sorted((REPOSITORY / "halo_utils").rglob("[a-z]*.py"))
    modules = [".".join(p.relative_to(REPOSITORY).with_suffix("").parts) for p in package]
    assert len(modules) > 25
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('network used')\n"
        "socket.socket.connect = refuse\n"
        f"import {', '.join(modules)}\n"
        "print('imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "imported", done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("head", [{"hidden": 8}, {"composition": 4}, {"dropout": 0.1}, {"pooling": "regions"}])
def test_what_belongs_to_another_head_is_refused(head: dict) -> None:
    with pytest.raises(SettingsError, match="esm.head: .*hidden, dropout and composition belong to pooling regions"):
        load_settings("demo", esm={"head": head})
