"""The sequence model: padding, batch and order must not matter, and pooling must ignore what is not a residue."""

import numpy as np
import pandas as pd
import pytest
import torch

from halo_utils.data.splits import log_odds
from halo_utils.embeddings.biochemistry import STANDARD, composition
from halo_utils.embeddings.esm2 import load_esm2, pad, residues_of, tokenize
from halo_utils.models.esm_classifier import AttentionPooling, EsmClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.models.region_classifier import REGIONS, RegionAttention, RegionClassifier, outside_regions
from halo_utils.training.batching import BudgetBatchSampler, ProteinBatch, logits_of
from halo_utils.training.sequence_data import ProteinDataset, SequenceData, collate_proteins

SHAPE = {"layers": 3, "width": 16, "heads": 2}
SEQUENCES = ["MKVLAAGHWYT", "MS", "MARTKQTARKSTGGKAPRK", "MKDEL"]


@pytest.fixture(scope="module")
def model() -> EsmClassifier:
    torch.manual_seed(0)
    return EsmClassifier(load_esm2("random", shape=SHAPE), 4, 2).eval()


def region_classifier(composition: int = 0) -> RegionClassifier:
    torch.manual_seed(0)
    return RegionClassifier(load_esm2("random", shape=SHAPE), 4, 2, 3, 8, 0.5, composition)


def batch_of(positions: list[int], with_composition: bool = False) -> ProteinBatch:
    shares = np.stack([composition(s) for s in SEQUENCES]) if with_composition else None
    dataset = ProteinDataset([f"P{i}" for i in range(4)], tokenize(SEQUENCES), np.eye(4), composition=shares)
    return collate_proteins([dataset[i] for i in positions])


def full(*lengths: int) -> torch.Tensor:
    """Return a residue mask, [B, L]."""
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


def test_padding_batch_and_order_invariance(model: EsmClassifier) -> None:
    with torch.no_grad():
        alone = torch.cat([logits_of(model, batch_of([i])) for i in range(4)])
        together = logits_of(model, batch_of([0, 1, 2, 3]))
        shuffled = logits_of(model, batch_of([3, 1, 0, 2]))
    assert torch.allclose(alone, together, atol=1e-5)
    assert torch.allclose(together[[3, 1, 0, 2]], shuffled, atol=1e-5)


def test_pooling_weighs_the_residues_of_each_protein() -> None:
    torch.manual_seed(0)
    pooling, tokens = AttentionPooling(6), torch.randn(2, 5, 6)
    token_mask = full(4, 5)
    states, mask = residues_of(tokens, token_mask)
    weights = pooling.weights(states, mask)
    assert weights.shape == (2, 3) and torch.allclose(weights.sum(1), torch.ones(2)) and weights[0, 2] == 0
    pooled = pooling(states, mask)
    assert torch.allclose(pooled[0], (weights[0, :2, None] * states[0, :2]).sum(0))
    assert torch.allclose(pooled[0], pooling(states[:1, :2], full(2))[0], atol=1e-6)
    changed = tokens.clone()
    changed[[0, 0, 0, 1, 1], [0, 3, 4, 0, 4]] = 1e4  # <cls>, <eos> and padding
    assert torch.equal(pooling(*residues_of(changed, token_mask)), pooled)
    assert not torch.allclose(pooling(tokens[:1], token_mask[:1]), pooled[:1])  # unmasked pooling would differ


def test_regions_hold_their_residues_and_nothing_else() -> None:
    inside = outside_regions(full(100, 12)) == 0
    assert inside.shape == (2, 100, 10) and not inside[1, 12:].any()
    for column, (start, stop) in enumerate(REGIONS):
        assert inside[0, :, column].nonzero().flatten().tolist() == list(range(100)[start:stop])
        # a protein too short to have a region is pooled whole there
        assert inside[1, :, column].nonzero().flatten().tolist() == list(range(12)[start:stop] or range(12))


def test_region_attention_against_its_definition() -> None:
    torch.manual_seed(0)
    pooling, one, other = RegionAttention(6, 3).eval(), torch.randn(100, 6), torch.randn(130, 6)
    pair = pad([one, other])
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
        assert torch.allclose(pooling(one[None], full(100))[0], expected, atol=1e-5)
        assert torch.allclose(pooling(*pair)[0], expected, atol=1e-5)  # padding reaches nothing
        pooling.norm.bias.fill_(3.0)  # what padding would become
        for weight, value in ((pooling.first.weight, 0), (pooling.first.bias, 1), (pooling.second.weight, -0.02)):
            weight.fill_(value)  # values of residues are now below those of padding
        assert torch.allclose(pooling(*pair)[0], pooling(one[None], full(100))[0], atol=1e-5)


def test_region_attention_learns_through_short_proteins() -> None:
    model, batch = region_classifier(), batch_of([0, 1, 2, 3])
    FocalLoss()(logits_of(model, batch), batch.y).backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in model.pooling.parameters())
    assert all(p.grad.any() for p in model.head.parameters())


def test_head_with_a_hidden_layer_reads_all_that_is_pooled() -> None:
    model, batch = region_classifier(), batch_of([0, 2])
    assert not torch.equal(logits_of(model, batch), logits_of(model, batch))  # dropout while training
    with torch.no_grad():
        assert torch.equal(logits_of(model.eval(), batch), logits_of(model, batch))
        assert logits_of(model, batch).shape == (2, 4)
        assert model.head[0].normalized_shape == (model.pooling.width,) == (10 * (model.encoder.width + 3) + 3,)


def test_composition_of_the_whole_protein_is_added_to_the_logits() -> None:
    model, batch = region_classifier(4).eval(), batch_of([0, 2], with_composition=True).to("cpu")
    assert torch.equal(batch.composition, torch.from_numpy(np.stack([composition(SEQUENCES[i]) for i in (0, 2)])))
    with torch.no_grad():
        logits, added = logits_of(model, batch), model.composition(batch.composition)
        states = residues_of(model.encoder(batch.tokens, batch.token_mask), batch.token_mask)
        assert added.abs().min() > 0 and torch.allclose(logits, model.head(model.pooling(*states)) + added)
        longer = batch.composition.clone()  # cut out by truncation, so the tokens do not tell
        longer[0] = torch.from_numpy(composition(SEQUENCES[0] + "W" * 50))
        changed = model(batch.tokens, batch.token_mask, longer)
        assert not torch.allclose(changed[0], logits[0]) and torch.equal(changed[1], logits[1])


def test_composition_reaches_the_network_near_zero_and_one() -> None:
    rng, seen = np.random.default_rng(0), []
    model = region_classifier(4).composition
    model.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    proteins = ["".join(rng.choice(list(STANDARD), n)) for n in (80, 150, 400, 900, 2000)]
    model(torch.from_numpy(np.stack([composition(p) for p in proteins])))
    assert seen[0].shape == (5, 61) and seen[0].mean().abs() < 0.2 and 0.3 < seen[0].std() < 1.5


def test_cached_trunk_gives_the_same_logits(model: EsmClassifier) -> None:
    batch = batch_of([0, 2])
    with torch.no_grad():
        states = model.encoder.trunk_states(batch.tokens, batch.token_mask)
        assert (logits_of(model, batch) - model(states, batch.token_mask)).abs().max() == 0


def test_gradient_reaches_top_and_head_only(model: EsmClassifier) -> None:
    batch = batch_of([0, 1])
    FocalLoss()(logits_of(model, batch), batch.y).backward()
    assert model.head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.encoder.trunk.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.top.parameters())


def test_any_embedder_can_feed_pooling_and_head(model: EsmClassifier) -> None:
    """States of another network, [B, L, D], and a residue mask are all they need."""
    states, mask = torch.randn(2, 9, 16), full(9, 4)
    with torch.no_grad():
        logits = model.head(model.pooling(states, mask))
        states[1, 4:] = 1e4
        assert logits.shape == (2, 4) and torch.equal(model.head(model.pooling(states, mask)), logits)


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


def test_training_sees_both_ends_of_a_long_protein_and_evaluation_all_of_it() -> None:
    table = pd.DataFrame({"accession": ["A", "B"], "sequence": ["MKV", "ACDEFGHIKL"], "split": "train"})
    table["Nucleus"] = True
    data = SequenceData(table, ["Nucleus"], truncation="head_tail", train_tokens=6)
    (batch,) = data.train_dataloader()
    seen = dict(zip(batch.accessions, batch.tokens, strict=True))
    assert torch.equal(seen["B"], tokenize(["ACKL"])[0]) and torch.equal(seen["A"][:5], tokenize(["MKV"])[0])
    assert batch.token_mask.sum() == 11
    (whole,) = data.loader(data.rows("train"))
    assert whole.token_mask.sum() == 5 + 12
    other = SequenceData(table, ["Nucleus"], truncation="head_tail")
    assert data.key == other.key and data.training_key != other.training_key == other.key


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
    loss = FocalLoss(n_locations=2)
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
    assert offset == pytest.approx(np.log([2.5 / 1.5, 0.5 / 3.5]))
    model, x, target = torch.nn.Linear(3, 2), torch.randn(1, 3), torch.tensor([[1.0, 0.0]])
    balanced = RarityOffset(model, offset)
    assert torch.equal(balanced(x), model(x) + torch.tensor(offset))
    assert torch.allclose(FocalLoss()(balanced(x), target), FocalLoss()(model(x) + torch.tensor(offset), target))
    assert "offset" in balanced.state_dict()  # it belongs to the model wherever that goes


def test_epochs_of_a_number_of_steps_go_through_all_proteins_before_any_comes_again():
    lengths = np.random.default_rng(3).integers(30, 200, size=60)
    whole = BudgetBatchSampler(lengths, 1_000, shuffle=True, seed=4)
    per_pass, parts = len(whole), BudgetBatchSampler(lengths, 1_000, shuffle=True, seed=4, steps=5)
    assert per_pass % 5  # the passes do not end with the epochs
    assert len(parts) == 5
    taken = []
    for epoch in range(2 * per_pass):
        parts.set_epoch(epoch)
        assert len(parts.batches) == 5
        taken += parts.batches
    expected = []
    for number in range(10):
        whole.set_epoch(number)
        expected += whole.batches
    assert taken == expected
    more = BudgetBatchSampler(lengths, 1_000, shuffle=True, seed=4, steps=3 * per_pass + 1)
    assert more.batches == expected[: 3 * per_pass + 1]  # an epoch longer than a pass
