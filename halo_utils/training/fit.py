"""Training with Lightning: a checkpoint per epoch, exact resume, the best epoch kept, damaged files made again."""

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

from halo_utils.core.devices import resolve
from halo_utils.core.errors import HaloError
from halo_utils.core.files import atomic_path, sha256, storage_errors, write_csv, write_json
from halo_utils.core.locks import locked
from halo_utils.core.paths import shown
from halo_utils.core.ranks import is_first, meet
from halo_utils.profile import ComputeSettings
from halo_utils.training.checkpoints import (
    CHECKPOINT,
    checkpoint_path,
    interruptible,
    memory_errors,
    read_checkpoint,
    resume_point,
)
from halo_utils.training.lightning_module import Classifier, History

WEIGHTS, HISTORY, DONE = "best.safetensors", "history.csv", "done.json"


@dataclass(frozen=True)
class Fit:
    """What training leaves behind.

    Attributes:
        module: the classifier with the weights of its best epoch, in evaluation mode.
        history: one row per epoch: losses, validation macro F1, learning rate.
        best_epoch: 1-based epoch with the highest validation macro F1.
    """

    module: Classifier
    history: pd.DataFrame
    best_epoch: int


def fit(
    module: Classifier,
    train: DataLoader,
    val: DataLoader,
    folder: Path,
    *,
    epochs: int,
    compute: ComputeSettings,
    patience: int | None = None,
    keep_every_epoch: bool = False,
) -> Fit:
    """Train, checkpoint every epoch, and return the weights of the best validation macro F1.

    A finished folder is read back; an unfinished one is resumed from its last whole epoch, with the same result as
    an undisturbed run; damaged files are made again. The caller names the folder by the content that made it, so
    nothing stale can be found there.

    Args:
        module: what to train; changed in place.
        train: training batches.
        val: validation batches; test data never come here.
        folder: where checkpoints, weights and history go.
        epochs: most epochs.
        compute: precision, devices, strategy.
        patience: epochs without a better validation macro F1 before stopping, or None to run them all.
        keep_every_epoch: keep a checkpoint per epoch after training; else only the best weights stay.

    Raises:
        TrainingError: if the loss is not a number or the memory does not suffice.
        BusyError: if another process trains into the same folder.
        StorageError: if the disk is full or read-only.
    """
    with locked(folder / ".lock", f"training in {shown(folder)}"), storage_errors(folder):
        finished = _is_finished(folder)
        meet()
        if not finished:
            with shared(train, val):
                _train(module, train, val, folder, epochs, compute, patience)
        if not keep_every_epoch and is_first():
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        meet()
    _load(module, folder / WEIGHTS)
    history = pd.read_csv(folder / HISTORY)
    return Fit(module.eval().requires_grad_(False), history, best_epoch(history))


def _is_finished(folder: Path) -> bool:
    """Return whether training has ended here and its files are as they were written."""
    try:
        written = json.loads((folder / DONE).read_text(encoding="utf-8"))
        damaged = [name for name, known in written.items() if sha256(folder / name) != known]
    except (OSError, ValueError):
        return False
    if damaged:
        print(f"{shown(folder)}: {', '.join(damaged)} damaged; made again from the checkpoints, or trained again")
    return not damaged


def _train(
    module: Classifier,
    train: DataLoader,
    val: DataLoader,
    folder: Path,
    epochs: int,
    compute: ComputeSettings,
    patience: int | None,
) -> None:
    """Run the trainer from the last whole epoch and write weights, history and their checksums."""
    checkpoints = folder / "checkpoints"
    last, rows = resume_point(checkpoints)
    history = History(rows)
    saver = ModelCheckpoint(checkpoints, CHECKPOINT, save_top_k=-1, enable_version_counter=False)
    callbacks: list[Callback] = [history, saver]
    if patience is not None:
        callbacks.append(EarlyStopping("val_macro_f1", mode="max", patience=patience))
    if not _is_enough(rows, epochs, patience):
        trainer = make_trainer(compute, epochs, callbacks)
        module.train()
        with memory_errors(module.budget), interruptible():
            trainer.fit(module, train, val, ckpt_path=str(last) if last else None, weights_only=True)
        module.trainer = None  # it holds the loaders, and with them the mapped files of every network trained so far
        meet()
        rows = resume_point(checkpoints)[1]  # where processes were spawned, this one has not seen the epochs
    if not is_first():
        return
    table = pd.DataFrame(rows)
    best = read_checkpoint(checkpoint_path(checkpoints, best_epoch(table) - 1))["state_dict"]
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file({k: v.contiguous().clone() for k, v in best.items()}, temporary)
    write_csv(folder / HISTORY, table)
    write_json(folder / DONE, {name: sha256(folder / name) for name in (WEIGHTS, HISTORY)})


@contextmanager
def shared(*loaders: DataLoader) -> Iterator[None]:
    """Let the processes that train together share the batches of these loaders; outside, each takes all of them."""
    for loader in loaders:
        loader.batch_sampler.shared = True
    try:
        yield
    finally:
        for loader in loaders:
            loader.batch_sampler.shared = False


def _is_enough(rows: list[dict[str, float]], epochs: int, patience: int | None) -> bool:
    """Return whether the epochs so far are all there will be: EarlyStopping forgets that it has stopped."""
    scores = [row["val_macro_f1"] for row in rows]
    waited = len(scores) - 1 - int(np.argmax(scores)) if scores else 0
    return len(rows) >= epochs or (patience is not None and bool(scores) and waited >= patience)


def best_epoch(history: pd.DataFrame) -> int:
    """Return the 1-based epoch with the highest validation macro F1, the first of equals."""
    return int(history.loc[history["val_macro_f1"].idxmax(), "epoch"])


def _load(module: Classifier, weights: Path) -> None:
    """Load trained weights; only frozen ones, which are not stored, may be missing."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    outcome = module.load_state_dict(load_file(weights), strict=False)
    strange = sorted((set(outcome.missing_keys) - frozen) | set(outcome.unexpected_keys))
    if strange:
        raise HaloError(f"{weights.name} does not fit the model ({strange[0]} ...): delete its folder and train again")


def make_trainer(
    compute: ComputeSettings, epochs: int, callbacks: list[Callback], gradient_clip: float | None = None
) -> L.Trainer:
    """Return a quiet Lightning trainer for the profile's hardware settings.

    Args:
        compute: precision, devices, strategy.
        epochs: most epochs.
        callbacks: besides the progress bar.
        gradient_clip: largest norm of a step's gradient, or None for no limit.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory.*exists and is not empty.*")
    show_bar = not os.environ.get("TQDM_DISABLE")
    return L.Trainer(
        max_epochs=epochs,
        gradient_clip_val=gradient_clip,
        precision=resolve(compute.precision),
        devices=compute.devices,
        num_nodes=compute.num_nodes,
        strategy=compute.strategy,
        callbacks=[*callbacks, TQDMProgressBar(leave=False)] if show_bar else callbacks,
        logger=False,
        enable_progress_bar=show_bar,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
