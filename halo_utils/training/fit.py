"""Training with Lightning: the best epoch is kept, an interrupted run goes on, a finished one is read back."""

import hashlib
import logging
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from halo_utils.core.devices import resolve, unused_gpu
from halo_utils.core.errors import TrainingError
from halo_utils.core.files import atomic_path, digest, storage_errors, write_csv
from halo_utils.core.paths import shown
from halo_utils.models.losses import FocalLoss
from halo_utils.profile import ComputeSettings
from halo_utils.training.batching import ProteinData
from halo_utils.training.checkpoints import interruptible, memory_errors, read_checkpoint
from halo_utils.training.lightning_module import PLATEAU, LocationModule

CACHE_VERSION = 2  # of trained weights; raised by hand when a change of code changes numbers
WEIGHTS, HISTORY = "best.safetensors", "history.csv"


@dataclass(frozen=True)
class Fit:
    """What training leaves behind: model and loss of the best epoch, the first of equals, in evaluation mode.

    ``history`` has one row per epoch; ``best_epoch`` counts from 1; ``folder`` holds weights and history.
    """

    model: nn.Module
    loss: FocalLoss
    history: pd.DataFrame
    best_epoch: int
    folder: Path


def fit(
    model: nn.Module,
    loss: FocalLoss,
    data: ProteinData,
    folder: Path,
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float = 0.01,
    schedule: str | None = None,
    plateau: tuple[int, float] = PLATEAU,
    rates: dict[str, float] | None = None,
    patience: int | None = None,
    compute: ComputeSettings | None = None,
    seed: int = 7,
    budget: str = "the batch size",
    trained: bool = False,
) -> Fit:
    """Train ``model`` in place, and return the weights of the best validation macro F1; test proteins never come here.

    Below ``folder`` lies one directory per starting point (weights, data, every argument), so what was trained is read
    back, what was interrupted goes on from Lightning's last checkpoint, and nothing stale is found. Schedule, plateau
    and rates are ``LocationModule``'s; ``patience`` is epochs without a better macro F1 before training stops, None
    runs them all; ``budget`` names the profile's value for the size of a batch, for messages; ``trained`` reads back
    only. TrainingError if the loss is not a number, the memory does not suffice, a file does not fit the model, or
    there is none where it must be ``trained``.
    """
    compute = compute or ComputeSettings()
    module = LocationModule(model, loss, learning_rate, weight_decay, schedule, plateau, rates, seed)
    how = [epochs, learning_rate, weight_decay, schedule, plateau, rates, patience, seed, resolve(compute.precision)]
    start = [weights_digest(model), repr(model), loss.gamma, loss.alpha, list(loss.state_dict()), data.training_key]
    folder = folder / digest(start, how, CACHE_VERSION)
    if trained and not (folder / HISTORY).is_file():
        remedy = "run its notebook first, with the same profile and code"
        raise TrainingError(f"{shown(folder.parent)} holds no weights of these settings, data and start: {remedy}")
    if not (folder / HISTORY).is_file():
        L.seed_everything(seed, verbose=False)
        with storage_errors(folder), memory_errors(budget), interruptible():
            _train(module, data, folder, epochs, patience, compute)
    _load(module, folder / WEIGHTS)
    module.eval().requires_grad_(False)
    history = pd.read_csv(folder / HISTORY)
    return Fit(model, loss, history, int(history.loc[history["val_macro_f1"].idxmax(), "epoch"]), folder)


def _train(
    module: LocationModule, data: ProteinData, folder: Path, epochs: int, patience: int | None, compute: ComputeSettings
) -> None:
    """Run the trainer, from its last checkpoint where there is one, and write weights and history."""
    checkpoints = folder / "checkpoints"
    options: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    best = ModelCheckpoint(checkpoints, "best", monitor="val_macro_f1", mode="max", save_weights_only=True, **options)
    last = ModelCheckpoint(checkpoints, "last", **options)
    stops = [] if patience is None else [EarlyStopping("val_macro_f1", mode="max", patience=patience)]
    trainer = make_trainer(compute, epochs, [*stops, best, last])
    resume = checkpoints / "last.ckpt"
    earlier = read_checkpoint(resume) if resume.is_file() else {"callbacks": {}}
    if any(state.get("stopped_epoch") for state in earlier["callbacks"].values()):  # EarlyStopping would forget it
        module.rows = earlier["rows"]
    else:
        trainer.fit(module.train(), datamodule=data, ckpt_path=resume if resume.is_file() else None, weights_only=True)
    if trainer.is_global_zero:
        weights = read_checkpoint(checkpoints / "best.ckpt")["state_dict"]
        with atomic_path(folder / WEIGHTS) as temporary:
            save_file({name: value.contiguous().clone() for name, value in weights.items()}, temporary)
        write_csv(folder / HISTORY, pd.DataFrame(module.rows))  # comes last: it says that training has ended
        shutil.rmtree(checkpoints)
    trainer.strategy.barrier()
    module.trainer = None  # it holds the loaders, and with them the mapped files of every network trained so far


def _load(module: LocationModule, weights: Path) -> None:
    """Load trained weights; only frozen ones, which are not stored, may be missing."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    try:
        outcome = module.load_state_dict(load_file(weights), strict=False)
        strange = sorted((set(outcome.missing_keys) - frozen) | set(outcome.unexpected_keys))
    except (OSError, SafetensorError, RuntimeError) as error:
        strange = [str(error).splitlines()[0]]
    if strange:
        raise TrainingError(
            f"{shown(weights)} does not fit the model ({strange[0]} ...): delete its folder and train again"
        )


def weights_digest(model: nn.Module) -> str:
    """Return 16 hex digits over all weights and buffers of a model."""
    found = hashlib.sha256()
    for name, weight in model.state_dict().items():
        found.update(name.encode())
        found.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def parameter_counts(model: nn.Module) -> tuple[int, int]:
    """Return (all, trainable) parameters; call it before ``fit``, which freezes everything at the end."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, learns in sizes if learns)


def make_trainer(
    compute: ComputeSettings, epochs: int, callbacks: list[Callback], gradient_clip: float | None = None
) -> L.Trainer:
    """Return a quiet Lightning trainer for the profile's hardware; ``gradient_clip`` is the largest norm of a step."""
    if sentence := unused_gpu():
        warnings.warn(sentence, stacklevel=2)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for message in ("does not have many workers", "LeafSpec.*is deprecated", "Checkpoint directory.*exists and is not"):
        warnings.filterwarnings("ignore", f".*{message}.*")
    show_bar = not os.environ.get("TQDM_DISABLE")
    bar = [TQDMProgressBar(leave=False)] if show_bar else []
    hardware = {"devices": compute.devices, "num_nodes": compute.num_nodes, "strategy": compute.strategy}
    limits = {"max_epochs": epochs, "gradient_clip_val": gradient_clip, "precision": resolve(compute.precision)}
    quiet = {"logger": False, "enable_progress_bar": show_bar, "enable_model_summary": False, "num_sanity_val_steps": 0}
    return L.Trainer(callbacks=[*callbacks, *bar], use_distributed_sampler=False, **hardware, **limits, **quiet)
