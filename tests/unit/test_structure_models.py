"""Models beside the GVP network: a protein's answer does not hang on its batch, and each does what its formula says."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from halo_utils.core.errors import SettingsError
from halo_utils.models.gvp import GvpClassifier
from halo_utils.models.gvp_ensemble import DenseResidual, EmbeddingCnn, MeanOfBoth
from halo_utils.models.losses import FocalLoss
from halo_utils.models.ses_adapter import STATES, SesAdapter, rotate
from halo_utils.structures.gvp_features import GvpFeatures, gvp_graph
from halo_utils.structures.structure_letters import DI, SS8

WIDTHS = (3, 32, 4, 28)


class Answer(nn.Module):
    """A model that always answers the same logits."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, _: object) -> Tensor:
        return self.logits


def test_the_mean_trained_through_is_the_mean_of_the_probabilities():
    first, second = torch.tensor([[0.3, -200.0, 90.0]]), torch.tensor([[-1.7, -150.0, 2.0]])
    model, y = MeanOfBoth(Answer(first), Answer(second)), torch.tensor([[1.0, 0.0, 1.0]])
    mean = (first.double().sigmoid() + second.double().sigmoid()) / 2
    assert torch.allclose(model(None).double().sigmoid(), mean, atol=1e-6)
    loss = FocalLoss(gamma=0.0)(model(None), y)
    assert loss.item() == pytest.approx(float(nn.functional.binary_cross_entropy(mean, y.double())), rel=1e-5)
    loss.backward()
    assert torch.isfinite(model.first.logits.grad).all() and model.first.logits.grad[0, 0] < 0


def graphs() -> list[Data]:
    rng, found = np.random.default_rng(0), []
    for length in (12, 30, 5):
        rows = np.column_stack([np.cumsum(rng.normal(size=(length, 9)), axis=0), np.full(length, 80.0)])
        found.append(gvp_graph(f"P{length}", "A" * length, np.ones(3), rows, GvpFeatures(6)))
        found[-1].embedding = torch.randn(1, 40)
    return found


@pytest.mark.parametrize("kind", ["cnn", "dense"])
def test_models_on_protein_vectors_answer_alone_as_in_a_batch_and_learn_everywhere(kind):
    torch.manual_seed(0)
    gvp = GvpClassifier((GvpFeatures().scalars, 3), n_locations=3, nodes=(16, 4), layers=1)
    model = EmbeddingCnn(3) if kind == "cnn" else DenseResidual(gvp, 40, 3, width=16)
    parts = graphs()
    model(Batch.from_data_list(parts[:1])).sum().backward()  # one protein is a batch, in training, too
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    alone = torch.cat([model(Batch.from_data_list([one])) for one in parts])
    assert alone.shape == (3, 3)
    assert torch.allclose(model(Batch.from_data_list(parts)), alone, atol=1e-5)
    parts[0].embedding = parts[0].embedding + 1
    assert not torch.allclose(model(Batch.from_data_list(parts))[0], alone[0], atol=1e-3)


def test_the_dense_residual_head_reads_the_graph():
    torch.manual_seed(0)
    gvp = GvpClassifier((GvpFeatures().scalars, 3), n_locations=3, nodes=(16, 4), layers=1)
    model, parts = DenseResidual(gvp, 40, 3, width=16).eval(), graphs()[1:2]
    before = model(Batch.from_data_list(parts))
    parts[0].edge_attr = parts[0].edge_attr.flip(0)
    assert not torch.allclose(model(Batch.from_data_list(parts)), before, atol=1e-4)


def proteins(letters: bool = True) -> list[Data]:
    """Three graphs as ``GraphData`` makes them: coordinates, embedding, biochemistry, letters."""
    found, generator = [], torch.Generator().manual_seed(0)
    for length in (7, 20, 3):
        x = torch.randn(length, sum(WIDTHS), generator=generator)
        di = torch.eye(STATES[0])[torch.randint(0, STATES[0], (length,), generator=generator)]
        ss8 = torch.eye(STATES[1])[torch.randint(0, STATES[1], (length,), generator=generator)]
        x[:, -sum(STATES) :] = torch.cat([di, ss8], dim=1) * letters
        found.append(Data(x=x, edge_index=torch.empty(2, 0, dtype=torch.long)))
    return found


def adapter(**options: bool) -> SesAdapter:
    torch.manual_seed(0)
    return SesAdapter(WIDTHS, 4, **options).eval()


def test_the_adapter_answers_alone_as_in_a_batch_and_reads_its_letters_and_no_coordinates():
    assert (len(DI), len(SS8)) == STATES
    model, parts = adapter(), proteins()
    alone = torch.cat([model(Batch.from_data_list([one])) for one in parts])
    assert torch.allclose(model(Batch.from_data_list(parts)), alone, atol=1e-5)
    for changed, switch in ((slice(-28, -8), {"di": False}), (slice(-8, None), {"ss8": False})):
        other = proteins()
        other[1].x[:, changed] = other[1].x[:, changed].flip(0)
        assert not torch.allclose(model(Batch.from_data_list(other))[1], alone[1], atol=1e-4)
        without = adapter(**switch)
        assert torch.equal(without(Batch.from_data_list(other)), without(Batch.from_data_list(parts)))
    other = proteins()
    other[1].x[:, :3] += 5
    assert torch.equal(model(Batch.from_data_list(other)), model(Batch.from_data_list(parts)))


def test_rotated_products_know_only_distances_in_the_sequence():
    query, key = torch.randn(8).expand(1, 1, 9, 8), torch.randn(8).expand(1, 1, 9, 8)
    products = (rotate(query) @ rotate(key).transpose(2, 3))[0, 0]
    for distance in (-3, 0, 4):
        diagonal = products.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5)
    assert products.diagonal(4)[0] != pytest.approx(float(products.diagonal(-3)[0]), abs=1e-3)


def test_the_adapter_refuses_a_width_that_its_heads_cannot_share():
    with pytest.raises(SettingsError, match="width 30, expected a multiple of 16"):
        SesAdapter((3, 30, 4, 28))
