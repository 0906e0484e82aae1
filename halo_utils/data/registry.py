"""The raw files: what ``data/sources.yaml`` lists, looked for in ``HALO_DATA_DIR``, ``data/raw``, at the address."""

import hashlib
from functools import partial
from pathlib import Path

import yaml
from pydantic import BaseModel, Field, ValidationError

from halo_utils.core.errors import DataError, DownloadError, SettingsError
from halo_utils.core.paths import data_dir, output_root, sources_file
from halo_utils.data.download import BY_HAND, Patience, fetch, refuse_offline, remove_temporaries
from halo_utils.data.tables import read_csv


class Content(BaseModel, frozen=True, extra="forbid"):
    """What a table must hold: the columns that count, the number of rows, and a sha256 over the canonical rows."""

    columns: tuple[str, ...]
    rows: int
    sha256_rows: str


class Source(BaseModel, frozen=True, extra="forbid"):
    """One raw file; an unknown key is an error."""

    what: str
    address: str | None  # None where it is not published as one file, and read where it is at hand
    licence: str
    citation: str
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")  # where its bytes are known
    content: Content | None = None  # where the publisher may write the same rows in another way


class Service(BaseModel, frozen=True, extra="forbid"):
    """A service or an archive that structures come from, in one or several pieces."""

    what: str
    addresses: tuple[str, ...] = Field(min_length=1)
    licence: str
    citation: str


class Backbone(BaseModel, frozen=True, extra="forbid"):
    """The weights of a language model on a hub, at one commit."""

    what: str
    revision: str = Field(pattern="^[0-9a-f]{40}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")  # of model.safetensors
    licence: str
    citation: str


class Registry(BaseModel, frozen=True, extra="forbid"):
    """All of ``sources.yaml``."""

    files: dict[str, Source]
    structures: dict[str, Service]
    backbones: dict[str, Backbone] = {}


def measure(path: Path, columns: tuple[str, ...]) -> Content:
    """Return the content of a CSV as it is; another row order, line end, or ``1.0`` for ``1`` is the same."""
    table = read_csv(path, columns, optional=None)[list(columns)]
    table = table.map(str.strip).replace(r"^(-?\d+)\.0$", r"\1", regex=True)
    rows = sorted("\t".join(row) for row in table.itertuples(index=False))
    return Content(columns=columns, rows=len(rows), sha256_rows=hashlib.sha256("\n".join(rows).encode()).hexdigest())


def check_content(path: Path, expected: Content, name: str) -> None:
    """Raise DataError, naming the first difference, when a CSV is not what was published."""
    content = measure(path, expected.columns)
    remedy = "fetch it again, or compare the address in data/sources.yaml"
    if content.rows != expected.rows:
        rows = f"rows are {content.rows}, the published file has {expected.rows}"
        raise DataError(f"{name}: {rows}; the file is cut off or another release: {remedy}")
    if content.sha256_rows != expected.sha256_rows:
        sums = f"sha256 over sorted rows {content.sha256_rows[:12]}, expected {expected.sha256_rows[:12]}"
        problem = f"the rows agree in number but some cells differ from the published file ({sums})"
        raise DataError(f"{name}: {problem}: {remedy}")


def registry() -> Registry:
    """Return ``data/sources.yaml``, or the file named by ``HALO_SOURCES``; SettingsError if it is not valid."""
    path = sources_file()
    try:
        return Registry.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SettingsError(f"{path.name} is no valid list of sources ({error}): compare data/sources.yaml") from error


def raw_dir() -> Path:
    """Return the folder downloads go to."""
    return output_root() / "data" / "raw"


def raw_folders() -> list[Path]:
    """Return the folders of raw files, ``HALO_DATA_DIR`` first; SettingsError if that is set and no folder."""
    local = data_dir()
    if local is not None and not local.is_dir():
        raise SettingsError(f"HALO_DATA_DIR names {local}, which is not a folder: correct it, or unset it to download")
    return [raw_dir()] if local is None else [local, raw_dir()]


def local_copy(name: str) -> Path | None:
    """Return the path of a raw file that is already on this machine, or None."""
    return next((folder / name for folder in raw_folders() if (folder / name).is_file()), None)


def locate(name: str, patience: Patience | None = None) -> Path:
    """Return the local path of a file of ``data/sources.yaml``, downloaded and verified; DataError, DownloadError."""
    files = registry().files
    if name not in files:
        raise DataError(f"{name!r} is not in {sources_file().name}: known are {', '.join(files)}")
    if (path := local_copy(name)) is not None:
        return path
    entry, target = files[name], raw_dir() / name
    if entry.address is None:
        raise DownloadError(f"{name} has no public address: put it {BY_HAND}")
    refuse_offline(name)
    check = partial(check_content, expected=entry.content, name=name) if entry.content else None
    remove_temporaries(target.parent)
    return fetch(entry.address, target, sha256=entry.sha256, check=check, patience=patience)


def structure_folders() -> list[Path]:
    """Return the existing folders of structure files: ``HALO_DATA_DIR/structures/files``, ``data/raw/structures``."""
    *local, raw = raw_folders()
    folders = [*(folder / "structures" / "files" for folder in local), raw / "structures"]
    return [folder for folder in folders if folder.is_dir()]


def contact_archives() -> list[Path]:
    """Return the archives of contact maps: ``structures/contacts/*.npz`` in ``HALO_DATA_DIR``, then in ``data/raw``."""
    return [path for folder in raw_folders() for path in sorted((folder / "structures" / "contacts").glob("*.npz"))]
