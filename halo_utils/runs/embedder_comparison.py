"""What notebooks 07 and 08 compare: the embedders at hand with their cost, and the proteins they are compared on."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from huggingface_hub.constants import HF_HUB_CACHE

from halo_utils.config import Settings
from halo_utils.core.errors import SettingsError
from halo_utils.data.locations import locations
from halo_utils.data.splits import stratified_subset
from halo_utils.embeddings.embedder import EMBEDDERS, Embedder, batches
from halo_utils.evaluation.pilots import stratified_draws
from halo_utils.training.side_by_side import train_side_by_side
from halo_utils.training.state_store import StateStore, store_states

SECRETED = ("Extracellular", "Secreted")  # one location, in the words of DeepLoc and of UniProt
LONGEST = 499  # residues; the embedder report takes proteins of fewer than 500
PILOT = (34, 9)  # its training and test proteins


def chosen_embedders(names: str) -> list[Embedder]:
    """Return the embedders of a comma-separated list, or, for an empty one, all; SettingsError for an unknown name."""
    asked = [name.strip() for name in names.split(",") if name.strip()] or list(EMBEDDERS)
    if unknown := sorted(set(asked) - set(EMBEDDERS)):
        raise SettingsError(f"unknown embedder {unknown[0]!r}: use some of {', '.join(EMBEDDERS)}")
    return [EMBEDDERS[name] for name in asked]


def at_hand(embedders: Iterable[Embedder], fetch: bool = False) -> tuple[list[Embedder], pd.DataFrame]:
    """Return the embedders that can be loaded, and a table of the others with the reason.

    What lies on a hub and not in the cache of this machine is asked for only with ``fetch``: it can be gigabytes.
    """
    found, missing = [], []
    for embedder in embedders:
        folder = Path(HF_HUB_CACHE) / f"models--{embedder.hub.replace('/', '--')}"
        if embedder.hub and not fetch and not folder.is_dir():
            reason = f"{embedder.hub} is not in this machine's cache; name it in `embedders` to fetch it"
        else:
            try:
                found += [embedder] if embedder.network else []
                continue
            except SettingsError as error:
                reason = str(error)
        missing.append({"embedder": embedder.title, "reason": reason})
    return found, pd.DataFrame(missing, columns=["embedder", "reason"])


def numbers_of(embedder: Embedder) -> int:
    """Return how many numbers an embedder has learned."""
    return sum(values.numel() for values in embedder.network.state_dict().values() if values.is_floating_point())


def cost(embedder: Embedder, sequences: Sequence[str]) -> dict[str, Any]:
    """Return what it costs to embed some proteins: seconds, residues per second, memory in MB, batch size, parameters.

    A short protein goes first, untimed. The memory is the highest that the process (on a GPU, the device) held beyond
    what it held before; the network itself had been loaded by then.
    """
    embedder([sequences[0][:50]])
    with _Peak() as peak:
        start = time.perf_counter()
        for _ in embedder.stream(sequences):
            pass
        seconds = time.perf_counter() - start
    per_batch = len(sequences) / sum(1 for _ in batches([len(s) for s in sequences], embedder.residues_per_batch))
    weights = sum(v.numel() * v.element_size() for v in embedder.network.state_dict().values())
    return {
        "embedder": embedder.title,
        "parameters": numbers_of(embedder),
        "width": embedder.width,
        "seconds": seconds,
        "residues_per_second": sum(map(len, sequences)) / seconds,
        "weights_mb": weights / 1e6,
        "peak_mb": peak.megabytes,
        "batch": per_batch,
    }


class _Peak:
    """The highest memory inside a ``with``, beyond that at its start."""

    def __enter__(self) -> "_Peak":
        self.gpu = torch.cuda.is_available()
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
        self.before, self.over = self._now(), threading.Event()
        self.highest, self.watch = self.before, threading.Thread(target=self._sample, daemon=True)
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.watch.join()
        self.highest = torch.cuda.max_memory_allocated() if self.gpu else max(self.highest, self._now())
        self.megabytes = (self.highest - self.before) / 1e6

    def _now(self) -> int:
        return torch.cuda.memory_allocated() if self.gpu else psutil.Process().memory_info().rss

    def _sample(self) -> None:
        while not self.over.wait(0.005):
            self.highest = max(self.highest, self._now())


def three_locations(settings: Settings, table: pd.DataFrame, budget: int) -> tuple[pd.DataFrame, list[str], pd.Series]:
    """Return the proteins of the embedder report's kind, its three locations as this data set spells them, and counts.

    Kept are proteins of fewer than 500 residues in nucleus, cytoplasm or outside the cell, a stratified draw of
    ``budget`` of them (0: all); labels of other locations are left out. Column ``single`` says which have exactly one
    label in all. Accessions, splits, families and sequences stay.
    """
    everything = list(locations(settings.data.dataset))
    three = ["Nucleus", "Cytoplasm", next(name for name in SECRETED if name in everything)]
    short = table["sequence"].str.len() <= LONGEST
    inside = table[three].any(axis=1)
    kept = table[short & inside].assign(single=lambda t: t[everything].sum(axis=1) == 1).reset_index(drop=True)
    kept, _ = stratified_subset(kept, [*three, "single"], budget, settings.seed)
    counts = {
        "proteins": len(table),
        "of fewer than 500 residues": int(short.sum()),
        "and in one of the three locations": int((short & inside).sum()),
        "drawn": len(kept),
        "of these with a single label": int(kept["single"].sum()),
        "of these with labels elsewhere, left out": int(
            kept[[n for n in everything if n not in three]].any(axis=1).sum()
        ),
    }
    return kept, three, pd.Series(counts, name="proteins")


def states_of(settings: Settings, embedder: Embedder, table: pd.DataFrame, pooled: bool) -> StateStore:
    """Return the states of a table's proteins, or their means alone, computed once per run and embedder."""
    folder = settings.source.work / "states" / embedder.name
    names, sequences = list(table["accession"]), list(table["sequence"])
    return store_states(embedder, names, sequences, folder, pooled=pooled)


def means_of(settings: Settings, embedder: Embedder, table: pd.DataFrame) -> np.ndarray:
    """Return the mean state of every protein of a table, [B, D] float32."""
    return states_of(settings, embedder, table, pooled=True).means(list(table["accession"]))


def accuracy_by_size(
    vectors: Mapping[str, np.ndarray],
    classes: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    sizes: Sequence[int],
    draws: int,
    drawn: dict[str, np.ndarray],
    seed: int,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return accuracy on all test proteins against training proteins, and the probabilities [M, K] learned from all.

    ``vectors`` is title -> [B, D], ``rows`` the positions of training and test proteins, ``drawn`` resamples of the
    latter (``metrics.draw``). Of every size ``draws`` sets of proteins are drawn, each for one network; of all there is
    one set, for as many first weights. The interval is that of one training: over draws and resamples.
    """
    train, test = rows
    found, learned, one_hot = [], {}, np.eye(classes.max() + 1)
    for size in [n for n in sizes if n < len(train)] + [len(train)]:
        chosen = stratified_draws(classes, train, size, draws, seed)
        for name, x in vectors.items():
            queries = np.broadcast_to(test, (draws, len(test)))
            prob = train_side_by_side(x, classes, chosen, queries, one_hot.shape[1], seed=seed)
            right = prob.argmax(axis=2) == classes[test]  # [draws, M]
            spread = {unit: (right @ w.T / w.sum(axis=1)).ravel() for unit, w in drawn.items()}
            low, high = max((np.percentile(s, [2.5, 97.5]) for s in spread.values()), key=np.ptp)
            found.append([name, size, draws, right.mean(), low, high])
            learned[name] = prob[0]
    return pd.DataFrame(found, columns=["embedder", "proteins", "draws", "value", "ci_low", "ci_high"]), learned


def pilot_accuracies(
    vectors: Mapping[str, np.ndarray], classes: np.ndarray, rows: tuple[np.ndarray, np.ndarray], pilots: int, seed: int
) -> pd.DataFrame:
    """Return the accuracy of every embedder (columns) in ``pilots`` pilots: 34 proteins teach, 9 test.

    All embedders see the same proteins.
    """
    train, test = (
        stratified_draws(classes, part, min(n, len(part)), pilots, seed) for part, n in zip(rows, PILOT, strict=True)
    )
    n_classes = int(classes.max()) + 1
    found = {name: train_side_by_side(x, classes, train, test, n_classes, seed=seed) for name, x in vectors.items()}
    return pd.DataFrame({name: (p.argmax(axis=2) == classes[test]).mean(axis=1) for name, p in found.items()})
