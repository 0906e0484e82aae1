"""The GVP network sees shape and handedness and not the frame; every protein is read whole, alone as in a batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from Bio.PDB.vectors import Vector, calc_dihedral
from torch import Tensor
from torch_geometric.data import Batch, Data

from halo_utils.core.residue_store import ResidueStore, write_store
from halo_utils.data.synthetic.folds import build_backbone
from halo_utils.models import gvp
from halo_utils.models.coordinate_frame import random_rotations
from halo_utils.models.gvp import GvpClassifier, GvpConv
from halo_utils.models.losses import FocalLoss
from halo_utils.runs import structure_ground
from halo_utils.structures.gvp_features import GvpFeatures, dihedrals, directions, gvp_graph, neighbour_edges, unit
from halo_utils.structures.reader import BACKBONE, read_structure
from halo_utils.training.fit import fit
from halo_utils.training.gvp_data import GvpData
from halo_utils.training.predict import predict

FEATURES = GvpFeatures(neighbours=12)
SINES, SIDE_CHAIN = slice(3, 6), 2


def structure(length: int, seed: int = 0, kinds: str = "HCEC") -> np.ndarray:
    """Return the rows of a synthetic protein, [L, 10] float64, with noise: ideal helices have equal distances."""
    rng = np.random.default_rng(seed)
    states = "".join(kinds[i // 9 % len(kinds)] for i in range(length))
    backbone = build_backbone(states, "compact", rng).reshape(length, 9)
    return np.column_stack([backbone + rng.normal(0, 0.05, backbone.shape), rng.uniform(30, 100, length)])


def sequence(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACDEFGHIKLMNPQRSTVWYX"), length))


def graph(length: int, seed: int = 0, move: Callable | None = None, features: GvpFeatures = FEATURES) -> Data:
    rows = structure(length, seed)
    if move:
        rows[:, :9] = move(rows[:, :9].reshape(-1, 3)).reshape(length, 9)
    return gvp_graph(f"P{length}", sequence(length, seed), np.ones(3), rows, features)


def network(features: GvpFeatures = FEATURES, gated: bool = False) -> GvpClassifier:
    torch.manual_seed(0)
    return GvpClassifier((features.scalars, 3), n_locations=3, nodes=(24, 6), edges=(8, 1), gated=gated).eval()


def logits(graphs: list[Data], gated: bool = False) -> Tensor:
    with torch.inference_mode():
        return network(gated=gated)(Batch.from_data_list(graphs))


@pytest.mark.parametrize("gated", [False, True])
def test_turning_and_moving_a_protein_changes_nothing_and_mirroring_does(gated):
    turn = random_rotations(1)[0].double().numpy()
    start = logits([graph(60)], gated)
    moved = logits([graph(60, move=lambda atoms: atoms @ turn + [80.0, -50.0, 30.0])], gated)
    mirrored = logits([graph(60, move=lambda atoms: atoms * [1.0, 1.0, -1.0])], gated)
    assert torch.allclose(start, moved, atol=1e-5, rtol=0)
    assert (start - mirrored).abs().max() > 1e-3


def test_handedness_enters_by_dihedral_sines_and_side_chains_alone():
    graphs = [graph(60), graph(60, move=lambda atoms: atoms * [1.0, 1.0, -1.0])]
    for one in graphs:
        one.x[:, SINES] = 0
        one.vectors[:, :, SIDE_CHAIN] = 0
    assert torch.allclose(logits(graphs[:1]), logits(graphs[1:]), atol=1e-5, rtol=0)


def test_batch_mates_and_orders_of_proteins_nodes_and_edges_change_nothing():
    graphs = [graph(31), graph(75, 1), gvp_graph("flat", sequence(20), np.ones(3), None, FEATURES)]
    alone = torch.cat([logits([one]) for one in graphs])
    assert torch.allclose(logits(graphs), alone, atol=1e-6)
    assert torch.allclose(logits(graphs[::-1]), alone.flip(0), atol=1e-6)
    one, order = graphs[1], torch.randperm(75)
    edges = torch.randperm(one.edge_index.shape[1])
    shuffled = Data(x=one.x[order], vectors=one.vectors[order], edge_index=order.argsort()[one.edge_index][:, edges])
    shuffled.update({"edge_attr": one.edge_attr[edges], "edge_vectors": one.edge_vectors[edges]})
    assert torch.allclose(logits([shuffled]), alone[1:2], atol=1e-5)


def published_conv(conv: GvpConv, nodes: gvp.State, edge_index: Tensor, edges: gvp.State) -> gvp.State:
    """The convolution as published: both ends and the edge side by side, edge by edge."""
    source, target = edge_index
    inputs = [torch.cat([n[source], e, n[target]], dim=-1) for n, e in zip(nodes, edges, strict=True)]
    messages = conv.third(*conv.second(*conv.first(*inputs)))
    return tuple(
        torch.stack([m[target == i].mean(dim=0) if (target == i).any() else m[0] * 0 for i in range(len(nodes[0]))])
        for m in messages
    )


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("at_once", [2**16, 7])
def test_the_convolution_is_the_published_one_also_in_turns(monkeypatch, gated, at_once):
    monkeypatch.setattr(gvp, "EDGES_AT_ONCE", at_once)
    torch.manual_seed(0)
    conv, edge_index = (
        GvpConv((5, 3), (4, 2), gated),
        torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 3], [1, 1, 1, 0, 2, 2, 2, 1, 0]]),
    )
    results = []
    for function in (conv, lambda *inputs: published_conv(conv, *inputs)):
        generator = torch.Generator().manual_seed(1)
        shapes = [(5, 5), (5, 3, 3), (9, 4), (9, 3, 2)]  # the last node has no edge
        inputs = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
        s, vectors = function(tuple(inputs[:2]), edge_index, tuple(inputs[2:]))
        conv.zero_grad()
        (s.sin().sum() + vectors.cos().sum()).backward()
        results.append([s, vectors, *(x.grad for x in inputs), *(p.grad.clone() for p in conv.parameters())])
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*results, strict=True))
    assert (results[0][0][4:] == 0).all()


def test_angles_are_biopythons_and_unknown_ones_say_so():
    rows = structure(20)
    rows[7, :3] = np.nan  # an N is missing: phi of the residue, psi and omega around it
    atoms = rows[:, :9].reshape(-1, 3)
    found, names = dihedrals(rows[:, :9].reshape(-1, 3, 3)), ("phi", "psi", "omega")
    for i in range(20):
        for k, _ in enumerate(names):
            four = atoms[max(0, 3 * i + k - 1) : 3 * i + k + 3]
            if 3 * i + k - 1 < 0 or len(four) < 4 or np.isnan(four).any():
                assert (found[i, k::3] == 0).all()
            else:
                angle = calc_dihedral(*map(Vector, four))
                assert found[i, k::3] == pytest.approx([np.cos(angle), np.sin(angle), 1], abs=1e-6)
    assert (found[:, 6:] == 0).sum() == 3 + 4


def test_neighbours_are_the_nearest_and_residues_without_coordinates_have_none():
    ca = structure(50)[:, 3:6]
    ca[10] = np.nan
    source, target = neighbour_edges(ca, 5)
    distances = np.linalg.norm(ca[:, None] - ca, axis=-1)
    np.fill_diagonal(distances, np.nan)
    for i in range(50):
        expected = [] if i == 10 else sorted(np.argsort(distances[i])[:5])
        assert source[target == i].tolist() == expected
    assert neighbour_edges(ca[:1], 5).shape == (2, 0)
    assert neighbour_edges(ca[:4], 30).shape == (2, 12)


def test_edges_tell_distance_and_who_comes_first_in_the_sequence():
    one = graph(40)
    (source, target), ca = one.edge_index, torch.from_numpy(structure(40)[:, 3:6])
    distance, position = (ca[source] - ca[target]).norm(dim=1, keepdim=True), (source - target)[:, None]
    rates = 10000.0 ** (-torch.arange(8) / 8)
    expected = [torch.exp(-(((distance - torch.linspace(0, 20, 16)) / 1.25) ** 2))]
    expected += [torch.cos(position * rates), torch.sin(position * rates)]
    assert torch.allclose(one.edge_attr, torch.cat(expected, dim=1).float(), atol=1e-5)
    apart = (one.edge_vectors[..., 0] * distance + ca[target]).float()
    assert torch.allclose(apart, ca[source].float(), atol=1e-4)


@pytest.mark.real
def test_side_chains_point_to_the_beta_carbons_of_real_structures(real_data):
    path = sorted((real_data / "structures" / "files").glob("*.pdb.gz"))[0]
    atoms = read_structure(path, atoms=(*BACKBONE, "CB")).atoms.astype(float)
    real = unit(atoms[:, 3] - atoms[:, 1])
    known = real.any(axis=1)  # glycine has none
    cosine = (directions(atoms[:, :3])[..., SIDE_CHAIN] * real).sum(axis=1)[known]
    assert known.sum() > 30 and cosine.min() > 0.9


def test_switches_take_features_away_and_missing_ones_are_finite():
    whole, bare = graph(30), graph(30, features=GvpFeatures(12, plddt=False, position=False))
    assert whole.x.shape[1] == FEATURES.scalars == bare.x.shape[1] + 17
    assert torch.equal(whole.x[:, : bare.x.shape[1]], bare.x)
    rows = structure(30)
    rows[3:6] = np.nan
    rows[:, 9] = np.nan
    gaps = gvp_graph("gaps", sequence(30), np.ones(3), rows, FEATURES)
    assert all(torch.isfinite(gaps[key]).all() for key in ("x", "vectors", "edge_attr", "edge_vectors"))
    assert np.isnan(rows[3:6]).all()  # the store's rows are read only
    assert not set(gaps.edge_index.unique().tolist()) & {3, 4, 5}


def proteins(folder: Path, lengths: dict[str, int]) -> tuple[pd.DataFrame, ResidueStore]:
    """Return a table of proteins, helices in Nucleus and strands in Cytoplasm, and the store of their structures."""
    rows, arrays = [], []
    for i, (name, length) in enumerate(lengths.items()):
        is_helix = i % 2
        rows.append(
            (name, sequence(length, i), ("train", "train", "val", "val", "test")[i % 5], is_helix, 1 - is_helix)
        )
        arrays.append(structure(length, i, "HHC" if is_helix else "EEC"))
    table = pd.DataFrame(rows, columns=["accession", "sequence", "split", "Nucleus", "Cytoplasm"])
    known = list(lengths)[:-1]
    store = write_store(
        folder / "s.npy", "k", known, [lengths[n] for n in known], 10, enumerate(arrays[:-1]), "float32"
    )
    return table, store


def test_no_protein_is_dropped_for_its_length_or_for_want_of_a_structure(tmp_path, monkeypatch):
    monkeypatch.setattr(gvp, "EDGES_AT_ONCE", 500)
    lengths = {"A": 30, "B": 140, "C": 40, "D": 180, "E": 25}
    table, structures = proteins(tmp_path, lengths)
    data = GvpData(table.assign(split="val"), ["Nucleus", "Cytoplasm"], structures, FEATURES, nodes_per_batch=64)
    seen = {}
    for batch in data.val_dataloader():
        seen |= dict(zip(batch.accession, batch.ptr.diff().tolist(), strict=True))
        network()(batch).sum().backward()
    assert seen == lengths
    with_graph = GvpData(table.assign(split="val"), ["Nucleus"], structures, FEATURES, only_graphs=True)
    assert with_graph.predicted["accession"].tolist() == ["A", "B", "C", "D"]
    assert data.predicted["has_coordinates"].tolist() == [True] * 4 + [False]
    assert data.key != with_graph.key


def test_it_trains_with_the_call_of_every_network_and_tells_helices_from_strands(tmp_path):
    table, structures = proteins(tmp_path, {f"P{i}": 20 + i for i in range(10)})
    features = GvpFeatures(8, plddt=False, position=False)
    data = GvpData(table, ["Nucleus", "Cytoplasm"], structures, features, nodes_per_batch=200, only_graphs=True)
    torch.manual_seed(0)
    model = GvpClassifier(*data.widths, n_locations=2, nodes=(16, 4), layers=1)
    run = fit(model, FocalLoss(gamma=0.0), data, tmp_path, epochs=6, learning_rate=1e-2)
    answers = predict(run, data)
    assert run.history["val_macro_f1"].max() == 1.0
    assert (answers["accession"].tolist(), len(answers)) == (data.predicted["accession"].tolist(), 5)


def test_labels_start_rare():
    first = logits([graph(60), graph(75, 1)]).sigmoid()
    assert torch.allclose(first, torch.full_like(first, gvp.FIRST_PROBABILITY), atol=0.1)


def test_it_runs_under_autocast(monkeypatch):
    model, batch = network().train(), Batch.from_data_list([graph(40)])
    with torch.autocast("cpu", torch.bfloat16):
        model(batch).float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_networks_that_are_not_of_the_papers_size_say_so() -> None:
    assert structure_ground.size_sentence(structure_ground.PAPER) == ""
    told = structure_ground.size_sentence(structure_ground.PAPER._replace(epochs=6))
    assert told == "The networks are not of the paper's size (paper → here): epochs 60 → 6."
    assert "layers 3 → 2" in structure_ground.size_sentence(structure_ground.TWO_CORES)
