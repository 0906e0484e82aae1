"""What documents 002 and 004 say, row by row: reproduced, contradicted, or not testable here and why."""

import numpy as np
import pandas as pd

from halo_utils.core.paths import REFERENCE
from halo_utils.evaluation.claims import Claim, _compared, _over_seeds
from halo_utils.evaluation.ledger import stated_rows
from halo_utils.evaluation.seeds import differences_over_seeds

SCALE = 0.02  # of a claim without published values: the size of the paper's own ablation (0.569 against 0.548)
COLUMNS = ["statement", "where", "metric", "published", "ours", "ci_low", "ci_high", "seeds", "verdict", "reason"]


def check_document(document: str, differences: list[pd.DataFrame], synthetic: bool, stand_in: str = "") -> pd.DataFrame:
    """Return every statement of a document with its verdict, as ``COLUMNS``.

    ``differences`` holds a table of ``paired_difference`` per seed, with columns first, second and split. The rules are
    those of ``claims.check_claims``: ``MINIMUM`` seeds, an interval, a share of the published difference. On
    ``synthetic`` proteins a comparison is a rehearsal, which no row can pass; with a ``stand_in`` for one of the
    document's systems it is on another system, and says what came out with it. Statements about data or weights that
    are not at hand, and those that published numbers decide, follow from ``statements.csv``.
    """
    found = differences_over_seeds(differences)
    found = found.set_index(["first", "second", "metric", "label"])
    table = pd.read_csv(REFERENCE / "structure_claims.csv", dtype={"document": str}).fillna({"label": ""})
    rows = []
    for row in table[table["document"] == document].itertuples():
        paper, key = row.published_first - row.published_second, (row.first, row.second, row.metric, row.label)
        base = {"statement": row.statement, "where": row.where, "metric": row.metric, "published": paper}
        if key not in found.index:
            rows.append(base | {"verdict": "not measured", "reason": "no such system or location in this run"})
            continue
        values = found.loc[key]
        numbers = [float(values[name]) for name in ("difference", "ci_low", "ci_high")]
        scale = SCALE if np.isnan(paper) else paper
        claim = Claim(row.statement, row.metric, (row.first, row.second), greater=bool(np.isnan(paper) or paper > 0))
        verdict, reason = _over_seeds(*_compared(claim, scale, *numbers), int(values["seeds"]))
        if stand_in:
            verdict, reason = f"not comparable ({stand_in})", f"with it: {verdict}; {reason}"
        if synthetic:
            verdict, reason = "rehearsal: synthetic proteins", f"{verdict}; {reason}"
        base |= dict(zip(("ours", "ci_low", "ci_high"), numbers, strict=True))
        rows.append(base | {"seeds": int(values["seeds"]), "verdict": verdict, "reason": reason})
    stated = [
        {name: row[name] for name in ("statement", "where", "metric", "verdict", "reason")}
        for row in stated_rows()
        if str(row["document"]).startswith(document)
    ]
    return pd.DataFrame([*rows, *stated]).reindex(columns=COLUMNS).astype({"seeds": "Int64"})
