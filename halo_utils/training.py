"""Training with Lightning: one module for every classifier, checkpoints, exact resume, prediction."""

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from halo_utils.calibration import best_threshold, threshold_sweep
from halo_utils.errors import HaloError
from halo_utils.files import atomic_path, write_csv
from halo_utils.losses import FocalLoss
from halo_utils.settings import ComputeSettings


class Classifier(L.LightningModule):
    """Trains any model that maps a batch with ``.y`` [B, K] to logits [B, K].

    Args:
        model: the network.
        loss: focal loss; its learnable thresholds, where it has some, are trained along.
        learning_rate: AdamW learning rate.
        weight_decay: AdamW weight decay.
        plateau: (patience, factor) of ReduceLROnPlateau on the validation loss, or None.
    """

    # Checkpoints leave frozen weights out (see state_dict), so loading cannot be strict.
    strict_loading = False

    def __init__(
        self,
        model: nn.Module,
        loss: FocalLoss,
        learning_rate: float,
        weight_decay: float,
        plateau: tuple[int, float] | None = None,
    ) -> None:
        """Keep the parts."""
        super().__init__()
        self.model, self.loss = model, loss
        self.learning_rate, self.weight_decay, self.plateau = learning_rate, weight_decay, plateau
        self._validation: list[tuple[Tensor, Tensor]] = []

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return trainable weights and buffers; a frozen trunk is not stored once per epoch."""
        frozen = {name for name, p in self.named_parameters() if not p.requires_grad}
        return {k: v for k, v in super().state_dict(*args, **kwargs).items() if k not in frozen}

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Return the loss of a batch; stops the run at the first loss that is not a number."""
        loss = self.loss(self.model(batch), batch.y)
        if not torch.isfinite(loss):
            names = ", ".join(list(_names(batch))[:8])
            raise HaloError(f"loss is {loss.item()} in batch {index} ({names}): lower the learning rate of the profile")
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.y))
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        """Collect logits; the metrics need the whole split."""
        self._validation.append((self.model(batch).float().cpu(), batch.y.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log loss and the best macro F1 over the threshold sweep."""
        logits, y = (torch.cat(part) for part in zip(*self._validation, strict=True))
        self._validation.clear()
        loss = self.loss.cpu()
        prob = loss.probability(logits).numpy()
        sweep = threshold_sweep(y.numpy(), prob)
        self.log("val_loss", loss(logits, y))
        self.log("val_macro_f1", float(sweep["macro_f1"].max()))
        self.log("val_threshold", best_threshold(sweep))
        self.loss.to(self.device)

    def configure_optimizers(self) -> Any:
        """AdamW over what learns, with ReduceLROnPlateau where asked for."""
        learning = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=self.learning_rate, weight_decay=self.weight_decay)
        if self.plateau is None:
            return optimizer
        patience, factor = self.plateau
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience, factor=factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


def _names(batch: Any) -> Iterator[str]:
    """Yield the accessions of a batch, whichever kind it is."""
    yield from getattr(batch, "accessions", None) or batch.accession


class History(Callback):
    """Keeps one row of numbers per epoch and stores them in every checkpoint."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch that has just been validated."""
        values = {k: float(v) for k, v in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"epoch": trainer.current_epoch + 1, **values, "learning_rate": float(rate)})

    def state_dict(self) -> dict[str, Any]:
        """Return the rows for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of the epochs before an interruption."""
        self.rows = list(state_dict["rows"])


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

    A finished folder is read back; an unfinished one is resumed from its last checkpoint. The caller names the
    folder by the content that made it, so nothing stale can be found there.

    Args:
        module: what to train; changed in place.
        train: training batches.
        val: validation batches; test data never come here.
        folder: where checkpoints, weights and history go.
        epochs: most epochs.
        compute: precision, devices, strategy.
        patience: epochs without a better validation macro F1 before stopping, or None to run them all.
        keep_every_epoch: keep a checkpoint per epoch after training; else only the best weights stay.
    """
    weights, log = folder / "best.safetensors", folder / "history.csv"
    if not (weights.is_file() and log.is_file()):
        _train(module, train, val, folder, epochs, compute, patience)
        if not keep_every_epoch:
            shutil.rmtree(folder / "checkpoints")
    _load(module, weights)
    history = pd.read_csv(log)
    best = int(history.loc[history["val_macro_f1"].idxmax(), "epoch"])
    return Fit(module.eval().requires_grad_(False), history, best)


def _train(
    module: Classifier,
    train: DataLoader,
    val: DataLoader,
    folder: Path,
    epochs: int,
    compute: ComputeSettings,
    patience: int | None,
) -> None:
    """Run the trainer and write best.safetensors and history.csv."""
    history = History()
    saver = ModelCheckpoint(
        folder / "checkpoints",
        "{epoch:02d}",
        monitor="val_macro_f1",
        mode="max",
        save_top_k=-1,
        save_last=True,
    )
    callbacks: list[Callback] = [history, saver]
    if patience is not None:
        callbacks.append(EarlyStopping("val_macro_f1", mode="max", patience=patience))
    trainer = make_trainer(compute, epochs, callbacks)
    last = folder / "checkpoints" / "last.ckpt"
    module.train()
    trainer.fit(module, train, val, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt("training was interrupted: run the cell again to go on from its last epoch")
    best = torch.load(saver.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    with atomic_path(folder / "best.safetensors") as temporary:
        save_file({k: v.contiguous().clone() for k, v in best.items()}, temporary)
    write_csv(folder / "history.csv", pd.DataFrame(history.rows))


def _load(module: Classifier, weights: Path) -> None:
    """Load trained weights; only frozen ones, which are not stored, may be missing."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    outcome = module.load_state_dict(load_file(weights), strict=False)
    strange = sorted((set(outcome.missing_keys) - frozen) | set(outcome.unexpected_keys))
    if strange:
        raise HaloError(f"{weights.name} does not fit the model ({strange[0]} ...): delete its folder and train again")


def make_trainer(compute: ComputeSettings, epochs: int, callbacks: list[Callback]) -> L.Trainer:
    """Return a quiet Lightning trainer for the profile's hardware settings."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory.*exists and is not empty.*")
    show_bar = not os.environ.get("TQDM_DISABLE")
    return L.Trainer(
        max_epochs=epochs,
        precision=compute.precision,
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


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def inference(loader: DataLoader, step: Callable[[Any], Any], precision: str, label: str) -> Iterator[tuple[Any, Any]]:
    """Yield (batch, step(batch)) without gradients, on the device and in the precision of the profile."""
    where = device()
    autocast = torch.autocast(where.type, dtype=torch.bfloat16, enabled=precision == "bf16-mixed")
    with torch.inference_mode(), autocast:
        for batch in tqdm(loader, desc=label, leave=False):
            batch = batch.to(where)
            yield batch, step(batch)


def predict(module: Classifier, loader: DataLoader, places: list[str], compute: ComputeSettings) -> pd.DataFrame:
    """Return probabilities: ``accession`` and one float column per location, rows in loader order."""
    module = module.eval().to(device())
    names, probs = [], []
    for batch, logits in inference(loader, module.model, compute.precision, "predict"):
        names.extend(_names(batch))
        probs.append(module.loss.probability(logits).cpu().numpy())
    table = pd.DataFrame(np.concatenate(probs).astype(np.float64), columns=places)
    table.insert(0, "accession", names)
    module.cpu()
    return table
