"""A fine-tuned sequence model as a small directory, and predictions for any sequences with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from halo_utils.core.errors import DataError
from halo_utils.core.files import atomic_path, write_json
from halo_utils.core.paths import shown
from halo_utils.data.tables import check_protein
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import load_backbone, load_tokenizer, token_ids
from halo_utils.embeddings.truncation import truncate
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.esm_classifier import SequenceClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.profile import BackboneSettings, HeadSettings
from halo_utils.training.batching import SequenceDataset, collate_proteins, make_loader
from halo_utils.training.fit import Fit
from halo_utils.training.predict import inference
from halo_utils.training.sequence_data import BUDGET, SequenceStage, best_weights

WEIGHTS, FACTS = "classifier.safetensors", "classifier.json"


def export_classifier(stage: SequenceStage, result: Fit, threshold: Threshold, folder: Path) -> Path:
    """Write what fine-tuning has learned, in float16, with all that is needed to use it again.

    Args:
        stage: after ``finetune``.
        result: what ``finetune`` returned.
        threshold: of the labels, with the split it was chosen on.
        folder: directory to write ``classifier.safetensors`` and ``classifier.json`` into.
    """
    settings = stage.settings
    learned = {name: value.half() for name, value in best_weights(stage).items()}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(learned, temporary)
    facts = {
        "run": settings.run_name,
        "seed": settings.seed,
        "backbone": settings.backbone.model_dump(mode="json"),
        "head": settings.esm.head.model_dump(mode="json"),
        "tokens_per_batch": settings.esm.tokens_per_batch,
        "places": stage.places,
        "offset": result.module.loss.offset.tolist(),
        "threshold": threshold.value,
        "threshold_chosen_on": threshold.chosen_on,
    }
    write_json(folder / FACTS, facts)
    return folder


def load_classifier(folder: Path) -> tuple[SequenceClassifier, dict[str, Any]]:
    """Return a fine-tuned model in float32 and evaluation mode, and the facts beside its weights.

    Raises:
        DataError: if the directory is not one that ``export_classifier`` wrote.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        learned = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{shown(folder)}: {type(error).__name__} while reading {FACTS} and {WEIGHTS}; expected a directory that"
            " notebook 02 wrote (data/runs/<run>/classifier)"
        ) from error
    block = BackboneSettings.model_validate(facts["backbone"])
    head = HeadSettings.model_validate(facts["head"])
    backbone = load_backbone(block, facts["seed"])
    model = SequenceClassifier(backbone, len(facts["places"]), block.trainable_layers, head)
    unexpected = model.load_state_dict(learned, strict=False).unexpected_keys
    if unexpected:
        raise DataError(f"{shown(folder)}: {unexpected[0]} is no weight of the model that {FACTS} describes")
    return model.eval().requires_grad_(False), facts


def locate_proteins(folder: Path, sequences: dict[str, str]) -> pd.DataFrame:
    """Predict the locations of proteins with a fine-tuned sequence model.

    Args:
        folder: directory of the model.
        sequences: name -> sequence of residues.

    Returns:
        One row per protein, in the given order: accession, a probability per location, and ``predicted``, the
        locations at or above the model's threshold joined by ``; ``.

    Raises:
        DataError: if a name or sequence is not valid, or the directory is not a model.
    """
    for name, residues in sequences.items():
        check_protein("sequences", name, residues)
    model, facts = load_classifier(folder)
    block, places = BackboneSettings.model_validate(facts["backbone"]), facts["places"]
    read = [truncate(s, block.max_tokens, block.truncation) for s in sequences.values()]
    tokens = token_ids(read, load_tokenizer(block))
    whole = np.stack([composition(s) for s in sequences.values()])
    dataset = SequenceDataset(list(sequences), tokens, np.zeros((len(tokens), len(places))), None, whole)
    loader, rows = make_loader(dataset, facts["tokens_per_batch"], collate_proteins), []
    loss = FocalLoss(offset=torch.tensor(facts["offset"]))  # what training added to the logits belongs to them
    for batch, logits in inference(loader, model, "32-true", "predict", BUDGET):
        rows += zip(batch.accessions, loss.probability(logits).cpu().tolist(), strict=True)
    found = pd.DataFrame(dict(rows), index=places).T.loc[list(sequences)].rename_axis("accession")
    chosen = [[p for p in places if row[p] >= facts["threshold"]] for _, row in found.iterrows()]
    return found.assign(predicted=["; ".join(row) for row in chosen]).reset_index()
