"""Runs notebooks through papermill, refusing unknown parameters and profiles before anything starts.

``python -m halo_utils run`` runs all notebooks of a profile in order; ``--notebook 05`` runs one. papermill itself only
warns about a misspelt parameter and then runs the defaults. With ``--script`` the ``.py`` halves run in this process:
``torchrun --nproc-per-node 4 -m halo_utils run --script --profile paper`` trains on four GPUs, ``srun`` on many nodes.
"""

import argparse
import ast
import os
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import jupytext
import matplotlib
import papermill
from matplotlib import pyplot as plt

from halo_utils.config import VARIATIONS, Settings, load_settings
from halo_utils.core.errors import HaloError, SettingsError
from halo_utils.core.files import atomic_path, remove_unfinished
from halo_utils.core.locks import locked
from halo_utils.core.paths import NOTEBOOKS, RunPaths, shown
from halo_utils.core.ranks import is_first, meet


def notebooks() -> list[Path]:
    """Return the numbered notebooks in reading order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def find_notebook(name: str) -> Path:
    """Return the notebook whose name starts with ``name`` (``05`` or ``05_halo_ensemble``).

    Raises:
        SettingsError: if there is none or more than one.
    """
    found = [path for path in notebooks() if path.stem.startswith(Path(name).stem)]
    if len(found) != 1:
        known = ", ".join(path.stem for path in notebooks())
        raise SettingsError(f"unknown notebook {name!r}: use one of {known}")
    return found[0]


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Refuse parameters that the notebook does not declare.

    Raises:
        SettingsError: naming the unknown ones and listing the valid ones with their defaults.
    """
    declared = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(parameters) - set(declared))
    if unknown:
        valid = ", ".join(f"{name} (default {value['default']})" for name, value in declared.items())
        raise SettingsError(f"{notebook.stem} has no parameter {', '.join(unknown)}: valid are {valid}")


def run_notebook(notebook: Path, output: Path, parameters: dict[str, Any]) -> Path:
    """Execute one notebook; the executed copy appears at ``output`` only when it succeeded.

    Where a cell fails, the notebook up to the failure is kept as ``<output>.failed.ipynb`` for reading.

    Raises:
        SettingsError: for an unknown parameter or an invalid profile.
        papermill.PapermillExecutionError: if a cell fails.
    """
    check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(output) as temporary:
        try:
            papermill.execute_notebook(
                str(notebook),
                str(temporary),
                parameters,
                kernel_name="python3",
                extra_arguments=["--IPKernelApp.log_level=50"],
                progress_bar=sys.stderr.isatty(),
            )
        except papermill.PapermillExecutionError:
            temporary.replace(output.with_suffix(".failed.ipynb"))
            raise
    output.with_suffix(".failed.ipynb").unlink(missing_ok=True)
    return output


def run_script(notebook: Path, parameters: dict[str, Any]) -> None:
    """Execute the code cells of a notebook's ``.py`` half in this process; of several processes only the first prints.

    Raises:
        SettingsError: for an unknown parameter or an invalid profile.
    """
    check_parameters(notebook, parameters)
    matplotlib.use("Agg")
    cells = [c for c in jupytext.read(notebook.with_suffix(".py")).cells if c.cell_type == "code"]
    names: dict[str, Any] = {"__name__": "__main__"}
    with open(os.devnull, "w") as nowhere, nullcontext() if is_first() else redirect_stdout(nowhere):  # noqa: PTH123
        for number, cell in enumerate(cells, 1):
            exec(compile(cell.source, f"{notebook.stem} cell {number}", "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= parameters
    plt.close("all")


def executed_path(settings: Settings, notebook: Path) -> Path:
    """Return where the executed copy of a notebook goes."""
    return settings.paths.work / "executed" / notebook.name


def _literal(text: str) -> Any:
    """Return a parameter value as a number where it reads like one, else as text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def arguments() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    parser = argparse.ArgumentParser(prog="python -m halo_utils run", description=__doc__.splitlines()[0])
    parser.add_argument("--notebook", default="", help="run this notebook only, by number or name")
    parser.add_argument("--profile", default="demo", help="demo, quick, mini, paper, or the path of a YAML file")
    parser.add_argument("--output", default="", help="executed copy of a single notebook")
    parser.add_argument("--script", action="store_true", help="run the .py halves here, for torchrun and srun")
    parser.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a notebook parameter",
    )
    return parser


def _clean(paths: RunPaths) -> None:
    """Remove what killed processes left unfinished in the folders of a run."""
    for folder in (paths.work, paths.results, paths.figures) if is_first() else ():
        remove_unfinished(folder)


def main(argv: list[str] | None = None) -> int:
    """Run notebooks from the command line; return the exit code."""
    options = arguments().parse_args(argv)
    parameters = {"profile": options.profile} | {name: _literal(value) for name, value in options.parameters}
    try:
        overrides = {k: v for k, v in parameters.items() if k in ("dataset", "max_proteins", "seed", *VARIATIONS)}
        settings = load_settings(parameters["profile"], **overrides)
        chosen = [find_notebook(options.notebook)] if options.notebook else notebooks()
        for notebook in chosen:
            check_parameters(notebook, parameters)
        with locked(settings.paths.work / "run.lock", f"run {settings.run_name}", patience=2):
            paths = settings.paths.make()
            _clean(paths)
            meet()
            for notebook in chosen:
                if options.script:
                    run_script(notebook, parameters)
                    continue
                own = options.output if options.notebook else ""
                output = Path(own) if own else executed_path(settings, notebook)
                print(f"{notebook.stem} -> {shown(output)}", flush=True)
                run_notebook(notebook, output, parameters)
            _clean(paths)  # the kernel of a killed run outlives it by a moment and may have left something since
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except papermill.PapermillExecutionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again, it goes on where it stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
