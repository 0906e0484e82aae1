"""Explanations are exact: masking by hand, sums of gradients, attention of sum one; rules find what they say."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch_geometric.data import Batch

from halo_utils.attribution import modalities, shares, signal_rules, textbook
from halo_utils.attribution.attention import attention_received, edge_attention, pooling_attention
from halo_utils.attribution.gradients import integrated_gradients
from halo_utils.attribution.occlusion import importance_inside, residue_importance
from halo_utils.core.errors import DataError
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.synthetic.proteome import make_proteome, planted_signals
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import load_esm2, tokenize
from halo_utils.embeddings.packed_encoder import MASK
from halo_utils.evaluation import strata
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.coordinate_frame import RandomFrame
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.gat import GatClassifier
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.models.region_classifier import RegionClassifier
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.residue_graph import residue_graph

SEQUENCE = "MKVLAAGHWYTDESPLKQRNKDELCCAA"
PLACES = ["Cytoplasm", "Nucleus", "Extracellular"]


@dataclass
class Model:
    """What attribution asks of a predictor."""

    model: nn.Module
    locations: list[str] = field(default_factory=lambda: list(PLACES))
    reading: dict[str, Any] = field(default_factory=dict)
    tokens_per_batch: int = 100  # three windows at a time


def predictor(kind: str = "paper", **options: Any) -> Model:
    esm2 = load_esm2("random", shape={"layers": 3, "width": 16, "heads": 2, "init_std": 0.3})
    torch.manual_seed(0)
    classifier = {"paper": EsmClassifier, "regions": RegionClassifier}[kind](esm2, len(PLACES), 1)
    model = RarityOffset(classifier, torch.tensor([1.0, 2.0, 3.0])).eval().requires_grad_(False)
    return Model(model, **options)


def logit(model: Model, sequence: str, hidden: slice, shares: str) -> np.ndarray:
    tokens = tokenize([sequence])[0][None].clone()
    tokens[:, 1:-1][:, hidden] = MASK
    inputs = [tokens, torch.ones_like(tokens, dtype=torch.bool)]
    if getattr(model.model.model, "composition", None) is not None:
        inputs.append(torch.from_numpy(composition(shares))[None])
    with torch.no_grad():
        return model.model(*inputs)[0].numpy()


@pytest.mark.parametrize("kind", ["paper", "regions"])
def test_occlusion_is_masking_by_hand(kind: str) -> None:
    model = predictor(kind)
    found = residue_importance(model, SEQUENCE, PLACES[::-1], window=5)
    assert found.shape == (3, len(SEQUENCE)) and found.dtype == np.float32
    whole = logit(model, SEQUENCE, slice(0, 0), SEQUENCE)
    for i in (0, 1, 13, len(SEQUENCE) - 1):
        window = slice(max(0, i - 2), i + 3)
        shares = "".join("X" if window.start <= j < window.stop else a for j, a in enumerate(SEQUENCE))
        by_hand = whole - logit(model, SEQUENCE, window, shares)
        assert np.allclose(found[:, i], by_hand[::-1], atol=2e-5), i
    assert np.abs(found).max() > 1e-3


def test_occlusion_reads_what_the_model_reads_and_refuses_the_rest() -> None:
    model = predictor(reading={"max_tokens": 12, "truncation": "head_tail"})
    found = residue_importance(model, SEQUENCE, ["Nucleus"])
    assert np.isnan(found[0, 5:-5]).all() and np.isfinite(found[0, [*range(5), *range(-5, 0)]]).all()
    strided = residue_importance(predictor(), SEQUENCE, ["Nucleus"], stride=3)[0]
    exact = residue_importance(predictor(), SEQUENCE, ["Nucleus"])[0]
    assert np.allclose(strided[1::3], exact[1::3], atol=2e-5) and strided[0] == strided[1] == strided[2]
    with pytest.raises(DataError, match="no location 'Golgi'"):
        residue_importance(model, SEQUENCE, ["Golgi"])
    with pytest.raises(DataError, match="window 0"):
        residue_importance(model, SEQUENCE, ["Nucleus"], window=0)


@pytest.mark.parametrize("kind", ["paper", "regions"])
def test_integrated_gradients_are_complete(kind: str) -> None:
    model = predictor(kind)
    values, missing = integrated_gradients(model, SEQUENCE, PLACES, steps=128)
    tokens = tokenize([SEQUENCE])[0]
    classifier, mask = model.model.model, torch.ones(1, len(tokens), dtype=torch.bool)
    with torch.no_grad():
        start = classifier.encoder.trunk.embed(tokens, [len(tokens)])[None].clone()
        start[:, 1:-1] = 0.0
        inputs = [classifier.encoder.trunk(start, mask), mask]
        if kind == "regions":
            inputs.append(torch.from_numpy(composition(SEQUENCE))[None])
        base = model.model(*inputs)[0].numpy()
    difference = logit(model, SEQUENCE, slice(0, 0), SEQUENCE) - base
    assert np.abs(difference).max() > 0.05
    assert np.allclose(values.sum(axis=1), difference, atol=0.02 * np.abs(difference).max())
    assert np.allclose(missing, values.sum(axis=1) - difference, atol=1e-3)


@pytest.mark.parametrize("kind", ["paper", "regions"])
def test_pooling_attention_is_the_models(kind: str) -> None:
    model = predictor(kind, reading={"max_tokens": 12, "truncation": "head"})
    found = pooling_attention(model, SEQUENCE)
    assert np.isclose(np.nansum(found), 1.0) and np.isnan(found[10:]).all() and (found[:10] > 0).all()
    if kind == "paper":
        tokens = tokenize([SEQUENCE[:10]])[0][None]
        with torch.no_grad():
            states = model.model.model.encoder(tokens, torch.ones_like(tokens, dtype=torch.bool))[0, 1:-1]
            by_hand = model.model.model.pooling.score(states)[:, 0].softmax(0)
        assert np.allclose(found[:10], by_hand, atol=1e-6)


def test_edge_attention_sums_to_one_at_every_node() -> None:
    rng = np.random.default_rng(0)
    ca = rng.normal(0, 8, (len(SEQUENCE), 3)).astype(np.float32)
    graph = residue_graph("P1", SEQUENCE, np.zeros(3), rng.normal(size=(len(SEQUENCE), 8)), ca, radius_edges(ca, 10.0))
    torch.manual_seed(0)
    network = RarityOffset(RandomFrame(GatClassifier((3, 8, 4), 3, 3, 2, 4)), torch.zeros(3))
    edges, weights = edge_attention(network, Batch.from_data_list([graph]))
    assert [w.shape for w in weights] == [(edges.shape[1], 2), (edges.shape[1], 2), (edges.shape[1], 1)]
    for layer in weights:
        sums = torch.zeros(len(SEQUENCE), layer.shape[1]).index_add_(0, edges[1], layer)
        assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5)
    received = attention_received(edges, weights, len(SEQUENCE))
    loops = torch.stack([w.mean(dim=1) for w in weights]).mean(dim=0)[edges[0] == edges[1]].sum()
    assert received.shape == (len(SEQUENCE),) and np.isclose(received.sum() + float(loops), len(SEQUENCE), atol=1e-3)


def test_share_of_importance_inside() -> None:
    importance = np.array([3.0, 1.0, -5.0, np.nan, 0.0])
    assert importance_inside(importance, np.array([True, False, True, True, False])) == 0.75
    assert np.isnan(importance_inside(np.array([-1.0, 0.0]), np.array([True, False])))


def test_planted_signals_are_where_the_generator_put_them() -> None:
    table, spans = make_proteome(120, seed=4)[0].set_index("accession"), planted_signals(120, seed=4)
    assert set(spans) == set(table.index)
    for name, row in table.iterrows():
        found = [row["sequence"][start:stop] for start, stop in spans[name]]
        assert all(found), name
        alone = row[list(DEEPLOC)].sum() == 1
        if row["Peroxisome"]:
            assert found[-1] in {"SKL", "AKL", "SRL"} and spans[name][-1][1] == len(row["sequence"])
        if row["Extracellular"]:
            assert len(found) == 1 and spans[name][0][0] == 0 and found[0][-3::2] == "AA"
        if row["Nucleus"] and alone:
            assert len(found) == 1 and sum(a in "KR" for a in found[0]) >= 5
        if row["Endoplasmic reticulum"] and alone:
            assert len(found) == 2 and found[1][-4:] in {"KDEL", "HDEL"}
        if row["Cytoplasm"] and alone:
            assert not found


def test_shares_of_explanations() -> None:
    values = [
        ("a", "Nucleus", "occlusion", np.r_[np.ones(5), np.zeros(95)]),
        ("b", "Nucleus", "occlusion", np.ones(100)),
    ]
    found = shares.shares_in_signals(values, {"a": [(0, 10)], "b": []})
    assert found[["accession", "share", "chance"]].to_numpy().tolist() == [["a", 1.0, 0.1]]
    assert shares.mean_shares(found)["times_chance"].tolist() == [10.0]
    parts = shares.shares_by_part(values).iloc[0]
    assert np.allclose(parts[list(shares.PARTS)].astype(float), [0.65, 0.2, 0.15]) and parts["proteins"] == 2
    assert np.isclose(parts["N-terminus, chance"], 0.3)


class Lysines(nn.Module):
    """A model of known truth: the logit of every location is the number of lysines among the first ten residues."""

    encoder = composition = None

    def forward(self, tokens: torch.Tensor, token_mask: torch.Tensor) -> torch.Tensor:
        lysine = tokenize(["K"])[0][1]
        return (tokens[:, 1:11] == lysine).sum(dim=1, keepdim=True).float().expand(-1, len(PLACES))


def test_importance_finds_what_a_model_of_known_truth_reads() -> None:
    sequence = "M" + "K" * 5 + "A" * 60 + "K" * 5 + "A" * 29
    chosen = pd.DataFrame({"accession": ["a"], "sequence": [sequence], "location": ["Nucleus"]})
    model, planted = Model(Lysines()), {"a": [(1, 6)]}
    values = list(shares.explained(model, chosen, ("occlusion", "random windows"), window=3))
    table = shares.mean_shares(shares.shares_in_signals(values, planted)).set_index("method")
    assert table.loc["occlusion", "times_chance"] > 15 > 3 > table.loc["random windows", "times_chance"]
    assert values[0][3][[0, 3, 7, 68]].tolist() == [1.0, 3.0, 0.0, 0.0]
    falls = shares.falls_without_signals(model, chosen, planted).iloc[0]
    assert falls["signals"] == 5.0 and falls["elsewhere"] < 2.0


def test_true_positives_are_annotated_and_predicted() -> None:
    proteins = pd.DataFrame({"accession": list("abc"), "sequence": ["M"] * 3, "Nucleus": [1, 1, 0]})
    predictions = pd.DataFrame({"accession": list("cba"), "Nucleus": [0.9, 0.2, 0.8]})
    assert shares.true_positives(proteins, predictions, ["Nucleus"], 0.5, 5)["accession"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("rule", "sequence", "span"),
    [
        ("signal peptide, h-region", "MKRSLLLAVLLALFGSAQAKDTQESDKN", (3, 17)),
        ("signal peptide, h-region", "MKRSLLLAVLLALFWWWWWWKDTQESDKN", None),  # nowhere to cut
        ("mitochondrial presequence", "MLSRAVRLASRAVLRSSYTQ", (0, 20)),
        ("mitochondrial presequence", "MLSRAVRLESRAVLRSSYTQ", None),
        ("plastid transit peptide", "MASSSTTAVSSLPRSSTAVNSSKLSTTASPVSSTAVLKRS", (0, 40)),
        ("PTS1", "MAAASKL", (4, 7)),
        ("PTS1", "MAASKLA", None),
        ("KDEL or HDEL", "MEEDHDEL", (4, 8)),
        ("KDEL or HDEL", "MKDELA", None),
        ("monopartite NLS", "MGPKKKRKVG", (3, 7)),
        ("bipartite NLS", "MSKRPAATKKAGQAKKKKLD", (2, 19)),
        ("bipartite NLS", "MSKRPAATAAAGQAAKAAKLD", None),
        ("transmembrane window", "MDDDD" + "LIVFA" * 4 + "DDDDD", (0, 29)),
        ("transmembrane window", "MDDDDLIVFADDDDD", None),
    ],
)
def test_rules_find_their_signals(rule: str, sequence: str, span: tuple[int, int] | None) -> None:
    found = {r.name: r.find(sequence) for r in signal_rules.RULES}[rule]
    assert found == ([span] if span else [])


def test_hit_rates_count_there_and_elsewhere() -> None:
    table = pd.DataFrame({"sequence": ["MASKL", "MAAAA", "MASKL", "MGGGG"], "Peroxisome": [1, 1, 0, 0]})
    rates = signal_rules.hit_rates(table, ["Peroxisome"])
    assert rates[["rule", "proteins there", "rate there", "rate elsewhere"]].to_numpy().tolist() == [
        ["PTS1", 2, 0.5, 0.5]
    ]
    assert signal_rules.annotate("MASKL")[["start", "stop"]].to_numpy().tolist() == [[3, 5]]


def test_a_group_left_out_says_the_same_of_every_residue() -> None:
    graph = residue_graph("P1", "MKV", np.zeros(3), np.arange(6.0).reshape(3, 2), np.eye(3, dtype=np.float32) * 9)
    graph.edge_index = torch.tensor([[0, 1], [1, 0]])
    batch, widths = Batch.from_data_list([graph]), (3, 2, 4)
    mean = batch.x.mean(dim=0)
    changed = modalities.without(batch, "embedding", widths, mean)
    assert torch.equal(changed.x[:, 3:5], mean[3:5].expand(3, -1)) and torch.equal(changed.x[:, :3], batch.x[:, :3])
    assert torch.equal(changed.x[:, 5:], batch.x[:, 5:]) and batch.x[0, 3] == 0.0  # the batch itself stays
    assert modalities.without(batch, "edges", widths, mean).edge_index.shape == (2, 0) and batch.num_edges == 2


def test_textbook_signals_are_read_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HALO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HALO_ROOT", str(tmp_path))
    assert textbook.textbook_proteins() is None
    made_up = "M" + "A" * 40 + "KDEL"
    proteins = pd.DataFrame({"accession": ["P11021", "P16474"], "sequence": [made_up, "M" * 45], "split": "test"})
    model = predictor()
    model.locations = ["Endoplasmic reticulum", *PLACES[1:]]
    found = textbook.measure_textbook(model, proteins)
    assert found["residues"].tolist() == ["42-45 of 45"]  # the other has no HDEL
    assert np.isclose(found["by chance"].iloc[0], 4 / 45) and found["split"].tolist() == ["test"]


def test_strata_are_parts_of_the_test_set() -> None:
    lengths = np.arange(100, 140)
    quarters = strata.length_quarters(lengths)
    assert pd.Series(quarters).value_counts().tolist() == [10] * 4 and quarters[0] == "100 to 109"
    assert list(strata.confidence_ranges(np.array([np.nan, 50.0, 70.0, 95.0]))) == [
        "no structure", "below 70", "70 to 90", "90 and above",
    ]  # fmt: skip
    y = np.tile([[1, 0], [0, 1]], (20, 1)).astype(np.int8)
    view = EvaluationSet("test", "synthetic", np.arange(40).astype(str), y, ["a", "b"], np.arange(40))
    prob = np.where(np.arange(40)[:, None] < 10, 1.0 - y, y)  # wrong in the first quarter only
    found = strata.by_stratum(view, prob, Threshold(0.5, "val"), {"residues": quarters}, resamples=20, seed=1)
    assert found.loc[found["metric"] == "micro_f1", "value"].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert found["n"].tolist() == [10] * len(found)
