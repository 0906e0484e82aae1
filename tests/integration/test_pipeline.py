"""The notebooks on a tiny profile, run as a user runs them; and once more in process, for determinism."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import nbformat
import numpy as np
import pandas as pd
import pytest

from halo_utils.__main__ import main
from halo_utils.commands import run as commands_run
from halo_utils.commands.predict import locate_proteins
from halo_utils.commands.run import check_parameters, earlier, find_notebook, notebooks, related_notebooks
from halo_utils.commands.train import train
from halo_utils.config import load_settings
from halo_utils.core.errors import DataError, SettingsError, TrainingError
from halo_utils.core.paths import REPOSITORY, RunPaths
from halo_utils.data.locations import DEEPLOC
from halo_utils.embeddings.esm2 import SplitEsm2, load_esm2
from halo_utils.evaluation import scoring
from halo_utils.evaluation.claims import LEAST_ASKED
from halo_utils.models.gat import GatClassifier
from halo_utils.models.predictor import HaloPredictor
from halo_utils.profile import FocalSettings, HeadSettings
from halo_utils.runs import artifacts, ladder, prepare, recipe
from halo_utils.runs.answers import was_seen
from halo_utils.runs.export import export_model
from halo_utils.runs.in_short import confidence_sentence
from halo_utils.runs.prepare import Inputs
from halo_utils.structures import store
from halo_utils.training.embed import embed
from halo_utils.training.fit import parameter_counts
from halo_utils.training.locate import locate
from halo_utils.training.predict import predict
from tests.conftest import TINY_PROFILE
from tests.warm import PYTHON
from tools import pairs, report, statements


def run(*arguments: str, root: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HALO_ROOT": str(root), "TQDM_DISABLE": "1"}
    command = [*PYTHON, "-m", "halo_utils", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny run made by all notebooks."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "tiny.yaml").write_text(TINY_PROFILE)
    done = run("--profile", str(root / "tiny.yaml"), root=root)
    assert done.returncode == 0, done.stderr[-3000:]
    return root


TABLES = ["table1", "table2", "table3", "table4", "claims", "metrics", "weight_grid", "confidence_bins", "gate_changes"]
TABLES += ["hybrid_random_veto", "confidence_crossing", "confidence_claims", "confidence_wrong"]
TABLES += ["calibration_offset", "claims_structure", "gate_flows"]
FIGURES = [
    "fig1_halo",
    "fig2_esm",
    "fig3_gat",
    "fig4_confidence",
    "fig4_beside_paper",
    "reliability",
    "threshold_sweep",
    "esm_training",
]
FIGURES += ["gat_training", "mcc_per_label", "contact_graph", "gate_changes", "gate_flow", "co_occurrence"]
FIGURES += ["systems"]


@pytest.mark.slow
def test_every_table_figure_and_provenance_is_there(finished: Path) -> None:
    results, figures = finished / "data" / "results" / "tiny", finished / "figures" / "tiny"
    assert [t for t in TABLES if not (results / f"{t}.csv").stat().st_size] == []
    assert [f for f in FIGURES for s in ("png", "svg") if not (figures / f"{f}.{s}").stat().st_size] == []
    records = [json.loads(p.read_text()) for p in (results / "provenance").iterdir()]
    assert len(records) == len(notebooks())
    assert len({r["data_fingerprint"] for r in records if r["notebook"] != "00_your_proteins"}) == 1
    assert len({r["profile_hash"] for r in records}) == 1
    assert all(r["seconds"] > 0 and r["packages"]["torch"] for r in records)


@pytest.mark.slow
def test_files_that_notebooks_say_they_make_exist(finished: Path) -> None:
    folders = [
        finished / "data" / "results" / "tiny",
        finished / "figures" / "tiny",
        finished / "data" / "runs" / "tiny",
    ]
    made = {name for folder in folders for path in folder.iterdir() for name in (path.name, path.stem)}
    for path in notebooks():
        makes = re.search(r"\*\*Makes\*\*.*", nbformat.read(path, as_version=4).cells[0].source)
        names = re.findall(r"`([^`]+)`", makes[0])
        assert [name for name in names if not fnmatch.filter(made, name)] == [], path.stem
    deviations = pd.read_csv(folders[0] / "deviations.csv")
    assert set(deviations["model"]) == {"sequence model", "GAT"}
    share = pd.read_csv(folders[0] / "read_share.csv").set_index("split")
    assert share.loc["test", ["residues_read", "contacts_read"]].tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_executed_notebooks_are_complete(finished: Path) -> None:
    executed = sorted((finished / "data" / "runs" / "tiny" / "executed").iterdir())
    assert [p.name for p in executed] == [p.name for p in notebooks()]
    for path in executed:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))


@pytest.fixture(scope="module")
def proteome(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """The proteins of the tiny profile, with structure files."""
    folder = tmp_path_factory.mktemp("proteome")
    (folder / "tiny.yaml").write_text(TINY_PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALO_ROOT", str(folder))
        return prepare.read_inputs(load_settings(str(folder / "tiny.yaml")))


def test_settings_of_head_and_balance_reach_training_and_survive_export(
    tiny_profile: Path, root: Path, proteome: Inputs
) -> None:
    head = {"pooling": "regions", "channels": 4, "composition": 6, "hidden": 8, "dropout": 0.5}
    esm = {"head": head | {"learning_rate": 1e-2}, "focal": {"balance": 0.5}, "schedule": "linear"}
    settings = load_settings(str(tiny_profile), esm=esm)
    table = proteome.table
    data, run = recipe.train_sequence_model(settings, table)
    share = (table.loc[table["split"] == "train", list(DEEPLOC)].sum() + 0.5) / ((table["split"] == "train").sum() + 1)
    assert np.allclose(run.model.offset, 0.5 * np.log(share / (1 - share)), atol=1e-5)
    head.pop("pooling")
    reading = {"max_tokens": settings.backbone.max_tokens, "truncation": settings.backbone.truncation}
    backbone = recipe.backbone_arguments(settings)
    predictor = HaloPredictor(list(DEEPLOC), 0.5, "val", backbone, 2, head, reading).learn_from(run.model)
    predictor.save_pretrained(root / "classifier")
    held_out = table[table["split"] != "train"]
    found = locate_proteins(root / "classifier", dict(zip(held_out["accession"], held_out["sequence"], strict=True)))
    expected = predict(run, data).set_index("accession").loc[found["accession"], list(DEEPLOC)].to_numpy()
    assert np.abs(found[list(DEEPLOC)].to_numpy() - expected).max() < 0.02 and expected.std() > 0.02  # float16 weights


def test_embeddings_before_and_after_fine_tuning_are_told_apart(
    tiny_profile: Path, root: Path, proteome: Inputs
) -> None:
    settings = load_settings(str(tiny_profile))
    pretrained, path = SplitEsm2(load_esm2(**recipe.backbone_arguments(settings))), root / "pretrained.npy"
    data, run = recipe.train_sequence_model(settings, proteome.table)
    before = embed(pretrained, data, path)
    content, written = before.content, path.stat().st_mtime_ns
    after = embed(run.model.encoder, data, root / "finetuned.npy")
    assert after.content != content
    assert embed(pretrained, data, path).content == content and path.stat().st_mtime_ns == written  # read back
    path.unlink()  # a cell run again after fine-tuning, or in another folder
    assert embed(pretrained, data, path).content == content
    assert embed(run.model.encoder, data, path).content == after.content  # another model under the same name


def test_ladder_leads_from_the_head_of_the_paper_to_ours() -> None:
    assert ladder.ladder(load_settings("demo").esm) == {}
    ours = load_settings("mini").esm
    steps = ladder.ladder(ours)
    assert list(steps) == ["esm_paper_head", "esm_own_loss", "esm_own_pooling"]
    plain = HeadSettings(learning_rate=ours.head.learning_rate)
    assert steps["esm_paper_head"] == ours.model_copy(update={"head": plain, "focal": FocalSettings(gamma=2.0)})
    assert plain.pooling == "attention" and plain.hidden == plain.composition == 0 and plain.dropout == 0
    assert steps["esm_own_loss"].focal == ours.focal != FocalSettings() and steps["esm_own_loss"].head == plain
    last = steps["esm_own_pooling"]
    assert last != ours == last.model_copy(update={"head": ours.head})
    assert last.head.model_copy(update={"composition": ours.head.composition}) == ours.head


def test_climb_trains_the_head_of_the_paper_beside_ours(tiny_profile: Path, root: Path, proteome: Inputs) -> None:
    settings = load_settings(str(tiny_profile), esm={"focal": {"gamma": 0.0}})
    data, run = recipe.train_sequence_model(settings, proteome.table)
    found, parameters = ladder.climb(settings, proteome.table)
    assert list(found) == list(parameters) == ["esm_paper_head"]  # the two other steps are ours
    paper_data, paper = recipe.train_sequence_model(load_settings(str(tiny_profile)), proteome.table)
    pd.testing.assert_frame_equal(found["esm_paper_head"], predict(paper, paper_data), check_exact=True)
    ours = predict(run, data)[list(DEEPLOC)]
    assert not np.allclose(found["esm_paper_head"][list(DEEPLOC)], ours, atol=1e-4)
    none = load_settings(str(tiny_profile), esm={"focal": {"gamma": 0.0}, "compare_heads": "none"})
    assert ladder.climb(none, proteome.table) == ({}, {})


def test_a_graph_network_counts_its_own_parameters() -> None:
    k = len(DEEPLOC)
    first, norm, last = (3 + 16 + 4) * 8 + 3 * 8, 2 * 8, 8 * k + 3 * k  # two heads of 4, then one of k
    for learned in (False, True):
        model = GatClassifier((3, 16, 4), k, layers=2, heads=2, hidden=4, learned_weights=learned)
        assert parameter_counts(model) == (first + norm + last + 3 * learned,) * 2


@pytest.mark.slow
def test_exported_classifier_predicts_what_the_run_predicted(finished: Path, root: Path) -> None:
    work = finished / "data" / "runs" / "tiny"
    table = pd.read_parquet(work / "dataset.parquet").query("split == 'test'")
    sequences = dict(zip(table["accession"], table["sequence"], strict=True))
    found = locate_proteins(work / "classifier", sequences)
    run = pd.read_parquet(work / "predictions" / "esm.parquet").set_index("accession").loc[table["accession"]]
    columns = list(DEEPLOC)
    assert np.abs(found[columns].to_numpy() - run[columns].to_numpy()).max() < 0.02  # float16 weights
    facts = json.loads((work / "classifier" / "config.json").read_text())
    assert facts["chosen_on"] == "val"
    first = found.iloc[0]
    assert first["predicted"] == "; ".join(p for p in columns if first[p] >= facts["threshold"])
    with pytest.raises(DataError, match="expected config.json and model.safetensors as notebook 02 or"):
        locate_proteins(root, {"P1": "MKV"})


@pytest.mark.slow
def test_export_predicts_what_the_run_predicted_in_hybrid_mode(
    finished: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALO_ROOT", str(finished))
    settings, work = load_settings(str(finished / "tiny.yaml")), finished / "data" / "runs" / "tiny"
    predictor, columns = export_model(settings, root / "halo"), list(DEEPLOC)
    names = sorted(p.name for p in (root / "halo").iterdir())
    assert names == ["README.md", "config.json", "model.safetensors", "reliability.csv"]
    table = pd.read_parquet(work / "dataset.parquet")
    test = table[table["split"] == "test"]
    structures = artifacts.load_structures(settings, table)
    rows = {name: structures.rows(name) for name in test["accession"] if name in structures}
    located = locate(predictor, dict(zip(test["accession"], test["sequence"], strict=True)), rows)
    for system, found in (("esm", located.esm), ("gat_weighted", located.gat[located.has_structure])):
        run = pd.read_parquet(work / "predictions" / f"{system}.parquet").set_index("accession").loc[test["accession"]]
        expected = run[columns].to_numpy()[located.has_structure if system == "gat_weighted" else slice(None)]
        assert len(expected) and np.abs(found - expected).max() < 0.02, system  # float16 weights
    assert located.has_structure.sum() == len(rows) > 0
    assert all(
        was_seen(predictor, s) == (split != "test") for s, split in zip(table.sequence, table.split, strict=True)
    )
    card = (root / "halo" / "README.md").read_text()
    assert "trained on synthetic proteins" in card and "run tiny" in card
    metrics = scoring.read_metrics(finished / "data" / "results" / "tiny" / "metrics.csv")
    row = metrics.query("system == 'halo' and split == 'test' and metric == 'micro_f1'").iloc[0]
    assert f"| micro F1 | {row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" in card
    assert all(f"| {name} |" in card for name in columns)
    hybrid = scoring.read_metrics(finished / "data" / "results" / "tiny" / "hybrid_metrics.csv")
    row = hybrid.query("system == 'halo' and split == 'test, with a graph' and metric == 'macro_f1'").iloc[0]
    assert f"| macro F1 | {row['value']:.3f} [" in card.partition("where the gate can ask:")[2]
    shutil.copytree(work / "gat", root / "gat")
    shutil.rmtree(work / "gat")
    try:
        with pytest.raises(TrainingError, match="holds no weights of these settings, data and start: run its notebook"):
            export_model(settings, root / "other")
    finally:
        shutil.copytree(root / "gat", work / "gat")
    assert not (root / "other").exists()


@pytest.mark.slow
def test_collect_takes_what_a_run_commits(finished: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALO_ROOT", str(finished))
    monkeypatch.setattr(pairs, "EXECUTED", root / "executed")
    monkeypatch.setattr(pairs, "REPOSITORY", root)
    names = [path.name for path in pairs.collect("tiny")]
    assert names == [p.name for p in notebooks()[2:7]]
    accessions = set(pd.read_parquet(finished / "data" / "runs" / "tiny" / "dataset.parquet")["accession"])
    source, copies = finished / "data" / "runs" / "tiny" / "executed", root / "executed" / "tiny"
    named = [accessions & set(re.findall(r"\w+", (folder / names[0]).read_text())) for folder in (source, copies)]
    assert named[0] and not named[1], named
    notebook = nbformat.read(root / "executed" / "tiny" / "05_halo_ensemble.ipynb", as_version=4)
    assert "papermill" not in notebook.metadata and any("outputs" in c and c.outputs for c in notebook.cells)
    # The profile of this test is named by its path, which must be noticed.
    found = pairs.executed_problems(root / "executed" / "tiny" / "05_halo_ensemble.ipynb")
    assert found == ["05_halo_ensemble.ipynb shows a machine path"]
    with pytest.raises(DataError, match="run the profile first"):
        pairs.collect("never")


@pytest.mark.slow
def test_report_reads_what_the_run_wrote(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALO_ROOT", str(finished))
    paths = RunPaths("tiny")
    metrics = scoring.read_metrics(paths.results / "metrics.csv").set_index(["split", "system", "metric", "label"])
    value = metrics.loc[("test", "esm", "micro_f1", ""), "value"]
    row = next(line for line in report.results_table(paths).splitlines() if line.startswith("| fine-tuned ESM, ours"))
    assert "random weights" in row and f"| {value:.3f} [" in row
    assert report.seeds_table(paths).startswith("1 seed has been run;")
    for part in (statements.run_facts, report.claims_table, report.structures_table, confidence_sentence):
        assert "nan" not in part(paths) and len(part(paths)) > 50


@pytest.mark.slow
def test_table1_puts_ours_beside_published(finished: Path) -> None:
    table = pd.read_csv(finished / "data" / "results" / "tiny" / "table1.csv")
    assert len(table) == 51 and table["ours"].notna().all()
    assert ((table["ours"] - table["published"]) - table["difference"]).abs().max() < 1e-5


@pytest.mark.slow
def test_second_run_gives_the_same_numbers(finished: Path, root: Path, tiny_profile: Path) -> None:
    """Everything again in another folder and another process, without a cache: bit for bit on one machine."""
    settings = load_settings(str(tiny_profile))
    settings.paths.make()
    found = prepare.read_inputs(settings)
    artifacts.save_table(settings, found.table)
    store.store_structures(settings.paths.work / "structures.npy", found.table, found.structures)
    data, run = recipe.train_sequence_model(settings, found.table)
    esm = predict(run, data)
    embed(run.model.encoder, data, settings.paths.work / "finetuned.npy")
    graphs = recipe.graph_data(settings, found.table, "finetuned")
    gat = predict(recipe.train_gat(settings, graphs, (0.0, 1.0, 0.0)), graphs)
    first = finished / "data" / "runs" / "tiny" / "predictions"
    pd.testing.assert_frame_equal(esm, pd.read_parquet(first / "esm.parquet"), check_exact=True)
    pd.testing.assert_frame_equal(gat, pd.read_parquet(first / "gat_finetuned.parquet"), check_exact=True)
    metrics = scoring.measure_plain(found.table, "esm", esm, settings.data.dataset, resamples=20, seed=settings.seed)
    written = scoring.read_metrics(finished / "data" / "results" / "tiny" / "metrics_sequence.csv")
    old = written[written["system"] == "esm"]["value"].to_numpy()
    assert abs(metrics["value"].to_numpy() - old)[~pd.isna(old)].max() < 1e-5  # the CSV keeps six digits


@pytest.mark.slow
def test_the_command_trains_what_the_notebooks_read(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``train`` and the recipe make lies where the cells of notebooks 02 and 04 have put it."""
    monkeypatch.setenv("HALO_ROOT", str(finished))
    settings = load_settings(str(finished / "tiny.yaml"))
    weights = [*settings.paths.work.glob("esm/*/best.safetensors"), *settings.paths.work.glob("gat/*/best.safetensors")]
    stamps = {path: path.stat().st_mtime_ns for path in weights}
    train(settings, "esm")
    train(settings, "pair", 1)
    table = artifacts.load_table(settings)
    data, run = recipe.train_sequence_model(settings, table)
    recipe.train_gat(settings, recipe.graph_data(settings, table, "pretrained"), (0.0, 1.0, 0.0))
    again = [*settings.paths.work.glob("esm/*/best.safetensors"), *settings.paths.work.glob("gat/*/best.safetensors")]
    assert {path: path.stat().st_mtime_ns for path in again} == stamps and len(stamps) > 5
    old = pd.read_parquet(settings.paths.predictions("esm"))
    pd.testing.assert_frame_equal(predict(run, data), old, check_exact=True)
    with pytest.raises(SettingsError, match="pair 9 is not in the weight grid of tiny: 0 to 1"):
        train(settings, "pair", 9)


@pytest.mark.parametrize(("model", "pair", "weights"), [("gat", None, (0.2, 0.7, 0.3)), ("pair", 1, (0.0, 1.0, 0.5))])
def test_the_command_trains_at_the_weights_of_the_profile(
    root: Path, monkeypatch: pytest.MonkeyPatch, model: str, pair: int | None, weights: tuple[float, ...]
) -> None:
    called = []

    def train_gat(settings: object, data: object, weights: tuple[float, ...], epochs: int | None) -> SimpleNamespace:
        called.append((weights, epochs))
        return SimpleNamespace(history=pd.DataFrame({"val_macro_f1": [0.5]}), best_epoch=1)

    for name, stand_in in {"load_table": Mock(), "graph_data": Mock(), "train_gat": train_gat}.items():
        monkeypatch.setattr(f"halo_utils.commands.train.{name}", stand_in)
    settings = load_settings("demo", gat={"weights": {"coord": 0.2, "esm": 0.7, "bio": 0.3}})
    train(settings, model, pair)
    assert called == [(weights, settings.gat.weights.grid_epochs if model == "pair" else None)]


@pytest.mark.slow
def test_one_notebook_with_a_parameter(finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "05.ipynb"
    profile = str(finished / "tiny.yaml")
    plain = [finished / "data" / "results" / "tiny", finished / "figures" / "tiny", finished / "data" / "runs" / "tiny"]
    before = {path: path.stat().st_mtime_ns for folder in plain for path in folder.rglob("*") if path.is_file()}
    done = run(
        "--notebook",
        "05",
        "--profile",
        profile,
        "--output",
        str(output),
        "-p",
        "gate_rule",
        "sequence_only",
        root=finished,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "rule sequence_only" in output.read_text()
    after = {path: path.stat().st_mtime_ns for folder in plain for path in folder.rglob("*") if path.is_file()}
    assert after == before
    own = finished / "data" / "results" / "tiny-sequence_only"
    systems = set(pd.read_csv(own / "metrics.csv")["system"])
    assert "halo_sequence_only" in systems and "halo" not in systems  # nothing else is called the paper's rule
    assert (own / "provenance" / "05_halo_ensemble.json").is_file()
    assert (finished / "figures" / "tiny-sequence_only" / "systems.png").is_file()


@pytest.mark.slow
def test_ledger_says_why_and_random_veto_counts_what_the_gate_did(finished: Path) -> None:
    results = finished / "data" / "results" / "tiny"
    ledger, veto = pd.read_csv(results / "claims.csv"), pd.read_csv(results / "hybrid_random_veto.csv")
    veto = veto[veto["split"] == "test"]
    assert {"asked", "relevant", "seeds", "reason"} <= set(ledger)
    halo = ledger[ledger["claim"].str.startswith("HALO")]
    asked, vetoed = veto[["asked", "vetoed"]].iloc[0]
    assert len(halo) == 7 and (halo["asked"] == asked).all()
    untested = halo["verdict"].str.startswith("not testable here").all()
    assert untested == (asked < LEAST_ASKED or not vetoed)
    changes = pd.read_csv(results / "gate_changes.csv").query("split == 'test'").groupby("decision")["labels"].sum()
    assert (veto["vetoed"] == changes["vetoed"]).all() and (veto["asked"] == changes[["agreed", "vetoed"]].sum()).all()


def test_unknown_parameter_is_refused_with_the_valid_ones(capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--notebook", "05", "-p", "gate_rul", "paper"]) == 2
    message = capsys.readouterr().err
    assert "05_halo_ensemble has no parameter gate_rul: valid are" in message and "gate_rule (default" in message


def test_unknown_profile_and_notebook_are_refused(capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--profile", "dmeo"]) == 2
    assert "unknown profile 'dmeo': use one of demo, mini, paper, quick" in capsys.readouterr().err
    assert main(["run", "--notebook", "99"]) == 2
    assert "unknown notebook '99': use one of 00_your_proteins, 01_data_preparation" in capsys.readouterr().err


@pytest.mark.parametrize("path", notebooks() + related_notebooks(), ids=lambda p: p.stem)
def test_every_notebook_takes_the_common_parameters(path: Path) -> None:
    check_parameters(path, {"profile": "demo", "dataset": "", "max_proteins": 0, "seed": 1})
    with pytest.raises(SettingsError, match="has no parameter sed"):
        check_parameters(path, {"sed": 1})


def test_notebooks_say_which_one_to_run_first(root: Path, tiny_profile: Path) -> None:
    settings = load_settings(str(tiny_profile))
    with pytest.raises(DataError, match="run notebook 01_data_preparation with profile tiny first"):
        artifacts.load_table(settings)
    with pytest.raises(DataError, match="run notebook 04_gat_weighting"):
        artifacts.load_predictions(settings, "gat_weighted")


def test_failed_notebook_leaves_its_trace_and_no_result(root: Path) -> None:
    output = root / "out.ipynb"
    assert main(["run", "--notebook", "03", "--output", str(output)]) == 1  # notebook 01 has not run in this root
    assert not output.exists()
    assert "run notebook 01_data_preparation" in output.with_suffix(".failed.ipynb").read_text()


def snakemake_plan(root: Path, *config: str, target: str = "all") -> str:
    """Return what Snakemake would do."""
    command = [str(Path(sys.executable).with_name("snakemake")), target, "--dry-run", "--cores", "1"]
    command += ["--config", *config]
    environment = {**os.environ, "HALO_ROOT": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_snakemake_plans_all_notebooks(root: Path) -> None:
    plan = snakemake_plan(root, "profile=demo", "dataset=", "max_proteins=", "seed=")
    assert all(f"notebook_{path.stem}" in plan for path in notebooks()) and "weight_pair" not in plan
    related = [f"notebook_{path.stem}" for path in related_notebooks()]
    assert not any(name in plan for name in related)
    plan = snakemake_plan(root, "profile=demo", "dataset=", "max_proteins=", "seed=", target="related")
    assert all(name in plan for name in related) and "notebook_00_your_proteins" not in plan


@pytest.mark.parametrize(("profile", "jobs"), [("demo", True), ("quick", False)])
def test_pairs_of_weights_are_jobs_only_where_a_grid_is_asked_for(root: Path, profile: str, jobs: bool) -> None:
    assert ("weight_pair" in snakemake_plan(root, f"profile={profile}", "grid=jobs")) == jobs


def test_related_notebooks_are_found_and_read_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "07_embedder_comparison.ipynb").touch()
    monkeypatch.setattr(commands_run, "RELATED", tmp_path)
    assert find_notebook("07").parent == tmp_path and find_notebook("07") not in notebooks()
    assert [path.stem[:2] for path in earlier("07_embedder_comparison")] == ["01", "02", "03", "04", "05", "06"]


def test_find_notebook_by_number_or_name() -> None:
    assert (
        find_notebook("03") == find_notebook("03_confidence_analysis") == find_notebook("03_confidence_analysis.ipynb")
    )
