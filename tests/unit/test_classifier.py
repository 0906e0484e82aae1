"""The sequence model: padding, batch and order must not matter, and pooling must ignore what is not a residue."""

import numpy as np
import pytest
import torch

from halo_utils.backbones import load_backbone, load_tokenizer, token_ids
from halo_utils.batching import BudgetBatchSampler, SequenceDataset, collate_proteins
from halo_utils.blocks import BackboneSettings
from halo_utils.classifiers import AttentionPooling, ProteinBatch, SequenceClassifier
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


def test_pooling_ignores_what_is_not_a_residue() -> None:
    torch.manual_seed(0)
    pooling, states = AttentionPooling(6), torch.randn(2, 5, 6)
    mask = torch.tensor([[False, True, True, False, False], [False, True, True, True, False]])
    changed = torch.where(mask[..., None], states, torch.full_like(states, 1e4))
    assert torch.allclose(pooling(states, mask), pooling(changed, mask))
    weights = pooling.weights(states, mask)
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert (weights[~mask] == 0).all()


def test_unmasked_pooling_would_differ() -> None:
    torch.manual_seed(0)
    pooling, states = AttentionPooling(6), torch.randn(1, 5, 6)
    mask = torch.tensor([[False, True, True, False, False]])
    assert not torch.allclose(pooling(states, mask), pooling(states, torch.ones_like(mask)))


def test_cached_trunk_gives_the_same_logits(model: SequenceClassifier) -> None:
    batch = batch_of([0, 2])
    with torch.no_grad():
        direct = model(batch)
        hidden = model.trunk_states(batch.input_ids, batch.attention_mask)
        cached = model(ProteinBatch(batch.accessions, batch.attention_mask, batch.residue_mask, batch.y, hidden=hidden))
    assert (direct - cached).abs().max() == 0


def test_gradient_reaches_top_and_head_only(model: SequenceClassifier) -> None:
    batch = batch_of([0, 1])
    FocalLoss()(model(batch), batch.y).backward()
    assert model.head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.trunk.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.top.parameters())


def test_batches_cover_everything_within_budget() -> None:
    lengths = np.random.default_rng(0).integers(5, 90, 200).tolist() + [500]
    sampler = BudgetBatchSampler(lengths, 400, shuffle=True, seed=1)
    first = sampler.batches
    assert sorted(i for b in first for i in b) == list(range(201))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 400 for b in first)
    sizes = set()
    for epoch in range(1, 30):
        sampler.set_epoch(epoch)
        assert sampler.batches != first and sorted(i for b in sampler.batches for i in b) == list(range(201))
        sizes.add(len(sampler))
    assert sizes == {len(first)}
    sampler.set_epoch(0)
    assert sampler.batches == first
    assert sampler.padding_efficiency() > 0.75


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
