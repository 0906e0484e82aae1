"""Training: it learns, keeps its best epoch, resumes where it stopped, and notices weights that do not fit."""

import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file, save_file

from halo_utils.core.errors import HaloError
from halo_utils.embeddings.esm2 import load_esm2
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.training import fit as module
from halo_utils.training.checkpoints import interruptible
from halo_utils.training.fit import Fit, fit
from halo_utils.training.lightning_module import LocationModule
from halo_utils.training.sequence_data import SequenceData

LOCATIONS = ["Nucleus", "Membrane"]


@pytest.fixture(scope="module")
def data() -> SequenceData:
    return proteins()


def proteins() -> SequenceData:
    """Forty proteins of two kinds, the same for training and validation."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    sequences = ["M" + "".join(rng.choice(list("KR" if y else "LV"), 12)) for y in labels]
    table = pd.DataFrame({"accession": [f"P{i}" for i in range(40)], "sequence": sequences})
    table = table.assign(Nucleus=labels, Membrane=1 - labels, split="train", kingdom="", subset="")
    held_out = table.assign(accession="V" + table["accession"], split="val")
    return SequenceData(pd.concat([table, held_out], ignore_index=True), LOCATIONS, tokens_per_batch=120, seed=1)


def model() -> EsmClassifier:
    torch.manual_seed(0)
    return EsmClassifier(load_esm2("random", shape={"layers": 2, "width": 16, "heads": 2}), 2, 1)


def train(data: SequenceData, folder: Path, epochs: int, schedule: str = "plateau", **options: object) -> Fit:
    how = {"learning_rate": 1e-2, "weight_decay": 0.0, "schedule": schedule, "rates": {"head": 3e-2}, **options}
    return fit(model(), FocalLoss(), data, folder, epochs=epochs, **how)


def same_weights(one: Fit, other: Fit) -> bool:
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class StopAfter(Callback):
    """Stands for a killed process: the second checkpoint is written, the third epoch is under way."""

    def on_train_batch_end(self, trainer, *_: object) -> None:
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt


def test_it_learns_and_leaves_the_best_epoch(data: SequenceData, tmp_path: Path) -> None:
    run = train(data, tmp_path, 4)
    losses = run.history["train_loss"].to_numpy()
    assert losses[-1] < 0.5 * losses[0] and len(losses) == 4
    assert sorted(p.name for p in run.folder.iterdir()) == ["best.safetensors", "history.csv"]
    assert run.best_epoch == 1 + int(run.history["val_macro_f1"].argmax()) and not run.model.training


def test_the_best_epoch_is_kept_and_not_the_last(data: SequenceData, tmp_path: Path) -> None:
    run = train(data, tmp_path, 6, learning_rate=0.5)
    assert 1 < run.best_epoch < 6  # of equals the first
    until_best = train(data, tmp_path / "short", run.best_epoch, learning_rate=0.5)
    assert same_weights(run, until_best)


def test_frozen_weights_are_not_stored(data: SequenceData, tmp_path: Path) -> None:
    stored = set(load_file(train(data, tmp_path, 1).folder / "best.safetensors"))
    assert "model.head.weight" in stored and not any("trunk" in n and n.endswith("weight") for n in stored)


@pytest.mark.parametrize("schedule", ["plateau", "linear"])
def test_resumed_training_equals_undisturbed_training(
    data: SequenceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    undisturbed = train(data, tmp_path / "undisturbed", 4, schedule)
    make = module.make_trainer
    monkeypatch.setattr(module, "make_trainer", lambda c, e, callbacks: make(c, e, [*callbacks, StopAfter()]))
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "cut", 4, schedule)
    (folder,) = (tmp_path / "cut").iterdir()
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    monkeypatch.setattr(module, "make_trainer", make)
    resumed = train(data, tmp_path / "cut", 4, schedule)
    assert resumed.history["train_loss"].tolist() == undisturbed.history["train_loss"].tolist()
    assert same_weights(resumed, undisturbed) and resumed.folder == folder


def test_linear_schedule_falls_to_zero(data: SequenceData, tmp_path: Path) -> None:
    rates = train(data, tmp_path, 4, "linear").history["learning_rate"].tolist()
    assert rates == sorted(rates, reverse=True) and 0 <= rates[-1] < 0.1 * rates[0]


def test_parts_of_the_model_learn_at_their_own_rates() -> None:
    optimizer = LocationModule(model(), FocalLoss(), 1e-2, rates={"head": 3e-2}).configure_optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 3e-2]
    assert [len(group["params"]) for group in optimizer.param_groups][1] == 2  # weight and bias of the head


def test_a_folder_holds_what_was_asked_for_and_nothing_stale(data: SequenceData, tmp_path: Path) -> None:
    run = train(data, tmp_path, 1)
    stamp = (run.folder / "best.safetensors").stat().st_mtime_ns
    assert train(data, tmp_path, 1).folder == run.folder
    assert (run.folder / "best.safetensors").stat().st_mtime_ns == stamp  # read back
    others = [train(data, tmp_path, 1, **o).folder for o in ({"learning_rate": 1e-3}, {"seed": 8}, {"patience": 1})]
    others.append(fit(model(), FocalLoss(1.0), data, tmp_path, epochs=1, learning_rate=1e-2).folder)
    others.append(fit(model(), FocalLoss(1.0, 0.5), data, tmp_path, epochs=1, learning_rate=1e-2).folder)
    assert len({run.folder, *others}) == 6


def test_an_interrupt_is_one_and_the_next_is_heard_too() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="run the cell again to go on from its last epoch"), interruptible():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what Lightning does
        raise SystemExit(1)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("broken", ["weights", "file"])
def test_weights_that_do_not_fit_are_noticed(data: SequenceData, tmp_path: Path, broken: str) -> None:
    path = train(data, tmp_path, 1).folder / "best.safetensors"
    weights = load_file(path)
    weights.pop("model.head.weight")
    save_file(weights, path) if broken == "weights" else path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(HaloError, match=r"does not fit the model \(.*delete its folder and train again"):
        train(data, tmp_path, 1)


def test_a_loss_that_is_not_a_number_stops_with_the_proteins(data: SequenceData, tmp_path: Path) -> None:
    broken = model()
    with torch.no_grad():
        broken.head.weight.fill_(torch.nan)
    with pytest.raises(HaloError, match=r"loss is nan in batch 0 \(P\d+.*lower the learning rate"):
        fit(broken, FocalLoss(), data, tmp_path, epochs=1, learning_rate=1e-2)
    assert not list(tmp_path.rglob("best.safetensors"))
