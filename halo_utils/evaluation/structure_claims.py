"""What documents 002 and 004 say, row by row: reproduced, contradicted, or not testable here and why."""

import numpy as np
import pandas as pd

from halo_utils.core.paths import REFERENCE
from halo_utils.evaluation.claims import Claim, _compared, _over_seeds
from halo_utils.evaluation.ledger import stated_rows
from halo_utils.evaluation.seeds import differences_over_seeds, p_values

NOTHING = pd.DataFrame(columns=["metric", "label", "system", "value"])
SCALE = 0.02  # of a claim without published values: the size of the paper's own ablation (0.569 against 0.548)
COLUMNS = ["statement", "where", "metric", "published", "ours", "ci_low", "ci_high", "seeds"]
COLUMNS += ["p", "verdict", "reason"]


def _as_good(difference: float, low: float, high: float, control: pd.Series) -> tuple[str, str]:
    """Return the verdict on "as good", the interval within ``SCALE`` of zero, and the reason.

    ``control`` is a change that must be seen, by an interval without zero: what a model does not read, it cannot miss.
    """
    seen = f"{control['difference']:+.3f} ({control['ci_low']:+.3f} to {control['ci_high']:+.3f})"
    if control["ci_low"] <= 0 <= control["ci_high"]:
        return "not testable here: the control is not seen", f"the control makes {seen}"
    if -SCALE < low and high < SCALE:
        return "reproduced", f"less than {SCALE:g} either way; the control makes {seen}"
    if high < -SCALE or low > SCALE:
        return "contradicted", f"more than {SCALE:g}; the control makes {seen}"
    return "not sure", f"{difference:+.3f}, not surely within {SCALE:g} of 0; the control makes {seen}"


def check_document(
    document: str, differences: list[pd.DataFrame], synthetic: bool, stand_in: str = "", metrics: pd.DataFrame = NOTHING
) -> pd.DataFrame:
    """Return every statement of a document with its verdict, as ``COLUMNS``.

    ``differences`` holds a table of ``paired_difference`` per seed, with columns first, second and split. The rules are
    those of ``claims.check_claims``: ``MINIMUM`` seeds, an interval, a share of the published difference. On
    ``synthetic`` proteins a comparison is a rehearsal, which no row can pass; with a ``stand_in`` for one of the
    document's systems it is on another system, and says what came out with it. Rows with a control say that a change
    costs nothing: see ``_as_good``. A location has no row of its own where ``metrics``, of all trainings, show that one
    of the two systems says the same of every protein. Statements about data or weights that are not at hand, and those
    that published numbers decide, follow from ``statements.csv``.
    """
    found = differences_over_seeds(differences).set_index(["first", "second", "metric", "label"])
    texts = dict.fromkeys(["label", "control_first", "control_second"], "")
    table = pd.read_csv(REFERENCE / "structure_claims.csv", dtype={"document": str} | dict.fromkeys(texts, str))
    spread = metrics[metrics["metric"] == "mcc"].groupby(["label", "system"])["value"].agg(lambda mcc: mcc.abs().max())
    constant, rows = spread[spread == 0].index, []  # MCC is 0 where a system says the same of every protein
    for row in table[table["document"] == document].fillna(texts).itertuples():
        paper, key = row.published_first - row.published_second, (row.first, row.second, row.metric, row.label)
        base = {"statement": row.statement, "where": row.where, "metric": row.metric, "published": paper}
        control = (row.control_first, row.control_second, row.metric, row.label)
        if key not in found.index or (row.control_first and control not in found.index):
            rows.append(base | {"verdict": "not measured", "reason": "no such system or location in this run"})
            continue
        values = found.loc[key]
        numbers = [float(values[name]) for name in ("difference", "ci_low", "ci_high")]
        base["p"] = float(p_values(values.to_frame().T, SCALE if row.control_first else 0.0)[0])
        if one := [system for system in (row.first, row.second) if (row.label, system) in constant]:
            judged = "not testable here: one answer for every protein", f"{' and '.join(one)} in every training"
        elif row.control_first:
            judged = _as_good(*numbers, found.loc[control])
        else:
            claim = Claim(row.statement, row.metric, key[:2], greater=bool(np.isnan(paper) or paper > 0))
            judged = _compared(claim, SCALE if np.isnan(paper) else paper, *numbers)
        verdict, reason = _over_seeds(*judged, int(values["seeds"]))
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
