"""The sequence model: padding, batch and order must not matter, and pooling must ignore what is not a residue."""

import numpy as np
import pytest
import torch

from halo_utils.embeddings.biochemistry import STANDARD, composition
from halo_utils.embeddings.esm2 import load_backbone, load_tokenizer, token_ids
from halo_utils.models.esm_classifier import ProteinBatch, SequenceClassifier, residues_of
from halo_utils.models.losses import FocalLoss, log_odds
from halo_utils.models.pooling import REGIONS, AttentionPooling, LightAttention, outside_regions
from halo_utils.profile import BackboneSettings, HeadSettings
from halo_utils.training.batching import BudgetBatchSampler, SequenceDataset, collate_proteins

SETTINGS = BackboneSettings(source="random", random={"layers": 3, "width": 16, "heads": 2})
LIGHT = HeadSettings(pooling="light_attention", channels=3, hidden=8, dropout=0.5)
WHOLE = HeadSettings(composition=4)
SEQUENCES = ["MKVLAAGHWYT", "MS", "MARTKQTARKSTGGKAPRK", "MKDEL"]


@pytest.fixture(scope="module")
def model() -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2).eval()


def batch_of(positions: list[int]) -> ProteinBatch:
    tokens = token_ids(SEQUENCES, load_tokenizer(SETTINGS))
    whole = np.stack([composition(s) for s in SEQUENCES])
    dataset = SequenceDataset([f"P{i}" for i in range(4)], tokens, np.eye(4), composition=whole)
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
    weights = pooling.weights([one, two])
    assert weights.shape == (2, 3) and torch.allclose(weights.sum(1), torch.ones(2)) and weights[0, 2] == 0
    assert torch.allclose(pooling([one, two])[0], (weights[0, :2, None] * one).sum(0))
    assert torch.allclose(pooling([one, two])[0], pooling([one])[0], atol=1e-6)
    changed = states.clone()
    changed[[0, 3, 4, 8]] = 1e4  # <cls> and <eos> of both
    assert torch.equal(pooling(residues_of(changed, [4, 5])), pooling([one, two]))
    assert not torch.allclose(pooling([states[:4]]), pooling([one]))  # unmasked pooling would differ


def test_regions_hold_their_residues_and_nothing_else() -> None:
    inside = outside_regions([torch.empty(100, 6), torch.empty(12, 6)], REGIONS) == 0
    assert inside.shape == (2, 100, 10) and not inside[1, 12:].any()
    for column, (start, stop) in enumerate(REGIONS):
        assert inside[0, :, column].nonzero().flatten().tolist() == list(range(100)[start:stop])
        # a protein too short to have a region is pooled whole there
        assert inside[1, :, column].nonzero().flatten().tolist() == list(range(12)[start:stop] or range(12))


def test_light_attention_against_its_definition() -> None:
    torch.manual_seed(0)
    pooling, one, other = LightAttention(6, 3).eval(), torch.randn(100, 6), torch.randn(130, 6)
    with torch.no_grad():
        states = pooling.norm(one).T[None]
        values = torch.nn.functional.gelu(pooling.first(states))
        values = torch.nn.functional.gelu(pooling.second(values))[0]  # [C, L]
        scores, means, raw = pooling.score(states)[0], [], []
        for region, (start, stop) in enumerate(REGIONS):
            weights = scores[region, start:stop].softmax(0)
            means.append(values[:, start:stop] @ weights)
            raw.append(states[0][:, start:stop] @ weights)
        expected = torch.cat([torch.stack(means, 1).flatten(), torch.stack(raw, 1).flatten(), values.amax(1)])
        assert expected.shape == (pooling.width,)
        assert torch.allclose(pooling([one])[0], expected, atol=1e-5)
        assert torch.allclose(pooling([one, other])[0], expected, atol=1e-5)  # padding reaches nothing
        pooling.norm.bias.fill_(3.0)  # what padding would become
        for weight, value in ((pooling.first.weight, 0), (pooling.first.bias, 1), (pooling.second.weight, -0.02)):
            weight.fill_(value)  # values of residues are now below those of padding
        assert torch.allclose(pooling([one, other])[0], pooling([one])[0], atol=1e-5)


def test_light_attention_learns_through_short_proteins() -> None:
    torch.manual_seed(0)
    wide = SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2, LIGHT)
    batch = batch_of([0, 1, 2, 3])
    FocalLoss()(wide(batch), batch.y).backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in wide.pooling.parameters())
    assert all(p.grad.any() for p in wide.head.parameters())


def test_head_with_a_hidden_layer_reads_all_that_is_pooled() -> None:
    torch.manual_seed(0)
    wide = SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2, LIGHT)
    batch = batch_of([0, 2])
    assert not torch.equal(wide(batch), wide(batch))  # dropout while training
    with torch.no_grad():
        assert torch.equal(wide.eval()(batch), wide(batch)) and wide(batch).shape == (2, 4)
        assert wide.head[0].normalized_shape == (wide.pooling.width,) == (10 * (wide.width + 3) + 3,)


def test_composition_of_the_whole_protein_is_added_to_the_logits() -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2, WHOLE).eval()
    batch = batch_of([0, 2]).to("cpu")
    assert torch.equal(batch.composition, torch.from_numpy(np.stack([composition(SEQUENCES[i]) for i in (0, 2)])))
    with torch.no_grad():
        added = model.composition(batch.composition)
        without = model.head(model.pooling(residues_of(model.token_states(batch), batch.lengths)))
        assert added.abs().min() > 0 and torch.allclose(model(batch), without + added)
        longer = composition(SEQUENCES[0] + "W" * 50)  # cut out by truncation, so the tokens do not tell
        changed = ProteinBatch(batch.accessions, batch.lengths, batch.y, batch.tokens, batch.composition.clone())
        changed.composition[0] = torch.from_numpy(longer)
        assert not torch.allclose(model(changed)[0], model(batch)[0]) and torch.equal(
            model(changed)[1], model(batch)[1]
        )


def test_composition_reaches_the_network_near_zero_and_one() -> None:
    rng, seen = np.random.default_rng(0), []
    model = SequenceClassifier(load_backbone(SETTINGS, 1), 4, 2, WHOLE).composition
    model.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    proteins = ["".join(rng.choice(list(STANDARD), n)) for n in (80, 150, 400, 900, 2000)]
    model(torch.from_numpy(np.stack([composition(p) for p in proteins])))
    assert seen[0].shape == (5, 61) and seen[0].mean().abs() < 0.2 and 0.3 < seen[0].std() < 1.5


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
        assert all(np.all(np.diff([lengths[i] for i in b]) >= 0) for b in sampler.batches)  # short to long in a batch
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


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 0.9, 2.0])
def test_focal_gradient_is_finite_and_right_where_the_network_is_sure(gamma: float) -> None:
    logits, y = torch.tensor([-110.0, -20, -3, 3, 20, 110]).repeat(2, 1), torch.tensor([[0.0], [1.0]]).expand(2, 6)
    logits.requires_grad_()
    loss = FocalLoss(gamma)(logits, y)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    signed = (logits.detach() * (2 * y - 1)).double().requires_grad_()  # logit of the true side
    ((-signed).sigmoid() ** gamma * torch.nn.functional.softplus(-signed)).mean().backward()
    assert torch.allclose(logits.grad.double(), signed.grad * (2 * y - 1), rtol=1e-3, atol=1e-9)


def test_learnable_threshold_moves_probability_and_learns() -> None:
    loss = FocalLoss(n_labels=2)
    with torch.no_grad():
        loss.threshold_logit.copy_(torch.tensor([0.3, 0.8]).logit())
    assert torch.allclose(loss.thresholds, torch.tensor([0.3, 0.8]))
    plain = torch.tensor([[0.3, 0.8]]).logit()
    assert torch.allclose(loss.probability(plain), torch.tensor([[0.5, 0.5]]))
    loss(plain, torch.ones(1, 2)).backward()
    assert (loss.threshold_logit.grad > 0).all()


def test_offset_moves_the_loss_and_the_probability_alike() -> None:
    y = np.array([[1, 0], [1, 0], [0, 0]])
    offset = log_odds(y)
    assert torch.allclose(offset, torch.tensor([2.5 / 1.5, 0.5 / 3.5]).log())
    balanced, logits, target = FocalLoss(offset=offset), torch.tensor([[0.4, -0.3]]), torch.tensor([[1.0, 0.0]])
    assert torch.allclose(balanced(logits, target), FocalLoss()(logits + offset, target))
    assert torch.equal(balanced.probability(logits), (logits + offset).sigmoid())
    assert not balanced.state_dict()  # the shares of train are no weights
