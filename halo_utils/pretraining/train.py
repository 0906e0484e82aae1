"""Pre-training of a small ESM-2 of our own; called again, it goes on from its last round."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader
from transformers import EsmForMaskedLM

from halo_utils.config import Settings
from halo_utils.core.devices import compiles, resolve
from halo_utils.core.errors import DataError
from halo_utils.core.files import digest, sha256, write_csv, write_json, write_text
from halo_utils.core.machine import commit, hardware
from halo_utils.core.paths import shown
from halo_utils.data.registry import locate
from halo_utils.data.synthetic.proteome import make_proteome
from halo_utils.embeddings.esm2 import VOCABULARY_SIZE, esm2_config
from halo_utils.pretraining.corpus import FACTS, HELD_OUT, LEFT_OUT, TRAIN, Corpus, open_corpus
from halo_utils.pretraining.language_model import MaskedLanguageModel, Pretrainer
from halo_utils.pretraining.masking import VALIDATION, MaskedBatch, MaskedDataset, RoundSampler
from halo_utils.training.batching import BudgetBatchSampler
from halo_utils.training.checkpoints import interruptible, memory_errors, read_checkpoint
from halo_utils.training.fit import make_trainer

CACHE_VERSION = 2  # of checkpoints; raised by hand when a change here changes numbers
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Pretrained:
    """The trained network, float32 in evaluation mode, one row per round, all that the card says, and the corpus."""

    model: EsmForMaskedLM
    history: pd.DataFrame
    facts: dict[str, Any]
    corpus: Corpus


def pretrain(settings: Settings, start: Path | None = None) -> Pretrained:
    """Train a masked-language model as the profile's group ``pretrain`` says, or go on where it stopped.

    ``start`` is the directory of an earlier model of the same shape whose weights to start from; without it, random.
    """
    group, folder = settings.pretrain, settings.paths.make().work / "pretrain"
    folder.mkdir(exist_ok=True)
    L.seed_everything(settings.seed, verbose=False)
    corpus = open_corpus(_files(settings, folder), folder, group.held_out, settings.seed)
    model = earlier_model(settings, start) if start else new_model(settings)
    origin = _origin(start) if start else {}
    key = digest(group.model_dump(), settings.seed, corpus.store.content, origin.get("sha256"), CACHE_VERSION)
    module = Pretrainer(MaskedLanguageModel(model), group)
    module.model.encoder.compiled = compiles(settings.compute.compile)
    history = pd.DataFrame(_train(module, corpus, settings, folder / key))
    write_csv(folder / "history.csv", history)
    facts = _facts(settings, model, corpus, history) | {"compiled": module.model.encoder.compiled}
    facts |= {"started_from": origin} if origin else {}
    write_json(folder / "facts.json", facts)
    return Pretrained(model.eval().requires_grad_(False), history, facts, corpus)


def new_model(settings: Settings) -> EsmForMaskedLM:
    """Return the network with random weights, drawn from the profile's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return EsmForMaskedLM(esm2_config(**settings.pretrain.shape.model_dump()))


def earlier_model(settings: Settings, folder: Path) -> EsmForMaskedLM:
    """Return the model of a directory in float32; DataError if it is not there or not of the profile's shape."""
    if not (folder / WEIGHTS).is_file():
        raise DataError(f"{shown(folder)} holds no {WEIGHTS}: name a directory that --ship wrote")
    model = EsmForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    config, shape = model.config, settings.pretrain.shape
    layers, width, heads = config.num_hidden_layers, config.hidden_size, config.num_attention_heads
    if (layers, width, heads) != (shape.layers, shape.width, shape.heads):
        raise DataError(
            f"{shown(folder)} has {layers} layers, {width} wide, {heads} heads: set pretrain.shape of the profile to"
            " that, or start from another model"
        )
    return model


def _origin(folder: Path) -> dict[str, Any]:
    """Return what is known about the model a training started from."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8")) if (folder / FACTS).is_file() else {}
    known = {name: facts[name] for name in ("tokens", "perplexity", "commit") if name in facts}
    return {"name": folder.name, **known, "sha256": sha256(folder / WEIGHTS)}


def _files(settings: Settings, folder: Path) -> list[Path]:
    """Return the FASTA files of the corpus; the synthetic proteome is written to one where none is named."""
    if settings.pretrain.files:
        return [locate(name) for name in settings.pretrain.files]
    table, _ = make_proteome(settings.data.synthetic_proteins, settings.seed)
    records = (f">{row.accession}\n{row.sequence}\n" for row in table.itertuples())
    return [write_text(folder / "synthetic.fasta", "".join(records))]


def _loaders(corpus: Corpus, settings: Settings) -> tuple[DataLoader, DataLoader]:
    group, seed = settings.pretrain, settings.seed
    train, held_out = (MaskedDataset(corpus.store, corpus.names(role), group.crop, seed) for role in (TRAIN, HELD_OUT))
    rounds = RoundSampler(train.lengths, group.tokens_per_batch, group.steps_per_round, seed)
    batches = BudgetBatchSampler(held_out.lengths, group.tokens_per_batch, shuffle=False).batches
    same = [(VALIDATION, positions) for positions in batches]  # of crops and masks, every time and in every process
    training = DataLoader(train, sampler=rounds, batch_size=None, num_workers=group.workers)
    return training, DataLoader(held_out, sampler=same, batch_size=None)


def _train(module: Pretrainer, corpus: Corpus, settings: Settings, folder: Path) -> list[dict[str, float]]:
    """Train to the last round, leave the last weights in the module, and return one row per round."""
    rounds, last = settings.pretrain.rounds, folder / "last.ckpt"
    resume = last if last.is_file() else None
    if resume is None or len(read_checkpoint(resume)["rounds"]) < rounds:
        saver = ModelCheckpoint(folder, save_top_k=0, save_last=True)
        trainer = make_trainer(settings.compute, rounds, [saver], gradient_clip=1.0)
        with memory_errors("pretrain.tokens_per_batch"), interruptible():
            trainer.fit(module.train(), *_loaders(corpus, settings), ckpt_path=resume, weights_only=True)
    state = read_checkpoint(last)
    module.load_state_dict(state["state_dict"])
    module.cpu()
    return state["rounds"]


def unigram(corpus: Corpus, batches: Iterable[MaskedBatch]) -> dict[str, float]:
    """Return perplexity and accuracy of predicting every picked residue from the training frequencies alone."""
    count = np.ones(VOCABULARY_SIZE)  # one added, so that no residue has probability zero
    for name in corpus.names(TRAIN):
        count += np.bincount(corpus.store.rows(name)[:, 0], minlength=len(count))
    share = count / count.sum()
    target = torch.cat([batch.target for batch in batches]).numpy()
    perplexity, accuracy = np.exp(-np.log(share[target]).mean()), (target == share.argmax()).mean()
    return {"unigram_perplexity": round(float(perplexity), 4), "unigram_accuracy": round(float(accuracy), 4)}


def _facts(settings: Settings, model: EsmForMaskedLM, corpus: Corpus, history: pd.DataFrame) -> dict[str, Any]:
    """Return what the model card and the notebook tell about the run."""
    last = history.iloc[-1]
    trained_on, held_out, left_out = (len(corpus.names(role)) for role in (TRAIN, HELD_OUT, LEFT_OUT))
    facts = {"profile": settings.profile, "seed": settings.seed, "corpus": corpus.audit.to_dict("records")}
    facts |= {"proteins_trained_on": trained_on, "proteins_held_out": held_out, "relatives_left_out": left_out}
    facts |= {"pretrain": settings.pretrain.model_dump(mode="json"), "precision": resolve(settings.compute.precision)}
    facts |= {"parameters": sum(p.numel() for p in model.parameters()), "tokens": int(last["tokens"])}
    facts |= {"seconds": round(float(last["seconds"])), "perplexity": round(float(last["val_perplexity"]), 3)}
    facts |= {"accuracy": round(float(last["val_accuracy"]), 4), **unigram(corpus, _loaders(corpus, settings)[1])}
    return facts | {"commit": commit(), "hardware": hardware()}
