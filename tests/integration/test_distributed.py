"""Two processes train together as one process with twice the batch does."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from halo_utils.backbones import load_backbone, load_tokenizer, token_ids
from halo_utils.batching import BudgetBatchSampler, SequenceDataset, collate_proteins, make_loader
from halo_utils.blocks import BackboneSettings, ComputeSettings
from halo_utils.classifiers import SequenceClassifier
from halo_utils.learner import Classifier
from halo_utils.losses import FocalLoss
from halo_utils.training import fit

SETTINGS = BackboneSettings(source="random", random={"layers": 2, "width": 16, "heads": 2})


def loader(budget: int, seed: int, shuffle: bool) -> DataLoader:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 60)
    sequences = ["M" + "".join(rng.choice(list("KRA" if y else "LVA"), rng.integers(5, 60))) for y in labels]
    tokens = token_ids(sequences, load_tokenizer(SETTINGS))
    dataset = SequenceDataset([f"P{i}" for i in range(60)], tokens, np.stack([labels, 1 - labels], axis=1))
    return make_loader(dataset, budget, collate_proteins, shuffle=shuffle, seed=1)


def train(folder: Path, budget: int, compute: ComputeSettings) -> pd.DataFrame:
    torch.manual_seed(0)
    classifier = SequenceClassifier(load_backbone(SETTINGS, 1), 2, 1)
    module = Classifier(classifier, FocalLoss(), 1e-2, 0.0, (0, 0.5), seed=1)
    return fit(module, loader(budget, 0, True), loader(budget, 5, False), folder, epochs=3, compute=compute).history


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(tmp_path: Path) -> None:
    one = train(tmp_path / "one", 500, ComputeSettings(devices=1))
    two = train(tmp_path / "two", 250, ComputeSettings(devices=2, strategy="ddp_spawn"))
    for column in ("val_loss", "val_macro_f1", "val_threshold", "learning_rate"):
        assert np.allclose(one[column], two[column], atol=1e-3), f"{column}: {one[column]} {two[column]}"
    assert one["train_loss"].iloc[-1] < one["train_loss"].iloc[0]  # there was something to learn
    other = train(tmp_path / "other", 250, ComputeSettings(devices=1))
    assert not np.allclose(one["val_loss"], other["val_loss"], atol=1e-3)  # another batch size would show


def test_shares_of_two_processes_make_the_larger_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(5, 90, 200).tolist()
    whole = BudgetBatchSampler(lengths, 800, shuffle=True, seed=1).batches
    parts = []
    for rank in range(2):
        monkeypatch.setattr("halo_utils.batching.ranks", lambda rank=rank: (rank, 2))
        parts.append(BudgetBatchSampler(lengths, 400, shuffle=True, seed=1).batches)
    assert len(parts[0]) == len(parts[1]) == len(whole)
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
