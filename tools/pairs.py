"""The two halves of each notebook: the ``.py`` is the source, the ``.ipynb`` is made from it and executed.

``check`` fails when a pair disagrees or an ``.ipynb`` is not executed; ``execute`` remakes them all on the demo;
``open`` writes what every notebook opens with into the ``.py``, which ``execute`` does too, and carries changed words
over to an ``.ipynb`` whose code is the same;
``collect RUN`` copies the executed notebooks of a finished run to where they are committed.
"""

import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode

from halo_utils.commands.run import run_notebook
from halo_utils.core.errors import DataError
from halo_utils.core.files import read_parquet, write_text
from halo_utils.core.paths import NOTEBOOKS, REPOSITORY, RunPaths, shown
from tools.exit_code import exit_code
from tools.opening import inputs, kept_metadata, open_source, opening_problems

TAG, COLLAPSED, CHECKS = "nbval-check-output", "jp-MarkdownHeadingCollapsed", "## Checks"
MACHINE_PATH = re.compile(r"/(root|home|work|tmp|Users)/\w")
MAX_BYTES = 1_000_000
NAMING = ("00", "01", "11")  # notebooks that may name proteins
EXECUTED = NOTEBOOKS / "executed"  # notebooks of runs on real data, for reading


def sources() -> list[Path]:
    """Return the percent-format halves in reading order."""
    patterns = ("[0-9][0-9]_*.py", "related/[0-9][0-9]_*.py", "appendix/A[0-9]_*.py")
    return [path for pattern in patterns for path in sorted(NOTEBOOKS.glob(pattern))]


def check_problems(notebook: NotebookNode, name: str) -> list[str]:
    """Return what is wrong with the checks of a notebook: all stand in one last, collapsed section."""
    headings = [
        (i, c) for i, c in enumerate(notebook.cells) if c.cell_type == "markdown" and c.source.startswith("## ")
    ]
    at, last = headings[-1]
    if last.source.splitlines()[0] != CHECKS or not last.metadata.get(COLLAPSED):
        return [f"{name} ends with {last.source.splitlines()[0]!r}: expected {CHECKS!r} with {COLLAPSED}=true"]
    stray = [i for i, cell in enumerate(notebook.cells[:at]) if TAG in cell.metadata.get("tags", [])]
    return [f"{name}: cell {i} is tagged {TAG} outside the section Checks: move it there" for i in stray]


def pair_problems(source: Path) -> list[str]:
    """Return what is wrong with one pair, empty when nothing is."""
    path = source.with_suffix(".ipynb")
    if not path.is_file():
        return [f"{path.name} is missing: run `make notebooks`"]
    notebook, written = nbformat.read(path, as_version=4), jupytext.read(source)
    problems = check_problems(written, source.name)
    if "version" not in notebook.metadata.get("language_info", {}):
        problems.append(f"{path.name} has no language_info, which JupyterLab would add: run `make notebooks`")
    problems += opening_problems(written, source.stem)
    if inputs(notebook) != inputs(written):
        problems.append(f"{path.name} and {source.name} disagree: run `make notebooks`")
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        problems.append(f"{path.name} is not executed from 1 to {len(counts)} in order: run `make notebooks`")
    if path.stat().st_size > MAX_BYTES:
        problems.append(f"{path.name} has {path.stat().st_size:,} bytes, at most {MAX_BYTES:,} are allowed")
    text = path.read_text(encoding="utf-8")
    if found := MACHINE_PATH.search(text):
        problems.append(f"{path.name} shows a machine path near {text[found.start() : found.start() + 40]!r}")
    return problems


def _is_passing(output: NotebookNode) -> bool:
    """Return whether an output is of its moment only: standard error, and widgets, whose state is not kept."""
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def clean(notebook: NotebookNode) -> NotebookNode:
    """Remove timings, standard error, widgets and papermill's records; keep results, tags, what JupyterLab adds."""
    kept = {
        name: notebook.metadata[name]
        for name in ("kernelspec", "jupytext", "language_info")
        if name in notebook.metadata
    }
    notebook.metadata = NotebookNode(kept)
    for cell in notebook.cells:
        cell.metadata = NotebookNode(kept_metadata(cell))
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_passing(output)]
    return CoalesceStreamsPreprocessor().preprocess(notebook, {})[0]  # a line may come in two parts


def _write(notebook: NotebookNode, path: Path) -> Path:
    """Write a cleaned notebook; stable cell ids keep differences small."""
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02d}"
    return write_text(path, nbformat.writes(notebook) + "\n")


def execute(source: Path) -> Path:
    """Make the ``.ipynb`` of one source, execute it with its default parameters and clean its outputs."""
    path = open_source(source).with_suffix(".ipynb")
    write_text(path, jupytext.writes(jupytext.read(source), fmt="ipynb"))
    run_notebook(path, path, {})
    return _write(clean(nbformat.read(path, as_version=4)), path)


def carry_words(source: Path) -> bool:
    """Write the Markdown of a ``.py`` into its ``.ipynb``, outputs kept; return False where their code differs."""
    path = source.with_suffix(".ipynb")
    if not path.is_file():
        return False
    notebook, written = nbformat.read(path, as_version=4), jupytext.read(source)
    kinds = [
        [(c.cell_type, c.source.strip() if c.cell_type == "code" else "") for c in n.cells] for n in (notebook, written)
    ]
    if kinds[0] != kinds[1]:
        return False
    for cell, new in zip(notebook.cells, written.cells, strict=True):
        cell.source = new.source
    _write(notebook, path)
    return True


def _names_any(cell: NotebookNode, accessions: set[str]) -> bool:
    """Return whether a cell's printed text or a table of it holds a protein's accession as a word."""
    outputs = cell.get("outputs", [])
    texts = [output.get("text", "") for output in outputs]
    texts += [str(d) for output in outputs for kind, d in output.get("data", {}).items() if kind.startswith("text/")]
    return not accessions.isdisjoint(re.findall(r"\w+", " ".join(texts)))


def collect(run: str) -> list[Path]:
    """Copy the notebooks that a finished run commits, cleaned, to ``notebooks/executed/<run>``.

    Those of ``NAMING`` stay. Of the others all outputs of a cell that names a protein of the run are left out: real
    data are not ours to publish.
    """
    executed = sorted((RunPaths(run).work / "executed").glob("[01][0-9]_*.ipynb"))
    found = [path for path in executed if path.name[:2] not in NAMING and not path.stem.endswith(".failed")]
    if not found:
        raise DataError(f"data/runs/{run} holds no executed notebooks: run the profile first")
    accessions = set(read_parquet(RunPaths(run).dataset, "run the profile first")["accession"])
    copied = []
    for path in found:
        notebook = clean(nbformat.read(path, as_version=4))
        for cell in (cell for cell in notebook.cells if _names_any(cell, accessions)):
            cell.outputs = []
        copied.append(_write(notebook, EXECUTED / run / path.name))
    return copied


def executed_problems(path: Path) -> list[str]:
    """Return what is wrong with a collected notebook: its size, or a machine's path in it."""
    size, text = path.stat().st_size, path.read_text(encoding="utf-8")
    problems = [f"{path.name} has {size:,} bytes, at most {MAX_BYTES:,} are allowed"] if size > MAX_BYTES else []
    return problems + ([f"{path.name} shows a machine path"] if MACHINE_PATH.search(text) else [])


def main(argv: list[str]) -> int:
    """Run ``check``, ``execute`` or ``collect <run>``; return the exit code."""
    if len(argv) == 2 and argv[0] == "collect":
        if failed := exit_code(lambda: print(*map(shown, collect(argv[1])), sep="\n")):
            return failed
    elif argv == ["execute"]:
        for source in sources():
            print(f"{source.stem} ...", flush=True)
            execute(source)
    elif argv == ["open"]:
        for source in sources():
            opened = open_source(source)
            print(shown(opened), "" if carry_words(opened) else "(its .ipynb has other code: execute it)")
        return 0
    elif argv != ["check"]:
        print("usage: python -m tools.pairs check|execute|open|collect RUN", file=sys.stderr)
        return 2
    problems = [problem for source in sources() for problem in pair_problems(source)]
    problems += [problem for path in sorted(EXECUTED.glob("*/*.ipynb")) for problem in executed_problems(path)]
    tracked = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "data/raw", "data/runs"], capture_output=True, text=True
    )
    problems += [f"{name} must not be tracked" for name in tracked.stdout.split()]
    print("\n".join(problems) if problems else f"{len(sources())} notebook pairs agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
