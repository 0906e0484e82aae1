"""The shipped predictor: what is written is read back, and both networks give what they gave when they were trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from halo_utils.embeddings.esm2 import pad, tokenize
from halo_utils.models.coordinate_frame import RandomFrame
from halo_utils.models.gat import GatClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.models.predictor import HaloPredictor, load_predictor
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.residue_graph import residue_graph
from halo_utils.training.locate import locate
from tests import models
from tests.predictors import GRAPH, LOCATIONS, small_predictor

SEQUENCES = {"a": models.SEQUENCE, "b": models.SEQUENCE[::-1] * 3, "c": "MKV"}


def graph_of(sequence: str, width: int = 16) -> Batch:
    ca = models.model(sequence)[1][:, 1].astype(np.float32)
    embedding = np.random.default_rng(0).normal(size=(len(sequence), width))
    return Batch.from_data_list([residue_graph("a", sequence, np.zeros(0), embedding, ca, radius_edges(ca))])


@pytest.mark.parametrize("head", [None, "regions"])
def test_what_is_written_is_read_back(tmp_path: Path, head: str | None) -> None:
    options = {} if head else {"head": None, "graph": None}
    written = small_predictor(tmp_path, seen=("MKV", "MKL"), **options)
    again = load_predictor(tmp_path)
    before, after = (locate(predictor, SEQUENCES) for predictor in (written, again))
    assert np.abs(before.esm - after.esm).max() < 0.01 and before.esm.std() > 0.01  # float16 weights
    assert again.seen_hashes.tolist() == written.seen_hashes.tolist() != [0, 0]
    assert again.gate == {"confident": 0.55, "rule": "paper"} and again.temperatures == written.temperatures
    assert all(not p.requires_grad for p in again.parameters()) and not again.training
    if head:
        graph = graph_of(models.SEQUENCE)
        assert torch.equal(written.on_graphs(graph), again.on_graphs(graph))  # float32


def test_states_and_logits_of_one_pass_are_those_of_two(tmp_path: Path) -> None:
    predictor = small_predictor(tmp_path, head=None)
    tokens, mask = pad(tokenize(list(SEQUENCES.values())))
    logits, states, residues = predictor.read(tokens, mask)
    assert torch.allclose(logits.sigmoid(), predictor(tokens, mask))
    weights = predictor.attention(states, residues)
    assert weights.shape == residues.shape and torch.allclose(weights.sum(dim=1), torch.ones(3))
    assert (weights[~residues] == 0).all()


def test_attention_of_regions_is_over_the_whole_protein(tmp_path: Path) -> None:
    located = locate(small_predictor(tmp_path), SEQUENCES, attend=["a", "b"])
    assert {name: len(w) for name, w in located.attention.items()} == {"a": 20, "b": 40}  # b is cut to 40 residues
    assert all(w.sum() == pytest.approx(1) and (w > 0).all() for w in located.attention.values())


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_the_graph_network_keeps_the_probabilities_of_its_loss(tmp_path: Path, balance: float) -> None:
    torch.manual_seed(0)
    trained = RandomFrame(GatClassifier((3, 16, 4), 3, 2, 2, 4, weights=(0.1, 1.0, 0.5))).eval()
    trained = RarityOffset(trained, torch.tensor([-1.0, 0.5, 2.0])) if balance else trained
    loss = FocalLoss(n_locations=3)
    with torch.no_grad():
        loss.threshold_logit.copy_(torch.tensor([0.3, -0.7, 1.0]))
    predictor = small_predictor(tmp_path).learn_graph_from(trained, loss.threshold_logit)
    graph = graph_of(models.SEQUENCE)
    with torch.no_grad():
        assert torch.allclose(predictor.on_graphs(graph), loss.probability(trained(graph)), atol=1e-6)


def test_calibrated_probabilities_follow_the_temperature(tmp_path: Path) -> None:
    predictor = small_predictor(tmp_path, temperatures=dict(zip(LOCATIONS, (1.0, 2.0, 0.5), strict=True)))
    located = locate(predictor, SEQUENCES)
    odds = np.log(located.esm / (1 - located.esm)) / [1.0, 2.0, 0.5]
    assert np.allclose(located.calibrated, 1 / (1 + np.exp(-odds)), atol=1e-6)


def test_proteins_do_not_depend_on_their_company(tmp_path: Path) -> None:
    predictor = small_predictor(tmp_path)
    together = locate(predictor, SEQUENCES).esm
    alone = np.concatenate([locate(predictor, {name: s}).esm for name, s in SEQUENCES.items()])
    assert np.allclose(together, alone, atol=1e-5)


def test_a_predictor_without_options_loads_as_older_ones_do(tmp_path: Path) -> None:
    none = dict.fromkeys(("graph", "label_thresholds", "temperatures"))
    small_predictor(tmp_path, **none)
    located = locate(load_predictor(tmp_path), SEQUENCES, {"a": np.zeros((20, 10), np.float32)})
    assert np.isnan(located.gat).all() and np.isnan(located.calibrated).all() and not located.has_structure.any()
    assert GRAPH["threshold"] == 0.5 and isinstance(load_predictor(tmp_path), HaloPredictor)
