"""Recovery: killed, interrupted, starved or damaged, the same command again gives the same final numbers."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from jupyter_client.manager import start_new_kernel

from halo_utils.__main__ import main
from halo_utils.config import Settings, load_settings
from halo_utils.core.errors import BusyError, DataError, StorageError, TrainingError
from halo_utils.core.files import HOST, atomic_path, locked, remove_unfinished, write_csv, write_text
from halo_utils.core.paths import REPOSITORY
from halo_utils.core.residue_store import write_store
from halo_utils.data.download import fetch, remove_temporaries
from halo_utils.models.losses import FocalLoss
from halo_utils.runs import artifacts, prepare, recipe
from halo_utils.runs.artifacts import load_predictions
from halo_utils.training import embed, fit
from halo_utils.training.checkpoints import memory_errors
from tests.server import serving
from tests.steps import PROFILE
from tests.warm import PYTHON

pytestmark = pytest.mark.slow


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "HALO_ROOT": str(root), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}


def steps(root: Path, kill: str = "") -> subprocess.CompletedProcess:
    command = [*PYTHON, "-m", "tests.steps", str(root / "steps.yaml"), *([kill] if kill else [])]
    return subprocess.run(command, capture_output=True, text=True, env=environment(root), cwd=REPOSITORY)


def new_root(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "steps.yaml").write_text(PROFILE)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a run that nothing disturbed."""
    root = new_root(tmp_path_factory.mktemp("whole"))
    done = steps(root)
    assert done.returncode == 0, done.stderr[-2000:]
    return root


def assert_same_results(root: Path, expected: Path) -> None:
    """Bit for bit: probabilities, metrics, and the history of both trainings."""
    files = ["runs/steps/predictions/esm.parquet", "runs/steps/predictions/gat_weighted.parquet"]
    for name in files:
        ours, theirs = (pd.read_parquet(folder / "data" / name) for folder in (root, expected))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    for pattern in ("results/steps/metrics.csv", "runs/steps/*/*/history.csv"):
        pairs = [sorted((folder / "data").glob(pattern)) for folder in (root, expected)]
        assert [p.read_text() for p in pairs[0]] == [p.read_text() for p in pairs[1]] and pairs[0]


# One run after another in one folder, each killed further on; module:function:call[:after it returned].
KILL_POINTS = {
    "while structures are written": "halo_utils.data.synthetic.proteome:build_backbone:40",
    "before the data set's table has its name": "pandas:DataFrame.to_parquet:1:after",
    "while structures are stored": "halo_utils.core.residue_store:write_json:1",
    "while the trunk is cached": "halo_utils.core.residue_store:_fill:2:after",
    "in the second epoch of fine-tuning": "halo_utils.training.lightning_module:LocationModule.training_step:10",
    "while a checkpoint is written": "torch:save:3:after",
    "before the best weights have their name": "halo_utils.training.fit:save_file:1:after",
    "before fine-tuning is marked as done": "halo_utils.training.fit:write_csv:1",
    "in the second epoch of the GAT": "halo_utils.training.lightning_module:LocationModule.training_step:9",
    "after the GAT has stopped early": "halo_utils.training.fit:write_csv:1",
    "before the last predictions are written": "halo_utils.runs.artifacts:write_parquet:2",
}


def test_recovery_from_being_killed_at_every_stage(undisturbed: Path, tmp_path: Path) -> None:
    root = new_root(tmp_path / "killed")
    for point, kill in KILL_POINTS.items():
        done = steps(root, kill)
        assert done.returncode == -signal.SIGKILL, f"{point}: {done.returncode} {done.stderr[-1000:]}"
    done = steps(root)
    assert done.returncode == 0, done.stderr[-2000:]
    assert_same_results(root, undisturbed)
    assert not list((root / "data").rglob(".unfinished-*"))


def test_recovery_kill_points_are_enough_and_the_run_is_a_hard_one(undisturbed: Path) -> None:
    """The learning rate falls, dropout is at work, and the GAT stops early: what a careless resume would break."""
    assert len(KILL_POINTS) >= 5
    esm, gat = (pd.read_csv(next((undisturbed / "data/runs/steps").glob(f"{n}/*/history.csv"))) for n in ("esm", "gat"))
    assert esm["learning_rate"].nunique() > 1 and len(gat) < 9


def test_recovery_of_a_killed_download(tmp_path: Path) -> None:
    """What a killed process leaves is not the file, the next call brings it, and the left-over goes an hour later."""
    body = os.urandom(400_000)
    code = (
        "import sys, pathlib; from halo_utils.data.download import fetch; fetch(sys.argv[1], pathlib.Path(sys.argv[2]))"
    )
    target = tmp_path / "table.bin"
    with serving() as server:
        address = server.add("/table.bin", body, faults=["slow"])
        process = subprocess.Popen(
            [sys.executable, "-c", code, address, str(target)], cwd=REPOSITORY, env=environment(tmp_path),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not any(path.stat().st_size >= 131_072 for path in tmp_path.iterdir()):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert not target.exists()
        assert fetch(address, target, progress=False).read_bytes() == body
    remove_temporaries(tmp_path)
    (left,) = (path for path in tmp_path.iterdir() if path != target)
    os.utime(left, (0, 0))
    remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def notebook(root: Path, number: str) -> list[str]:
    return [*PYTHON, "-m", "halo_utils", "run", "--profile", str(root / "steps.yaml"), "--notebook", number]


def run_notebook(root: Path, number: str) -> None:
    done = subprocess.run(notebook(root, number), capture_output=True, text=True, env=environment(root), cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-2000:]


def test_recovery_of_a_killed_notebook_run(tmp_path: Path) -> None:
    """SIGKILL to the runner while its kernel trains; the same command again, and the tables are the same."""
    killed, whole = new_root(tmp_path / "killed"), new_root(tmp_path / "whole")
    run_notebook(killed, "01")
    shutil.copytree(killed / "data", whole / "data")
    process = subprocess.Popen(
        notebook(killed, "02"), env=environment(killed), cwd=REPOSITORY, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while not list(killed.glob("data/runs/steps/esm/*/checkpoints/*.ckpt")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (killed / "data/runs/steps/executed/02_esm_finetuning.ipynb").exists()
    for root in (killed, whole):
        run_notebook(root, "02")
    for name in ("metrics_sequence.csv", "threshold_sweep.csv", "esm_training.csv"):
        ours, theirs = ((root / "data/results/steps" / name).read_text() for root in (killed, whole))
        assert ours == theirs
    assert not list(killed.rglob(".unfinished-*"))


def test_recovery_from_ctrl_c_in_a_notebook(undisturbed: Path, tmp_path: Path) -> None:
    """Interrupt the kernel while a cell trains, run the cell again, and interrupt once more: the kernel still hears."""
    root = new_root(tmp_path / "interrupted")
    manager, client = start_new_kernel(env=environment(root), cwd=str(REPOSITORY))
    try:

        def execute(code: str, interrupt_after: str = "") -> str:
            """Run a cell, interrupt it once it has printed a word, and return its text or its error."""
            client.execute(textwrap.dedent(code))
            text = ""
            while True:
                message = client.get_iopub_msg(timeout=120)
                content = message["content"]
                if message["msg_type"] == "stream":
                    text += content["text"]
                    if interrupt_after and interrupt_after in text:
                        interrupt_after = ""
                        manager.interrupt_kernel()
                if message["msg_type"] == "error":
                    text += f"{content['ename']}: {content['evalue']}"
                if message["msg_type"] == "status" and content["execution_state"] == "idle":
                    return text

        execute(f"""
            from tests import steps
            from halo_utils.training.lightning_module import LocationModule
            step, profile = LocationModule.training_step, {str(root / "steps.yaml")!r}
            def slow(self, batch, index):
                import time
                if self.current_epoch == 2 and index == 3:
                    print("waiting", flush=True)
                    time.sleep(30)
                return step(self, batch, index)
            LocationModule.training_step = slow
        """)
        for _ in range(2):
            text = execute("steps.run(profile)", "waiting")
            assert "KeyboardInterrupt: training was interrupted: run the cell again" in text
        assert "done" in execute("LocationModule.training_step = step; steps.run(profile); print('done')")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert_same_results(root, undisturbed)


# ---- one writer at a time


def test_recovery_lock_refuses_a_second_run(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    work = load_settings("demo").paths.work
    code = (
        "import sys, time; from pathlib import Path; from halo_utils.core.files import locked\n"
        "with locked(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(work / "run.lock")], stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        assert main(["run", "--profile", "demo", "--notebook", "01"]) == 2
        message = capsys.readouterr().err
        assert "error: run demo is being written by another process (data/runs/demo/run.lock)" in message
        assert "wait for it or stop it, then run the same command again; or give this run another seed" in message
        with pytest.raises(BusyError, match="run demo is being written"), locked(work / "run.lock", "run demo"):
            pass
    finally:
        process.kill()
        process.wait()
    with locked(work / "run.lock", "run demo"):  # a killed holder holds nothing
        pass


# ---- full disk, read-only folder, full memory


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file of this process may grow beyond 200 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_recovery_from_a_full_disk(tmp_path: Path, small_disk: None) -> None:
    table = pd.DataFrame({"a": np.random.default_rng(0).random(100_000)})
    with pytest.raises(StorageError, match=r"t.csv cannot be written, the disk is full \(.* MB free\): make room, or"):
        write_csv(tmp_path / "t.csv", table)
    computed = []
    rows = ((i, computed.append(i) or np.zeros((1000, 64))) for i in range(10))
    with pytest.raises(StorageError, match=r"s.npy cannot be written, the disk is full .* finished steps are kept"):
        write_store(tmp_path / "s.npy", "k", list("abcdefghij"), [1000] * 10, 64, rows)
    assert not computed  # said before the work, not in the middle of it, and not as a crash of the memory map
    assert list(tmp_path.iterdir()) == []


def test_recovery_from_a_full_disk_while_downloading(tmp_path: Path, small_disk: None) -> None:
    with serving() as server:
        address = server.add("/big.bin", os.urandom(400_000))
        with pytest.raises(StorageError, match="big.bin cannot be written, the disk is full"):
            fetch(address, tmp_path / "big.bin", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_recovery_from_a_full_disk_while_training(tmp_path: Path, small_disk: None) -> None:
    from tests.unit.test_training import model, proteins

    big = model()
    big.register_buffer("ballast", torch.zeros(100_000))
    with pytest.raises(StorageError, match="cannot be written, the disk is full"):
        fit.fit(big, FocalLoss(), proteins(), tmp_path / "fit", epochs=1, learning_rate=1e-2)
    assert not list((tmp_path / "fit").rglob("*.ckpt")) and not list((tmp_path / "fit").rglob("best*"))


@pytest.fixture
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that may be read but not written, for root too, who is made someone else for a moment."""
    load_settings("demo")  # what is imported on first use may lie where that someone cannot read
    folder = tmp_path_factory.mktemp("read_only")
    parents = [p for p in folder.parents if p.owner() == "root" and p != Path("/") and p.name != "tmp"]
    modes = {p: p.stat().st_mode for p in [*parents, folder]}
    for path in parents:
        path.chmod(0o755)
    folder.chmod(0o555)
    someone = os.geteuid()
    if someone == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(someone)
    for path, mode in modes.items():
        path.chmod(mode)


def test_recovery_from_a_read_only_folder(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match=r"t.csv cannot be written \(Permission denied\): make its folder writable"):
        write_text(read_only / "t.csv", "x")
    with pytest.raises(StorageError, match="cannot be written"), locked(read_only / "new" / "l", "x"):
        pass
    monkeypatch.setenv("HALO_ROOT", str(read_only))
    with pytest.raises(StorageError, match=r"data/runs/demo cannot be written \(Permission denied\): make it writable"):
        load_settings("demo").paths.make()


def test_recovery_from_full_memory_names_the_setting() -> None:
    with pytest.raises(TrainingError, match=r"out of memory: lower esm.tokens_per_batch in the profile"):
        with memory_errors("esm.tokens_per_batch"):
            torch.empty(1 << 55)
    with pytest.raises(TrainingError, match="out of memory"), memory_errors("x"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="shape"), memory_errors("x"):
        raise RuntimeError("shape mismatch")


# ---- caches: keyed by content, rebuilt when damaged


def damage(path: Path) -> None:
    """Turn one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.fixture
def copied(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the undisturbed run, to be damaged."""
    subprocess.run(["cp", "-a", str(undisturbed), str(tmp_path / "copy")], check=True)
    monkeypatch.setenv("HALO_ROOT", str(tmp_path / "copy"))
    return tmp_path / "copy"


def test_recovery_of_synthetic_structures_that_are_missing_or_of_another_seed(root: Path) -> None:
    settings = load_settings("demo", data={"synthetic_proteins": 60})

    def contents(chosen: Settings) -> dict[str, bytes]:
        (folder,) = prepare.read_inputs(chosen).structures
        return {path.name: path.read_bytes() for path in folder.glob("*.pdb")}

    first = contents(settings)
    folder = settings.paths.work / "structures"
    (folder / min(first)).unlink()
    assert contents(settings) == first
    other = contents(settings.model_copy(update={"seed": 99}))  # the same run folder, as after a change of the code
    assert all(first[name] != body for name, body in other.items() if name in first)


def test_recovery_from_a_damaged_checkpoint(tmp_path: Path, undisturbed: Path) -> None:
    """Killed in fine-tuning, and the checkpoint is damaged: it is refused, and without it training starts again."""
    root = new_root(tmp_path / "killed")
    steps(root, KILL_POINTS["in the second epoch of fine-tuning"])
    (checkpoint,) = (root / "data/runs/steps/esm").glob("*/checkpoints/last.ckpt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-2000])
    done = steps(root)
    assert done.returncode == 1 and "last.ckpt is damaged or not a checkpoint" in done.stderr
    assert "delete it and run the same command again" in done.stderr
    checkpoint.unlink()
    assert steps(root).returncode == 0
    assert_same_results(root, undisturbed)


def test_recovery_names_the_notebook_for_damaged_predictions(copied: Path) -> None:
    settings = load_settings(str(copied / "steps.yaml"))
    predictions = settings.paths.predictions("esm")
    content = predictions.read_bytes()
    predictions.write_bytes(content[:200] + bytes(400) + content[600:])  # pages carry checksums, the footer none
    with pytest.raises(DataError, match=r"predictions/esm.parquet is damaged .*: run notebook 02_esm_finetuning with"):
        load_predictions(settings, "esm")
    structures = settings.paths.work / "structures.npy"
    structures.write_bytes(structures.read_bytes()[:-8])
    with pytest.raises(DataError, match="structures.npy is missing, damaged or made from other proteins: run notebook"):
        recipe.graph_data(settings, artifacts.load_table(settings), "finetuned")


def keys(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the key of every cached thing of the sequence model, without training it."""
    found = {}

    def stop(module: object, data: object, folder: Path, *_: object) -> None:
        raise KeyboardInterrupt(folder.name)

    with monkeypatch.context() as patch:
        patch.setattr(embed, "store_of", lambda path, key, make: found.update(trunk=key))
        patch.setattr(fit, "_train", stop)
        patch.setattr(fit, "HISTORY", "never.csv")
        with pytest.raises(KeyboardInterrupt) as stopped:
            recipe.train_sequence_model(settings, artifacts.load_table(settings))
    return found | {"finetuned": str(stopped.value)}


CHANGES = {
    "learning rate": ({"esm": {"learning_rate": 0.1}}, {"finetuned"}),
    "focal gamma": ({"esm": {"focal": {"gamma": 1.0}}}, {"finetuned"}),
    "truncation": ({"backbone": {"truncation": "head_tail"}}, {"trunk", "finetuned"}),
    "shape": ({"backbone": {"random": {"layers": 3, "width": 16, "heads": 4}}}, {"trunk", "finetuned"}),
    "precision": ({"compute": {"precision": "bf16-mixed"}}, {"trunk", "finetuned"}),
    "gate": ({"gate": {"rule": "sequence_only"}}, set()),
    "bootstrap": ({"evaluation": {"bootstrap": 30}}, set()),
    "GAT": ({"gat": {"hidden": 8}}, set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_recovery_caches_follow_what_they_depend_on(copied: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, expected = CHANGES[change]
    profile = str(copied / "steps.yaml")
    before = keys(load_settings(profile), monkeypatch)
    after = keys(load_settings(profile, **overrides), monkeypatch)
    assert {name for name in before if before[name] != after[name]} == expected


def test_recovery_nothing_is_computed_twice(copied: Path) -> None:
    """A second run touches no store and no weights; another weight trains only the GAT."""

    def stamps() -> dict[str, int]:
        work = copied / "data/runs/steps"
        files = [p for n in ("*.npy", "esm/*/best*", "gat/*/best*") for p in work.glob(n) if p.name[0] not in "se"]
        return {str(p.relative_to(work)): p.stat().st_mtime_ns for p in files}

    before = stamps()
    assert steps(copied).returncode == 0
    assert stamps() == before and len(before) == 4
    settings = load_settings(str(copied / "steps.yaml"))
    graphs = recipe.graph_data(settings, artifacts.load_table(settings), "finetuned")
    recipe.train_gat(settings, graphs, (0.25, 1.0, 0.5), epochs=1)
    assert len(stamps()) == 5 and before.items() <= stamps().items()
    other = load_settings(str(copied / "steps.yaml"), gat={"cutoff_angstrom": 6.0})
    recipe.train_gat(
        other, recipe.graph_data(other, artifacts.load_table(other), "finetuned"), (0.25, 1.0, 0.5), epochs=1
    )
    assert len(stamps()) == 6


def test_recovery_removes_only_what_the_dead_left(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    names = {f".unfinished-{HOST}-{int(dead.stdout)}-a.csv": True, f".unfinished-{HOST}-{os.getpid()}-b.csv": False}
    names |= {f".unfinished-{int(HOST, 16) ^ 1:08x}-{int(dead.stdout)}-c.csv": False, "results.csv": False}
    (tmp_path / "sub").mkdir()
    for name in names:
        (tmp_path / "sub" / name).touch()
    remove_unfinished(tmp_path)
    assert {p.name for p in (tmp_path / "sub").iterdir()} == {name for name, goes in names.items() if not goes}


def test_recovery_atomic_writing_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", json.dumps({"a": 1}))
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == '{"a": 1}'


REAL_FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from halo_utils.core.errors import StorageError
from halo_utils.core.residue_store import write_store
folder = Path(sys.argv[1])
try:
    write_store(folder / "s.npy", "k", list("abcd"), [9000] * 4, 64, ((i, np.ones((9000, 64))) for i in range(4)))
except StorageError as error:
    print("refused:", error)
print("left:", [p.name for p in folder.iterdir()])
"""


def test_recovery_from_a_real_disk_that_is_full(tmp_path: Path) -> None:
    """A memory-mapped file on a full file system kills a careless process without a word (SIGBUS)."""
    mount = f'mount -t tmpfs -o size=1m none {tmp_path} && exec "$@"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a test mount a file system of its own")
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", REAL_FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, f"{done.returncode} {done.stderr[-500:]}"
    assert "refused: s.npy cannot be written, the disk is full (1 MB free)" in done.stdout
    assert "left: []" in done.stdout
