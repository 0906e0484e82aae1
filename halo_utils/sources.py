"""Where raw inputs come from: a local folder first, then ``data/raw``, then the publisher's address."""

from pathlib import Path
from typing import Any

import pooch
import yaml

from halo_utils.errors import DataError
from halo_utils.paths import SOURCES, data_dir, output_root


def registry(path: Path = SOURCES) -> dict[str, dict[str, Any]]:
    """Return the entries of ``data/sources.yaml``: relative name -> address, sha256, licence, citation."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def raw_dir() -> Path:
    """Return the folder downloads go to."""
    return output_root() / "data" / "raw"


def locate(name: str, sources: Path = SOURCES) -> Path:
    """Return the local path of a registered file, downloading it when no local copy exists.

    Args:
        name: a key of ``data/sources.yaml``, such as ``deeploc2/hpa_testset.csv``.
        sources: the registry; tests pass one that points at a local server.

    Raises:
        DataError: if the name is unknown, the download fails, the bytes have another checksum, or a page
            came instead of a table. The bad file is removed.
    """
    entries = registry(sources)
    if name not in entries:
        raise DataError(f"{name!r} is not in {sources.name}: known are {', '.join(entries)}")
    for folder in (data_dir(), raw_dir()):
        if folder is not None and (folder / name).is_file():
            return folder / name
    entry = entries[name]
    target = raw_dir() / name
    known_hash = f"sha256:{entry['sha256']}" if entry["sha256"] else None
    try:
        pooch.retrieve(entry["address"], known_hash, fname=target.name, path=target.parent, progressbar=True)
    except Exception as error:  # requests, urllib3 and pooch raise many kinds; the remedy is the same
        target.unlink(missing_ok=True)
        raise DataError(
            f"{name} could not be fetched from {entry['address']} ({error}). Check the network, or download it by"
            f" hand into a folder and set HALO_DATA_DIR to that folder"
        ) from error
    head = target.read_bytes()[:512].lstrip().lower()
    if not head or head.startswith((b"<!doctype", b"<html")):
        target.unlink()
        raise DataError(
            f"{name}: {entry['address']} answered with {'a web page' if head else 'nothing'}, a CSV was expected"
        )
    return target


def structures_dir() -> Path | None:
    """Return the folder of real structure files, or None where there is none.

    ``HALO_DATA_DIR/structures/files`` first, then ``data/raw/structures``.
    """
    folders = [raw_dir() / "structures"]
    if data_dir() is not None:
        folders.insert(0, data_dir() / "structures" / "files")
    return next((folder for folder in folders if folder.is_dir()), None)
