"""The trainings of the sensitivity study: one choice of the design at a time, everything else as the profile says."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.datasets import DATASETS
from halo_utils.data.splits import stratified_subset
from halo_utils.embeddings.esm2 import load_esm2
from halo_utils.evaluation.test_sets import EvaluationSet, restrict
from halo_utils.models.gat import Weights
from halo_utils.models.lora import adapt
from halo_utils.runs.recipe import (
    backbone_arguments,
    encoder_of,
    fit_sequence_model,
    graph_data,
    sequence_data,
    sequence_model,
    train_gat,
)
from halo_utils.structures.edges import edges_by_rule
from halo_utils.training.embed import cache_trunk
from halo_utils.training.encoded_graphs import EncodedGraphs
from halo_utils.training.predict import predict

EMBEDDING_ONLY: Weights = (0.0, 1.0, 0.0)
PAPER_WEIGHTS: Weights = (0.5, 1.0, 0.5)  # of coordinates, embedding and biochemistry; the released checkpoint's name
LOW_RANK = "low rank"
TURNED = "in 10 angstrom, turned"  # at random in training, see ``RandomFrame``


def few_of(view: EvaluationSet, proteins: int, seed: int) -> EvaluationSet:
    """Return ``proteins`` (0: all) of a set, drawn at random."""
    if not proteins or proteins >= len(view.y):
        return view
    drawn = np.random.default_rng([seed, 70]).permutation(len(view.y))[:proteins]
    return restrict(view, np.isin(np.arange(len(view.y)), drawn), f"{proteins} proteins")


def study_table(
    settings: Settings, table: pd.DataFrame, view: EvaluationSet, proteins: int, keep: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return ``proteins`` (0: all) to train and validate with, drawn by split and label set, and those of ``view``.

    ``keep`` are the accessions that may be taken at all, such as those with coordinates. The split of the proteins of
    ``view`` stays; whoever is in neither is left out.
    """
    allowed = table if keep is None else table[table["accession"].isin(set(keep))]
    learning = allowed[allowed["split"].isin(["train", "val"])].reset_index(drop=True)
    chosen, _ = stratified_subset(learning, DATASETS[settings.data.dataset].locations, proteins, settings.seed)
    tested = table[table["accession"].isin(view.accessions)]
    return pd.concat([chosen, tested], ignore_index=True)


def at(settings: Settings, seed: int, **groups: dict) -> Settings:
    """Return settings with another seed and other values in groups, such as ``gat={"epochs": 2}``."""
    changed = {name: getattr(settings, name).model_copy(update=values) for name, values in groups.items()}
    compute = settings.compute.model_copy(update={"compile": False})  # short trainings; adapted layers are other code
    return settings.model_copy(update={"seed": seed, "compute": compute} | changed)


def _short(settings: Settings, epochs: int) -> dict[str, int | None]:
    """Return epochs and steps of a graph network with the profile's steps per epoch; all of them where it is 0."""
    gat, epochs = settings.gat, epochs or settings.gat.epochs
    return {"epochs": epochs, "steps": gat.steps_per_epoch and gat.steps_per_epoch * epochs, "patience": epochs}


def train_edges(
    settings: Settings, table: pd.DataFrame, structures: ResidueStore, rule: str, seed: int, epochs: int = 0
) -> pd.DataFrame:
    """Return the predictions of a network on fine-tuned states whose edges follow a ``rule`` of ``edges_by_rule``."""
    own = at(settings, seed, gat=_short(settings, epochs))
    path = settings.paths.work / "sensitivity" / f"edges_{rule.replace(' ', '_')}.npy"
    edges = edges_by_rule(path, structures, list(table["accession"]), rule)
    data = graph_data(own, table, "finetuned", (structures, edges))
    return predict(train_gat(own, data, EMBEDDING_ONLY), data, own.compute.precision)


def train_encoding(
    settings: Settings,
    table: pd.DataFrame,
    stores: tuple[ResidueStore, ResidueStore],
    encoding: str,
    seed: int,
    epochs: int = 0,
) -> pd.DataFrame:
    """Return the predictions of a network with the paper's weights whose coordinates are one of ``ENCODINGS``."""
    turned = encoding == TURNED
    frame = {"coordinates": "scaled" if turned else "raw"}
    own = at(settings, seed, gat=_short(settings, epochs) | frame)
    name = "centred" if turned else encoding
    data = graph_data(own, table, "finetuned", stores, EncodedGraphs, encoding=name)
    return predict(train_gat(own, data, PAPER_WEIGHTS), data, own.compute.precision)


def train_layers(settings: Settings, table: pd.DataFrame, layers: str, seed: int, epochs: int = 0) -> pd.DataFrame:
    """Return the predictions of a sequence model whose last ``layers`` learn: a number, ``all``, or ``LOW_RANK``.

    With ``LOW_RANK`` every layer is frozen, and query and value learn a difference of rank 4.
    """
    whole = load_esm2(**backbone_arguments(at(settings, seed)))
    depth = len(whole.encoder.layer)
    count: int | str = depth if layers == LOW_RANK else layers if layers == "all" else int(layers)
    own = at(settings, seed, backbone={"trainable_layers": count}, esm={"epochs": epochs or settings.esm.epochs})
    data = sequence_data(own, table)
    model = sequence_model(own, whole, data)
    encoder = encoder_of(model)
    if layers == LOW_RANK:
        adapt(encoder.top)
    path = settings.paths.work / "sensitivity" / f"trunk_{layers}.npy"
    data.trunk = None if layers == LOW_RANK else cache_trunk(encoder, data, path, own.compute.precision)
    return predict(fit_sequence_model(own, model, data), data, own.compute.precision)


def train_truncated(
    settings: Settings, table: pd.DataFrame, policy: str, tokens: int, seed: int, epochs: int = 0
) -> pd.DataFrame:
    """Return the predictions of a sequence model that reads ``tokens`` of a protein: its head, or ``head_tail``.

    ``whole`` reads as much as the backbone can.
    """
    cut = {} if policy == "whole" else {"max_tokens": tokens, "truncation": policy}
    layers = str(settings.backbone.trainable_layers)
    return train_layers(at(settings, seed, backbone=cut), table, layers, seed, epochs)
