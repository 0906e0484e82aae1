"""``data/results/claims.csv``, the ledger of all documents, and what README and the results page say of it.

For authors: written with README by ``python -m tools.readme``, or alone by ``python -m tools.ledger``.
"""

import sys
from pathlib import Path

import pandas as pd
from scipy.stats import t as student

from halo_utils.core.files import write_csv
from halo_utils.core.paths import output_root, shown
from halo_utils.evaluation.ledger import KINDS, LEVEL, counted, kind, ledger
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
    return f"{text} [claims.csv](claims.csv).{_what_survives(table)}\n\n{markdown(['document', *counts.columns], rows)}"


def _what_survives(table: pd.DataFrame) -> str:
    """Return how large a difference over the fewest seeds must be to survive the correction."""
    family = table["p_holm"].notna()
    if not family.any():
        return ""
    n, level = int(table.loc[family, "seeds"].min()), LEVEL / family.sum()
    errors = student.isf(level / 2, n - 1)
    return (
        f" {n} seeds leave Student's t {n - 1} degrees of freedom: the smallest p survives below {level:.4f}, which"
        f" takes a mean difference of {errors:.0f} times its standard error where the seeds are what is uncertain."
    )


def readme_lines(table: pd.DataFrame) -> str:
    """Return a line per kind of verdict, with some statements, of real proteins and of published numbers, and where."""
    lines = [f"Of {len(table)} claims and published values of five documents ([ledger](data/results/claims.csv)):", ""]
    kinds, before = table["after_holm"].map(kind), table["verdict"].map(kind).value_counts()
    for name in (one for one in KINDS if one not in LEFT_OUT):
        found = table[kinds == name]
        told = found[found["ground"] != "none"].drop_duplicates("statement")
        statements = [f"{row.statement} ({row.ground.partition(';')[0]})" for row in told.head(MOST_NAMED).itertuples()]
        if len(found):
            uncorrected = f"; {before[name]} before Holm's correction" * bool(before.get(name, 0) > len(found))
            lines.append(f"- **{name}** ({len(found)}{uncorrected}){': ' * bool(statements)}{'; '.join(statements)}")
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
