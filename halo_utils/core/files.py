"""Atomic writing: a file appears whole under its name or not at all; a full disk and a busy run say so in one line."""

import errno
import hashlib
import json
import os
import platform
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from filelock import FileLock, Timeout

from halo_utils.core.errors import BusyError, DataError, StorageError
from halo_utils.core.paths import shown

# Unfinished files carry host and process, so that those of a killed process can be told from those being written.
HOST = f"{zlib.crc32(platform.node().encode()):08x}"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors about a full or read-only disk into a StorageError that names the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free = shutil.disk_usage(next(p for p in [path, *path.parents] if p.is_dir())).free / 1e6
            problem = f"{shown(path)} cannot be written, the disk is full ({free:,.0f} MB free): make room, or set"
            remedy = "HALO_ROOT to a folder on a larger disk, and run the same command again; finished steps are kept"
            raise StorageError(f"{problem} {remedy}") from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            problem = f"{shown(path)} cannot be written ({error.strerror or 'no permission'})"
            raise StorageError(f"{problem}: make its folder writable, or set HALO_ROOT to one that is") from error
        raise


@contextmanager
def locked(path: Path, what: str, patience: float = 0.1) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; BusyError if another process has it after ``patience`` seconds."""
    lock = FileLock(path)  # the system frees it when the process ends
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            remedy = "wait for it or stop it, then run the same command again; or give this run another seed or profile"
            raise BusyError(f"{what} is being written by another process ({shown(path)}): {remedy}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``, of its suffix, that becomes ``path`` if the block succeeds, else goes."""
    temporary = path.with_name(f".unfinished-{HOST}-{os.getpid()}-{path.name}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the unfinished files that killed processes of this machine left under ``folder``."""
    for path in list(folder.rglob(f".unfinished-{HOST}-*")):
        if not psutil.pid_exists(int(path.name.split("-")[2])):
            path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write ``content`` and return ``path``."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write ``text`` as UTF-8 and return ``path``."""
    return write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> Path:
    """Write ``value`` as indented JSON with sorted keys and return ``path``."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_csv(path: Path, table: pd.DataFrame, decimals: int = 6) -> Path:
    """Write ``table`` as CSV without its index, numbers rounded to ``decimals``, and return ``path``."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{decimals}g", lineterminator="\n")
    return path


def write_parquet(path: Path, table: pd.DataFrame) -> Path:
    """Write ``table`` as parquet with page checksums, without its index, and return ``path``."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, write_page_checksum=True)
    return path


def read_parquet(path: Path, remedy: str) -> pd.DataFrame:
    """Read a table of ``write_parquet``; DataError, ending with ``remedy``, if it is missing or damaged."""
    if not path.is_file():
        raise DataError(f"{shown(path)} not found: {remedy}")
    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)} is damaged ({str(error).splitlines()[0]}): {remedy}") from error


def digest(*parts: Any) -> str:
    """Return 16 hex digits of the sha256 over the JSON form of ``parts``; the key of content caches."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def sha256(path: Path) -> str:
    """Return the sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
