"""Baselines that cost nothing, and scores against what the models have seen, on hand-made sequences."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from halo_utils.config import load_settings
from halo_utils.core.errors import DataError
from halo_utils.core.paths import RunPaths
from halo_utils.data import audit, kmers
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.splits import fingerprint
from halo_utils.evaluation import containment, scoring
from halo_utils.evaluation.thresholds import threshold_grid
from halo_utils.figures import plots
from halo_utils.pretraining.corpus import FACTS, HELD_OUT, corpus_containment, open_corpus, trained_on
from halo_utils.runs import prepare
from halo_utils.training import baselines
from tools import report, statements

LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
BASE, OTHER = "ACDEFGHIKLMNPQRSTVWY", "YWVTSRQPNMLKIHGFEDCA"


def proteins(count: int, seed: int, length: int = 60) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(LETTERS, length)) for _ in range(count)]


def dataset(rows: list[tuple[str, str, list[str]]]) -> pd.DataFrame:
    """Return a dataset table of (sequence, split, locations)."""
    table = pd.DataFrame({"accession": [f"P{i}" for i in range(len(rows))], "sequence": [s for s, _, _ in rows]})
    table = table.assign(split=[s for _, s, _ in rows], kingdom="", subset="", family=range(len(rows)))
    return table.assign(**{p: [int(p in own) for _, _, own in rows] for p in DEEPLOC})


def test_the_nearest_training_protein_lends_its_labels() -> None:
    rows = [(OTHER, "train", ["Nucleus"]), (BASE, "train", ["Cytoplasm", "Plastid"]), (BASE, "train", ["Peroxisome"])]
    rows += [(BASE[:12] + OTHER[:7], "test", []), ("W" * 20, "test", []), ("MKV", "val", []), (OTHER, "val", [])]
    table = dataset(rows)
    found = baselines.nearest_neighbour(table, DEEPLOC)
    assert found["accession"].tolist() == ["P3", "P4", "P5", "P6"] and found["split"].tolist()[0] == "test"
    labels = [{p for p in DEEPLOC if row[p] > 0} for _, row in found.iterrows()]
    assert labels == [{"Cytoplasm", "Plastid"}, set(), set(), {"Nucleus"}]  # the first of the two equals; none; copy
    own = 7 / (14 + 15 - 7)  # shared 6-mers over all of the two sets
    assert found.loc[0, "Plastid"] == pytest.approx(0.95 + 0.05 * own) and found.loc[3, "Nucleus"] == 1
    order = table.index[::-1]
    turned = baselines.nearest_neighbour(table.loc[order], DEEPLOC).set_index("accession")
    assert turned.loc["P3", "Peroxisome"] > 0  # ties go by position


def test_no_threshold_of_the_sweep_changes_the_neighbours_labels() -> None:
    train = [(s, "train", [DEEPLOC[i % 10]]) for i, s in enumerate(proteins(20, 0))]
    val = [(s[:30] + t[:30], "val", own) for (s, _, own), t in zip(train, proteins(20, 1), strict=True)]
    val[0] = ("W" * 30, "val", ["Nucleus"])
    table = dataset([*train, *val])
    found = baselines.nearest_neighbour(table, DEEPLOC)
    scores = found[list(DEEPLOC)].to_numpy()
    assert ((scores > 0) == (scores >= threshold_grid()[-1])).all() and (scores <= 1).all()
    assert scoring.tune(table, found, "synthetic").value == 0.5


def test_similarity_counts_what_each_protein_has_alone() -> None:
    share, where = kmers.most_similar([BASE[:12]], [BASE + OTHER + "W" * 30, BASE[:11]])
    assert where.tolist() == [1] and share[0] == pytest.approx(6 / 7)  # the whole query is in the first, too
    assert kmers.kmer_containment([BASE[:12]], [BASE + OTHER + "W" * 30, BASE[:11]]).tolist() == [1.0]


def test_a_stream_of_targets_is_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = proteins(25, 2)
    queries = [targets[i][:40] + targets[i + 1][:20] for i in range(24)] + ["MKV"]
    whole, first = kmers.kmer_containment(queries, targets), kmers.most_similar(queries, [*targets, *targets])
    monkeypatch.setattr(kmers, "AT_ONCE", 4)
    taken = []

    def stream() -> object:
        for target in targets:
            taken.append(target)
            yield target

    assert np.array_equal(kmers.kmer_containment(queries, stream()), whole) and len(taken) == 25
    again = kmers.most_similar(queries, [*targets, *targets])
    assert np.array_equal(again[0], first[0]) and again[1].tolist() == first[1].tolist() == [*range(24), -1]


def test_half_of_the_kmers_is_about_nine_tenths_identity() -> None:
    assert kmers.identity(0.5) == pytest.approx(0.89, abs=0.002) and kmers.identity(1.0) == 1


def test_the_mean_of_two_systems_is_joined_by_accession() -> None:
    first = pd.DataFrame({"accession": ["a", "b"], "split": "test", "Nucleus": [0.2, 0.8]})
    second = pd.DataFrame({"accession": ["b", "a"], "split": "test", "Nucleus": [0.4, 1.0]})
    assert baselines.mean_of(first, second)["Nucleus"].tolist() == pytest.approx([0.6, 0.6])


def test_the_composition_baseline_reads_the_ends_and_the_whole() -> None:
    words = " ".join(str(baselines.composition_baseline.__doc__).split())
    assert "first 50" in words and "last 30" in words and "its length" in words
    table = dataset([(s, "train", [DEEPLOC[i % 10]]) for i, s in enumerate(proteins(60, 3))] + [(BASE, "test", [])])
    found = baselines.composition_baseline(table, DEEPLOC, 0)
    assert found["accession"].tolist() == ["P60"] and found[list(DEEPLOC)].to_numpy().shape == (1, 10)


@pytest.fixture
def measured() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table of which four test proteins are right, and predictions; the first two are near duplicates."""
    own = [["Nucleus"], ["Nucleus"], ["Cytoplasm"], ["Cytoplasm"]]
    table = dataset([(BASE, "train", ["Nucleus"]), (BASE, "val", ["Nucleus"]), *((BASE, "test", o) for o in own)])
    table = table.assign(containment=[0, 0, 1.0, 0.5, 0.04, 0.01], corpus_containment=[np.nan, 0, 0.5, 0.9, 0.4, 0.0])
    said = ["Nucleus", "Nucleus", "Nucleus", "Nucleus", "Cytoplasm"]
    found = table.loc[1:, ["accession", "split"]].reset_index(drop=True)
    return table, found.assign(**{p: [0.9 * (p == s) for s in said] for p in DEEPLOC})


def test_scores_by_containment(measured: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, found = measured
    curve = containment.by_containment(table, {"esm": found}, "synthetic", (0, 0.03, 0.1, 0.5, 0.9, 1), resamples=20)
    own = curve[curve["metric"] == "accuracy"].set_index(["range", "low", "high"])
    inside, below = own.loc["inside"], own.loc["below"]
    assert inside.index.tolist() == [(0, 0.03), (0.03, 0.1), (0.5, 0.9), (0.9, 1)]  # nothing between 0.1 and 0.5
    assert inside["value"].tolist() == [1, 0, 1, 1] and inside["n"].tolist() == [1, 1, 1, 1]
    assert below["n"].tolist() == [1, 2, 2, 3, 4] and below.loc[(0, 0.5), "value"] == 0.5
    assert below["value"].tolist() == pytest.approx([1, 0.5, 0.5, 2 / 3, 0.75])
    assert (curve["ci_low"] <= curve["ci_high"]).all() and set(curve["split"]) == {"test"}
    fig = plots.containment_curve(curve, "t")
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()][0] == "0–3%\n1"
    plt.close(fig)


def test_scores_without_near_duplicates(measured: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, found = measured
    row = (
        containment.without_near_duplicates(table, {"esm": found}, "synthetic", resamples=20)
        .set_index("metric")
        .loc["accuracy"]
    )
    assert (row["all"], row["without"], row["difference"]) == (0.75, 0.5, -0.25)
    assert (row["n"], row["n_without"]) == (4, 2)
    unknown = table.assign(corpus_containment=np.nan)
    assert containment.without_near_duplicates(unknown, {"esm": found}, "synthetic").empty


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model directory that says it was trained on 40 proteins, four of them held out, in HALO_DATA_DIR."""
    monkeypatch.setenv("HALO_DATA_DIR", str(tmp_path / "raw"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "model").mkdir()
    sequences = proteins(40, 4)
    (tmp_path / "raw" / "a.fasta").write_text("".join(f">x\n{s}\n" for s in sequences))
    found = open_corpus([tmp_path / "raw" / "a.fasta"], tmp_path, 0.1, 3)
    facts = {"pretrain": {"files": ["a.fasta"], "held_out": 0.1}, "seed": 3, "proteins_trained_on": 36}
    facts |= {
        "corpus": found.audit.to_dict("records"),
        "held": [int(i) for i in np.flatnonzero(found.role == HELD_OUT)],
    }
    (tmp_path / "model" / FACTS).write_text(json.dumps(facts))
    return tmp_path / "model"


def test_only_what_was_trained_on_counts_as_seen_in_pretraining(model: Path, tmp_path: Path) -> None:
    sequences, held = proteins(40, 4), set(json.loads((model / FACTS).read_text())["held"])
    assert list(trained_on(model, tmp_path)) == [s for i, s in enumerate(sequences) if i not in held]
    share = corpus_containment(sequences, model, tmp_path)
    assert {i for i in range(40) if share[i] < 1} == held and len(held) == 4
    half = corpus_containment([sequences[min(set(range(40)) - held)][:30] + "X" * 25], model, tmp_path)
    assert half[0] == pytest.approx(25 / (25 + 5 + 1))


def test_another_corpus_is_not_taken_for_the_models(model: Path, tmp_path: Path) -> None:
    def refused(reason: str) -> None:
        with pytest.raises(DataError, match=reason):
            corpus_containment([BASE], model, tmp_path)

    facts = json.loads((model / FACTS).read_text())
    (model / FACTS).write_text(json.dumps(facts | {"started_from": {"name": "older"}}))
    refused("only a part of what model was pre-trained on is known")
    counted = [{**facts["corpus"][0], "residues": 7}]
    (model / FACTS).write_text(json.dumps(facts | {"corpus": counted}))
    refused("a.fasta are not the files")
    (model / FACTS).write_text(json.dumps(facts))
    path = tmp_path / "raw" / "a.fasta"
    path.write_text(path.read_text() + f">y\n{BASE * 3}\n")
    refused("a.fasta are not the files that model was pre-trained on")
    path.unlink()
    refused(r"the corpus of model is not at hand \(a.fasta\)")
    (model / FACTS).unlink()
    refused("does not say what it was pre-trained on")


def test_the_dataset_table_says_what_the_backbone_has_read(
    model: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    held = json.loads((model / FACTS).read_text())["held"]
    read = next(s for i, s in enumerate(proteins(40, 4)) if i not in held)
    table = dataset([(read, "train", ["Nucleus"]), (BASE, "val", ["Nucleus"]), (read, "test", ["Nucleus"])])
    monkeypatch.setattr(prepare, "read_table", lambda _: prepare.Inputs(table, pd.DataFrame(), []))
    profile = tmp_path / "p.yaml"
    profile.write_text(f"description: x\ndata: {{dataset: deeploc2}}\nbackbone: {{source: {model}}}\n")
    found = prepare.read_inputs(load_settings(str(profile))).table
    assert np.isnan(found.loc[0, "corpus_containment"]) and found["corpus_containment"].tolist()[1:] == [0.0, 1.0]
    assert fingerprint(found) == fingerprint(table)  # what was trained does not depend on the audit
    assert "not counted" not in capsys.readouterr().out
    (model / FACTS).unlink()
    assert prepare.read_inputs(load_settings(str(profile))).table["corpus_containment"].isna().all()
    assert "near duplicates in the pre-training corpus are not counted: model does not say" in capsys.readouterr().out


def leakage_of(shares: list[float]) -> pd.DataFrame:
    table = dataset([(BASE, "train", []), *((s, "test", []) for s in proteins(len(shares), 5))])
    table = table.assign(containment=0.0, corpus_containment=[np.nan, *shares])
    return audit.leakage(table, {"test": (table["split"] == "test").to_numpy()})


def test_leakage_counts_the_corpus_by_the_same_definition() -> None:
    row = leakage_of([0.95, 0.5, 0.49, 0.0]).iloc[0]
    assert row["corpus_near_duplicates"] == 2 and row["corpus_near_duplicate_share"] == 0.5
    assert row["corpus_almost_equal_share"] == 0.25 and row["near_duplicates"] == 0
    assert leakage_of([np.nan, np.nan]).filter(like="corpus").isna().all(axis=None)


def test_documents_say_what_the_backbone_has_read(root: Path) -> None:
    paths = RunPaths("deeploc2-x").make()
    leakage_of([0.95, 0.5, 0.49, 0.0]).drop(columns=["corpus_near_duplicates"]).to_csv(
        paths.results / "audit_leakage.csv", index=False
    )
    assert statements.corpus_sentence(paths) == ""  # of an older run
    leakage_of([np.nan, np.nan]).to_csv(paths.results / "audit_leakage.csv", index=False)
    assert statements.corpus_sentence(paths) == ""  # the corpus was not at hand
    leakage_of([0.95, 0.5, 0.49, 0.0]).to_csv(paths.results / "audit_leakage.csv", index=False)
    words = statements.corpus_sentence(paths)
    assert "about 89% identity) make up 50.0% of test (25.0% at 90%)." in words
    row = {"split": "test", "system": "esm", "metric": "micro_f1", "all": 0.625, "without": 0.5}
    pd.DataFrame([row]).to_csv(paths.results / "corpus_leak.csv", index=False)
    assert statements.corpus_sentence(paths).endswith("fine-tuned ESM is 0.500 instead of 0.625 on test.")
    (paths.results / "provenance").mkdir()
    record = {"profile": {"data": {"dataset": "deeploc2"}}}
    (paths.results / "provenance" / "01.json").write_text(json.dumps(record))
    lines = report.corpus_table([paths]).splitlines()
    assert lines[0].endswith("| 50% of 6-mers (89% identity) | 90% of 6-mers (98% identity) |")
    assert lines[2] == "| deeploc2 | test | 4 | 2 (50.0%) | 25.0% |"
