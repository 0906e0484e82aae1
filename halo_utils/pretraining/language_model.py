"""Masked-language modelling with ESM-2: the network on packed crops, and its Lightning module."""

import math
import time
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import EsmForMaskedLM, get_linear_schedule_with_warmup

from halo_utils.core.errors import TrainingError
from halo_utils.embeddings.packed_encoder import PackedEncoder
from halo_utils.pretraining.masking import MaskedBatch
from halo_utils.profile import PretrainSettings


class MaskedLanguageModel(nn.Module):
    """An ESM-2 that predicts the picked tokens of packed crops; it trains the given model's own modules."""

    def __init__(self, model: EsmForMaskedLM) -> None:
        super().__init__()
        self.encoder = PackedEncoder(model.esm, 0, len(model.esm.encoder.layer))
        self.head = model.lm_head

    def forward(self, batch: MaskedBatch) -> Tensor:
        """Return logits of the picked tokens, [M, 33]; the others never pass through the head."""
        return self.head(self.encoder.packed(batch.tokens, batch.lengths)[batch.picked])


class Pretrainer(L.LightningModule):
    """Trains a masked-language model in rounds; every checkpoint holds the numbers of the rounds before it."""

    def __init__(self, model: MaskedLanguageModel, settings: PretrainSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        self.rows: list[dict[str, float]] = []  # one per round
        self.tokens_seen, self.seconds = 0, 0.0
        self._sums = torch.zeros(3, dtype=torch.float64)  # loss, right answers, answers

    def on_train_epoch_start(self) -> None:
        """Start the clock of a round."""
        self._clock = time.perf_counter()

    def training_step(self, batch: MaskedBatch, index: int) -> Tensor:
        """Return the loss of a batch; stops the run at the first loss that is not a number."""
        loss = F.cross_entropy(self.model(batch).float(), batch.target)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"pre-training: loss is {loss.item()} in step {self.global_step}: lower pretrain.learning_rate of the"
                " profile; the rounds before are kept"
            )
        self.tokens_seen += len(batch.tokens) * self.trainer.world_size
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.target), sync_dist=True)
        return loss

    def validation_step(self, batch: MaskedBatch, index: int) -> None:
        """Add up loss and right answers; perplexity needs all held-out proteins."""
        logits = self.model(batch).float()
        loss = F.cross_entropy(logits, batch.target, reduction="sum")
        right = (logits.argmax(dim=1) == batch.target).sum()
        self._sums += torch.stack([loss, right, torch.tensor(len(batch.target))]).double().cpu()

    def on_train_epoch_end(self) -> None:
        """Add the row of a round: perplexity and accuracy of the held-out proteins, tokens and seconds so far."""
        loss, right, answers = self._sums.tolist()
        self._sums.zero_()
        self.seconds += time.perf_counter() - self._clock
        number, mean = self.current_epoch + 1, loss / answers
        row = {"epoch": number, "train_loss": float(self.trainer.callback_metrics["train_loss"]), "val_loss": mean}
        row |= {"val_perplexity": math.exp(mean), "val_accuracy": right / answers, "round": number}
        row |= {"tokens": self.tokens_seen, "seconds": self.seconds}
        self.rows.append(row | {"learning_rate": self.optimizers().param_groups[0]["lr"]})

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW under warm-up and linear decay; matrices decay, biases and norms do not."""
        group = self.settings
        weights = [
            {"params": [p for p in self.parameters() if p.ndim > 1], "weight_decay": group.weight_decay},
            {"params": [p for p in self.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(weights, lr=group.learning_rate, betas=(0.9, 0.98))  # as ESM-2
        steps = group.rounds * group.steps_per_round
        schedule = get_linear_schedule_with_warmup(optimizer, group.warmup_steps, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the rounds so far."""
        checkpoint["rounds"] = self.rows

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self.rows = checkpoint["rounds"]
        self.tokens_seen, self.seconds = self.rows[-1]["tokens"], self.rows[-1]["seconds"]
