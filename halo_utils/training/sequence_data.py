"""Notebook 02's work: fine-tune the sequence model, predict, and embed every residue before and after."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from halo_utils.config import Settings
from halo_utils.core.devices import compiles, device, resolve
from halo_utils.core.errors import HaloError
from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.locations import locations
from halo_utils.data.splits import fingerprint, label_matrix
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import backbone_key, load_backbone, load_tokenizer, token_ids
from halo_utils.embeddings.truncation import SPECIAL_TOKENS, seen_sequences
from halo_utils.models.esm_classifier import ProteinBatch, SequenceClassifier, residues_of
from halo_utils.models.losses import FocalLoss, log_odds
from halo_utils.training.batching import SequenceDataset, collate_proteins, make_loader
from halo_utils.training.fit import WEIGHTS, Fit, fit
from halo_utils.training.lightning_module import Classifier
from halo_utils.training.predict import inference, predict

CACHE_VERSION = 1  # of what is kept between runs; raised by hand when a change here changes numbers
BUDGET = "esm.tokens_per_batch"
PRETRAINED, FINETUNED = "pretrained", "finetuned"  # names of the residue stores
WARMUP = 0.05  # share of the steps of a linear schedule
DISK_RESERVE = 0.9  # share of the free disk a trunk cache may take


@dataclass
class SequenceStage:
    """Everything the sequence model needs for one profile and table.

    Attributes:
        settings: the profile.
        table: dataset table.
        tokens: one [T] tensor per protein, table order.
        composition: [n, 61] float32 in table order, or None where the head does not read it.
        classifier: the model; fine-tuned in place by ``finetune``.
        trunk: cached output of the frozen trunk, or None when everything learns or the disk is short.
        backbone_key: digest of everything the states depend on, besides the weights that learn.
        pretrained_weights: digest of the weights that can learn, before any fine-tuning.
        key: digest of everything the fine-tuned weights depend on.
    """

    settings: Settings
    table: pd.DataFrame
    tokens: list[Tensor]
    composition: np.ndarray | None
    classifier: SequenceClassifier
    trunk: ResidueStore | None
    backbone_key: str
    pretrained_weights: str
    key: str

    @property
    def places(self) -> list[str]:
        """The K locations."""
        return list(locations(self.settings.data.dataset))

    def loader(self, rows: np.ndarray, *, shuffle: bool = False) -> DataLoader:
        """Return batches of the proteins at the given positions of the table."""
        part = self.table.iloc[rows]
        labels, tokens = label_matrix(part, self.places), [self.tokens[i] for i in rows]
        whole = None if self.composition is None else self.composition[rows]
        dataset = SequenceDataset(list(part["accession"]), tokens, labels, self.trunk, whole)
        budget, seed = self.settings.esm.tokens_per_batch, self.settings.seed
        return make_loader(dataset, budget, collate_proteins, shuffle=shuffle, seed=seed)

    def rows(self, *splits: str) -> np.ndarray:
        """Return the positions of the proteins in the named splits; without names, of all."""
        inside = self.table["split"].isin(splits) if splits else np.ones(len(self.table), dtype=bool)
        return np.flatnonzero(inside)


def prepare(settings: Settings, table: pd.DataFrame, report: Callable[[str], None] = print) -> SequenceStage:
    """Load backbone and tokens and cache the frozen trunk.

    Args:
        settings: the profile.
        table: dataset table.
        report: where to say what is cached or why not.
    """
    L.seed_everything(settings.seed, verbose=False)
    tokens = token_ids(
        seen_sequences(table["sequence"], settings.backbone.max_tokens, settings.backbone.truncation),
        load_tokenizer(settings.backbone),
    )
    classifier = _make_classifier(settings)
    identity = digest(
        backbone_key(settings.backbone, settings.seed),
        settings.backbone.model_dump(),
        resolve(settings.compute.precision),
        classifier.top.compiled,
        settings.esm.tokens_per_batch,  # the size of a batch changes the last bits of a state
        fingerprint(table),
        CACHE_VERSION,
    )
    whole = np.stack([composition(s) for s in table["sequence"]]) if settings.esm.head.composition else None
    key = digest(
        identity,
        settings.esm.model_dump(exclude={"compare_heads"}),
        settings.seed,
    )
    stage = SequenceStage(settings, table, tokens, whole, classifier, None, identity, weights_digest(classifier), key)
    if classifier.trunk_is_frozen and len(classifier.trunk.layers):
        stage.trunk = _cache_trunk(stage, identity, report)
    return stage


def _make_classifier(settings: Settings) -> SequenceClassifier:
    """Return the sequence model of a profile before any fine-tuning."""
    model = load_backbone(settings.backbone, settings.seed)
    k = len(locations(settings.data.dataset))
    classifier = SequenceClassifier(model, k, settings.backbone.trainable_layers, settings.esm.head)
    classifier.trunk.compiled = classifier.top.compiled = compiles(settings.compute)
    return classifier


def finetune(stage: SequenceStage) -> Fit:
    """Fine-tune the classifier on train, watch val, and leave it with the weights of its best epoch."""
    esm, settings = stage.settings.esm, stage.settings
    offset = esm.focal.balance * log_odds(label_matrix(stage.table.iloc[stage.rows("train")], stage.places))
    loss = FocalLoss(esm.focal.gamma, esm.focal.alpha, offset=offset)
    rates = {part: esm.head.learning_rate or esm.learning_rate for part in ("pooling", "head", "composition")}
    plateau = (esm.plateau_patience, esm.plateau_factor) if esm.schedule == "plateau" else None
    module = Classifier(
        stage.classifier,
        loss,
        esm.learning_rate,
        esm.weight_decay,
        plateau,
        warmup=None if plateau else WARMUP,
        seed=settings.seed,
        budget=BUDGET,
        rates=rates,
    )
    L.seed_everything(settings.seed, verbose=False)
    train, val = stage.loader(stage.rows("train"), shuffle=True), stage.loader(stage.rows("val"))
    folder = settings.paths.work / "esm" / stage.key
    return fit(module, train, val, folder, epochs=esm.epochs, compute=settings.compute, keep_every_epoch=True)


def best_weights(stage: SequenceStage) -> dict[str, Tensor]:
    """Return the weights that have learned, of the best epoch, float32; call it after ``finetune``."""
    stored = load_file(stage.settings.paths.work / "esm" / stage.key / WEIGHTS)
    return {name.removeprefix("model."): value for name, value in stored.items() if name.startswith("model.")}


def predict_held_out(stage: SequenceStage, result: Fit) -> pd.DataFrame:
    """Return probabilities of every protein outside train, with its split, in table order."""
    held_out = np.flatnonzero((stage.table["split"] != "train").to_numpy())
    found = predict(result.module, stage.loader(held_out), stage.places, stage.settings.compute)
    order = stage.table.iloc[held_out][["accession", "split"]]
    return order.merge(found, on="accession", validate="1:1")


def checkpoint_files(stage: SequenceStage) -> list[Path]:
    """Return the per-epoch checkpoints of the fine-tuning."""
    return sorted((stage.settings.paths.work / "esm" / stage.key / "checkpoints").glob("epoch=*.ckpt"))


def parameter_counts(model: torch.nn.Module) -> tuple[int, int]:
    """Return (all, trainable) parameters; call it before ``finetune``, which freezes everything at the end."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, learns in sizes if learns)


def weights_digest(classifier: SequenceClassifier) -> str:
    """Return 16 hex digits over the backbone's weights that can learn; they tell states before and after apart."""
    learning = [classifier.top] if classifier.trunk_is_frozen else [classifier.trunk, classifier.top]
    found = hashlib.sha256()
    for part in learning:
        for name, weight in part.state_dict().items():
            found.update(name.encode())
            found.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _cache_trunk(stage: SequenceStage, key: str, report: Callable[[str], None]) -> ResidueStore | None:
    """Return the store of the frozen trunk's output; None, with a message, where the disk is too small."""
    path = stage.settings.source.work / "trunk.npy"
    return store_of(path, key, lambda: _write_trunk(stage, path, key, report))


def _write_trunk(stage: SequenceStage, path: Path, key: str, report: Callable[[str], None]) -> ResidueStore | None:
    """Run the frozen trunk once over all proteins, if the disk has room."""
    settings, lengths = stage.settings, [len(t) for t in stage.tokens]
    width = stage.classifier.width
    dtype = "float32" if resolve(settings.compute.precision) == "32-true" else "float16"
    need, free = sum(lengths) * width * np.dtype(dtype).itemsize, shutil.disk_usage(settings.paths.work).free
    if need > DISK_RESERVE * free:
        report(f"trunk cache needs {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: the whole model runs instead")
        return None
    report(f"trunk cache: {need / 1e6:.0f} MB")
    rows = partial(_rows, stage, stage.classifier.trunk_states, strip=False)
    return write_store(path, key, list(stage.table["accession"]), lengths, width, rows, dtype)


def _rows(
    stage: SequenceStage, states: Callable[[ProteinBatch], Tensor], done: set[int], *, strip: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (table position, rows) for every protein that is not done; ``strip`` leaves special tokens out.

    Batches stay what they are without an interruption, because their size changes the last bits of a state.
    """
    position = {a: i for i, a in enumerate(stage.table["accession"])}
    loader = stage.loader(stage.rows())
    missing = [batch for batch in loader.batch_sampler.batches if not done.issuperset(batch)]
    loader = DataLoader(loader.dataset, batch_sampler=missing, collate_fn=collate_proteins)
    model = stage.classifier.eval().to(device())
    for batch, hidden in inference(loader, states, stage.settings.compute.precision, "embed", BUDGET):
        hidden = hidden.float().cpu()
        parts = residues_of(hidden, batch.lengths) if strip else hidden.split(batch.lengths)
        for name, values in zip(batch.accessions, parts, strict=True):
            if position[name] not in done:
                yield position[name], values.numpy()
    model.cpu()


def embed_residues(stage: SequenceStage, name: str) -> ResidueStore:
    """Write a model's last hidden states, one row per residue, into the residue store ``name``.

    The store's key is a digest of the weights, so cells may be run again in any order.

    Args:
        stage: before or after ``finetune``.
        name: ``pretrained`` for the states before fine-tuning, whenever it is called; ``finetuned`` for those after.

    Raises:
        HaloError: for ``finetuned`` before the model is.
    """
    path, weights = stage.settings.paths.work / f"{name}.npy", weights_digest(stage.classifier)
    if name == FINETUNED and weights == stage.pretrained_weights:
        raise HaloError("the model still has its pre-trained weights: call finetune before embedding as 'finetuned'")
    if name == PRETRAINED and weights != stage.pretrained_weights:
        stage, weights = replace(stage, classifier=_make_classifier(stage.settings)), stage.pretrained_weights
    key = digest(stage.backbone_key, weights)
    lengths = [len(t) - SPECIAL_TOKENS for t in stage.tokens]
    width = stage.classifier.width
    rows = partial(_rows, stage, stage.classifier.token_states, strip=True)
    names = list(stage.table["accession"])
    return store_of(path, key, lambda: write_store(path, key, names, lengths, width, rows))
