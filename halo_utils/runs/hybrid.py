"""The networks of the hybrid ground: does a graph network gain by its edges, and by more proteins that have them?"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd
from torch import nn

from halo_utils.config import Settings
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.splits import held_out_sets
from halo_utils.models.gat import GatClassifier, Weights
from halo_utils.runs.artifacts import load_edges, load_letters, load_structures
from halo_utils.runs.recipe import graph_data, train_gat
from halo_utils.structures.edge_controls import control_edges
from halo_utils.training.fit import Fit
from halo_utils.training.graph_data import GraphData
from halo_utils.training.predict import predict

LEAST_FAMILIES = 2  # in every split; contacts are borrowed from a protein of another family
EMBEDDING_ONLY = (0.0, 1.0, 0.0)  # weights of coordinates, embedding and biochemistry
Stores = tuple[ResidueStore, ResidueStore]  # structures and edges of the whole data set


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


def train_variant(settings: Settings, table: pd.DataFrame, stores: Stores, variant: Variant) -> tuple[GraphData, Fit]:
    """Train a network on the proteins that have a graph, with the profile's budget of steps."""
    structures, edges = stores
    if variant.edges:
        proteins, path = table.set_index("accession"), settings.source.work / f"edges_{variant.edges}.npy"
        known = {"lengths": proteins["sequence"].str.len().to_dict(), "families": proteins["family"].to_dict()}
        edges = control_edges(path, edges, kind=variant.edges, seed=settings.seed, **known)
    data = graph_data(settings, table, variant.embeddings, (structures, edges), only_graphs=True)
    return data, train_gat(settings, data, variant.weights, learned=variant.learned)


def train_letters(
    settings: Settings, table: pd.DataFrame, stores: Stores, letters: ResidueStore
) -> Iterator[tuple[str, GraphData, Fit]]:
    """Yield a network that also reads 3Di and secondary structure, and one that does not, both on all of ``table``."""
    for system, strings, last in (("gat_letters", letters, (1.0,)), ("gat_letters_none", None, ())):
        data = graph_data(settings, table, "finetuned", stores, strings=strings)
        yield system, data, train_gat(settings, data, (*EMBEDDING_ONLY, *last))


def too_few(table: pd.DataFrame, splits: Sequence[str], what: str) -> str:
    """Return, in a sentence, in which of ``splits`` networks lack proteins of this kind; empty where in none."""
    families = table.groupby("split")["family"].nunique()
    if poor := [split for split in splits if families.get(split, 0) < LEAST_FAMILIES]:
        return f"Too few proteins {what} in {', '.join(poor)}: networks on them alone are not trained."
    return ""


def train_all(
    settings: Settings, table: pd.DataFrame, variants: tuple[Variant, ...]
) -> dict[str, dict[str, pd.DataFrame]]:
    """Train variants, and the networks on letters; return predictions by kind of protein (with a graph) and system.

    What a data set has too few proteins for is left out, which is said.
    """
    structures, letters = load_structures(settings, table), load_letters(settings, table)
    stores = structures, load_edges(settings, table, structures)
    trained: dict[str, dict[str, pd.DataFrame]] = {}
    for what, store in (("with a graph", stores[1]), ("with letters", letters)):
        known = table[table["accession"].isin(store.accessions if store else ())].reset_index(drop=True)
        if reason := too_few(known, ("train", "val", held_out_sets(table)[0]), what):
            print(reason)
            continue
        if store is not letters:
            runs = ((variant.system, *train_variant(settings, table, stores, variant)) for variant in variants)
        else:
            runs = train_letters(settings, known, stores, letters)
        trained[what] = {name: predict(run, data, settings.compute.precision) for name, data, run in runs}
    return trained
