"""Whether a raw file holds what was published: row count, counts per value, label totals, and all rows hashed.

The hash is over canonical rows in sorted order, so another row order, line end, or ``1.0`` for ``1`` is the same.
"""

import hashlib
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from halo_utils.core.errors import DataError
from halo_utils.data.tables import read_csv


class Content(BaseModel):
    """What a table must hold.

    Attributes:
        columns: columns that count; all others are left aside.
        rows: number of rows.
        counts: column -> value -> rows with it.
        totals: 0/1 column -> sum.
        sha256_rows: sha256 over the canonical rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...]
    rows: int
    counts: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    sha256_rows: str


def _canonical(value: str) -> str:
    """Return a cell without outer spaces, whole numbers without a fraction."""
    text = value.strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def measure(path: Path, columns: tuple[str, ...], counted: list[str], summed: list[str]) -> Content:
    """Return the content of a CSV as it is.

    Args:
        path: the file.
        columns: columns that count.
        counted: those whose values are counted.
        summed: 0/1 columns to add up.
    """
    table = read_csv(path, columns, optional=None)[list(columns)].map(_canonical)
    rows = sorted("\t".join(row) for row in table.itertuples(index=False))
    totals = table[summed].apply(pd.to_numeric, errors="coerce").sum().astype(int)
    return Content(
        columns=columns,
        rows=len(table),
        counts={c: {str(k): int(n) for k, n in table[c].value_counts().sort_index().items()} for c in counted},
        totals={c: int(totals[c]) for c in summed},
        sha256_rows=hashlib.sha256("\n".join(rows).encode()).hexdigest(),
    )


def check_content(path: Path, expected: Content, name: str) -> None:
    """Compare a CSV with what was published.

    Raises:
        DataError: naming the first difference: rows, counts, totals, or single cells.
    """
    found = measure(path, expected.columns, list(expected.counts), list(expected.totals))
    for what in ("rows", "counts", "totals"):
        ours, theirs = getattr(found, what), getattr(expected, what)
        if ours != theirs:
            raise DataError(
                f"{name}: {what} are {ours}, the published file has {theirs}; the file is cut off or another release:"
                " fetch it again, or compare the address in data/sources.yaml"
            )
    if found.sha256_rows != expected.sha256_rows:
        raise DataError(
            f"{name}: the counts agree but some cells differ from the published file (sha256 over sorted rows"
            f" {found.sha256_rows[:12]}, expected {expected.sha256_rows[:12]}): fetch it again"
        )
