"""What every notebook opens with, written and not typed: badges and an index under the title, then a set-up cell.

``python -m tools.pairs open`` puts both into every ``.py``; ``check`` fails where one is missing or was changed.
"""

import re
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from halo_utils.core.files import write_text
from halo_utils.core.paths import NOTEBOOKS, REPOSITORY

SET_UP, BADGE, INDEX = "set-up", "[![Open in Colab]", "All notebooks: "
RELATED = ("07", "08", "09", "10", "12")  # they read a finished run; `make related` executes them
VERSION = re.compile(r"^# +(format|jupytext)_version: .*\n", re.MULTILINE)  # of jupytext, which would change the files
KEPT = ("tags", "jp-MarkdownHeadingCollapsed", "jupyter", "cellView")  # metadata of a cell that both halves hold
COLLAPSED = {"tags": [SET_UP], "jupyter": {"source_hidden": True}, "cellView": "form"}  # in JupyterLab, in Colab
CELL = """\
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{{name}}=={{metadata.version(name)}}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+{repository}"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("{name}", globals())"""


def repository() -> str:
    """Return the published address of the companion, from pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"]


def folder(name: str) -> str:
    """Return the folder of a notebook below ``notebooks/``, with its slash."""
    return "appendix/" if name.startswith("A") else "related/" if name[:2] in RELATED else ""


def badges(name: str) -> str:
    """Return the line of badges that opens a notebook in Colab and on Binder."""
    place = f"notebooks/{folder(name)}{name}.ipynb"
    owner = repository().removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner}/blob/main/{place}"
    binder = f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/{place}"
    return (
        f"{BADGE}(https://colab.research.google.com/assets/colab-badge.svg)]({colab})"
        f" [![Open on Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def index(name: str) -> str:
    """Return the line of links from a notebook to those of the main run, the appendix and the table of all."""
    names = sorted(path.stem for pattern in ("[0-9]*.py", "appendix/A*.py") for path in NOTEBOOKS.glob(pattern))
    up = "../" if folder(name) else ""
    links = [f"**{n[:2]}**" if n == name else f"[{n[:2]}]({up}{folder(n)}{n}.ipynb)" for n in names]
    return f"{INDEX}{' · '.join(links)} · [what each one answers]({up}../README.md#the-notebooks)"


def opened(notebook: NotebookNode, name: str) -> NotebookNode:
    """Return a copy of a notebook with its badges, index and set-up cell, in place of those that it has."""
    copy = nbformat.from_dict(notebook)
    first = copy.cells[0]
    lines = [line for line in first.source.splitlines() if not line.startswith((BADGE, INDEX))]
    rest = "\n".join(lines[2:]).strip("\n")  # below the title and the links to its neighbours
    first.source = "\n".join([*lines[:2], badges(name), "", index(name), "", rest])
    copy.cells = [cell for cell in copy.cells if SET_UP not in cell.metadata.get("tags", [])]
    after = next(i for i, cell in enumerate(copy.cells) if "parameters" in cell.metadata.get("tags", [])) + 1
    text = CELL.format(repository=repository(), name=name)
    copy.cells.insert(after, nbformat.v4.new_code_cell(text, metadata=COLLAPSED))
    copy.metadata.jupytext["cell_metadata_filter"] = ",".join(KEPT)
    return copy


def kept_metadata(cell: NotebookNode) -> dict[str, object]:
    """Return what of a cell's metadata both halves hold: its tags, and whether it starts collapsed."""
    return {name: cell.metadata[name] for name in KEPT if cell.metadata.get(name)}


def inputs(notebook: NotebookNode) -> list[tuple[str, str, dict[str, object]]]:
    """Return kind, source and kept metadata of every cell; what the two halves must share."""
    return [(cell.cell_type, cell.source.strip(), kept_metadata(cell)) for cell in notebook.cells]


def open_source(source: Path) -> Path:
    """Write badges and set-up cell into the ``.py`` of a notebook."""
    text = jupytext.writes(opened(jupytext.read(source), source.stem), fmt="py:percent")
    return write_text(source, VERSION.sub("", text))


def opening_problems(notebook: NotebookNode, name: str) -> list[str]:
    """Return what is wrong with how a notebook opens; empty when nothing is."""
    if inputs(opened(notebook, name)) == inputs(notebook):
        return []
    return [f"{name}.py has no badges, index or set-up cell, or others: run `python -m tools.pairs open`"]
