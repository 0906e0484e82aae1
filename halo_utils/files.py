"""Atomic writing: a file appears whole under its name or not at all."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` and rename it to ``path`` when the block succeeds.

    The temporary file is removed when the block raises, so an interrupted write leaves nothing behind.
    The suffix of ``path`` is kept because writers choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> Path:
    """Write ``text`` as UTF-8 and return ``path``."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write ``value`` as indented JSON with sorted keys and return ``path``."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_csv(path: Path, table: pd.DataFrame, decimals: int = 6) -> Path:
    """Write ``table`` as CSV without its index, numbers rounded to ``decimals``, and return ``path``."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{decimals}g", lineterminator="\n")
    return path


def write_parquet(path: Path, table: pd.DataFrame) -> Path:
    """Write ``table`` as parquet without its index and return ``path``."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
    return path


def digest(*parts: Any) -> str:
    """Return 16 hex digits of the sha256 over the JSON form of ``parts``; the key of content caches."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
