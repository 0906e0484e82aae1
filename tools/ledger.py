"""``data/results/claims.csv``, the ledger of all documents, and what README and the results page say of it.

For authors: written with README by ``python -m tools.readme``, or alone by ``python -m tools.ledger``.
"""

import sys
from pathlib import Path

import pandas as pd

from halo_utils.core.files import write_csv
from halo_utils.core.paths import output_root, shown
from halo_utils.evaluation.ledger import KINDS, counted, kind, ledger
from tools.exit_code import exit_code
from tools.report import markdown

MOST_NAMED = 3  # statements of a kind that README names
LEFT_OUT = ("not comparable", "not testable here")  # kinds that README counts together


def path() -> Path:
    """Return where the ledger is written."""
    return output_root() / "data" / "results" / "claims.csv"


def page_block(table: pd.DataFrame) -> str:
    """Return the table of counts for the results page."""
    counts = counted(table)
    rows = [[document, *map(str, row)] for document, row in zip(counts.index, counts.to_numpy(), strict=True)]
    text = f"{len(table)} claims and published values of five documents, each with what was found, its interval, seeds,"
    text += (
        f" ground, verdict (also after Holm's correction over {table['p_holm'].notna().sum()} comparisons of systems),"
    )
    text += " reason and the check that made it, are in"
    return f"{text} [claims.csv](claims.csv).\n\n{markdown(['document', *counts.columns], rows)}"


def readme_lines(table: pd.DataFrame) -> str:
    """Return a line per kind of verdict, with some statements, of real proteins and of published numbers, and where."""
    lines = [f"Of {len(table)} claims and published values of five documents ([ledger](data/results/claims.csv)):", ""]
    kinds = table["after_holm"].map(kind)
    for name in (one for one in KINDS if one not in LEFT_OUT):
        found = table[kinds == name]
        told = found[found["ground"] != "none"].drop_duplicates("statement")
        statements = [f"{row.statement} ({row.ground.partition(';')[0]})" for row in told.head(MOST_NAMED).itertuples()]
        if len(found):
            lines.append(f"- **{name}** ({len(found)}){': ' * bool(statements)}{'; '.join(statements)}")
    return "\n".join([*lines, f"- **{' or '.join(LEFT_OUT)}** ({kinds.isin(LEFT_OUT).sum()}), each with its reason"])


def write_ledger() -> pd.DataFrame:
    """Write the ledger and return it."""
    table = ledger()
    write_csv(path(), table)
    return table


def main() -> int:
    """Write the ledger; return the exit code."""
    return exit_code(lambda: print(f"{shown(path())}: {len(write_ledger())} rows"))


if __name__ == "__main__":
    sys.exit(main())
