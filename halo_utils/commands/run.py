"""Runs notebooks through papermill, refusing unknown parameters, of which papermill only warns, and bad profiles."""

import ast
import sys
from pathlib import Path
from typing import Any

from halo_utils.config import VARIATIONS, Settings, load_settings
from halo_utils.core.errors import SettingsError
from halo_utils.core.files import atomic_path, locked, remove_unfinished
from halo_utils.core.paths import NOTEBOOKS, RELATED, RunPaths, shown


def notebooks() -> list[Path]:
    """Return the notebooks of a run in reading order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def related_notebooks() -> list[Path]:
    """Return the notebooks of related systems and sensitivity in reading order; they read what a run has made."""
    return sorted(RELATED.glob("[0-9][0-9]_*.ipynb"))


def earlier(name: str) -> list[Path]:
    """Return the notebooks whose files a notebook (its stem) reads: those before it, without 00, which stands alone.

    A related one reads 01 to 06, and none of its own kind.
    """
    before = [path for path in notebooks() if path.stem < name and not path.stem.startswith("00")]
    if name in [path.stem for path in related_notebooks()]:
        return [path for path in before if path.stem < "07"]
    return before if name in [path.stem for path in notebooks()] else []


def find_notebook(name: str) -> Path:
    """Return the notebook whose name starts with ``name`` (``05`` or ``05_halo_ensemble``), or a SettingsError."""
    everything = notebooks() + related_notebooks()
    matching = [path for path in everything if path.stem.startswith(Path(name).stem)]
    if len(matching) != 1:
        known = ", ".join(sorted(path.stem for path in everything))
        raise SettingsError(f"unknown notebook {name!r}: use one of {known}")
    return matching[0]


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Refuse parameters that the notebook does not declare; the SettingsError lists those it does."""
    import papermill  # takes a second, and a notebook's set-up cell asks this module only what has run

    declared = papermill.inspect_notebook(str(notebook))
    if unknown := sorted(set(parameters) - set(declared)):
        valid = ", ".join(f"{name} (default {value['default']})" for name, value in declared.items())
        raise SettingsError(f"{notebook.stem} has no parameter {', '.join(unknown)}: valid are {valid}")


def run_notebook(notebook: Path, output: Path, parameters: dict[str, Any]) -> Path:
    """Execute one notebook; the executed copy appears at ``output`` only when it succeeded.

    Where a cell fails, the notebook up to the failure is kept as ``<output>.failed.ipynb`` for reading.
    """
    import papermill

    check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    quiet = {"extra_arguments": ["--IPKernelApp.log_level=50"], "progress_bar": sys.stderr.isatty()}
    with atomic_path(output) as temporary:
        try:
            papermill.execute_notebook(str(notebook), str(temporary), parameters, kernel_name="python3", **quiet)
        except papermill.PapermillExecutionError:
            temporary.replace(output.with_suffix(".failed.ipynb"))
            raise
    output.with_suffix(".failed.ipynb").unlink(missing_ok=True)
    return output


def executed_path(settings: Settings, notebook: Path) -> Path:
    """Return where the executed copy of a notebook goes."""
    return settings.paths.work / "executed" / notebook.name


def literal(text: str) -> Any:
    """Return a parameter value as a number where it reads like one, else as text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def run_notebooks(parameters: dict[str, Any], notebook: str = "", output: Path | None = None) -> None:
    """Run a profile's notebooks in order, or only ``notebook``, copied to ``output``; one run of a name at once."""
    chosen = [find_notebook(notebook)] if notebook else notebooks()
    overrides = ("profile", "dataset", "max_proteins", "seed", *VARIATIONS)
    settings = load_settings(**{name: parameters[name] for name in overrides if name in parameters})
    for path in chosen:
        check_parameters(path, parameters)
    # Two seconds: the kernel of a killed run of the name needs a moment to notice and stop.
    with locked(settings.paths.work / "run.lock", f"run {settings.run_name}", patience=2):
        paths = settings.paths.make()
        _clean(paths)
        for path in chosen:
            executed = output if notebook and output else executed_path(settings, path)
            print(f"{path.stem} -> {shown(executed)}", flush=True)
            run_notebook(path, executed, parameters)
        _clean(paths)  # the kernel of a killed run outlives it by a moment and may have left something since


def _clean(paths: RunPaths) -> None:
    """Remove what killed processes left unfinished in the folders of a run."""
    for folder in (paths.work, paths.results, paths.figures):
        remove_unfinished(folder)
