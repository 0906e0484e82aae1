"""nbval on the committed notebooks, from nothing: every tagged cell is compared, and the comparison can fail."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest

from halo_utils.commands.run import find_notebook
from halo_utils.core.paths import RELATED, REPOSITORY
from tools import pairs

PAIRS = [source.with_suffix(".ipynb") for source in pairs.sources()]  # numbered, related and the appendix
RUN = [path for path in PAIRS if path.parent != RELATED]  # what `make run` makes; `make check-related` has the others

LEAST_COMPARED = 25
TAG = "nbval-check-output"


def nbval(paths: list[Path], report: Path, root: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HALO_ROOT": str(root), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    return subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, env=environment, cwd=REPOSITORY)


def passed_cells(report: Path) -> set[tuple[str, int]]:
    """Return (notebook, code cell number) of every cell that passed."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    good = [c for c in cases if not any(child.tag in ("failure", "error", "skipped") for child in c)]
    return {(c.get("classname").split(".")[-2], int(c.get("name").split()[-1])) for c in good}


def tagged_cells(path: Path) -> list[int]:
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return [i for i, c in enumerate(code) if TAG in c.metadata.get("tags", []) and c.outputs]


@pytest.mark.slow
def test_notebooks_reproduce_their_tagged_cells(tmp_path: Path) -> None:
    done = nbval(RUN, tmp_path / "report.xml", tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    passed = {}
    for name, number in passed_cells(tmp_path / "report.xml"):
        passed.setdefault(name, set()).add(number)
    compared = 0
    for path in RUN:
        tagged, found = tagged_cells(path), passed[path.stem]
        assert len(tagged) >= 3, f"{path.stem} has {len(tagged)} tagged cells with output"
        assert set(tagged) <= found
        compared += len(tagged)
    print(f"nbval compared {compared} tagged cells of {len(RUN)} notebooks")
    assert compared >= LEAST_COMPARED


def two_cells(path: Path, stored: str, tags: list[str]) -> Path:
    cell = nbformat.v4.new_code_cell("print(1 + 2)", metadata={"tags": tags}, execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
    book = nbformat.v4.new_notebook(cells=[cell])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def test_the_check_fails_on_a_wrong_tagged_number_only(tmp_path: Path) -> None:
    samples = {"right": ("3\n", [TAG]), "wrong": ("4\n", [TAG]), "not_tagged": ("4\n", [])}
    books = [two_cells(tmp_path / f"{name}.ipynb", *sample) for name, sample in samples.items()]
    done = nbval(books, tmp_path / "report.xml", tmp_path)
    assert done.returncode == 1, done.stdout
    assert {name for name, _ in passed_cells(tmp_path / "report.xml")} == {"right", "not_tagged"}


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_notebooks_are_paired_executed_and_clean(path: Path) -> None:
    assert pairs.pair_problems(path.with_suffix(".py")) == []


def in_short(cell: nbformat.NotebookNode) -> str:
    """Return the Markdown of a cell, typed or displayed by its code."""
    shown = [output.get("data", {}).get("text/markdown", "") for output in cell.get("outputs", [])]
    return cell.source if cell.cell_type == "markdown" else "".join(shown)


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_notebooks_follow_the_house(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    first, code = book.cells[0].source, [c for c in book.cells if c.cell_type == "code"]
    assert first.startswith("# ") and all(f"**{word}**" in first for word in ("Does", "Needs", "Makes", "Takes"))
    assert code[0].metadata.tags == ["parameters"] and 'profile: str = "demo"' in code[0].source
    assert max(len(c.source.splitlines()) for c in code) <= 30
    assert sum(c.cell_type == "markdown" for c in book.cells) >= 0.5 * len(code)
    checks = next(i for i, c in enumerate(book.cells) if c.source.startswith("## Checks"))
    assert any(in_short(cell).startswith("**In short.**") for cell in book.cells[checks - 2 : checks])


def broken(tmp_path: Path, change: str) -> Path:
    """Copy a good pair and break it in one way; return the source half."""
    source = tmp_path / "01_data_preparation.py"
    good = find_notebook("01")
    text = good.with_suffix(".py").read_text()
    book = nbformat.read(good, as_version=4)
    code = [c for c in book.cells if c.cell_type == "code"]
    if change == "source":
        text = text.replace("import numpy", "import  numpy")
    elif change == "order":
        code[1].execution_count = 7
    elif change == "language":
        book.metadata.pop("language_info", None)
    elif change == "stray":
        text = text.replace("# %%\nimport", '# %% tags=["nbval-check-output"]\nimport', 1)
    elif change == "last":
        text += "\n# %% [markdown]\n# ## One more\n"
    elif change == "path":
        code[1].outputs.append(nbformat.v4.new_output("stream", text="/" + "home/someone/file"))
    source.write_text(text)
    nbformat.write(book, source.with_suffix(".ipynb"))
    return source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("source", "disagree"),
        ("order", "not executed"),
        ("language", "no language_info"),
        ("stray", "outside the section Checks"),
        ("last", "expected '## Checks'"),
        ("path", "machine path"),
    ],
)
def test_the_pair_gate_fails_when_it_should(tmp_path: Path, change: str, message: str) -> None:
    assert any(message in problem for problem in pairs.pair_problems(broken(tmp_path, change)))
