"""A real Slurm of one node runs the workflow: every notebook and every pair of the weight grid is a job of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from halo_utils.commands.run import notebooks
from halo_utils.config import load_settings
from halo_utils.core.paths import REPOSITORY

SCRIPT = REPOSITORY / "tests" / "slurm.sh"
QUICK = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
QUICK += ["--seconds-between-status-checks", "2", "--latency-wait", "20"]
SMALL = ["--cores", str(os.cpu_count()), "--default-resources", "mem_mb=6000", "runtime=60", "slurm_partition=main"]


@pytest.fixture
def slurm() -> Iterator[None]:
    """A running Slurm, or the reason why there is none."""
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: as root, `bash tests/slurm.sh install`")
    if os.geteuid():
        pytest.skip("a Slurm of one's own needs root")
    if Path("/etc/slurm/slurm.conf").exists():
        pytest.skip("a Slurm is configured here: /etc/slurm/slurm.conf exists")
    state = Path(tempfile.mkdtemp(prefix="halo-slurm-"))  # not pytest's folder: munge wants one that all may enter
    try:
        done = subprocess.run(["bash", SCRIPT, "up", state], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        yield
    finally:
        subprocess.run(["bash", SCRIPT, "down", state], check=True, timeout=60)
        shutil.rmtree(state)


@pytest.mark.slow
def test_slurm_runs_the_workflow_on_the_demo(slurm: None, tmp_path: Path) -> None:
    root = tmp_path / "root"
    environment = {**os.environ, "HALO_ROOT": str(root), "TQDM_DISABLE": "1"}
    command = [str(Path(sys.executable).with_name("snakemake")), "--profile", "slurm", "--nolock"]
    command += ["--config", "profile=demo", "grid=jobs", *SMALL, *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY, timeout=2400)
    assert done.returncode == 0, done.stderr[-6000:]

    settings = load_settings("demo")
    run = root / "data" / "runs" / "demo"
    assert sorted(p.name for p in (run / "executed").glob("*.ipynb")) == [p.name for p in notebooks()]
    pairs = settings.gat.weights.pairs
    jobs = len(notebooks()) + len(pairs)
    assert done.stderr.count("has been submitted with SLURM jobid") == jobs
    assert done.stderr.count("gres=gpu:1") == 2 + len(pairs)

    grid = pd.read_csv(root / "data" / "results" / "demo" / "weight_grid.csv")
    scores = [json.loads((run / "gat" / f"pair_{i}.json").read_text())["val_macro_f1"] for i in range(len(pairs))]
    trained = pd.DataFrame(pairs, columns=["coord", "bio"]).assign(val_macro_f1=scores)
    trained = trained.sort_values("val_macro_f1", ascending=False, kind="stable")
    assert (grid[["coord", "bio"]].to_numpy() == trained[["coord", "bio"]].to_numpy()).all()
    assert (grid["val_macro_f1"] - trained["val_macro_f1"].to_numpy()).abs().max() < 1e-5
