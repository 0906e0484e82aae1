"""The benchmark's growth half: seconds of every stage and peak memory, as proteins grow in number and in length."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset
from torch_geometric.data import Batch
from tqdm import tqdm

from benchmarks import cases
from benchmarks.cases import Row
from halo_utils.core.paths import REPOSITORY
from halo_utils.core.residue_store import write_store
from halo_utils.evaluation.metrics import evaluate
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.gat import GatClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.structures.edges import store_edges
from halo_utils.structures.residue_graph import GraphDataset, group_widths
from halo_utils.training.batching import BudgetBatchSampler, logits_of
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins

BASE = 128  # proteins of the smallest step of the growth measurement
STEPS = (1, 2, 4, 8)
LENGTHS = (128, 256, 512, 1022)
REPEATS = 3
BUDGET = 4096
MEMORY_FOLDER = Path("/dev/shm")
# glibc keeps freed blocks for later; told to return them, what is measured is what is in use.
RETURN_BLOCKS = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "200000"}
MEMORY = {"memory": "anonymous, freed blocks returned", "memory, blocks kept": "anonymous, glibc as it comes"}


class PeakMemory:
    """Follows the anonymous memory of this process; pages of mapped files can be dropped and do not count."""

    def __enter__(self) -> "PeakMemory":
        """Start sampling."""
        self.mb, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def _follow(self) -> None:
        status = Path("/proc/self/status")
        while not self._stop.wait(0.01):
            line = next(text for text in status.read_text().splitlines() if text.startswith("RssAnon"))
            self.mb = max(self.mb, int(line.split()[1]) / 1000)

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()


def loader(dataset: Dataset, collate: Callable, shuffle: bool = False) -> DataLoader:
    """Return batches of a dataset under the budget."""
    return DataLoader(dataset, batch_sampler=BudgetBatchSampler(dataset.lengths, BUDGET, shuffle), collate_fn=collate)


def stages(lengths: np.ndarray, folder: Path) -> dict[str, float]:
    """Return seconds of every stage of the pipeline over proteins of the given lengths, and the peak memory in MB."""
    device, times = torch.device("cpu"), {}
    names = [f"P{i:06d}" for i in range(len(lengths))]
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (len(lengths), cases.K))
    tokens = cases.draw_tokens(lengths, 0)
    classifier = EsmClassifier(cases.backbone((4, 64, 4), "sdpa", device), cases.K, 2)
    encoder = classifier.encoder
    loss, optimizer = FocalLoss(), torch.optim.AdamW(encoder.top.parameters())

    def timed(name: str, *work: Callable[[], object]) -> object:
        seconds = []
        for one in work:
            start = time.perf_counter()
            result = one()
            seconds.append(time.perf_counter() - start)
        times[name] = min(seconds)
        return result

    def rows_of(states: Callable, dataset: ProteinDataset, strip: bool):  # noqa: ANN202
        position = {name: i for i, name in enumerate(names)}
        with torch.inference_mode():
            for batch in loader(dataset, collate_proteins):
                hidden = states(batch.tokens, batch.token_mask)
                for name, rows, mask in zip(batch.accessions, hidden, batch.token_mask, strict=True):
                    rows = rows[mask].numpy()
                    yield position[name], rows[1:-1] if strip else rows

    plain = ProteinDataset(names, tokens, labels)
    sizes = [len(t) for t in tokens]
    with PeakMemory() as peak:
        trunk = timed(
            "trunk cache",
            lambda: write_store(
                folder / "trunk.npy",
                "k",
                names,
                sizes,
                64,
                rows_of(classifier.encoder.trunk_states, plain, strip=False),
            ),
        )
        cached = ProteinDataset(names, tokens, labels, trunk)

        def train() -> None:
            for batch in loader(cached, collate_proteins, shuffle=True):
                optimizer.zero_grad()
                loss(logits_of(classifier, batch), batch.y).backward()
                optimizer.step()

        timed("fine-tuning epoch", train)
        store = timed(
            "embedding",
            lambda: write_store(
                folder / "fine.npy", "k", names, list(lengths), 64, rows_of(encoder, cached, strip=True)
            ),
        )
        models = write_store(folder / "ca.npy", "k", names, list(lengths), 10, walks(lengths), "float32")
        # Stages of less than a second are timed three times: a moment's disturbance is a large part of them.
        files = [folder / f"edges_{i}.npy" for i in range(3)]
        sequences = ["A" * int(n) for n in lengths]
        table = pd.DataFrame({"accession": names, "sequence": sequences})
        edges = timed("edges", *(partial(store_edges, file, table, models) for file in files))
        graphs = GraphDataset(names, sequences, labels, store, models, edges)
        gat = GatClassifier(group_widths(64), cases.K, hidden=16).train()
        gat_loss, gat_optimizer = FocalLoss(n_locations=cases.K), torch.optim.AdamW(gat.parameters())

        def train_gat() -> None:
            for batch in loader(graphs, Batch.from_data_list, shuffle=True):
                gat_optimizer.zero_grad()
                gat_loss(gat(batch), batch.y).backward()
                gat_optimizer.step()

        timed("GAT epoch", train_gat)
        prob, places = rng.random(labels.shape), [str(k) for k in range(cases.K)]
        measure = partial(evaluate, labels, prob >= 0.5, prob, places, resamples=200, seed=0)
        timed("evaluation", *[measure] * 3)
    return {**times, "memory": peak.mb}


def walks(lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (position, [L, 10] rows) of straight helices, about as dense in edges as real models, and pLDDT 90."""
    for i, length in enumerate(lengths):
        turn = np.radians(100) * np.arange(length)
        helix = np.column_stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(length)])
        yield i, np.column_stack([helix, helix, helix, np.full(length, 90.0)])


def _one_process(lengths: list[int], passes: int, allocator: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.growth", json.dumps(lengths), str(passes)]
    environment = {**os.environ, **allocator, "TQDM_DISABLE": "1"}
    if MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > 2e9:
        environment["TMPDIR"] = str(MEMORY_FOLDER)  # the speed of a disk is not what is measured
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def growth() -> pd.DataFrame:
    """Return seconds per stage and peak memory against number and length of proteins.

    Every measurement does the same work: one pass over the most proteins, many passes over few. A short one would be
    left undisturbed more often than one of eight times its length, and the exponent would come out too large. The
    repeats take turns, so that a slow minute of the machine meets all sizes, and the fastest of each size counts.
    """
    base = cases.draw_lengths(BASE, 5).tolist()
    sizes = {("proteins", BASE * k): (base * k, STEPS[-1] // k) for k in STEPS}
    sizes |= {("length", n): ([n] * (BASE // 4), LENGTHS[-1] // n) for n in LENGTHS}
    runs = [
        {"axis": axis, "x": x, **_one_process(*work, {})}
        for _ in tqdm(range(REPEATS), desc="growth", leave=False)
        for (axis, x), work in sizes.items()
    ]
    table = pd.DataFrame(runs).groupby(["axis", "x"], sort=False)
    tidy = [_one_process(lengths, 1, RETURN_BLOCKS)["memory"] for lengths, _ in sizes.values()]
    fastest = table[[c for c in runs[0] if c not in ("axis", "x", "memory")]].min()
    return fastest.assign(**{"memory": tidy, "memory, blocks kept": table["memory"].max()}).reset_index()


def exponents(table: pd.DataFrame) -> list[Row]:
    """Return the fitted exponent of every stage against both axes, and the growth of memory."""
    rows = []
    for axis, part in table.groupby("axis", sort=False):
        for stage in part.columns.drop(["axis", "x", *MEMORY]):
            slope = np.polyfit(np.log(part["x"]), np.log(part[stage]), 1)[0]
            rows.append(Row("growth", f"{stage}, exponent in {axis}", float(slope), ""))
        if axis == "proteins":
            for column, note in MEMORY.items():
                share = float(part[column].iloc[-1] / part[column].iloc[0] - 1)
                rows.append(Row("growth", f"peak {column}, x1 to x{STEPS[-1]}", share, "share", note))
    return rows


def main(lengths: list[int], passes: int) -> None:
    """Measure proteins of the given lengths in this process and print mean seconds and peak memory as JSON."""
    whole, runs = np.array(lengths), []
    for part in [whole[: len(whole) // 4 + 1], *[whole] * passes]:  # the first warms up
        with tempfile.TemporaryDirectory() as folder:
            runs.append(stages(part, Path(folder)))
    table = pd.DataFrame(runs[1:])
    print(json.dumps({**table.mean().to_dict(), "memory": float(table["memory"].max())}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
