"""GwR and what notebooks 09 and 10 build on: graphs of attention, both branches, folds, and who errs where."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv

from halo_utils.core.errors import SettingsError
from halo_utils.core.residue_store import ResidueStore, write_store
from halo_utils.data.synthetic.folds import build_backbone
from halo_utils.embeddings.attention_graph import attention_maps, corrected, threshold_edges, top_k_edges
from halo_utils.embeddings.esm2 import load_esm2
from halo_utils.evaluation import structure_claims
from halo_utils.evaluation.complementarity import agreement, case_counts, oracle, q_statistic
from halo_utils.evaluation.metrics import draw
from halo_utils.models.gat import GatClassifier
from halo_utils.models.graph_convolution import Adjacency, convolve
from halo_utils.models.graph_sibling import GraphEncoder, WithProteinVector
from halo_utils.models.gvp import GvpClassifier
from halo_utils.models.gvp_ensemble import DenseResidual, EmbeddingCnn, ResidueCnn
from halo_utils.models.gwr import AdapterOnGwr, FoldBranch, Gwr, LaGcn
from halo_utils.runs.structure_ground import Ground, decide, family_folds
from halo_utils.structures.coordinate_letters import three_states, turn_and_burial
from halo_utils.training.gwr_data import SCALARS, GwrData, replaced

D, K, NODES = 16, 3, (8, 4)


def data_of(folder: Path, turn: np.ndarray | None = None, **options: float) -> GwrData:
    """Three synthetic proteins of 20, 34 and 9 residues, their coordinates turned by a matrix if there is one."""
    rng, sizes = np.random.default_rng(0), (20, 34, 9)
    names, structures = [f"P{n}" for n in sizes], []
    for n in sizes:
        atoms = build_backbone(("HHHHHLLEEEELL" * 3)[:n], "compact", rng).astype(float)
        atoms = atoms if turn is None else atoms @ turn.T + 3.0
        structures.append(np.column_stack([atoms.reshape(n, 9), np.full(n, 80.0)]))
    edges = [top_k_edges(rng.random((n, n)), 2).T for n in sizes]
    parts = {"structures": (structures, 10, "float32"), "edges": (edges, 2, "uint16")}
    parts["states"] = ([rng.normal(size=(n, D)) for n in sizes], D, "float16")
    stores = {}
    for name, (rows, width, dtype) in parts.items():
        stores[name] = write_store(
            folder / f"{name}.npy", name, names, list(map(len, rows)), width, enumerate(rows), dtype
        )
    table = pd.DataFrame({"accession": names, "sequence": ["A" * n for n in sizes], "split": ["train", "val", "test"]})
    table = table.assign(x=[1, 0, 1], y=[0, 1, 1], z=[0, 0, 1])
    return GwrData(
        table, ["x", "y", "z"], stores["structures"], stores["states"], stores["edges"], neighbours=5, **options
    )


def network(fusion: str = "concat") -> Gwr:
    torch.manual_seed(0)
    gvp = GvpClassifier((SCALARS, 3), n_locations=K, nodes=NODES, layers=1)
    return Gwr(LaGcn(D, 8), FoldBranch(gvp, NODES), K, fusion, heads=4).eval()


def graphs(data: GwrData) -> list[Data]:
    dataset = data.dataset(np.arange(3))
    return [dataset[i] for i in range(3)]


@pytest.mark.parametrize("fusion", ["concat", "cross_attention"])
def test_gwr_answers_alone_as_in_a_batch_and_a_turned_protein_as_before(tmp_path: Path, fusion: str) -> None:
    model, parts = network(fusion), graphs(data_of(tmp_path))
    alone = torch.cat([model(Batch.from_data_list([one])) for one in parts])
    assert alone.shape == (3, K) and torch.allclose(model(Batch.from_data_list(parts)), alone, atol=1e-5)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    turned, mirror = (graphs(data_of(tmp_path, matrix)) for matrix in (turn, np.diag([-1.0, 1, 1])))
    same, other = ((model(Batch.from_data_list(parts)) - alone).abs().max() for parts in (turned, mirror))
    assert same < 1e-4 and other > 20 * same


def test_convolutions_by_sparse_products_are_those_of_pyg() -> None:
    rng, n = np.random.default_rng(0), 30
    edges = torch.from_numpy(np.unique(rng.integers(0, n - 1, (2, 90)), axis=1))  # directed, with loops; a node alone
    assert (edges[0] == edges[1]).any()
    layer, x = GCNConv(6, 5), torch.randn(n, 6, requires_grad=True)
    found = []
    for mixed in (layer(x, edges), convolve(layer, x, Adjacency.of(edges, n))):
        gradients = torch.autograd.grad(mixed.square().sum(), [x, *layer.parameters()])
        found.append([mixed, *gradients])
    for theirs, ours in zip(*found, strict=True):
        assert torch.allclose(theirs, ours, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):  # as a processor with units for it computes
        half = convolve(layer, x, Adjacency.of(edges, n))
    (gradient,) = torch.autograd.grad(half.square().sum(), x)
    assert torch.allclose(half, found[1][0], atol=0.05) and torch.allclose(gradient, found[1][1], atol=0.3)


def test_gwr_reads_letters_states_and_attention_edges_and_its_peer_no_edges(tmp_path: Path) -> None:
    model, adapter = network(), AdapterOnGwr(D, K, heads=4).eval()
    before = model(Batch.from_data_list(graphs(data_of(tmp_path))))
    corrupted = graphs(data_of(tmp_path, corrupted=0.5))
    assert not torch.allclose(model(Batch.from_data_list(corrupted)), before, atol=1e-4)
    parts = graphs(data_of(tmp_path))
    said = adapter(Batch.from_data_list(parts))
    assert not torch.allclose(adapter(Batch.from_data_list(corrupted)), said, atol=1e-4)
    parts[0].attention_index = parts[0].attention_index[:, :0]
    after = model(Batch.from_data_list(parts))
    assert not torch.allclose(after[0], before[0], atol=1e-4) and torch.allclose(after[1:], before[1:], atol=1e-5)
    assert torch.equal(adapter(Batch.from_data_list(parts)), said)
    narrow = AdapterOnGwr(D, K, D // 2, heads=4).eval()
    assert (adapter.adapter.widths[1], narrow.adapter.widths[1]) == (D, D // 2)
    for model in (adapter, narrow):
        with torch.autocast("cpu", torch.bfloat16):
            assert model(Batch.from_data_list(parts)).shape == (3, K)
    with pytest.raises(SettingsError, match="fusion 'sum' of 1 branches"):
        Gwr(LaGcn(D), None, K, "sum")


def test_a_share_of_letters_is_replaced_and_every_residue_keeps_one_of_each_alphabet() -> None:
    letters = np.concatenate([np.eye(20, dtype=np.uint8)[[3] * 400], np.eye(8, dtype=np.uint8)[[5] * 400]], axis=1)
    other = replaced(letters, 0.25, np.random.default_rng(0))
    assert (other[:, :20].sum(axis=1) == 1).all() and (other[:, 20:].sum(axis=1) == 1).all()
    assert 0.15 < (other != letters).any(axis=1).mean() < 0.3


def test_edges_of_attention_follow_their_rule() -> None:
    attention = np.array([[0.9, 0.05, 0.3], [0.25, 0.5, 0.1], [0.2, 0.15, 0.4]])
    assert threshold_edges(attention, 0.2).T.tolist() == [[0, 2], [1, 0], [2, 0]]
    assert top_k_edges(attention, 1).T.tolist() == [[0, 2], [1, 0], [2, 0]]
    assert top_k_edges(attention, 5).shape == (2, 6)
    rows = np.outer([1.0, 2, 3], [1.0, 2, 3])  # nothing but what rows and columns say
    assert np.allclose(corrected(rows), 0) and np.allclose(corrected(attention), corrected(attention).T)


def test_attention_maps_leave_special_tokens_out() -> None:
    esm2 = load_esm2("random", shape={"layers": 2, "width": 32, "heads": 2}, seed=0)
    (last,), (both,) = (list(attention_maps(esm2, ["MKTAYIAK"], layers=n)) for n in (1, 2))
    assert last.shape == (8, 8) and (last.sum(axis=1) < 1).all() and not np.allclose(last, both)


def test_letters_of_ideal_helix_and_strand() -> None:
    for state, style in (("H", "compact"), ("E", "elongated")):
        atoms = build_backbone(state * 20, style, np.random.default_rng(0))
        rows = np.column_stack([atoms.reshape(20, 9), np.full(20, 90.0)])
        assert three_states(rows)[2:-2].count(state) >= 14 and len(turn_and_burial(rows)) == 20


def test_the_residue_cnn_does_not_see_padding() -> None:
    torch.manual_seed(0)
    model, states = ResidueCnn(D, K, channels=8).eval(), torch.randn(2, 12, D)
    mask = torch.arange(12)[None] < torch.tensor([[7], [12]])
    alone = model(states[:1, :7], mask[:1, :7])
    assert torch.allclose(model(states, mask)[0], alone[0], atol=1e-5)


def test_the_sibling_takes_the_place_of_a_gvp_network() -> None:
    torch.manual_seed(0)
    gat = GatClassifier((3, D, 4), K, layers=2, heads=2, hidden=4, weights=(0.0, 1.0, 0.0))
    model = WithProteinVector(DenseResidual(GraphEncoder(gat, K), D, K, width=8), (3, D, 4)).eval()
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    parts = [Data(x=torch.randn(n, D + 7), edge_index=edges) for n in (4, 6)]
    before = model(Batch.from_data_list(parts))
    parts[0].edge_index = edges[:, :2]
    after = model(Batch.from_data_list(parts))
    assert not torch.allclose(before[0], after[0], atol=1e-5) and torch.allclose(before[1], after[1], atol=1e-5)
    vector = WithProteinVector(EmbeddingCnn(K), (3, D, 4)).eval()
    direct = EmbeddingCnn.forward(vector.model, Data(embedding=torch.stack([p.x[:, 3 : 3 + D].mean(0) for p in parts])))
    assert torch.allclose(vector(Batch.from_data_list(parts)), direct, atol=1e-5)


def test_q_oracle_and_cases() -> None:
    y = np.array([[1, 0], [1, 0], [0, 1]])
    first, second = np.array([[1, 0], [0, 0], [0, 0]]), np.array([[1, 1], [1, 0], [0, 0]])
    assert case_counts(y, first, second).sum(axis=0).tolist() == [3, 1, 1, 1]
    assert case_counts(y, first, second, True).sum(axis=0).tolist() == [1, 1, 1, 1]
    assert q_statistic(np.array([3, 1, 1, 1])) == pytest.approx(0.5)
    assert oracle(y, first, second).tolist() == [[1, 0], [1, 0], [0, 0]]
    table = agreement(y, first, second, draw(3, 20))
    assert table["disagreement"].tolist() == pytest.approx([1 / 3, 0.5])


def ground(store: ResidueStore, folds: list[np.ndarray]) -> Ground:
    table = pd.DataFrame({"accession": list("abcdef"), "family": [1, 1, 2, 2, 3, 3], "x": [1, 0, 1, 0, 1, 0]})
    return Ground("coordinates", "six", table, folds, store, store, ["x"], 7)


def test_folds_keep_families_together_and_answers_use_their_own_validation(tmp_path: Path) -> None:
    folds = family_folds(np.array([1, 1, 2, 2, 3, 3]), 3, seed=0)
    assert all(fold[::2].tolist() == fold[1::2].tolist() and set(fold) == {"train", "val", "test"} for fold in folds)
    assert np.sum([fold == "test" for fold in folds], axis=0).tolist() == [1] * 6
    here, answers = ground(data_of(tmp_path).structures, folds), []
    for number, fold in enumerate(folds):
        prob = np.where(here.table["x"] == 1, 0.5 + 0.1 * number, 0.3 + 0.1 * number)  # each fold has its own cut
        frame = here.table[["accession"]].assign(split=fold, x=prob)
        answers.append(frame[frame["split"] != "train"])
    pred, prob = decide(here, answers)
    assert pred[:, 0].tolist() == here.table["x"].tolist() and prob.shape == (6, 1)
    assert decide(here, answers, 0.95)[0].sum() == 0


def test_rows_of_a_document_have_verdicts_only_with_three_seeds_on_real_proteins() -> None:
    row = {"first": "mean of both", "second": "LM baseline", "metric": "micro_f1", "label": "", "split": "test"}
    one = pd.DataFrame([row | {"difference": 0.05, "ci_low": 0.04, "ci_high": 0.06}])
    for seeds, synthetic, stand_in, expected in (
        (3, False, "", "reproduced"),
        (1, False, "", "one seed: not sure"),
        (3, True, "", "rehearsal"),
        (3, False, "a GAT", "not comparable (a GAT)"),
    ):
        found = structure_claims.check_document("002", [one] * seeds, synthetic, stand_in).set_index("statement")
        row = found.loc["The mean of two separate models beats the language model"]
        assert row["verdict"].startswith(expected) and row["reason"].startswith("with it: reproduced") == bool(stand_in)
    assert found["verdict"].notna().all() and (found["verdict"] == "not testable here").any()


def test_a_location_where_a_system_says_the_same_of_every_protein_has_no_verdict() -> None:
    row = {"first": "dense-residual", "second": "LM baseline", "metric": "f1", "label": "Cytoplasm", "split": "test"}
    one = pd.DataFrame([row | {"difference": 0.12, "ci_low": 0.10, "ci_high": 0.14}])
    mcc = pd.DataFrame({"metric": "mcc", "label": "Cytoplasm", "system": ["dense-residual", "LM baseline"]})
    for values, expected in (((0.4, 0.1), "reproduced"), ((0.4, 0.0), "not testable here: one answer")):
        metrics = pd.concat([mcc.assign(value=values), mcc.assign(value=(0.0, 0.0))])  # of two trainings
        found = structure_claims.check_document("002", [one] * 3, False, "", metrics).set_index("statement")
        assert found.loc["Dense-residual against the baseline in Cytoplasm", "verdict"].startswith(expected)


@pytest.mark.parametrize(
    ("change", "control", "expected"),
    [
        ((-0.005, -0.015, 0.005), (-0.10, -0.12, -0.08), "reproduced"),
        ((-0.005, -0.025, 0.005), (-0.10, -0.12, -0.08), "not sure"),
        ((-0.050, -0.060, -0.03), (-0.10, -0.12, -0.08), "contradicted"),
        ((0.000, -0.001, 0.001), (-0.001, -0.01, 0.01), "not testable here"),
    ],
)
def test_as_good_asks_for_an_interval_near_zero_and_for_a_control_that_is_seen(change, control, expected) -> None:
    plain = "GwR without coordinates"
    rows = [
        {"first": f"{plain}, {name}", "second": plain, "metric": "micro_f1", "label": "", "split": "test"}
        | dict(zip(("difference", "ci_low", "ci_high"), numbers, strict=True))
        for name, numbers in (("letters of ESMFold", change), ("50 % false", control))
    ]
    found = structure_claims.check_document("004", [pd.DataFrame(rows)] * 3, synthetic=False).set_index("statement")
    row = found.loc["Letters of ESMFold do as well as those of AlphaFold2, without coordinates"]
    assert row["verdict"].startswith(expected) and f"{control[0]:+.3f}" in row["reason"]
    alone = structure_claims.check_document("004", [pd.DataFrame(rows[:1])] * 3, False).set_index("statement")
    assert alone.loc[row.name, "verdict"] == "not measured"
