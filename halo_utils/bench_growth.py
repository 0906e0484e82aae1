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
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import Batch

from halo_utils import bench_cases as cases
from halo_utils.batching import SequenceDataset, collate_proteins, make_loader
from halo_utils.bench_cases import Row
from halo_utils.blocks import GatSettings
from halo_utils.classifiers import SequenceClassifier, residues_of
from halo_utils.edges import store_edges
from halo_utils.gat import GatClassifier
from halo_utils.graphs import GraphDataset, feature_blocks
from halo_utils.losses import FocalLoss
from halo_utils.metrics import evaluate
from halo_utils.paths import REPOSITORY
from halo_utils.residues import write_store

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


def stages(lengths: np.ndarray, folder: Path) -> dict[str, float]:
    """Return seconds of every stage of the pipeline over proteins of the given lengths, and the peak memory in MB."""
    device, times = torch.device("cpu"), {}
    names = [f"P{i:06d}" for i in range(len(lengths))]
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (len(lengths), cases.K))
    tokens = cases.draw_tokens(lengths, 0)
    classifier = SequenceClassifier(cases.backbone((4, 64, 4), "sdpa", device), cases.K, 2)
    loss, optimizer = FocalLoss(), torch.optim.AdamW(classifier.top.parameters())

    def timed(name: str, work: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = work()
        times[name] = time.perf_counter() - start
        return result

    def rows_of(states: Callable, dataset: SequenceDataset, strip: bool):  # noqa: ANN202
        position = {name: i for i, name in enumerate(names)}
        with torch.inference_mode():
            for batch in make_loader(dataset, BUDGET, collate_proteins):
                hidden = states(batch)
                parts = residues_of(hidden, batch.lengths) if strip else hidden.split(batch.lengths)
                yield from ((position[a], part.numpy()) for a, part in zip(batch.accessions, parts, strict=True))

    plain = SequenceDataset(names, tokens, labels)
    sizes = [len(t) for t in tokens]
    with PeakMemory() as peak:
        trunk = timed(
            "trunk cache",
            lambda: write_store(
                folder / "trunk.npy", "k", names, sizes, 64, rows_of(classifier.trunk_states, plain, strip=False)
            ),
        )
        cached = SequenceDataset(names, tokens, labels, trunk)

        def train() -> None:
            for batch in make_loader(cached, BUDGET, collate_proteins, shuffle=True):
                optimizer.zero_grad()
                loss(classifier(batch), batch.y).backward()
                optimizer.step()

        timed("fine-tuning epoch", train)
        store = timed(
            "embedding",
            lambda: write_store(
                folder / "fine.npy", "k", names, list(lengths), 64, rows_of(classifier.token_states, cached, strip=True)
            ),
        )
        models = write_store(folder / "ca.npy", "k", names, list(lengths), 4, walks(lengths), "float32")
        edges = timed("edges", lambda: store_edges(folder / "edges.npy", models, 10.0))
        graphs = GraphDataset(names, ["A" * int(n) for n in lengths], labels, store, models, edges)
        gat = GatClassifier(feature_blocks(64), cases.K, GatSettings(hidden=16), (0.5, 1.0, 0.5)).train()
        gat_loss, gat_optimizer = FocalLoss(n_labels=cases.K), torch.optim.AdamW(gat.parameters())

        def train_gat() -> None:
            for batch in make_loader(graphs, BUDGET, Batch.from_data_list, shuffle=True):
                gat_optimizer.zero_grad()
                gat_loss(gat(batch), batch.y).backward()
                gat_optimizer.step()

        timed("GAT epoch", train_gat)
        prob, places = rng.random(labels.shape), [str(k) for k in range(cases.K)]
        timed(
            "evaluation",
            lambda: evaluate(labels, prob >= 0.5, prob, places, resamples=200, seed=0),
        )
    return {**times, "memory": peak.mb}


def walks(lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (position, [L, 4] rows) of straight helices, about as dense in edges as real models, and pLDDT 90."""
    for i, length in enumerate(lengths):
        turn = np.radians(100) * np.arange(length)
        helix = np.column_stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(length)])
        yield i, np.column_stack([helix, np.full(length, 90.0)])


def in_a_process(lengths: list[int], repeats: int) -> dict[str, float]:
    """Run ``stages`` in processes of their own; return the shortest times, and the peak memory under two allocators."""
    runs = pd.DataFrame([_one_process(lengths, {}) for _ in range(repeats)])
    tidy = _one_process(lengths, RETURN_BLOCKS)["memory"]
    return {**runs.min().to_dict(), "memory": tidy, "memory, blocks kept": float(runs["memory"].max())}


def _one_process(lengths: list[int], allocator: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "halo_utils.bench_growth", json.dumps(lengths)]
    environment = {**os.environ, **allocator, "TQDM_DISABLE": "1"}
    if MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > 2e9:
        environment["TMPDIR"] = str(MEMORY_FOLDER)  # the speed of a disk is not what is measured
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def growth() -> pd.DataFrame:
    """Return seconds per stage and peak memory against number and length of proteins."""
    base = cases.draw_lengths(BASE, 5).tolist()
    rows = [{"axis": "proteins", "x": BASE * k, **in_a_process(base * k, REPEATS)} for k in STEPS]
    rows += [{"axis": "length", "x": n, **in_a_process([n] * (BASE // 4), 1)} for n in LENGTHS]
    return pd.DataFrame(rows)


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


def main(lengths: list[int]) -> None:
    """Measure proteins of the given lengths in this process and print the result as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        whole = np.array(lengths)
        stages(whole[: len(whole) // 4 + 1], Path(folder))  # warm up
        print(json.dumps(stages(whole, Path(folder))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
