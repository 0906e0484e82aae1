"""The Lightning module of every classifier."""

from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import get_linear_schedule_with_warmup

from halo_utils.core.errors import TrainingError
from halo_utils.evaluation.thresholds import best_threshold, threshold_sweep
from halo_utils.models.losses import FocalLoss
from halo_utils.training.batching import gather_rows, logits_of, names_of, share_of_step

WARMUP = 0.05  # share of the steps of a linear schedule in which the rate rises
PLATEAU = (3, 0.5)  # epochs without a lower validation loss, and what the rate is then multiplied by


class LocationModule(L.LightningModule):
    """Trains a model that maps a batch with ``.y`` [B, K] to logits [B, K], with learnable thresholds of the loss.

    Schedule ``plateau``, (patience in epochs, factor), lowers the rate where the validation loss stalls; ``linear``
    raises it at first and then lowers it to zero; ``rates`` holds attributes of the model with a rate of their own.
    """

    # Checkpoints leave frozen weights out (see state_dict), so loading cannot be strict.
    strict_loading = False

    def __init__(
        self,
        model: nn.Module,
        loss: FocalLoss,
        learning_rate: float,
        weight_decay: float = 0.01,
        schedule: str | None = None,
        plateau: tuple[int, float] = PLATEAU,
        rates: dict[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.schedule, self.plateau, self.rates, self.seed = schedule, plateau, rates or {}, seed
        self.rows: list[dict[str, float]] = []  # one per epoch
        self._validation: list[tuple[Tensor, Tensor]] = []
        self._scheduler: ReduceLROnPlateau | None = None
        self._scheduler_state: dict[str, Any] | None = None

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return trainable weights and buffers; a frozen trunk is not stored once per epoch."""
        frozen = {name for name, p in self.named_parameters() if not p.requires_grad}
        return {k: v for k, v in super().state_dict(*args, **kwargs).items() if k not in frozen}

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Return the loss of a batch; stops the run at the first loss that is not a number."""
        # Dropout is a function of seed, epoch and batch, so that a resumed run repeats it. Once per epoch would not do:
        # a loader draws from the same generator, at another moment in the first epoch after a start than in others.
        stream = np.random.SeedSequence([self.seed, self.current_epoch, index, self.global_rank])
        torch.manual_seed(int(stream.generate_state(1)[0]))
        loss = self.loss(logits_of(self.model, batch), batch.y)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"loss is {loss.item()} in batch {index} ({', '.join(names_of(batch)[:8])}): lower the learning rate of"
                " the profile; the epochs before are kept"
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.y), sync_dist=True)
        return loss * share_of_step(len(batch.y), loss.device)

    def validation_step(self, batch: Any, index: int) -> None:
        """Collect logits; the metrics need the whole split."""
        self._validation.append((logits_of(self.model, batch).float(), batch.y))

    def on_validation_epoch_end(self) -> None:
        """Log loss and the best macro F1 over the threshold sweep."""
        logits, y = (gather_rows(torch.cat(rows)).cpu() for rows in zip(*self._validation, strict=True))
        self._validation.clear()
        loss = self.loss.cpu()
        sweep = threshold_sweep(y.numpy(), loss.probability(logits).numpy())
        self.log("val_loss", loss(logits, y))
        self.log("val_macro_f1", float(sweep["macro_f1"].max()))
        self.log("val_threshold", best_threshold(sweep))
        self.loss.to(self.device)

    def configure_optimizers(self) -> Any:
        """AdamW over what learns, with the schedule asked for."""
        optimizer = torch.optim.AdamW(self._groups(), weight_decay=self.weight_decay, fused=True)
        if self.schedule == "linear":
            steps = int(self.trainer.estimated_stepping_batches)
            linear = get_linear_schedule_with_warmup(optimizer, round(WARMUP * steps), steps)
            return [optimizer], [{"scheduler": linear, "interval": "step"}]
        if self.schedule == "plateau":
            patience, factor = self.plateau
            self._scheduler = ReduceLROnPlateau(optimizer, patience=patience, factor=factor)
            if self._scheduler_state is not None:
                self._scheduler.load_state_dict(self._scheduler_state)
        return optimizer

    def _groups(self) -> list[dict[str, Any]]:
        """Return the weights that learn, those of one learning rate together; the model's own rate comes first."""
        groups: dict[float, list[nn.Parameter]] = {self.learning_rate: []}
        for name, weight in self.named_parameters():
            rate = next((r for attribute, r in self.rates.items() if attribute in name.split(".")), self.learning_rate)
            if weight.requires_grad:
                groups.setdefault(rate, []).append(weight)
        return [{"params": weights, "lr": rate} for rate, weights in groups.items() if weights]

    # The plateau is stepped here and not by Lightning, which steps it after the checkpoint is written: a run resumed
    # from that checkpoint would be one step behind.
    def on_train_epoch_end(self) -> None:
        """Keep the numbers of the epoch; lower the learning rate where the validation loss has stalled."""
        values = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.rows.append({"epoch": self.current_epoch + 1, **values, "learning_rate": rate})
        if self._scheduler is not None:
            self._scheduler.step(values["val_loss"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the epochs so far and what the plateau has seen."""
        checkpoint["rows"], checkpoint["plateau"] = self.rows, self._scheduler.state_dict() if self._scheduler else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back; the scheduler itself is made later."""
        self.rows, self._scheduler_state = checkpoint["rows"], checkpoint["plateau"]
