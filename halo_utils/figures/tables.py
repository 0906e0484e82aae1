"""Tables for reading: names instead of keys, no index, few digits."""

import zlib

import pandas as pd
from pandas.io.formats.style import Styler

from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.systems import TITLES

NAMED = ("system", "first", "second", "metric", "decision")  # columns whose cells are keys
LEFT = [{"selector": f"{cell}.col0", "props": [("text-align", "left")]} for cell in ("th", "td")]
CAPTION = {"selector": "caption", "props": [("caption-side", "top"), ("text-align", "left"), ("font-weight", "bold")]}


def styled(table: pd.DataFrame, caption: str = "", digits: int = 3, names: dict[str, str] | None = None) -> Styler:
    """Return a table as a reader wants it; the same table is the same HTML on every machine.

    An index that says something (not a plain 0, 1, 2 ...) becomes its first columns. ``digits`` are decimals; ``names``
    is column -> heading, where that is neither a metric or system nor its own name without underscores.
    """
    if not isinstance(table.index, pd.RangeIndex):
        headings = [name or "" for name in table.index.names]
        table = table.rename_axis(index=headings if len(headings) > 1 else headings[0]).reset_index()
    known = METRIC_TITLES | TITLES
    cells = {c: table[c].map(lambda key: known.get(key, key.replace("_", " "))) for c in NAMED if c in table}
    known = known | (names or {})
    table = table.assign(**cells).rename(columns=lambda name: known.get(name, str(name).replace("_", " ")))
    table.columns = table.columns.set_names([None] * table.columns.nlevels)
    uuid = f"{zlib.crc32(repr([caption, *table.columns]).encode()):08x}"
    shown = Styler(table, uuid=uuid, caption=caption or None, cell_ids=False).hide(axis="index")
    shown = shown.format(precision=digits, thousands=",", na_rep="–", escape="html")
    return shown.set_table_styles([*LEFT, CAPTION])
