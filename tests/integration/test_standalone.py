"""A notebook opened alone: copied to an empty folder, its set-up cell installs the wheel into a second environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import jupytext
import nbformat
import pytest

from halo_utils.commands import standalone
from halo_utils.core.paths import REPOSITORY
from tests.conftest import TINY_PROFILE
from tools import opening, pairs

NAME = "03_confidence_analysis"  # reads what notebooks 01 and 02 make
BUILT = ("halo_utils", "data/reference", "data/checkpoints", "data/sources.yaml", "notebooks")
BUILT += ("pyproject.toml", "setup.py", "README.md", "LICENSE")


def run(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    """Run a command as a reader would who has no checkout: nothing of the tests' own environment leads to one."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HALO_", "PYTHON", "JUPYTER"))}
    environment = {**kept, "TQDM_DISABLE": "", **variables}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def place(book: nbformat.NotebookNode) -> int:
    """Return where in a notebook its set-up cell stands."""
    return next(i for i, cell in enumerate(book.cells) if opening.SET_UP in cell.metadata.get("tags", []))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel, built from a copy whose notebooks are made from their sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in BUILT:
        target = folder / "copy" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, target, ignore=shutil.ignore_patterns("__pycache__", "executed"))
        else:
            shutil.copy(REPOSITORY / name, target)
    for source in pairs.sources():
        path = folder / "copy" / source.relative_to(REPOSITORY).with_suffix(".ipynb")
        jupytext.write(jupytext.read(source), path, fmt="ipynb")
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ".")
    run(sys.executable, *build, cwd=folder / "copy")
    return next(folder.glob("halo_utils-*.whl"))


@pytest.fixture(scope="module")
def second_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that sees all installed packages but this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    packages = folder / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(("halo_utils", "__editable__", "_distutils_hack", "distutils-precedence")):
            (packages / path.name).symlink_to(path)
    python = folder / "bin" / "python"
    found = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=folder).stdout.strip()
    (Path(found) / "packages.pth").write_text(f"{packages}\n", encoding="utf-8")
    return python


def test_the_wheel_carries_what_a_run_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    read = [
        p
        for pattern in ("data/reference/*", "data/checkpoints/*/*", "notebooks/*.ipynb")
        for p in REPOSITORY.glob(pattern)
    ]
    assert len(read) > 15
    assert {f"halo_utils/repository/{p.relative_to(REPOSITORY).as_posix()}" for p in read} <= names
    assert {"halo_utils/repository/data/sources.yaml", "halo_utils/embeddings/esm2_vocab.txt"} <= names
    assert {f"halo_utils/profiles/{p.name}" for p in (REPOSITORY / "halo_utils" / "profiles").iterdir()} <= names


@pytest.mark.slow
def test_a_notebook_alone_installs_the_package_and_makes_its_inputs(
    wheel: Path, second_python: Path, tmp_path: Path
) -> None:
    book = jupytext.read(REPOSITORY / "notebooks" / f"{NAME}.py")
    published, cell = f"git+{opening.repository()}", book.cells[place(book)]
    assert published in cell.source
    cell.source = cell.source.replace(published, wheel.as_uri())
    nbformat.write(book, tmp_path / "alone.ipynb")
    (tmp_path / "tiny.yaml").write_text(TINY_PROFILE.replace("epochs: 2,", "epochs: 1, compare_heads: none,"))
    command = ("-m", "papermill", "alone.ipynb", "done.ipynb", "-p", "profile", "tiny.yaml", "-k", "python3")
    run(second_python, *command, cwd=tmp_path, PIP_NO_INDEX="1", PIP_NO_DEPS="1", OMP_NUM_THREADS="1")
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    text = "".join(output.get("text", "") for output in done.cells[place(done)].outputs)
    assert (
        f"{NAME} needs what 01_data_preparation, 02_esm_finetuning make" in text and "02_esm_finetuning: 100%" in text
    )
    assert (tmp_path / "halo" / "data" / "results" / "tiny" / "confidence_bins.csv").is_file()
    assert (tmp_path / "halo" / "data" / "runs" / "tiny" / "executed" / "02_esm_finetuning.ipynb").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"alone.ipynb", "done.ipynb", "tiny.yaml", "halo"}


def test_in_a_checkout_the_cell_does_nothing(root: Path, tiny_profile: Path, capsys: pytest.CaptureFixture) -> None:
    standalone.set_up(NAME, {"profile": str(tiny_profile)})
    assert capsys.readouterr().out == "" and {path.name for path in root.iterdir()} == {"tiny.yaml"}


def test_real_proteins_are_not_run_unasked(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(standalone, "IN_CHECKOUT", False)
    standalone.set_up(NAME, {"profile": "quick", "dataset": "", "seed": 3})
    text = capsys.readouterr().out
    assert "needs what 01_data_preparation, 02_esm_finetuning make" in text
    assert "run `python -m halo_utils run --profile quick --seed 3` first" in text and not list(root.iterdir())
    standalone.set_up("01_data_preparation", {"profile": "demo"})
    standalone.set_up("A1_pretrain_backbone", {"profile": "demo"})
    standalone.set_up("00_your_proteins", {"profile": "demo"})
    assert "needs" not in capsys.readouterr().out


@pytest.mark.parametrize("change", ["badge", "cell", "missing"])
def test_the_gate_sees_another_opening(change: str) -> None:
    source = pairs.sources()[2]
    book = jupytext.read(source)
    assert opening.opening_problems(book, source.stem) == []
    if change == "badge":
        book.cells[0].source = book.cells[0].source.replace("mybinder.org", "example.org", 1)
    elif change == "cell":
        book.cells[place(book)].source += "\nprint('more')"
    else:
        del book.cells[place(book)]
    assert [
        "run `python -m tools.pairs open`" in problem for problem in opening.opening_problems(book, source.stem)
    ] == [True]
