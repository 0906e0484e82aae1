"""Every path of the project, whatever the working directory; ``HALO_ROOT`` moves everything that is written."""

import os
from dataclasses import dataclass
from pathlib import Path

from halo_utils.core.errors import StorageError

PACKAGE = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (PACKAGE.parent / "pyproject.toml").is_file()  # else installed from a wheel, for a notebook opened alone
REPOSITORY = PACKAGE.parent if IN_CHECKOUT else PACKAGE / "repository"  # a wheel carries what is read, see setup.py
PROFILES = PACKAGE / "profiles"
REFERENCE = REPOSITORY / "data" / "reference"
NOTEBOOKS = REPOSITORY / "notebooks"
RELATED = NOTEBOOKS / "related"  # the systems of other papers, and what the method is sensitive to


def _here() -> Path:
    """Return where relative paths begin: the repository, or the working folder of an installed package."""
    return REPOSITORY if IN_CHECKOUT else Path.cwd()


def output_root() -> Path:
    """Return the folder under which ``data/`` and ``figures/`` are written; ``halo`` where there is no repository."""
    return (_here() / (os.environ.get("HALO_ROOT") or ("" if IN_CHECKOUT else "halo"))).resolve()


def sources_file() -> Path:
    """Return the list of raw files: ``data/sources.yaml``, or the one that ``HALO_SOURCES`` names (a mirror's)."""
    named = os.environ.get("HALO_SOURCES")
    return (_here() / named).resolve() if named else REPOSITORY / "data" / "sources.yaml"


def data_dir() -> Path | None:
    """Return the folder of real raw inputs that ``HALO_DATA_DIR`` names, absolute or from the repository, or None."""
    return (_here() / value).resolve() if (value := os.environ.get("HALO_DATA_DIR")) else None


def shown(path: Path) -> str:
    """Return a path as a reader may see it: relative to the output root, the repository or HALO_DATA_DIR if inside."""
    for root, name in ((output_root(), ""), (REPOSITORY, ""), (data_dir(), "HALO_DATA_DIR")):
        if root is not None and path.resolve().is_relative_to(root):
            return str(Path(name) / path.resolve().relative_to(root))
    return path.name


@dataclass(frozen=True)
class RunPaths:
    """The folders of one run (profile, data set and size), wherever ``HALO_ROOT`` points when they are asked for."""

    name: str

    @property
    def work(self) -> Path:
        """Large or intermediate files: tables, stores, weights; not tracked."""
        return output_root() / "data" / "runs" / self.name

    @property
    def results(self) -> Path:
        """Small CSV tables, one per table or figure of the paper."""
        return output_root() / "data" / "results" / self.name

    @property
    def figures(self) -> Path:
        """Figures as png and svg."""
        return output_root() / "figures" / self.name

    @property
    def dataset(self) -> Path:
        """The dataset table, which every later step reads."""
        return self.work / "dataset.parquet"

    def predictions(self, system: str) -> Path:
        """Probabilities of one system, one parquet file."""
        return self.work / "predictions" / f"{system}.parquet"

    def make(self) -> "RunPaths":
        """Create the folders and return self; StorageError, now and not after hours, if one cannot be written."""
        for folder in (self.work, self.results, self.figures, self.work / "predictions"):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                problem = "" if os.access(folder, os.W_OK) else "no permission to write"
            except OSError as error:
                problem = error.strerror or str(error)
            if problem:
                remedy = "make it writable, or set HALO_ROOT to a folder that is"
                raise StorageError(f"{shown(folder)} cannot be written ({problem}): {remedy}")
        return self
