"""Two processes train together as one process with twice the batch does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from halo_utils.core.paths import REPOSITORY
from halo_utils.embeddings.esm2 import load_backbone, load_tokenizer, token_ids
from halo_utils.models.esm_classifier import SequenceClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.profile import BackboneSettings, ComputeSettings
from halo_utils.training.batching import BudgetBatchSampler, SequenceDataset, collate_proteins, make_loader
from halo_utils.training.fit import fit
from halo_utils.training.lightning_module import Classifier
from tests.conftest import TINY_PROFILE

SETTINGS = BackboneSettings(source="random", random={"layers": 2, "width": 16, "heads": 2})


def loader(budget: int, seed: int, shuffle: bool) -> DataLoader:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 60)
    sequences = ["M" + "".join(rng.choice(list("KRA" if y else "LVA"), rng.integers(5, 60))) for y in labels]
    tokens = token_ids(sequences, load_tokenizer(SETTINGS))
    dataset = SequenceDataset([f"P{i}" for i in range(60)], tokens, np.stack([labels, 1 - labels], axis=1))
    return make_loader(dataset, budget, collate_proteins, shuffle=shuffle, seed=1)


def train(folder: Path, budget: int, compute: ComputeSettings) -> pd.DataFrame:
    torch.manual_seed(0)
    classifier = SequenceClassifier(load_backbone(SETTINGS, 1), 2, 1)
    module = Classifier(classifier, FocalLoss(), 1e-2, 0.0, (0, 0.5), seed=1)
    return fit(module, loader(budget, 0, True), loader(budget, 5, False), folder, epochs=3, compute=compute).history


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(tmp_path: Path) -> None:
    one = train(tmp_path / "one", 500, ComputeSettings(devices=1))
    two = train(tmp_path / "two", 250, ComputeSettings(devices=2, strategy="ddp_spawn"))
    for column in ("val_loss", "val_macro_f1", "val_threshold", "learning_rate"):
        assert np.allclose(one[column], two[column], atol=1e-3), f"{column}: {one[column]} {two[column]}"
    assert one["train_loss"].iloc[-1] < one["train_loss"].iloc[0]  # there was something to learn
    other = train(tmp_path / "other", 250, ComputeSettings(devices=1))
    assert not np.allclose(one["val_loss"], other["val_loss"], atol=1e-3)  # another batch size would show


def test_shares_of_two_processes_make_the_larger_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(5, 90, 200).tolist()
    whole = BudgetBatchSampler(lengths, 800, shuffle=True, seed=1).batches
    parts = []
    for rank in range(2):
        monkeypatch.setattr("halo_utils.training.batching.ranks", lambda rank=rank: (rank, 2))
        parts.append(BudgetBatchSampler(lengths, 400, shuffle=True, seed=1, shared=True).batches)
    assert len(parts[0]) == len(parts[1]) == len(whole)
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]


@pytest.mark.slow
def test_two_processes_run_the_notebooks_as_one_does(tmp_path: Path) -> None:
    """torchrun on the .py halves: the same tables as one process with the doubled batch, up to rounding."""
    results = {}
    for count, tokens, nodes in ((1, 2048, 4000), (2, 1024, 2000)):
        root = tmp_path / str(count)
        root.mkdir()
        text = TINY_PROFILE.replace("tokens_per_batch: 2048", f"tokens_per_batch: {tokens}")
        text = text.replace("nodes_per_batch: 4000", f"nodes_per_batch: {nodes}\n  dropout: 0.0")
        strategy = "ddp" if count > 1 else "auto"
        (root / "tiny.yaml").write_text(f"{text}compute: {{devices: {count}, strategy: {strategy}}}\n")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command += ["-m", "halo_utils", "run", "--script", "--profile", str(root / "tiny.yaml")]
        environment = {**os.environ, "HALO_ROOT": str(root), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY, timeout=400)
        assert done.returncode == 0, done.stderr[-4000:]
        assert done.stdout.count("trunk cache") == 1  # computed, and said, once
        tables = root / "data" / "results" / "tiny"
        results[count] = {p.name: pd.read_csv(p) for p in tables.glob("*.csv")}
    assert results[1].keys() == results[2].keys() and "table1.csv" in results[1]
    one, two = results[1]["esm_training.csv"], results[2]["esm_training.csv"]
    assert np.allclose(one["val_loss"], two["val_loss"], atol=1e-3)
    assert np.allclose(one["val_macro_f1"], two["val_macro_f1"], atol=1e-3)
