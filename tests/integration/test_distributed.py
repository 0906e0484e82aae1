"""Two processes under torchrun train together as one process with twice the batch does."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import load_settings
from halo_utils.core.paths import REPOSITORY
from halo_utils.runs import artifacts, prepare, recipe
from halo_utils.training.batching import BudgetBatchSampler
from tests.conftest import TINY_PROFILE
from tests.warm import PYTHON


def test_shares_of_two_processes_make_the_larger_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(5, 90, 200).tolist()
    together = BudgetBatchSampler(lengths, 800, shuffle=True, seed=1).batches
    shares = []
    for rank in range(2):
        monkeypatch.setattr("halo_utils.training.batching.ranks", lambda rank=rank: (rank, 2))
        shares.append(BudgetBatchSampler(lengths, 400, shuffle=True, seed=1, shared=True).batches)
    assert len(shares[0]) == len(shares[1]) == len(together)
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(batch) for batch in together]


def halo(root: Path, *arguments: str, processes: int = 0) -> str:
    """Run one verb on the profile of a root, under torchrun where processes are given; return what it printed."""
    start = list(PYTHON)
    if processes:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*start, "-m", "halo_utils", *arguments, "--profile", str(root / "tiny.yaml")]
    environment = {**os.environ, "HALO_ROOT": str(root), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY, timeout=400)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def history(root: Path) -> Path:
    (path,) = (root / "data" / "runs" / "tiny" / "esm").glob("*/history.csv")
    return path


@pytest.mark.slow
def test_training_under_torchrun_is_that_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same losses, rates and scores up to rounding, and notebook 02 finds the model trained."""
    histories = {}
    for name, processes, tokens in (("one", 0, 2048), ("two", 2, 1024), ("small", 0, 1024)):
        root = tmp_path / name
        root.mkdir()
        text = TINY_PROFILE.replace("learning_rate: 3.0e-3, epochs: 2", "learning_rate: 1.0e-2, epochs: 2")
        text = text.replace("tokens_per_batch: 2048", f"tokens_per_batch: {tokens}")
        compute = f"{{devices: {max(1, processes)}, strategy: {'ddp' if processes else 'auto'}}}"
        (root / "tiny.yaml").write_text(f"{text}compute: {compute}\n")
        monkeypatch.setenv("HALO_ROOT", str(root))
        settings = load_settings(str(root / "tiny.yaml"))
        settings.paths.make()
        artifacts.save_table(settings, prepare.read_inputs(settings).table)  # what notebook 01 leaves behind
        halo(root, "train", "esm", processes=processes)
        histories[name] = pd.read_csv(history(root))
    one, two, small = histories.values()
    for column in ("val_loss", "val_macro_f1", "val_threshold", "learning_rate"):
        assert np.allclose(one[column], two[column], atol=1e-3), f"{column}: {one[column]} {two[column]}"
    assert one["train_loss"].iloc[-1] < one["train_loss"].iloc[0]  # there was something to learn
    assert not np.allclose(one["val_loss"], small["val_loss"], atol=1e-3)  # another batch size shows

    monkeypatch.setenv("HALO_ROOT", str(tmp_path / "two"))
    settings = load_settings(str(tmp_path / "two" / "tiny.yaml"))
    written = history(tmp_path / "two").stat().st_mtime_ns
    run = recipe.train_sequence_model(settings, artifacts.load_table(settings))[1]
    assert run.history["val_loss"].tolist() == two["val_loss"].tolist()
    assert history(tmp_path / "two").stat().st_mtime_ns == written


@pytest.mark.slow
def test_pretraining_under_torchrun_is_that_of_one_process(tmp_path: Path) -> None:
    histories = []
    for processes, tokens in ((0, 1024), (2, 512)):
        root = tmp_path / str(processes)
        root.mkdir()
        group = f"pretrain: {{crop: 64, tokens_per_batch: {tokens}, steps_per_round: 4, rounds: 2, held_out: 0.1}}"
        compute = f"compute: {{devices: {max(1, processes)}, strategy: {'ddp' if processes else 'auto'}}}"
        (root / "tiny.yaml").write_text(f"{TINY_PROFILE}{group}\n{compute}\n")
        halo(root, "pretrain", processes=processes)
        histories.append(pd.read_csv(root / "data" / "runs" / "tiny" / "pretrain" / "history.csv"))
    assert (histories[0]["tokens"] > 0).all() and len(histories[1]) == 2
    # Crops and masks are drawn per batch, so that the losses agree only roughly; the number of tokens does too.
    assert np.allclose(histories[0]["tokens"], histories[1]["tokens"], rtol=0.05)
    assert np.allclose(histories[0]["val_loss"], histories[1]["val_loss"], atol=0.2)
