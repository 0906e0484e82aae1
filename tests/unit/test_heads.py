"""Heads on frozen states: padding and batch mates change nothing, and each does what its publication says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from halo_utils.core.errors import SettingsError
from halo_utils.data.locations import DEEPLOC
from halo_utils.embeddings.embedder import EMBEDDERS
from halo_utils.models.annotation_transfer import nearest, transfer
from halo_utils.models.deeploc2 import POSITIVE_WEIGHTS, Deeploc2Head
from halo_utils.models.esm_classifier import AttentionHead
from halo_utils.models.light_attention import LightAttention
from halo_utils.models.losses import BalancedFocalLoss, FocalLoss
from halo_utils.models.mean_network import EndsNetwork, MeanNetwork
from halo_utils.runs.sequence_baselines import heads_for
from halo_utils.training.fit import fit
from halo_utils.training.predict import predict
from halo_utils.training.state_data import StateData
from halo_utils.training.state_store import END, store_states, three_means

HEADS = (MeanNetwork, LightAttention, Deeploc2Head, AttentionHead)
LENGTHS = (1, 12, 7)


def batch(longest: int, filler: float) -> tuple[Tensor, Tensor]:
    """Three proteins of D = 6 in a rectangle, with ``filler`` beyond their ends."""
    states = torch.full((3, longest, 6), filler)
    for i, length in enumerate(LENGTHS):
        states[i, :length] = torch.randn(length, 6, generator=torch.Generator().manual_seed(i))
    return states, torch.arange(longest)[None] < torch.tensor(LENGTHS)[:, None]


@pytest.mark.parametrize("head", HEADS)
def test_padding_changes_no_logit_and_gets_no_gradient(head: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = head(6, 4).eval()
    with torch.no_grad():  # a bias that would win any maximum, were padding in it
        for name, weight in model.named_parameters():
            if name == "value.bias":
                weight += 10.0
    expected = model(*batch(12, 0.0))
    assert expected.shape == (3, 4)
    torch.testing.assert_close(model(*batch(30, 9.0)), expected)
    states, mask = batch(12, 0.0)
    for i, length in enumerate(LENGTHS):
        torch.testing.assert_close(model(states[i : i + 1, :length], mask[i : i + 1, :length])[0], expected[i])
    states = batch(20, 3.0)[0].requires_grad_()
    model(states, batch(20, 3.0)[1]).sum().backward()
    assert states.grad[~batch(20, 0.0)[1]].abs().max() == 0 and states.grad[0, 0].abs().max() > 0


def test_ends_are_means_of_the_first_and_the_last_residues() -> None:
    model, states = EndsNetwork(6, 4).eval(), torch.randn(END + 30, 6)
    means = torch.cat([states.mean(0), states[:END].mean(0), states[-END:].mean(0)])
    read = torch.from_numpy(three_means(states.numpy()))[None]
    torch.testing.assert_close(model(read, torch.ones(1, 3, dtype=torch.bool))[0], model.head(means))
    several = torch.randn(5, 3, 6) * 4 + 1
    model.standardise(several)
    mask, flat = torch.ones(5, 3, dtype=torch.bool), several.flatten(1)
    read = (flat - flat.mean(dim=0)) / flat.std(dim=0)
    torch.testing.assert_close(model(several, mask), model.head(read), atol=1e-4, rtol=1e-4)
    short = three_means(states[:7].numpy())
    np.testing.assert_allclose(short, short[:1].repeat(3, axis=0))


def test_light_attention_is_its_equation() -> None:
    torch.manual_seed(0)
    model = LightAttention(6, 4).eval()
    protein = batch(12, 0.0)[0][1]  # [12, 6]
    values, scores = (conv(protein.T)[None][0] for conv in (model.value, model.score))
    pooled = torch.cat([(values * scores.softmax(dim=1)).sum(dim=1), values.max(dim=1).values])
    torch.testing.assert_close(model.head(pooled[None]), model(protein[None], torch.ones(1, 12, dtype=torch.bool)))


def test_deeploc2_attention_is_smooth_and_of_sum_one() -> None:
    torch.manual_seed(0)
    model, (states, mask) = Deeploc2Head(6, 4).eval(), batch(12, 5.0)
    weights = model.with_attention(states, mask)[1]
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert weights[~mask].abs().max() == 0
    scores, taps = torch.randn(7), np.exp(-0.5 * (np.arange(-2, 3) / 2.0) ** 2)
    found = model.smooth(F.pad(scores, (0, 5))[None], mask[2:])[0, :7]
    np.testing.assert_allclose(
        found, np.convolve(np.pad(scores, 2, mode="edge"), taps / taps.sum(), "valid"), rtol=1e-5
    )


def test_balanced_loss_weighs_positives_and_is_focal() -> None:
    logits, y = torch.randn(5, 10, generator=torch.Generator().manual_seed(0)) * 3, torch.zeros(5, 10)
    y[:, 9] = y[0] = 1.0
    plain, p = FocalLoss(gamma=1.0), logits.sigmoid()
    torch.testing.assert_close(BalancedFocalLoss(np.ones(10))(logits, y), plain(logits, y))
    weights = torch.tensor(POSITIVE_WEIGHTS)
    expected = (y * (1 - p) * weights * -p.log() + (1 - y) * p * -(1 - p).log()).mean()
    torch.testing.assert_close(BalancedFocalLoss(POSITIVE_WEIGHTS)(logits, y), expected)
    bce = F.binary_cross_entropy_with_logits(logits, y, pos_weight=weights)
    torch.testing.assert_close(BalancedFocalLoss(POSITIVE_WEIGHTS, gamma=0.0)(logits, y), bce)


def test_the_nearest_protein_gives_its_labels_its_name_and_its_distance() -> None:
    references = np.array([[0.0, 0.0], [3.0, 0.0], [2.0, 2.0]])
    queries = np.array([[2.9, 0.2], [1.0, 1.0], [2.0, 2.0]])  # L1 and L2 disagree on none; the second is a tie
    where, distance = nearest(queries, references)
    assert where.tolist() == [1, 0, 2]
    np.testing.assert_allclose(distance, [0.3, 2.0, 0.0], atol=1e-12)
    labels = np.array([[1, 0], [0, 1], [1, 1]])
    table = transfer(queries, references, ["A", "B", "C"], labels, ["Nucleus", "Cytoplasm"])
    assert table["source"].tolist() == ["B", "A", "C"] and table["Cytoplasm"].tolist() == [1, 0, 1]
    far = nearest(np.array([[2.0, 0.0]]), np.array([[0.0, 0.0], [3.2, 1.2]]))  # L1: 2.0 and 2.4; L2: 2.0 and 1.7
    assert far[0].tolist() == [0]


def test_a_head_is_trained_on_stored_states(five_proteins: pd.DataFrame, tmp_path: Path) -> None:
    names, sequences = list(five_proteins["accession"]), list(five_proteins["sequence"])
    for pooled in (False, True):
        states = store_states(EMBEDDERS["one-hot"], names, sequences, tmp_path, pooled=pooled, part_residues=10)
        data = StateData(five_proteins, DEEPLOC, states, residues_per_batch=20)
        batch = next(iter(data.loader(np.array([4, 3]))))
        lengths = dict(zip(batch.accessions, batch.token_mask.sum(dim=1).tolist(), strict=True))
        assert lengths == ({"P4": 1, "P5": 1} if pooled else {"P4": 2, "P5": 9}) and batch.tokens.shape[2] == 20
        assert {head.reads for head in heads_for(states)} == {"mean", "ends"} | (set() if pooled else {"residues"})
        chosen = [head.title for head in heads_for(states, "HALO's attention, FFN on the mean")]
        assert chosen == ["FFN on the mean", "HALO's attention"][: 2 - pooled]
        for reads, n in (("mean", 1), ("ends", 3)):
            means = StateData(five_proteins, DEEPLOC, states, residues_per_batch=20, reads=reads)
            batch = next(iter(means.loader(np.array([4, 3]))))
            assert batch.tokens.shape == (2, n, 20) and batch.token_mask.all() and means.key != data.key
            stored = states.means(batch.accessions)
            np.testing.assert_allclose(batch.tokens[:, 0], stored, atol=1e-3)
    whole = store_states(EMBEDDERS["one-hot"], names, sequences, tmp_path).parts[0]  # a residue store of its own
    batch = next(iter(StateData(five_proteins, DEEPLOC, whole).loader(np.array([4]))))
    np.testing.assert_array_equal(batch.tokens[0], whole.rows("P5"))
    with pytest.raises(SettingsError, match="unknown head 'FFN': use some of FFN on the mean"):
        heads_for(states, "FFN")
    torch.manual_seed(0)
    run = fit(MeanNetwork(20, 10, 8), BalancedFocalLoss(np.ones(10)), data, tmp_path, epochs=1, learning_rate=1e-2)
    assert predict(run, data)["accession"].tolist() == ["P3", "P4", "P5"]
