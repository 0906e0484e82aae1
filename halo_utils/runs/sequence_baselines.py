"""Heads on the frozen states of any embedder, each with the loss and the learning rate of its publication."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import nn

from halo_utils.config import Settings
from halo_utils.core.errors import SettingsError
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.splits import label_matrix
from halo_utils.embeddings.embedder import Embedder
from halo_utils.models.annotation_transfer import transfer
from halo_utils.models.deeploc2 import POSITIVE_WEIGHTS, Deeploc2Head
from halo_utils.models.esm_classifier import AttentionHead
from halo_utils.models.light_attention import LightAttention
from halo_utils.models.losses import BalancedFocalLoss, FocalLoss
from halo_utils.models.mean_network import EndsNetwork, MeanNetwork
from halo_utils.training.fit import Fit, fit
from halo_utils.training.predict import predict
from halo_utils.training.state_data import StateData
from halo_utils.training.state_store import StateStore

NEAREST = "nearest neighbour"
RESIDUES_OF_A_MEAN = 64  # that a mean counts for in the size of a batch
PASSES = 4  # epochs of a head on means, which take seconds, for one of a head on residues
MOST = 32.0  # largest weight of positives, that of DeepLoc 2.0's rarest location


def odds_against(y: np.ndarray) -> np.ndarray:
    """Return negatives over positives of every location, [K], at most 32; ``y`` are labels [B, K]."""
    return np.minimum((1 - y).sum(axis=0) / np.maximum(y.sum(axis=0), 1), MOST)


def deeploc2_weights(y: np.ndarray, locations: Sequence[str]) -> np.ndarray:
    """Return the published weights of positives for DeepLoc 2.0's locations, for others negatives over positives."""
    return np.array(POSITIVE_WEIGHTS) if tuple(locations) == DEEPLOC else odds_against(y)


@dataclass(frozen=True)
class Head:
    """A head, its loss from labels [B, K] and locations, its learning rate, and what it ``reads`` (``StateData``).

    Rates are those that few epochs ask for: the published ones of Light Attention and HALO (5e-5, 1e-5) go with
    hundreds of epochs or a whole network.
    """

    title: str
    make: Callable[[int, int], nn.Module]
    loss: Callable[[np.ndarray, Sequence[str]], FocalLoss]
    learning_rate: float
    reads: str = "residues"


HEADS = (
    Head("FFN on the mean", MeanNetwork, lambda y, names: BalancedFocalLoss(odds_against(y), 0.0), 3e-3, "mean"),
    # The root of the weights, which validation preferred to the weights and to none (DeepLoc 2.0, UniRep-1900).
    Head("FFN with both ends", EndsNetwork, lambda y, _: BalancedFocalLoss(odds_against(y) ** 0.5, 0.0), 1e-3, "ends"),
    Head("HALO's attention", AttentionHead, lambda y, names: FocalLoss(2.0), 3e-3),
    Head("DeepLoc 2 attention", Deeploc2Head, lambda y, names: BalancedFocalLoss(deeploc2_weights(y, names)), 1e-3),
    Head("Light Attention", LightAttention, lambda y, names: FocalLoss(0.0), 1e-3),
)


def heads_for(states: StateStore, titles: str = "") -> list[Head]:
    """Return the heads of ``titles`` (with commas; empty: all) that need no residues where a store has means alone."""
    known = [head.title for head in HEADS]
    asked = [title.strip() for title in titles.split(",") if title.strip()] or known
    if unknown := sorted(set(asked) - set(known)):
        raise SettingsError(f"unknown head {unknown[0]!r}: use some of {', '.join(known)}")
    return [head for head in HEADS if head.title in asked and not (states.pooled and head.reads == "residues")]


def nearest_labels(table: pd.DataFrame, locations: Sequence[str], states: StateStore) -> pd.DataFrame:
    """Return annotation transfer in the form of predictions: labels of the nearest training protein, 0 or 1.

    Columns ``source`` and ``distance`` name it and say how far away it is.
    """
    means = states.means(list(table["accession"]))
    learns = (table["split"] == "train").to_numpy()
    train, asked = table[learns], table.loc[~learns, ["accession", "split"]].reset_index(drop=True)
    labels = label_matrix(train, locations)
    return asked.join(transfer(means[~learns], means[learns], list(train["accession"]), labels, locations))


def fit_head(
    settings: Settings,
    head: Head,
    embedder: Embedder,
    table: pd.DataFrame,
    locations: Sequence[str],
    *,
    epochs: int,
    states: StateStore,
    residues_per_batch: int,
    seed: int,
) -> tuple[Fit, pd.DataFrame]:
    """Train a head on an embedder's states, and return it with its predictions of every protein outside train.

    What was trained before with the same values is read back. ``states`` is of all proteins of the table.
    """
    rows = {"mean": 1, "ends": 3, "residues": RESIDUES_OF_A_MEAN}[head.reads]
    budget = max(rows, residues_per_batch * rows // RESIDUES_OF_A_MEAN)  # at least one protein
    data = StateData(table, locations, states, residues_per_batch=budget, seed=seed, reads=head.reads)
    L.seed_everything(seed, verbose=False)
    model, train = head.make(embedder.width, len(locations)), table[table["split"] == "train"]
    if isinstance(model, EndsNetwork):
        model.standardise(torch.tensor(np.stack([states.summary(name) for name in train["accession"]])))
    loss = head.loss(label_matrix(train, locations), locations)
    folder = settings.paths.work / "heads" / embedder.name
    passes, rate = epochs * (1 if head.reads == "residues" else PASSES), head.learning_rate
    run = fit(model, loss, data, folder, epochs=passes, learning_rate=rate, schedule="linear", seed=seed)
    return run, predict(run, data)
