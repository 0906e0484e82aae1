"""Pre-training of a small ESM-2 of our own: ``python -m halo_utils pretrain --profile mini``.

It goes on from its last round when called again; ``--ship FOLDER`` writes the result as a Hugging Face directory.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from transformers import EsmForMaskedLM

from halo_utils.config import Settings, load_settings
from halo_utils.core.devices import compiles, resolve
from halo_utils.core.errors import DataError, HaloError
from halo_utils.core.files import digest, sha256, storage_errors, write_csv, write_json, write_text
from halo_utils.core.locks import locked
from halo_utils.core.machine import commit, hardware
from halo_utils.core.paths import shown
from halo_utils.data.registry import locate
from halo_utils.data.synthetic.proteome import make_proteome
from halo_utils.embeddings import packed_encoder
from halo_utils.embeddings.esm2 import esm2_config
from halo_utils.pretraining import masking
from halo_utils.pretraining.corpus import FACTS, HELD_OUT, TRAIN, Corpus, open_corpus
from halo_utils.pretraining.language_model import MaskedLanguageModel, Pretrainer
from halo_utils.pretraining.masking import MaskedDataset, training_loader, validation_loader
from halo_utils.pretraining.model_card import ship
from halo_utils.training.checkpoints import CHECKPOINT, interruptible, memory_errors, newest_checkpoint, read_checkpoint
from halo_utils.training.fit import make_trainer
from halo_utils.training.lightning_module import History

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Pretrained:
    """What pre-training leaves behind.

    Attributes:
        model: the trained network, float32, in evaluation mode.
        history: one row per round: losses, perplexity, accuracy, tokens, seconds.
        facts: everything the model card says.
        corpus: what it was trained on.
    """

    model: EsmForMaskedLM
    history: pd.DataFrame
    facts: dict[str, Any]
    corpus: Corpus


def pretrain(settings: Settings, start: Path | None = None) -> Pretrained:
    """Train a masked-language model as the profile's block ``pretrain`` says, or go on where it stopped.

    Args:
        settings: the profile.
        start: directory of an earlier model whose weights to start from, such as one that ``ship`` wrote; None for
            random weights.

    Raises:
        DataError: if a file of the corpus is not readable, or ``start`` is not a model of the profile's shape.
        TrainingError: if the loss is not a number or the memory does not suffice.
        BusyError: if another process trains into the same folder.
    """
    own, folder = settings.pretrain, settings.paths.make().work / "pretrain"
    folder.mkdir(exist_ok=True)
    L.seed_everything(settings.seed, verbose=False)
    with locked(folder / ".lock", f"pre-training in {shown(folder)}"), storage_errors(folder):
        corpus = open_corpus(_files(settings, folder), folder, own.held_out, settings.seed)
        origin = [sha256(start / WEIGHTS)] if start and (start / WEIGHTS).is_file() else []
        key = digest(own.model_dump(), settings.seed, corpus.store.content, *origin)
        checkpoints = folder / key
        model = earlier_model(settings, start) if start else new_model(settings)
        module = Pretrainer(MaskedLanguageModel(model), own)
        module.model.encoder.compiled = compiles(settings.compute.compile)
        rows = _train(module, corpus, settings, checkpoints)
    history = pd.DataFrame(rows)
    write_csv(folder / "history.csv", history)
    facts = _facts(settings, model, corpus, history) | {"compiled": module.model.encoder.compiled}
    facts |= {"started_from": _origin(start)} if start else {}
    write_json(folder / "facts.json", facts)
    return Pretrained(model.eval().requires_grad_(False), history, facts, corpus)


def new_model(settings: Settings) -> EsmForMaskedLM:
    """Return the network with random weights, drawn from the profile's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return EsmForMaskedLM(esm2_config(**settings.pretrain.shape.model_dump()))


def earlier_model(settings: Settings, folder: Path) -> EsmForMaskedLM:
    """Return the model of a directory in float32.

    Raises:
        DataError: if it is not there or has another shape than the profile says.
    """
    if not (folder / WEIGHTS).is_file():
        raise DataError(f"{shown(folder)} holds no {WEIGHTS}: name a directory that --ship wrote")
    model = EsmForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    own, shape = model.config, settings.pretrain.shape
    found = (own.num_hidden_layers, own.hidden_size, own.num_attention_heads)
    if found != (shape.layers, shape.width, shape.heads):
        raise DataError(
            f"{shown(folder)} has {found[0]} layers, {found[1]} wide, {found[2]} heads: set pretrain.shape of the"
            " profile to that, or start from another model"
        )
    return model


def _origin(folder: Path) -> dict[str, Any]:
    """Return what is known about the model a training started from."""
    path = folder / FACTS
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known = {name: facts[name] for name in ("tokens", "perplexity", "commit") if name in facts}
    return {"name": folder.name, **known, "sha256": sha256(folder / WEIGHTS)}


def _files(settings: Settings, folder: Path) -> list[Path]:
    """Return the FASTA files of the corpus; the synthetic proteome is written to one where none is named."""
    if settings.pretrain.files:
        return [locate(name) for name in settings.pretrain.files]
    table, _ = make_proteome(settings.data.synthetic_proteins, settings.seed)
    records = (f">{row.accession}\n{row.sequence}\n" for row in table.itertuples())
    return [write_text(folder / "synthetic.fasta", "".join(records))]


def _loaders(corpus: Corpus, settings: Settings) -> tuple[Any, Any]:
    """Return the loaders of training and of the held-out proteins."""
    own, seed = settings.pretrain, settings.seed
    train = MaskedDataset(corpus.store, corpus.names(TRAIN), own.crop, seed)
    held_out = MaskedDataset(corpus.store, corpus.names(HELD_OUT), own.crop, seed)
    return (
        training_loader(train, own.tokens_per_batch, own.steps_per_round, seed, own.workers),
        validation_loader(held_out, own.tokens_per_batch),
    )


def _train(module: Pretrainer, corpus: Corpus, settings: Settings, folder: Path) -> list[dict[str, float]]:
    """Train to the last round, leave the last weights in the module, and return the history."""
    own = settings.pretrain
    saver = ModelCheckpoint(folder, CHECKPOINT, monitor="round", mode="max", save_top_k=2, enable_version_counter=False)
    last = newest_checkpoint(folder)
    state = read_checkpoint(last) if last else None
    rows = state["callbacks"]["History"]["rows"] if state else []
    if len(rows) < own.rounds:
        trainer = make_trainer(settings.compute, own.rounds, [History(rows), saver], gradient_clip=1.0)
        module.train()
        with memory_errors("pretrain.tokens_per_batch"), interruptible():
            trainer.fit(module, *_loaders(corpus, settings), ckpt_path=str(last) if last else None, weights_only=True)
        state = read_checkpoint(newest_checkpoint(folder))
    module.load_state_dict(state["state_dict"])
    module.cpu()
    return state["callbacks"]["History"]["rows"]


def unigram(corpus: Corpus, batches: Sequence[masking.MaskedBatch]) -> dict[str, float]:
    """Return perplexity and accuracy of predicting every picked residue from the training frequencies alone."""
    count = np.ones(packed_encoder.MASK + 1)  # one added, so that no residue has probability zero
    for name in corpus.names(TRAIN):
        count += np.bincount(corpus.store.rows(name)[:, 0], minlength=len(count))
    share = count / count.sum()
    target = torch.cat([batch.target for batch in batches]).numpy()
    return {
        "unigram_perplexity": float(np.exp(-np.log(share[target]).mean())),
        "unigram_accuracy": float((target == share.argmax()).mean()),
    }


def _facts(settings: Settings, model: EsmForMaskedLM, corpus: Corpus, history: pd.DataFrame) -> dict[str, Any]:
    """Return what the model card and the notebook tell about the run."""
    last = history.iloc[-1]
    _, held_out = _loaders(corpus, settings)
    return {
        "profile": settings.profile,
        "seed": settings.seed,
        "corpus": corpus.audit.to_dict("records"),
        "proteins_trained_on": len(corpus.names(TRAIN)),
        "proteins_held_out": len(corpus.names(HELD_OUT)),
        "relatives_left_out": len(corpus.store) - len(corpus.names(TRAIN)) - len(corpus.names(HELD_OUT)),
        "pretrain": settings.pretrain.model_dump(mode="json"),
        "precision": resolve(settings.compute.precision),
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": int(last["tokens"]),
        "seconds": round(float(last["seconds"])),
        "perplexity": round(float(last["val_perplexity"]), 3),
        "accuracy": round(float(last["val_accuracy"]), 4),
        **{name: round(value, 4) for name, value in unigram(corpus, list(held_out)).items()},
        "commit": commit(),
        "hardware": hardware(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Pre-train from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m halo_utils pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo", help="name or path of a profile; its block pretrain is used")
    parser.add_argument("--start", type=Path, help="go on from the weights of this directory, not from random ones")
    parser.add_argument("--ship", type=Path, help="write the model as a Hugging Face directory there")
    options = parser.parse_args(argv)
    try:
        done = pretrain(load_settings(options.profile), options.start)
        if options.ship:
            ship(done.model, done.history, done.facts, options.ship)
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again, it goes on from its last round", file=sys.stderr)
        return 130
    facts = done.facts
    print(f"perplexity {facts['perplexity']} (unigram {facts['unigram_perplexity']}) after {facts['tokens']:,} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
