"""The networks of the hybrid ground: does a graph network gain by its edges, and by more proteins that have them?"""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
from torch import nn

from halo_utils.config import Settings
from halo_utils.models.gat import GatClassifier, Weights
from halo_utils.runs.artifacts import load_edges, load_letters, load_structures
from halo_utils.runs.recipe import graph_data, train_gat
from halo_utils.structures.edge_controls import control_edges
from halo_utils.training.fit import Fit
from halo_utils.training.graph_data import GraphData
from halo_utils.training.predict import predict

EMBEDDING_ONLY = (0.0, 1.0, 0.0)  # weights of coordinates, embedding and biochemistry


class Variant(NamedTuple):
    """A graph network trained on the proteins that have a graph."""

    system: str
    weights: Weights = EMBEDDING_ONLY
    embeddings: str = "finetuned"
    learned: bool = False
    edges: str = ""  # a kind of ``edge_controls.KINDS``; empty: the protein's own


CONTROLS = (
    Variant("gat_no_edges", edges="none"),
    Variant("gat_sequence_edges", edges="sequence"),
    Variant("gat_rewired", edges="rewired"),
    Variant("gat_other_edges", edges="other"),
)


def on_graphs(weights: Weights, fixed: Weights, learned: bool) -> tuple[Variant, ...]:
    """Return the four networks again; ``weights`` are the weighted one's, ``fixed`` where learned ones start."""
    return (
        Variant("gat_pretrained_graphs", embeddings="pretrained"),
        Variant("gat_finetuned_graphs"),
        Variant("gat_weighted_graphs", weights, learned=learned),
        Variant("gat_learned_graphs", fixed, learned=True),
    )


def network_of(model: nn.Module) -> GatClassifier:
    """Return the graph network inside the models that add an offset or turn coordinates."""
    return model if isinstance(model, GatClassifier) else network_of(model.model)


def train_variant(settings: Settings, table: pd.DataFrame, variant: Variant) -> tuple[GraphData, Fit]:
    """Train a network on the proteins that have a graph, with the profile's budget of steps."""
    edges = load_edges(settings, table, load_structures(settings, table))
    if variant.edges:
        proteins, path = table.set_index("accession"), settings.source.work / f"edges_{variant.edges}.npy"
        known = {"lengths": proteins["sequence"].str.len().to_dict(), "families": proteins["family"].to_dict()}
        edges = control_edges(path, edges, kind=variant.edges, seed=settings.seed, **known)
    data = graph_data(settings, table, variant.embeddings, edges=edges, only_graphs=True)
    return data, train_gat(settings, data, variant.weights, learned=variant.learned)


def train_letters(settings: Settings, table: pd.DataFrame) -> Iterator[tuple[str, GraphData, Fit]]:
    """Yield a network that also reads 3Di and secondary structure, and one that does not, on the same proteins."""
    letters = load_letters(settings, table)
    if letters is None:
        return
    known = table[table["accession"].isin(letters.accessions)].reset_index(drop=True)
    for system, strings, last in (("gat_letters", letters, (1.0,)), ("gat_letters_none", None, ())):
        data = graph_data(settings, known, "finetuned", strings=strings)
        yield system, data, train_gat(settings, data, (*EMBEDDING_ONLY, *last))


def train_all(settings: Settings, table: pd.DataFrame, variants: tuple[Variant, ...]) -> dict[str, pd.DataFrame]:
    """Train variants, and the networks on letters where there are any; return their predictions by system."""
    predictions = {}
    for variant in variants:
        data, run = train_variant(settings, table, variant)
        predictions[variant.system] = predict(run, data, settings.compute.precision)
    for system, data, run in train_letters(settings, table):
        predictions[system] = predict(run, data, settings.compute.precision)
    return predictions
