"""Notebook 04's work: train graph networks on residue graphs with chosen, searched or learned weights."""

from dataclasses import dataclass

import lightning as L
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader
from torch_geometric.data import Batch

from halo_utils.config import Settings
from halo_utils.core.devices import resolve
from halo_utils.core.errors import DataError
from halo_utils.core.files import digest
from halo_utils.core.paths import shown
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.locations import locations
from halo_utils.data.splits import fingerprint, label_matrix
from halo_utils.models.gat import GatClassifier
from halo_utils.models.losses import FocalLoss, log_odds
from halo_utils.runs.artifacts import load_structures
from halo_utils.structures.edges import radius_edges, store_edges
from halo_utils.structures.reader import CA
from halo_utils.structures.residue_graph import GraphDataset, group_widths
from halo_utils.training.batching import make_loader
from halo_utils.training.fit import Fit, fit
from halo_utils.training.lightning_module import Classifier
from halo_utils.training.predict import predict

CACHE_VERSION = 1  # of what is kept between runs; raised by hand when a change here changes numbers
Weights = tuple[float, float, float]


@dataclass(frozen=True)
class Variant:
    """One graph network to train.

    Attributes:
        name: file name of its predictions.
        store: residue store its embeddings come from.
        weights: weights of coordinates, embedding and biochemistry.
        learned: train the weights from these starting values.
    """

    name: str
    store: str
    weights: Weights
    learned: bool = False


@dataclass(frozen=True)
class GraphStage:
    """Everything the graph networks need for one profile and table."""

    settings: Settings
    table: pd.DataFrame
    structures: ResidueStore
    edges: ResidueStore

    @property
    def places(self) -> list[str]:
        """The K locations."""
        return list(locations(self.settings.data.dataset))

    def embeddings(self, name: str) -> ResidueStore:
        """Return a residue store that notebook 02 wrote.

        Raises:
            DataError: if it is missing.
        """
        path = self.settings.source.work / f"{name}.npy"
        if not path.is_file():
            raise DataError(f"{shown(path)} not found: run notebook 02_esm_finetuning with this profile first")
        return ResidueStore(path)

    def dataset(self, store: ResidueStore, *splits: str) -> GraphDataset:
        """Return the graphs of the named splits; of everything but train without names."""
        inside = self.table["split"].isin(splits) if splits else self.table["split"] != "train"
        part = self.table[inside]
        labels = label_matrix(part, self.places)
        return GraphDataset(
            list(part["accession"]),
            list(part["sequence"]),
            labels,
            store,
            self.structures,
            self.edges,
            self.settings.backbone.max_tokens,
            self.settings.backbone.truncation,
        )

    def loader(self, dataset: GraphDataset, *, shuffle: bool = False) -> DataLoader:
        """Return batches of graphs under the node budget."""
        budget = self.settings.gat.nodes_per_batch
        return make_loader(dataset, budget, Batch.from_data_list, shuffle=shuffle, seed=self.settings.seed)


@dataclass(frozen=True)
class GatRun:
    """A trained graph network.

    Attributes:
        variant: what was trained.
        fit: weights of the best epoch and the training history.
        weights: final weights of the three blocks.
        thresholds: learned threshold per label, [K].
        parameters: numbers that are trained, of this network alone; the sequence model's are not among them.
    """

    variant: Variant
    fit: Fit
    weights: Weights
    thresholds: np.ndarray
    parameters: int


def prepare(settings: Settings, table: pd.DataFrame) -> GraphStage:
    """Open what notebook 01 parsed, and search the edges unless that is done."""
    structures = load_structures(settings, table)
    edges = store_edges(settings.paths.work / "edges.npy", structures, settings.gat.cutoff_angstrom)
    return GraphStage(settings, table, structures, edges)


def train_gat(stage: GraphStage, variant: Variant, epochs: int | None = None) -> GatRun:
    """Train one graph network with early stopping on validation macro F1.

    Args:
        stage: graphs and settings.
        variant: embeddings and weights.
        epochs: fewer epochs than the profile's, for the weight grid.
    """
    block, settings = stage.settings.gat, stage.settings
    store = stage.embeddings(variant.store)
    content = [
        block.model_dump(exclude={"weights"}),
        store.content,
        settings.backbone.max_tokens,
        settings.backbone.truncation,
        fingerprint(stage.table),
        stage.structures.content,
        stage.edges.content,
        CACHE_VERSION,
    ]
    what = [variant.weights, variant.learned, epochs, settings.seed]
    key = digest(*content, *what, resolve(settings.compute.precision))
    L.seed_everything(settings.seed, verbose=False)
    blocks, k = group_widths(store.width), len(stage.places)
    model = GatClassifier(blocks, k, block, variant.weights, variant.learned)
    train, val = (stage.dataset(store, s) for s in ("train", "val"))
    offset = block.focal.balance * log_odds(train.labels)
    loss = FocalLoss(block.focal.gamma, block.focal.alpha, n_labels=k, offset=offset)
    module = Classifier(
        model, loss, block.learning_rate, block.weight_decay, seed=settings.seed, budget="gat.nodes_per_batch"
    )
    parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    result = fit(
        module,
        stage.loader(train, shuffle=True),
        stage.loader(val),
        settings.source.work / "gat" / key,  # the key tells variations apart, and what they share is trained once
        epochs=epochs or block.epochs,
        compute=settings.compute,
        patience=block.patience,
    )
    final = tuple(float(w) for w in model.feature_weights.values)
    return GatRun(variant, result, final, loss.thresholds.numpy(), parameters)


def predict_held_out(stage: GraphStage, run: GatRun) -> pd.DataFrame:
    """Return probabilities of every protein outside train, with its split and whether it has a structure."""
    dataset = stage.dataset(stage.embeddings(run.variant.store))
    found = predict(run.fit.module, stage.loader(dataset), stage.places, stage.settings.compute)
    order = stage.table.loc[stage.table["split"] != "train", ["accession", "split"]]
    order = order.assign(has_structure=order["accession"].isin(stage.structures.accessions))
    return order.merge(found, on="accession", validate="1:1")


def edge_report(stage: GraphStage, cutoff_angstrom: float, scale: float) -> pd.DataFrame:
    """Return edges per residue under two readings of the cut-off.

    The paper joins C-alpha atoms under 10 A. The released code measures on coordinates already multiplied by
    their feature weight, so its 10 A act at 10 / weight.

    Args:
        stage: graphs and settings.
        cutoff_angstrom: the cut-off.
        scale: the coordinate weight of the released code, 0.5.

    Returns:
        One row per protein with structure: residues, edges per residue as in the paper and as in the code.
    """
    rows = []
    for accession in stage.structures.accessions:
        values = stage.structures.rows(accession)
        ca, n = values[:, CA], len(values)
        paper = radius_edges(ca, cutoff_angstrom).shape[1] / n
        code = radius_edges(ca * scale, cutoff_angstrom).shape[1] / n
        rows.append({"accession": accession, "residues": n, "paper": paper, "released_code": code})
    return pd.DataFrame(rows)
