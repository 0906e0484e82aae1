"""The sequence model: padding, batch and order must not matter, and pooling must ignore what is not a residue."""

import numpy as np
import pytest
import torch

from halo_utils.backbones import load_backbone, load_tokenizer, token_ids
from halo_utils.batching import BudgetBatchSampler, SequenceDataset, collate_proteins
from halo_utils.blocks import BackboneSettings
from halo_utils.classifiers import AttentionPooling, ProteinBatch, SequenceClassifier, residues_of
from halo_utils.losses import FocalLoss

SETTINGS = BackboneSettings(source="random", random={"layers": 3, "width": 16, "heads": 2})
SEQUENCES = ["MKVLAAGHWYT", "MS", "MARTKQTARKSTGGKAPRK", "MKDEL"]


@pytest.fixture(scope="module")
def model() -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2).eval()


def batch_of(positions: list[int]) -> ProteinBatch:
    tokens = token_ids(SEQUENCES, load_tokenizer(SETTINGS))
    dataset = SequenceDataset([f"P{i}" for i in range(4)], tokens, np.eye(4))
    return collate_proteins([dataset[i] for i in positions])


def test_padding_batch_and_order_invariance(model: SequenceClassifier) -> None:
    with torch.no_grad():
        alone = torch.cat([model(batch_of([i])) for i in range(4)])
        together = model(batch_of([0, 1, 2, 3]))
        shuffled = model(batch_of([3, 1, 0, 2]))
    assert torch.allclose(alone, together, atol=1e-5)
    assert torch.allclose(together[[3, 1, 0, 2]], shuffled, atol=1e-5)


def test_pooling_weighs_the_residues_of_each_protein() -> None:
    torch.manual_seed(0)
    pooling, states = AttentionPooling(6), torch.randn(9, 6)
    one, two = residues_of(states, [4, 5])
    weights = pooling.weights(one)
    assert weights.shape == (2, 1) and torch.allclose(weights.sum(), torch.tensor(1.0))
    assert torch.allclose(pooling([one, two])[0, 0], (weights * one).sum(0))
    changed = states.clone()
    changed[[0, 3, 4, 8]] = 1e4  # <cls> and <eos> of both
    assert torch.equal(pooling(residues_of(changed, [4, 5])), pooling([one, two]))
    assert not torch.allclose(pooling([states[:4]]), pooling([one]))  # unmasked pooling would differ


def test_pooling_per_label_gives_each_label_its_own_attention() -> None:
    torch.manual_seed(0)
    own = SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2, pooling="per_label").eval()
    batch = batch_of([0, 2])
    with torch.no_grad():
        logits, states = own(batch), residues_of(own.token_states(batch), batch.lengths)
        for k in range(4):
            attention = torch.softmax(states[1] @ own.pooling.score.weight[k] + own.pooling.score.bias[k], 0)
            expected = own.head.weight[k] @ (attention @ states[1]) + own.head.bias[k]
            assert torch.allclose(logits[1, k], expected, atol=1e-5)


def test_cached_trunk_gives_the_same_logits(model: SequenceClassifier) -> None:
    batch = batch_of([0, 2])
    with torch.no_grad():
        direct = model(batch)
        cached = model(ProteinBatch(batch.accessions, batch.lengths, batch.y, model.trunk_states(batch)))
    assert (direct - cached).abs().max() == 0


def test_gradient_reaches_top_and_head_only(model: SequenceClassifier) -> None:
    batch = batch_of([0, 1])
    FocalLoss()(model(batch), batch.y).backward()
    assert model.head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.trunk.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.top.parameters())


@pytest.mark.parametrize("extra", [[500], [], [3000, 2000]])
def test_batches_cover_everything_within_budget(extra: list[int]) -> None:
    lengths = np.random.default_rng(0).integers(5, 90, 200).tolist() + extra
    sampler = BudgetBatchSampler(lengths, 400, shuffle=True, seed=1)
    first = sampler.batches
    for epoch in range(30):
        sampler.set_epoch(epoch)
        assert sorted(i for b in sampler.batches for i in b) == list(range(len(lengths)))
        assert len(sampler) == len(sampler.batches) == len(first) and all(sampler.batches)
        if max(lengths) <= 500:
            assert max(sum(lengths[i] for i in b) for b in sampler.batches) <= 400 + max(lengths)
        assert (sampler.batches == first) == (epoch == 0)
    ordered = BudgetBatchSampler(lengths, 400, shuffle=False).batches
    assert [lengths[i] for b in ordered for i in b] == sorted(lengths)


def test_few_long_proteins_make_few_batches() -> None:
    assert len(BudgetBatchSampler([900, 800], 100, shuffle=True)) == 2
    assert BudgetBatchSampler([5], 100, shuffle=False).batches == [[0]]


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_focal_loss_against_the_formula(gamma: float) -> None:
    logits, y = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 1.0]])
    p = logits.sigmoid()
    expected = (0.5 * (1 - p) ** gamma * -p.log()).mean()
    assert torch.allclose(FocalLoss(gamma, 0.5)(logits, y), expected)


def test_learnable_threshold_moves_probability_and_learns() -> None:
    loss = FocalLoss(n_labels=2)
    with torch.no_grad():
        loss.threshold_logit.copy_(torch.tensor([0.3, 0.8]).logit())
    assert torch.allclose(loss.thresholds, torch.tensor([0.3, 0.8]))
    plain = torch.tensor([[0.3, 0.8]]).logit()
    assert torch.allclose(loss.probability(plain), torch.tensor([[0.5, 0.5]]))
    loss(plain, torch.ones(1, 2)).backward()
    assert (loss.threshold_logit.grad > 0).all()
