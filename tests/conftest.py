"""Fixtures shared by all tests: a private output folder, a tiny profile, and the real data where they are."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.core.paths import data_dir
from halo_utils.data.locations import DEEPLOC
from tests import warm as warm_start
from tests.server import Server, serving

TINY_PROFILE = """\
description: Synthetic proteome of a few dozen proteins for the tests.
seed: 3
data: {dataset: synthetic, synthetic_proteins: 60}
backbone:
  source: random
  random: {layers: 3, width: 16, heads: 2}
esm: {learning_rate: 3.0e-3, epochs: 2, tokens_per_batch: 2048}
gat:
  hidden: 4
  heads: 2
  layers: 2
  epochs: 2
  nodes_per_batch: 4000
  weights: {mode: grid, grid_coord: [0.0, 0.5], grid_bio: [0.5], grid_epochs: 1}
evaluation: {bootstrap: 20}
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture(scope="session", autouse=True)
def warm() -> Iterator[None]:
    """Let processes and kernels that tests start begin with the libraries imported."""
    with tempfile.TemporaryDirectory(prefix="halo-warm-") as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in warm_start.variables(Path(folder)).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output root of its own, so that a test never touches the repository's runs."""
    monkeypatch.setenv("HALO_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A local server, and nothing in the environment that would keep a download from it."""
    for name in ("HALO_DATA_DIR", "HALO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        yield running


@pytest.fixture
def tiny_profile(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_PROFILE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = data_dir()
    if folder is None or not folder.is_dir():
        pytest.skip("HALO_DATA_DIR is not set: the real data are not at hand")
    return folder


@pytest.fixture
def five_proteins() -> pd.DataFrame:
    """Five proteins: the second will have no structure, the fourth is the shortest."""
    rows = [("P1", "MKVLAAGH", "train"), ("P2", "MSSPLK", "train"), ("P3", "MARTKQTARK", "val")]
    rows += [("P4", "MG", "test"), ("P5", "MKDELSKLW", "test")]
    table = pd.DataFrame(rows, columns=["accession", "sequence", "split"]).assign(kingdom="", subset="")
    labels = np.eye(10, dtype=np.int8)[[0, 1, 0, 2, 1]]
    return table.join(pd.DataFrame(labels, columns=list(DEEPLOC)))


def pytest_sessionstart(session: pytest.Session) -> None:
    os.environ.setdefault("MPLBACKEND", "Agg")
