"""predict, from a FASTA file to a CSV, a JSON Lines file and a report: modes, warnings, kills, shards."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tracemalloc
from base64 import b64encode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.__main__ import main
from halo_utils.commands import predict as command
from halo_utils.core.errors import DataError, SettingsError
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.fasta import Protein
from halo_utils.models.gate import Decision
from halo_utils.models.predictor import WEIGHTS, load_predictor
from halo_utils.runs.answers import Known, Question, answer
from halo_utils.training.locate import locate
from tests import models
from tests.predictors import LOCATIONS, small_predictor

LONG = models.SEQUENCE * 3  # 60 residues, 40 are read
FIVE = f"""\
>sp|P61626|A_HUMAN First
{models.SEQUENCE}*
>plain
{LONG.lower()}
>frag Something (Fragment)
{models.SEQUENCE[1:]}
>seen
MKKLLPTAAAGLLLLAAQPAMA
>last
MDELSKLWKRAFNDEDGHWYTPQ
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a FASTA file of five proteins, a structure of the first, and a model that has seen the fourth."""
    (tmp_path / "five.fasta").write_text(FIVE)
    models.write(tmp_path / "structures" / "P61626.cif", models.model()[0])
    small_predictor(tmp_path / "model", seen=("MKKLLPTAAAGLLLLAAQPAMA",))
    return tmp_path


def predicted(folder: Path, name: str = "out", **options: object) -> dict[str, dict]:
    """Predict the five proteins and return the JSON objects by name."""
    options = {"model": folder / "model", "out": folder / name} | options
    command.predict_fasta(options.pop("fasta", folder / "five.fasta"), **options)
    lines = (folder / name / command.LINES).read_text().splitlines()
    return {one["name"]: one for one in map(json.loads, lines)}


def test_answers_stand_in_the_csv_as_in_the_json(folder: Path, capsys: pytest.CaptureFixture) -> None:
    found = predicted(folder, structures=folder / "structures")
    assert list(found) == ["P61626", "plain", "frag", "seen", "last"]
    assert sorted(p.name for p in (folder / "out").iterdir()) == [command.TABLE, command.LINES, command.REPORT]
    with (folder / "out" / command.TABLE).open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for name, one in found.items():
        assert rows[name]["predicted"] == "; ".join(one["predicted"]) and rows[name]["mode"] == one["mode"]
        for location, value in one["locations"].items():
            assert float(rows[name][location]) == value["probability"]
            assert (location in one["predicted"]) == (value["decision"] in ("confident", "agreed", "no_structure"))
            assert value["calibrated"] != value["probability"] or value["probability"] == 0.5
        assert rows[name]["warnings"] == " ".join(one["warnings"])
    assert found["P61626"]["mode"] == "hybrid" and found["P61626"]["why_sequence_only"] == ""
    assert {one["mode"] for name, one in found.items() if name != "P61626"} == {"sequence-only"}
    assert found["plain"]["residues_read"] == 40 and "40 of 60 residues were read" in found["plain"]["warnings"][0]
    assert len(found["frag"]["warnings"]) >= 2
    assert [one["in_training"] for one in found.values()] == [False, False, False, True, False]
    assert "5 proteins, model model" in capsys.readouterr().out


def test_probabilities_are_those_of_the_model_and_a_structure_changes_only_the_gate(folder: Path) -> None:
    with_structure, without = predicted(folder, structures=folder / "structures"), predicted(folder, "bare")
    expected = command.locate_proteins(folder / "model", {"P61626": models.SEQUENCE})
    for location in LOCATIONS:
        first, bare = (found["P61626"]["locations"][location] for found in (with_structure, without))
        assert first["probability"] == bare["probability"] == pytest.approx(expected[location][0], abs=1e-4)
        assert first["graph_probability"] is not None and bare["graph_probability"] is None
    plain = [found["plain"] for found in (with_structure, without)]
    assert [one.pop("why_sequence_only") for one in plain] == ["no file plain.pdb or plain.cif", "no structure"]
    assert plain[0] == plain[1]


def test_every_decision_of_the_gate_is_reached_and_said(folder: Path) -> None:
    predictor = load_predictor(folder / "model")
    proteins = [Protein("P61626", "", models.SEQUENCE), Protein("plain", "", LONG)]
    said = {}
    for threshold, confident, graph in ((0.0, 1.0, 0.0), (0.0, 1.0, 1.0), (0.0, 0.0, 0.5), (1.0, 1.0, 0.5)):
        predictor.threshold, predictor.gate["confident"] = threshold, confident
        predictor.graph_facts["threshold"] = graph
        one, other = answer(Question(predictor, [folder / "structures"]), proteins)
        decisions = {v["decision"] for v in one["locations"].values()}
        assert len(decisions) == 1
        said[decisions.pop()] = (one, {v["decision"] for v in other["locations"].values()})
    assert set(said) == {"agreed", "vetoed", "confident", "negative"}
    assert said["agreed"][1] == said["vetoed"][1] == {"no_structure"}
    assert said["agreed"][0]["predicted"] == LOCATIONS and said["vetoed"][0]["predicted"] == []
    assert said["vetoed"][0]["nearest_location"] in LOCATIONS
    assert "The graph model disagrees" in said["vetoed"][0]["warnings"][-1]
    assert "No location reaches its threshold; the nearest is" in said["negative"][0]["warnings"][-1]


def test_the_nearest_label_is_the_one_nearest_to_its_threshold(folder: Path) -> None:
    predictor, proteins = load_predictor(folder / "model"), [Protein("plain", "", LONG)]
    prob = locate(predictor, {"plain": LONG}).esm[0]
    predictor.label_thresholds = dict(zip(LOCATIONS, (prob * [3.0, 1.5, 2.0]).tolist(), strict=True))
    one = answer(Question(predictor, per_location=True), proteins)[0]
    assert one["predicted"] == [] and one["nearest_location"] == LOCATIONS[1]


def test_a_structure_that_is_another_protein_or_damaged_is_not_used(folder: Path) -> None:
    for name, content in {"P61626": b"nonsense", "plain": models.text(models.model("W" * 60)[0])}.items():
        (folder / "structures" / f"{name}.cif").write_bytes(content)
    found = predicted(folder, structures=folder / "structures")
    assert "not a readable PDB or mmCIF file" in found["P61626"]["why_sequence_only"] or (
        "no C-alpha atom" in found["P61626"]["why_sequence_only"]
    )
    assert "expected; it runs without structure" in found["plain"]["why_sequence_only"]
    assert {one["mode"] for one in found.values()} == {"sequence-only"}


def test_alphafold_is_asked_only_when_wanted_and_only_about_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(table: pd.DataFrame, folders: list[Path], target: Path, api: str) -> pd.DataFrame:
        asked.extend(table["accession"])
        assert api.startswith("https://alphafold") and target in folders
        models.write(target / "P61626.cif", models.model()[0])
        return pd.DataFrame({"accession": table["accession"], "status": "found"})

    monkeypatch.setattr(command.alphafold, "fetch_structures", fetch)
    assert predicted(folder)["P61626"]["mode"] == "sequence-only" and asked == []
    assert predicted(folder, "asked", look_up=True)["P61626"]["mode"] == "hybrid"
    assert asked == ["P61626"]  # the other names are no UniProt accessions
    assert predicted(folder, "both", look_up=True, structures=folder / "structures")["P61626"]["mode"] == "hybrid"
    assert asked == ["P61626"]


def test_neighbours_are_found_where_the_training_table_is(folder: Path) -> None:
    rows = [("T1", LONG[:50], "train"), ("T2", "MDELSKLWKRAFNDEDGHWYTPQ", "test")]
    pd.DataFrame(rows, columns=["accession", "sequence", "split"]).to_parquet(folder / "dataset.parquet")
    found = predicted(folder, training=folder / "dataset.parquet")
    assert found["plain"]["nearest_training"]["name"] == "T1" and 0.9 < found["plain"]["nearest_training"]["identity"]
    assert found["last"]["nearest_training"] is None  # test proteins are not training proteins
    known = Known(["T1"], [models.SEQUENCE + "W" * 40], "")
    near, far, none = known.nearest([models.SEQUENCE, models.SEQUENCE[:6] + "A" * 10 + "DEFGHIKLMNPQRSTVWY" * 2, "MKV"])
    assert near["share"] == near["identity"] == 1.0 and none is None
    assert 0 < far["share"] < 0.05 and far["identity"] is None  # a common 6-mer is chance
    pd.DataFrame({"accession": ["T1"]}).to_parquet(folder / "odd.parquet")
    with pytest.raises(DataError, match="no column sequence, split; expected the dataset.parquet of a run"):
        Known.of(load_predictor(folder / "model"), folder / "odd.parquet")


def test_a_model_without_a_graph_network_says_so(folder: Path, capsys: pytest.CaptureFixture) -> None:
    small_predictor(folder / "bare", graph=None, label_thresholds=None, temperatures=None)
    found = predicted(folder, model=folder / "bare", structures=folder / "structures")
    assert {one["why_sequence_only"] for one in found.values()} == {"the model has no graph network"}
    assert {one["in_training"] for one in found.values()} == {None}
    assert all(v["calibrated"] is None for one in found.values() for v in one["locations"].values())
    said = capsys.readouterr().out
    assert "The model has no graph network" in said and "ships no hashes" in said and "is not looked for" in said
    with pytest.raises(SettingsError, match="this model has no thresholds per location"):
        predicted(folder, model=folder / "bare", thresholds="per-location")


def test_a_threshold_per_location_is_an_option(folder: Path) -> None:
    one, own = predicted(folder)["plain"], predicted(folder, thresholds="per-location")["plain"]
    assert {v["threshold"] for v in one["locations"].values()} == {0.5}
    assert {v["threshold"] for v in own["locations"].values()} == {0.9}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"structures": Path("nowhere")}, "--structures nowhere: not a folder"),
        ({"model": Path("nowhere")}, "nowhere: .*expected config.json and model.safetensors"),
        ({"thresholds": "many"}, "--thresholds 'many': expected one or per-location"),
        ({"precision": "half"}, "--precision 'half': expected auto or 32-true or bf16-mixed"),
        ({"shard": "4/4"}, "--shard '4/4': expected I/N with I from 0 to N - 1"),
        ({"shard": "a"}, "--shard 'a': expected I/N"),
        ({"shard": "0/2", "fasta": Path("-")}, "--shard with standard input: .* expected a file"),
        ({"fasta": Path("nowhere.fasta")}, "nowhere.fasta not found: expected a FASTA file"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(folder: Path, options: dict, message: str) -> None:
    with pytest.raises((DataError, SettingsError), match=message):
        predicted(folder, **options)
    assert not (folder / "out" / command.TABLE).exists()


def test_a_record_that_is_refused_stops_before_any_prediction(folder: Path, capsys: pytest.CaptureFixture) -> None:
    (folder / "five.fasta").write_text(FIVE + ">dna\nATGGCCAAATTTGGGCCCTGA\n")
    arguments = ["predict", str(folder / "five.fasta"), "--model", str(folder / "model"), "--out", str(folder / "out")]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: five.fasta record 6 (dna): 100% of its letters are") and said.count("\n") == 1
    assert not list((folder / "out").rglob("*.jsonl")) and not (folder / "out" / command.TABLE).exists()


def test_a_damaged_model_is_refused(folder: Path) -> None:
    weights = folder / "model" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DataError, match="model: .*expected config.json and model.safetensors as notebook 02"):
        load_predictor(folder / "model")
    small_predictor(folder / "bare", graph=None)
    shutil.copy(folder / "bare" / WEIGHTS, weights)  # of another configuration
    with pytest.raises(DataError, match=r"graph\..* is in one of config.json and model.safetensors only"):
        load_predictor(folder / "model")


def test_standard_input_gives_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predicted(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FIVE.encode())))
    predicted(folder, "piped", fasta=Path("-"))
    assert (folder / "piped" / command.TABLE).read_bytes() == (folder / "out" / command.TABLE).read_bytes()


def test_shards_give_the_same_whatever_their_order(folder: Path) -> None:
    predicted(folder, size=1)
    for number in (2, 0, 1):
        options = {"model": folder / "model", "out": folder / "shared", "size": 1}
        command.predict_fasta(folder / "five.fasta", shard=f"{number}/3", **options)
    assert len(list((folder / "shared" / command.PARTS).glob("*.jsonl"))) == 5
    written = {p: p.stat().st_mtime_ns for p in (folder / "shared" / command.PARTS).glob("*.jsonl")}
    job_parts = {p.name: p.read_bytes() for p in written}
    predicted(folder, "shared", size=1)
    for name in (command.TABLE, command.LINES):
        assert (folder / "shared" / name).read_bytes() == (folder / "out" / name).read_bytes()
    assert len(job_parts) == 5 and not (folder / "shared" / command.PARTS).exists()


def test_a_part_of_other_proteins_is_made_again(folder: Path) -> None:
    options = {"model": folder / "model", "out": folder / "out", "size": 2}
    command.predict_fasta(folder / "five.fasta", shard="0/1", **options)
    (folder / "five.fasta").write_text(FIVE.replace("MDELSKLWKRAFNDEDGHWYTPQ", "MKKKRKVGGGSPKKKRKVEEEE"))
    changed = predicted(folder, size=2)
    assert changed["last"]["length"] == 22 and changed == predicted(folder, "fresh", size=2)


KILLED = """\
import sys
from pathlib import Path
from tests.steps import kill_at
from halo_utils.commands import predict
kill_at("halo_utils.commands.predict:write_part:3{after}")
predict.predict_fasta(Path(sys.argv[1]), model=Path(sys.argv[2]), out=Path(sys.argv[3]), size=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", ["", ":after"])
def test_killed_it_goes_on_and_gives_the_identical_csv(
    folder: Path, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted(folder, size=1)
    paths = [str(folder / name) for name in ("five.fasta", "model", "killed")]
    environment = {**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    code = [sys.executable, "-c", KILLED.format(after=after), *paths]
    done = subprocess.run(code, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert len(list((folder / "killed" / command.PARTS).glob("*.jsonl"))) == (3 if after else 2)
    assert not (folder / "killed" / command.TABLE).exists()
    calls = []
    monkeypatch.setattr(command, "answer", lambda *a, **o: calls.append(1) or answer(*a, **o))
    predicted(folder, "killed", size=1)
    assert len(calls) == (2 if after else 3)  # what was written is not computed again
    for name in (command.TABLE, command.LINES, command.REPORT):
        assert (folder / "killed" / name).read_bytes() == (folder / "out" / name).read_bytes()


def many(path: Path, proteins: int) -> Path:
    """Write a FASTA file of many short proteins."""
    letters, rng = np.array(list("ACDEFGHIKLMNPQRSTVWY")), np.random.default_rng(0)
    with path.open("w") as file:
        file.writelines(f">P{i}\nM{''.join(rng.choice(letters, 12))}\n" for i in range(proteins))
    return path


def test_memory_does_not_grow_with_the_number_of_proteins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load_predictor(folder / "model")
    monkeypatch.setattr(command, "load_predictor", lambda _: predictor)
    peaks = []
    for number in (200, 200, 1000):  # the first call fills caches
        path = many(folder / f"{number}.fasta", number)
        tracemalloc.start()
        command.predict_fasta(path, model=folder / "model", out=folder / f"m{number}", size=50, shown=10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.25 * peaks[1]


def test_the_report_of_many_proteins_shows_the_first_and_says_so(folder: Path) -> None:
    command.predict_fasta(many(folder / "m.fasta", 30), model=folder / "model", out=folder / "out", shown=7, size=4)
    text = (folder / "out" / command.REPORT).read_text()
    assert "This report shows the first 7 of 30 proteins" in text and text.count("<section") == 7
    assert "Locations of 30 proteins" in text and 'id="p8"' not in text
    lines = (folder / "out" / command.LINES).read_text().splitlines()
    assert ["track" in json.loads(line) for line in lines] == [True] * 7 + [False] * 23  # the rest stays small


def test_the_report_shows_what_was_answered_and_asks_for_nothing(folder: Path) -> None:
    found = predicted(folder, structures=folder / "structures")
    text = (folder / "out" / command.REPORT).read_text()
    assert "http" not in text.replace("http-equiv", "") and "default-src 'none'" in text
    (code,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)  # the trace of the one structure
    allowed = b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in text and text.count("<canvas") == 1
    predicted(folder, "bare")
    assert "script" not in (folder / "bare" / command.REPORT).read_text()
    assert text.count('class="bar"') == 5 * len(LOCATIONS)
    for one in found.values():
        assert f"<h2>{one['name']}:" in text and all(warning in text for warning in one["warnings"])
    assert text.count("attention of the pooling; highest at residue") == 10  # as text, and for who cannot see
    assert "hatched: not read" in text and "gate: confident from 0.55 on" in text
    assert text.count("decided in hybrid mode") == 1 and "1 decided in hybrid mode" in text
    assert len(Decision) == 5


def test_names_are_escaped_in_the_report(folder: Path) -> None:
    (folder / "five.fasta").write_text(f">a&b|x{{{{7*7}}}}\n{models.SEQUENCE}\n")
    predicted(folder)
    text = (folder / "out" / command.REPORT).read_text()
    assert "x{{7*7}}" in text and "49:" not in text


@pytest.mark.slow
def test_the_workflow_shares_a_fasta_file_among_jobs_and_joins_them(folder: Path) -> None:
    config = [f"fasta={folder / 'five.fasta'}", "shards=3", f"model={folder / 'model'}", f"out={folder / 'a b'}"]
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "predict", "--cores", "1", "--nolock", "-n", "-p"]
    done = subprocess.run([*snakemake, "--config", *config], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-2000:]
    shards = [line for line in done.stdout.splitlines() if " --shard " in line]
    assert len(shards) == 3 and all(f"--out '{folder / 'a b'}'" in line for line in shards)
    assert [f"--shard {number}/3" in "".join(shards) for number in range(3)] == [True] * 3
    (joined,) = [line for line in done.stdout.splitlines() if "&& rm -r" in line]
    assert "--shard" not in joined and f"rm -r '{folder / 'a b'}/shards'" in joined


@pytest.mark.slow
def test_the_workflow_asks_again_when_its_options_change(folder: Path) -> None:
    config = [f"fasta={folder / 'five.fasta'}", f"model={folder / 'model'}", f"out={folder / 'out'}"]
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "predict", "--cores", "1", "--nolock"]
    planned = []
    for how in ([], ["-n"], ["-n", f"structures={folder / 'structures'}"]):
        command_line = [*snakemake, *how[:1], "--config", *config, *how[1:]]
        done = subprocess.run(command_line, capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr[-2000:]
        planned.append("Nothing to be done" in done.stdout + done.stderr)
    assert planned == [False, True, False]
