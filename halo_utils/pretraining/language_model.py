"""Masked-language modelling with ESM-2: the network on packed crops, and its Lightning module."""

import math
import time
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import EsmForMaskedLM

from halo_utils.core.errors import TrainingError
from halo_utils.embeddings.packed_encoder import PackedEncoder
from halo_utils.pretraining.masking import MaskedBatch
from halo_utils.profile import PretrainSettings
from halo_utils.training.batching import ranks
from halo_utils.training.lightning_module import linear_schedule, scale_rates

BETAS = (0.9, 0.98)  # of AdamW, as ESM-2


class MaskedLanguageModel(nn.Module):
    """An ESM-2 that predicts the picked tokens of packed crops.

    Args:
        model: Hugging Face's model; its modules are taken over, so training changes it.
    """

    def __init__(self, model: EsmForMaskedLM) -> None:
        """Take over encoder and head."""
        super().__init__()
        self.encoder = PackedEncoder(model.esm, 0, len(model.esm.encoder.layer))
        self.head = model.lm_head

    def forward(self, batch: MaskedBatch) -> Tensor:
        """Return logits of the picked tokens, [M, 33]; the others never pass through the head."""
        return self.head(self.encoder(batch.tokens, batch.lengths)[batch.picked])


class Pretrainer(L.LightningModule):
    """Trains a masked-language model in rounds and counts tokens and seconds over interruptions.

    Args:
        model: the network.
        settings: block ``pretrain`` of the profile.
    """

    def __init__(self, model: MaskedLanguageModel, settings: PretrainSettings) -> None:
        """Keep the parts."""
        super().__init__()
        self.model, self.settings = model, settings
        self.tokens_seen, self.seconds = 0, 0.0
        self._sums = torch.zeros(3, dtype=torch.float64)  # loss, right answers, answers
        self._clock = time.perf_counter()

    def on_train_epoch_start(self) -> None:
        """Start the clock of a round."""
        self._clock = time.perf_counter()

    def training_step(self, batch: MaskedBatch, index: int) -> Tensor:
        """Return the loss of a batch; stops the run at the first loss that is not a number."""
        own = self.settings
        share = linear_schedule(self.global_step, own.warmup_steps, own.rounds * own.steps_per_round)
        scale_rates(self.optimizers(), share)
        loss = F.cross_entropy(self.model(batch).float(), batch.target)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"pre-training: loss is {loss.item()} in step {self.global_step}: lower pretrain.learning_rate of the"
                " profile; the rounds before are kept"
            )
        self.tokens_seen += len(batch.tokens) * ranks()[1]
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.target), sync_dist=True)
        return loss

    def validation_step(self, batch: MaskedBatch, index: int) -> None:
        """Add up loss and right answers; perplexity needs the whole held-out part."""
        logits = self.model(batch).float()
        loss = F.cross_entropy(logits, batch.target, reduction="sum")
        right = (logits.argmax(dim=1) == batch.target).sum()
        self._sums += torch.stack([loss, right, torch.tensor(len(batch.target))]).double().cpu()

    def on_validation_epoch_end(self) -> None:
        """Log perplexity and accuracy of the held-out proteins, tokens and seconds so far."""
        sums = self._sums.to(self.device)
        if ranks()[1] > 1:
            torch.distributed.all_reduce(sums)
        loss, right, answers = sums.tolist()
        self._sums.zero_()
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        values = {
            "val_loss": loss / answers,
            "val_perplexity": math.exp(loss / answers),
            "val_accuracy": right / answers,
        }
        counts = {"round": self.current_epoch + 1, "tokens": self.tokens_seen, "seconds": self.seconds}
        self.log_dict({name: torch.tensor(value, dtype=torch.float64) for name, value in {**values, **counts}.items()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; matrices decay, biases and norms do not."""
        matrices = [p for p in self.parameters() if p.ndim > 1]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": self.settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        rate = self.settings.learning_rate
        return torch.optim.AdamW([{**group, "highest": rate} for group in groups], lr=rate, betas=BETAS)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the counts."""
        checkpoint["counts"] = {"tokens": self.tokens_seen, "seconds": self.seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self.tokens_seen, self.seconds = checkpoint["counts"]["tokens"], checkpoint["counts"]["seconds"]
