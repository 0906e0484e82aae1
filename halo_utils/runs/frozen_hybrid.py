"""The hybrid question for a frozen embedder: its states are the nodes of graph networks, a head on them decides first.

Systems have the names of HALO's own (``hybrid_ground``), so that gates, pairs and second opinions are the same;
``NAMES`` says what they are here.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, open_if_current, write_store
from halo_utils.embeddings.embedder import Embedder
from halo_utils.evaluation.hybrid_ground import measure_all, outcomes
from halo_utils.evaluation.second_opinions import OPINIONS, second_opinions
from halo_utils.evaluation.systems import TITLES
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.gat import Weights
from halo_utils.runs.artifacts import load_edges, load_structures
from halo_utils.runs.hybrid import CONTROLS, Variant, train_variant
from halo_utils.training.predict import predict
from halo_utils.training.state_store import StateStore, store_states

NODES, COMPONENTS = "frozen", 256
MOST_RESIDUES = 200_000  # that the components are made of
NAMES = {name: TITLES[name] for name in ("composition", *(control.system for control in CONTROLS))} | {
    "esm": "head on frozen states",
    "gat_finetuned_graphs": "GAT on graphs, frozen states",
    "gat_weighted_graphs": "GAT on graphs, weighted frozen states",
    "halo_graphs": "gate of head and GAT",
    "esm_gat_mean": "mean of head and GAT",
}


def variants(weights: Weights) -> tuple[Variant, ...]:
    """Return the networks on frozen states: the embedding alone, ``weights`` of the three groups, and the controls."""
    own = Variant("gat_finetuned_graphs"), Variant("gat_weighted_graphs", weights)
    return tuple(variant._replace(embeddings=NODES) for variant in (*own, *CONTROLS))


def principal_axes(
    states: StateStore, accessions: Sequence[str], components: int = COMPONENTS, most: int = MOST_RESIDUES
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean state [D] and the first principal axes [D, C] of the residues of some proteins, all at most.

    Axes are orthogonal and of one length: a residue's C numbers, ``(state - mean) @ axes``, have a mean square of 1.
    """
    rows, n = [], 0
    for accession in accessions:
        rows.append(np.asarray(states.rows(accession), dtype=np.float32))
        n += len(rows[-1])
        if n >= most:
            break
    residues = np.concatenate(rows)
    values, vectors = np.linalg.eigh(np.cov(residues, rowvar=False))  # from small to large
    size = np.sqrt(values[-components:].mean())
    return residues.mean(axis=0), (vectors[:, : -components - 1 : -1] / size).astype(np.float32)


def node_states(settings: Settings, states: StateStore, table: pd.DataFrame) -> ResidueStore:
    """Return the store ``frozen`` of the run: components of the states of a table's proteins, made where it is not.

    The components are those of training residues; proteins are taken in an order that their names' digests give.
    """
    names = list(table["accession"])
    learns = sorted(table.loc[table["split"] == "train", "accession"], key=digest)
    path, key = settings.source.work / f"{NODES}.npy", digest(states.content, names, learns, COMPONENTS, MOST_RESIDUES)
    if store := open_if_current(path, key):
        return store
    mean, axes = principal_axes(states, learns, COMPONENTS)

    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for i, name in enumerate(names):
            yield i, (np.asarray(states.rows(name), dtype=np.float32) - mean) @ axes

    return write_store(path, key, names, list(map(len, map(states.rows, names))), axes.shape[1], rows())


def graph_states(settings: Settings, embedder: Embedder, table: pd.DataFrame) -> StateStore:
    """Return the states of the residues of a table's proteins, computed once and kept apart from those of all proteins.

    Of all proteins the disk may hold means alone; DataError where it cannot hold these either.
    """
    folder = settings.source.work / "graph_states" / embedder.name
    states = store_states(embedder, list(table["accession"]), list(table["sequence"]), folder)
    if states.pooled:
        raise DataError(f"{embedder.title}: states of {len(table):,} proteins do not fit the disk: make room for them")
    return states


def train_networks(settings: Settings, table: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """Return the predictions of every graph network on frozen states, trained with one seed, by system.

    ``table`` is that of the whole run; ``node_states`` of its proteins with a graph must have been made.
    """
    weights, structures = settings.gat.weights, load_structures(settings, table)
    stores = structures, load_edges(settings, table, structures)
    here, said = settings.model_copy(update={"seed": seed}), {}
    for variant in variants((weights.coord, weights.esm, weights.bio)):
        data, run = train_variant(here, table, stores, variant)
        said[variant.system] = predict(run, data, settings.compute.precision)
    return said


def measure(
    ground: EvaluationSet, said: dict[str, pd.DataFrame], cuts: dict[str, Threshold], confident: float, **bootstrap: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return metrics, paired differences and second opinions on one ground, with systems called as in ``NAMES``."""
    found = outcomes(ground, said, cuts, confident=confident)
    measured, compared = measure_all(ground, found, **bootstrap)
    keeps, mean = {name: found[name].labels for name in OPINIONS if name in found}, found["esm_gat_mean"][:2]
    head, cut = ground.join(said["esm"]), cuts["esm"].on(ground.name)
    asked = second_opinions(ground, head, cut, keeps, mean, confident=confident, **bootstrap)
    return measured.replace(NAMES), compared.replace(NAMES), asked.replace(NAMES)
