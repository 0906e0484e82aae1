"""Whether a raw file holds what was published, in whatever order, line ends or number format it was written."""

import hashlib
from pathlib import Path

from pydantic import BaseModel

from halo_utils.core.errors import DataError
from halo_utils.data.tables import read_csv


class Content(BaseModel, frozen=True, extra="forbid"):
    """What a table must hold: the columns that count, the number of rows, and a sha256 over the canonical rows."""

    columns: tuple[str, ...]
    rows: int
    sha256_rows: str


def measure(path: Path, columns: tuple[str, ...]) -> Content:
    """Return the content of a CSV as it is."""
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
