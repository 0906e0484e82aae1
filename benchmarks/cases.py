"""What the benchmark measures, one function a question; both sides of every ratio run side by side on the same input.

Weights are random and proteins are drawn with the lengths of DeepLoc 2.0, because neither changes the time.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import EsmModel

from benchmarks.released import THRESHOLDS, ReleasedClassifier, padded_batches
from halo_utils.core.devices import autocast, has_bf16_units
from halo_utils.embeddings.esm2 import esm2_config, pad
from halo_utils.evaluation.thresholds import threshold_sweep
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.training.batching import BudgetBatchSampler, ProteinBatch, logits_of
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins

MEDIAN, MEAN, LONGEST = 433, 557, 1022  # residues in DeepLoc 2.0; longer ones are cut
K = 10
EPOCHS = 10
VALIDATION_SHARE = 5696 / 17145  # of the training proteins, DeepLoc 2.0
SHAPES = {"8M": (6, 320, 20), "150M": (30, 640, 20), "650M": (33, 1280, 20)}


@dataclass(frozen=True)
class Row:
    """One measured value."""

    case: str
    quantity: str
    value: float
    unit: str
    note: str = ""


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 1, warm: bool = True) -> float:
    """Return the shortest wall time of ``work``, after one run to warm up."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    times = []
    for i in range(repeats + warm):
        wait()
        start = time.perf_counter()
        work()
        wait()
        if i >= warm:
            times.append(time.perf_counter() - start)
    return min(times)


def draw_lengths(count: int, seed: int) -> np.ndarray:
    """Return residues per protein, [B] int64, log-normal with DeepLoc's median and mean, at most 1,022."""
    spread = math.sqrt(2 * math.log(MEAN / MEDIAN))
    drawn = np.random.default_rng(seed).lognormal(math.log(MEDIAN), spread, count)
    return np.clip(drawn.astype(int), 30, LONGEST)


def draw_tokens(lengths: np.ndarray, seed: int) -> list[Tensor]:
    """Return one [L + 2] int64 token tensor per length."""
    rng = np.random.default_rng(seed)
    return [torch.tensor([0, *rng.integers(4, 24, n), 2]) for n in lengths]


def backbone(shape: tuple[int, int, int], attention: str, device: torch.device) -> EsmModel:
    """Return an ESM-2 of (layers, width, heads) with random weights."""
    torch.manual_seed(0)
    model = EsmModel(esm2_config(*shape), add_pooling_layer=False).eval()
    model.set_attn_implementation(attention)
    return model.to(device)


def batches(tokens: list[Tensor], budget: int, trunk: list[Tensor] | None = None) -> list[ProteinBatch]:
    """Return batches, short proteins first, with random labels."""
    labels = np.random.default_rng(0).integers(0, 2, (len(tokens), K))
    dataset = ProteinDataset([str(i) for i in range(len(tokens))], tokens, labels)
    found = []
    for part in BudgetBatchSampler(dataset.lengths, budget, shuffle=False).batches:
        batch = collate_proteins([dataset[i] for i in part])
        if trunk is not None:
            batch.tokens = pad([trunk[i] for i in part])[0]
        found.append(batch)
    return found


def finetuning(device: torch.device, shape: str = "8M", proteins: int = 48, budget: int = 4096) -> list[Row]:
    """Fine-tuning for ten epochs with validation and threshold sweep, per 1,000 training proteins of DeepLoc 2.0."""
    held = round(proteins * VALIDATION_SHARE)
    tokens = draw_tokens(draw_lengths(proteins + held, 1), 1)
    classifier = EsmClassifier(backbone(SHAPES[shape], "sdpa", device), K, 2).to(device)
    loss, optimizer = FocalLoss(), torch.optim.AdamW(classifier.encoder.top.parameters(), lr=1e-5)
    trunk: list[Tensor] = []

    def cache() -> None:
        trunk.clear()
        with torch.inference_mode(), autocast("auto"):
            for batch in batches(tokens, budget):
                batch = batch.to(device)
                states = classifier.encoder.trunk_states(batch.tokens, batch.token_mask).float()
                trunk.extend(rows[mask].clone() for rows, mask in zip(states, batch.token_mask, strict=True))

    def train() -> None:
        for batch in train_batches:
            with autocast("auto"):
                value = loss(logits_of(classifier, batch.to(device)).float(), batch.y.to(device))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    def validate() -> None:
        with torch.inference_mode(), autocast("auto"):
            prob = torch.cat([logits_of(classifier, b.to(device)).float().sigmoid().cpu() for b in val_batches]).numpy()
        threshold_sweep(np.concatenate([b.y.numpy() for b in val_batches]), prob)

    once = seconds(cache, device)
    order = np.argsort([len(t) for t in tokens], kind="stable")  # the order of the batches, and of the cache
    cached, held_out = {int(i): t for i, t in zip(order, trunk, strict=True)}, list(range(proteins, proteins + held))
    train_batches = batches(tokens[:proteins], budget, [cached[i].clone() for i in range(proteins)])
    val_batches = batches(tokens[proteins:], budget, [cached[i].clone() for i in held_out])
    ours_train, ours_val = seconds(train, device), seconds(validate, device)
    theirs_train, theirs_val = _released_finetuning(device, shape, tokens, held)
    per_thousand = 1000 / proteins
    ours = (once + EPOCHS * (ours_train + ours_val)) * per_thousand
    theirs = EPOCHS * (theirs_train * proteins + THRESHOLDS * theirs_val * held) * per_thousand
    note = f"{shape} shape, per 1,000 training proteins, {EPOCHS} epochs extrapolated from one"
    mixed = "frozen trunk computed once, packed encoder, sorting, batch size, one pass for all thresholds"
    return [
        Row("fine-tuning", "ours", ours, "s", note),
        Row("fine-tuning", "released protocol", theirs, "s", note),
        Row("fine-tuning", "ratio", theirs / ours, "times", f"{mixed}{', precision' if has_bf16_units() else ''}"),
        Row("fine-tuning", "trunk, once", once / len(tokens), "s per protein"),
        Row("fine-tuning", "training", ours_train / proteins, "s per protein", f"released {theirs_train:.3f}"),
        Row("fine-tuning", "evaluation", ours_val / held, "s per protein", f"released {theirs_val:.3f} per threshold"),
    ]


def _released_finetuning(device: torch.device, shape: str, tokens: list[Tensor], held: int) -> tuple[float, float]:
    """Return seconds per training protein and per protein of one evaluation pass, the released way."""
    model = ReleasedClassifier(backbone(SHAPES[shape], "sdpa", device), K).to(device)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer, loss = torch.optim.AdamW(learning, lr=1e-5), FocalLoss()
    ids = padded_batches(tokens[: 2 * 8])
    y = torch.ones(8, K, device=device)

    def train() -> None:
        for matrix in ids:
            optimizer.zero_grad()
            loss(model(matrix.to(device)), y).backward()
            optimizer.step()

    def evaluate() -> None:
        with torch.no_grad():
            model(ids[0].to(device))

    return seconds(train, device) / (2 * 8), seconds(evaluate, device) / 8


def precision(device: torch.device, shape: str = "8M", proteins: int = 24) -> list[Row]:
    """How far bf16 moves probabilities."""
    tokens = draw_tokens(draw_lengths(proteins, 4), 4)
    classifier = EsmClassifier(backbone(SHAPES[shape], "sdpa", device), K, 2).to(device).eval()
    nn.init.normal_(classifier.head.weight, std=0.3)

    def probabilities(enabled: bool) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
            return torch.cat([logits_of(classifier, b.to(device)).float().sigmoid() for b in batches(tokens, 4096)])

    difference = (probabilities(True) - probabilities(False)).abs()
    return [
        Row("bf16", "largest difference of a probability", float(difference.max()), "", f"{proteins} proteins"),
        Row("bf16", "mean difference of a probability", float(difference.mean()), "", f"{proteins} proteins"),
    ]
