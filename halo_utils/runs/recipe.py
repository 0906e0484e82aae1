"""How a profile is trained: the calls that notebooks 02 and 04 spell out, for the command line and for comparisons."""

from typing import Any

import lightning as L
import pandas as pd
from torch import nn
from transformers import EsmModel

from halo_utils.config import Settings
from halo_utils.core.devices import compiles
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.datasets import DATASETS
from halo_utils.data.splits import label_matrix, log_odds
from halo_utils.embeddings.esm2 import SplitEsm2, load_esm2
from halo_utils.models.coordinate_frame import RandomFrame
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.gat import GatClassifier, Weights
from halo_utils.models.losses import FocalLoss
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.models.region_classifier import RegionClassifier
from halo_utils.runs.artifacts import load_edges, load_embeddings, load_structures
from halo_utils.training.embed import cache_trunk, embed
from halo_utils.training.fit import Fit, fit
from halo_utils.training.graph_data import GraphData
from halo_utils.training.sequence_data import SequenceData


def backbone_arguments(settings: Settings) -> dict[str, Any]:
    """Return the arguments of ``load_esm2`` for the profile's backbone."""
    chosen = settings.backbone
    shape = chosen.random and chosen.random.model_dump()
    return {"source": chosen.source, "revision": chosen.revision, "shape": shape, "seed": settings.seed}


def sequence_model(settings: Settings, esm2: EsmModel, data: SequenceData) -> nn.Module:
    """Return the profile's sequence model before fine-tuning: the paper's, or ours for small backbones."""
    L.seed_everything(settings.seed, verbose=False)
    head, k, layers = settings.esm.head, len(data.locations), settings.backbone.trainable_layers
    if head.pooling == "attention":
        model: nn.Module = EsmClassifier(esm2, k, layers)
    else:
        model = RegionClassifier(esm2, k, layers, head.channels, head.hidden, head.dropout, head.composition)
    model.encoder.compiled = compiles(settings.compute.compile)
    return with_offset(model, settings.esm.focal.balance, data)


def with_offset(model: nn.Module, balance: float, data: Any) -> nn.Module:
    """Return a model whose logits start at a share of the locations' log-odds in train; unchanged where it is 0."""
    if not balance:
        return model
    train = data.table.iloc[data.rows("train")]
    return RarityOffset(model, balance * log_odds(label_matrix(train, data.locations)))


def sequence_data(settings: Settings, table: pd.DataFrame) -> SequenceData:
    """Return the proteins of a table as the profile's sequence model reads them."""
    return SequenceData(
        table,
        DATASETS[settings.data.dataset].locations,
        max_tokens=settings.backbone.max_tokens,
        truncation=settings.backbone.truncation,
        train_tokens=settings.esm.train_tokens,
        tokens_per_batch=settings.esm.tokens_per_batch,
        with_composition=settings.esm.head.composition > 0,
        seed=settings.seed,
    )


def pretrained_embeddings(settings: Settings, table: pd.DataFrame) -> ResidueStore:
    """Return the states of the profile's backbone as it is: notebook 02's of all proteins, or of the table's alone."""
    if (settings.source.work / "pretrained.npy").is_file():
        return load_embeddings(settings, "pretrained")
    encoder = SplitEsm2(load_esm2(**backbone_arguments(settings)), settings.backbone.trainable_layers)
    path = settings.paths.work / "gvp" / "pretrained.npy"
    return embed(encoder, sequence_data(settings, table), path, settings.compute.precision)


def encoder_of(model: nn.Module) -> SplitEsm2:
    """Return the encoder of a sequence model, with or without an offset."""
    return (model.model if isinstance(model, RarityOffset) else model).encoder


def train_sequence_model(settings: Settings, table: pd.DataFrame) -> tuple[SequenceData, Fit]:
    """Fine-tune the profile's sequence model, from data to the best epoch."""
    data = sequence_data(settings, table)
    model = sequence_model(settings, load_esm2(**backbone_arguments(settings)), data)
    data.trunk = cache_trunk(encoder_of(model), data, settings.source.work / "trunk.npy", settings.compute.precision)
    return data, fit_sequence_model(settings, model, data)


def fit_sequence_model(settings: Settings, model: nn.Module, data: SequenceData) -> Fit:
    """Fine-tune a sequence model as the profile says."""
    esm = settings.esm
    return fit(
        model,
        FocalLoss(esm.focal.gamma, esm.focal.alpha),
        data,
        settings.paths.work / "esm",
        epochs=esm.epochs,
        learning_rate=esm.learning_rate,
        weight_decay=esm.weight_decay,
        schedule=esm.schedule,
        plateau=(esm.plateau_patience, esm.plateau_factor),
        rates=dict.fromkeys(("pooling", "head", "composition"), esm.head.learning_rate or esm.learning_rate),
        compute=settings.compute,
        seed=settings.seed,
        budget="esm.tokens_per_batch",
    )


def graph_data(
    settings: Settings,
    table: pd.DataFrame,
    embeddings: str,
    stores: tuple[ResidueStore, ResidueStore] | None = None,
    kind: type[GraphData] = GraphData,
    **options: Any,
) -> GraphData:
    """Return the proteins of a table as residue graphs on the ``pretrained`` or ``finetuned`` embeddings.

    ``stores`` are structures and edges, those of the whole data set or other edges; None loads those of ``table``.
    ``options`` are what a profile does not set of ``kind``, ``GraphData``'s being ``only_graphs`` and ``strings``.
    """
    if stores is None:
        structures = load_structures(settings, table)
        stores = structures, load_edges(settings, table, structures)
    return kind(
        table,
        DATASETS[settings.data.dataset].locations,
        load_embeddings(settings, embeddings),
        *stores,
        max_tokens=settings.backbone.max_tokens,
        truncation=settings.backbone.truncation,
        nodes_per_batch=settings.gat.nodes_per_batch,
        seed=settings.seed,
        steps=settings.gat.steps_per_epoch,
        **options,
    )


def graph_network(settings: Settings, data: GraphData, weights: Weights, learned: bool = False) -> nn.Module:
    """Return the profile's graph network before training."""
    gat = settings.gat
    L.seed_everything(settings.seed, verbose=False)
    size = (gat.layers, gat.heads, gat.hidden, gat.dropout)
    model: nn.Module = GatClassifier(data.widths, len(data.locations), *size, weights, learned)
    model = RandomFrame(model) if gat.coordinates == "scaled" else model
    return with_offset(model, gat.focal.balance, data)


def train_gat(
    settings: Settings,
    data: GraphData,
    weights: Weights,
    *,
    learned: bool = False,
    epochs: int | None = None,
    trained: bool = False,
) -> Fit:
    """Train one graph network as the profile says, or read it back if it must be ``trained``.

    ``weights`` are starting values where they are ``learned``.
    """
    gat = settings.gat
    return fit(
        graph_network(settings, data, weights, learned),
        FocalLoss(gat.focal.gamma, gat.focal.alpha, n_locations=len(data.locations)),
        data,
        settings.source.work / "gat",  # variations share what they have in common
        epochs=epochs or gat.epochs,
        learning_rate=gat.learning_rate,
        weight_decay=gat.weight_decay,
        schedule=None if gat.schedule == "constant" else gat.schedule,
        patience=gat.patience,
        compute=settings.compute,
        seed=settings.seed,
        budget="gat.nodes_per_batch",
        trained=trained,
    )
