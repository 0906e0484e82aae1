"""Training: it learns, keeps its best epoch, resumes where it stopped, and notices weights that do not fit."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

from halo_utils.core.errors import HaloError
from halo_utils.core.files import sha256
from halo_utils.embeddings.esm2 import load_backbone, load_tokenizer, token_ids
from halo_utils.models.esm_classifier import SequenceClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.profile import BackboneSettings, ComputeSettings
from halo_utils.training.batching import SequenceDataset, collate_proteins, make_loader
from halo_utils.training.checkpoints import interruptible
from halo_utils.training.fit import fit
from halo_utils.training.lightning_module import Classifier, scale_rates

SETTINGS = BackboneSettings(source="random", random={"layers": 2, "width": 16, "heads": 2})


def loader(shuffle: bool = False) -> DataLoader:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    sequences = ["M" + "".join(rng.choice(list("KR" if y else "LV"), 12)) for y in labels]
    tokens = token_ids(sequences, load_tokenizer(SETTINGS))
    dataset = SequenceDataset([f"P{i}" for i in range(40)], tokens, np.stack([labels, 1 - labels], axis=1))
    return make_loader(dataset, 120, collate_proteins, shuffle=shuffle, seed=1)


def module(warmup: float | None = None) -> Classifier:
    torch.manual_seed(0)
    plateau = (3, 0.5) if warmup is None else None
    model = SequenceClassifier(load_backbone(SETTINGS, 1), 2, 1)
    return Classifier(model, FocalLoss(), 1e-2, 0.0, plateau, warmup=warmup, rates={"head": 3e-2})


def train(folder: Path, epochs: int, warmup: float | None = None, **options: bool) -> tuple[Classifier, list[float]]:
    own, compute = module(warmup), ComputeSettings()
    result = fit(own, loader(True), loader(), folder, epochs=epochs, compute=compute, **options)
    return result.module, result.history["train_loss"].tolist()


def test_it_learns_and_checkpoints_every_epoch(tmp_path: Path) -> None:
    _, losses = train(tmp_path, 4, keep_every_epoch=True)
    assert losses[-1] < 0.5 * losses[0]
    assert len(list((tmp_path / "checkpoints").glob("epoch=*.ckpt"))) == 4


def test_frozen_weights_are_not_stored(tmp_path: Path) -> None:
    found, _ = train(tmp_path, 1)
    stored = set(load_file(tmp_path / "best.safetensors"))
    assert "model.head.weight" in stored and not any("trunk" in n and n.endswith("weight") for n in stored)
    assert not (tmp_path / "checkpoints").exists()
    assert not found.training


def test_resumed_training_equals_undisturbed_training(tmp_path: Path) -> None:
    whole, losses = train(tmp_path / "whole", 4, keep_every_epoch=True)
    train(tmp_path / "cut", 2, keep_every_epoch=True)
    for name in ("best.safetensors", "history.csv", "done.json"):  # what an interrupted run does not have yet
        (tmp_path / "cut" / name).unlink()
    again, resumed = train(tmp_path / "cut", 4, keep_every_epoch=True)
    assert resumed == losses
    pairs = zip(whole.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_linear_schedule_falls_to_zero_and_resumes_where_it_was(tmp_path: Path) -> None:
    whole, losses = train(tmp_path, 4, warmup=0.1, keep_every_epoch=True)
    rates = pd.read_csv(tmp_path / "history.csv")["learning_rate"].tolist()
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.1 * rates[0]
    for name in ("best.safetensors", "history.csv", "done.json", "checkpoints/epoch=03.ckpt"):
        (tmp_path / name).unlink()
    again, resumed = train(tmp_path, 4, warmup=0.1, keep_every_epoch=True)
    assert resumed == losses
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_parts_of_the_model_learn_at_their_own_rates() -> None:
    optimizer = module(0.1).configure_optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 3e-2]
    assert [len(group["params"]) for group in optimizer.param_groups][1] == 2  # weight and bias of the head
    scale_rates(optimizer, 0.5)
    scale_rates(optimizer, 0.5)  # a share of the highest rate, not of the last one
    assert [group["lr"] for group in optimizer.param_groups] == [5e-3, 1.5e-2]


def test_an_interrupt_is_one_and_the_next_is_heard_too() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="run the cell again to go on from its last epoch"), interruptible():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what Lightning does
        raise SystemExit(1)
    assert signal.getsignal(signal.SIGINT) is before


def test_weights_that_do_not_fit_are_noticed(tmp_path: Path) -> None:
    train(tmp_path, 1)
    weights = load_file(tmp_path / "best.safetensors")
    weights.pop("model.head.weight")
    save_file(weights, tmp_path / "best.safetensors")
    done = {name: sha256(tmp_path / name) for name in ("best.safetensors", "history.csv")}
    (tmp_path / "done.json").write_text(json.dumps(done))
    with pytest.raises(HaloError, match="does not fit the model .model.head.weight"):
        train(tmp_path, 1)


def test_a_loss_that_is_not_a_number_stops_with_the_proteins(tmp_path: Path) -> None:
    broken = module()
    with torch.no_grad():
        broken.model.head.weight.fill_(torch.nan)
    with pytest.raises(HaloError, match=r"loss is nan in batch 0 \(P\d+.*lower the learning rate"):
        fit(broken, loader(True), loader(), tmp_path, epochs=1, compute=ComputeSettings())
    assert not (tmp_path / "best.safetensors").exists()
