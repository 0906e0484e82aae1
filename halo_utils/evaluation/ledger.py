"""The ledger: every claim and published row of documents 000 to 004, what we found, and how sure we are.

Made from committed tables alone. What a run can say comes from its CSV files, over its seeds; what published numbers
say by themselves, from ``arithmetic``; ``data/reference/statements.csv`` holds the words, the places and the published
values. Verdicts follow ``claims``. Beside each stands whether it survives Holm's correction over all tested rows.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from halo_utils.core.paths import REFERENCE, RunPaths
from halo_utils.evaluation import seeds
from halo_utils.evaluation.arithmetic import CHECKS, HOLDS
from halo_utils.evaluation.claims import HALO_ESM, NOT_ASKED, check_claims, check_structure
from halo_utils.evaluation.published import METRIC_TITLES, published_columns, published_table
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import TITLES
from halo_utils.evaluation.test_sets import WITH_GRAPH

LEVEL = 0.05
# Committed runs, each with those of other seeds. The demo has a ledger of its own (notebook 06): it is not committed.
FAMILIES = ("deeploc2-mini", "luo2024-mini")
HALO = "001 HALO"
# Tables of notebooks 09 and 10 with verdicts on the rows of another document.
RELATED = {"gvp": "002 LM and GVP ensemble", "gvp_contacts": "002 LM and GVP ensemble", "gwr": "004 GwR"}
COLUMNS = ["document", "statement", "where", "metric", "published", "ours", "ci_low", "ci_high", "seeds", "ground"]
COLUMNS += ["verdict", "p", "p_holm", "after_holm", "reason", "check"]
SURE = ("reproduced", "contradicted")  # verdicts that a correction can take back
KINDS = ("reproduced", HOLDS, "contradicted", "no effect of relevant size", "no more than a random veto")
KINDS += ("no difference", "not sure", "not comparable", "not testable here")
NOT_RUN = "these systems have not been run on this ground"
OF_OTHERS = "of another paper, whose models are not at hand"
DIFFERENCES = {"": ("differences_gat.csv", "differences_halo.csv"), f", {WITH_GRAPH}": ("hybrid_differences.csv",)}
LEAKED = 0.05  # share of near duplicates of training proteins from which a test set is called homologous
Row = dict[str, Any]


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values, [N], corrected for their number (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def main_set(run: RunPaths) -> str:
    """Return the name of a run's main test set."""
    return str(read_metrics(run.results / "metrics.csv")["split"].iloc[0])


def dataset_of(run: RunPaths) -> str:
    """Return the data set of a run."""
    return str(read_metrics(run.results / "metrics.csv")["dataset"].iloc[0])


def chosen_weights(family: Sequence[RunPaths]) -> list[float] | None:
    """Return the least weight of coordinates, embedding and biochemistry that a seed chose; None where no run says."""
    files = [run.results / "provenance" / "04_gat_weighting.json" for run in family]
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    found = [record["weights"] for record in records if record.get("weights")]
    return np.min(found, axis=0).tolist() if found else None


def claim_rows(run: RunPaths) -> Iterator[Row]:
    """Yield the comparisons that document 001 makes between its own systems, on the grounds of a run and its seeds.

    Where it gives no values for a data set, the gate alone is asked, with the rules of ``claims.check_structure``; so
    are the contacts that graph networks are owed to.
    """
    family, source, whole = seeds.runs_with_other_seeds(run), dataset_of(run), main_set(run)
    for ending, names in DIFFERENCES.items():
        ground = whole + ending
        found = seeds.differences_over_seeds(seeds.tables_of_runs(family, names))
        vetoes = seeds.vetoes_of_runs(family, ground)
        asked = check_claims(found, ground, source, vetoes=vetoes, weights=chosen_weights(family))
        structure = check_structure(found, ground, vetoes)
        for check, table in (("claims.check_claims", asked), ("claims.check_structure", structure)):
            for row in table.itertuples():
                doubled = check.endswith("structure") and (row.first, row.second) == HALO_ESM and source != "luo2024"
                if row.verdict == NOT_ASKED or doubled or (ending == "" and check.endswith("structure")):
                    continue
                verdict, reason = row.verdict, row.reason
                if verdict == "not measured":
                    verdict, reason = "not testable here", reason or NOT_RUN
                yield {
                    "statement": row.claim, "where": getattr(row, "where", "sections 2.2 and 3.1"),
                    "metric": row.metric, "published": getattr(row, "paper", np.nan), "ours": row.ours,
                    "ci_low": row.ci_low, "ci_high": row.ci_high, "seeds": row.seeds, "ground": f"{source}, {ground}",
                    "p": row.p, "verdict": verdict, "reason": reason, "check": check,
                }  # fmt: skip


def table_rows(run: RunPaths) -> Iterator[Row]:
    """Yield every value of the published tables about a run's data set, beside the mean over its seeds.

    None of them has a verdict: the published backbone is 200 times larger than the one at hand. Of systems that the
    tables quote only the overall values are listed.
    """
    source = dataset_of(run)
    if source == "synthetic":
        return
    keys = ["split", "system", "metric", "label"]
    values = pd.concat(seeds.tables_of_runs(seeds.runs_with_other_seeds(run), seeds.TABLES), ignore_index=True)
    ours = dict(iter(values.drop_duplicates([*keys, "seed"]).groupby(keys)))
    seen = set()
    for split in values["split"].unique():
        for number, columns in published_columns(source, split).items():
            for row in published_table(number).itertuples():
                system = columns.get(row.system)  # None: a column of another set
                key = (split, system or row.system, row.metric, row.label)
                if system is None or key in seen or (row.label and not system):
                    continue
                seen.add(key)
                yield {
                    "statement": f"{METRIC_TITLES[row.metric]} of {TITLES[system] if system else row.system}"
                    + f" in {row.label}" * bool(row.label),
                    "where": f"Table {number}", "metric": row.metric, "published": row.published,
                    "ground": f"{source}, {split}", "verdict": "not testable here", "check": "ledger.table_rows",
                } | _beside(row.published, ours.get(key), OF_OTHERS if system == "" else NOT_RUN)  # fmt: skip


def _beside(published: float, ours: pd.DataFrame | None, absent: str) -> Row:
    if ours is None:
        return {"reason": absent}
    row = seeds.over_seeds(ours, ["metric"], "value").iloc[0].rename({"value": "ours"})
    reason = f"another backbone than ESM-2 650 M; ours is {row['ours'] - published:+.3f} beside it"
    return {name: row[name] for name in ("ours", "ci_low", "ci_high", "seeds")} | {"reason": reason}


def confidence_rows(run: RunPaths) -> Iterator[Row]:
    """Yield the statements about confidence and accuracy, agreed on by the seeds of a run or not sure."""
    tables = seeds.tables_of_runs(seeds.runs_with_other_seeds(run), ("confidence_claims.csv",))
    if not tables:
        return
    for claim, rows in pd.concat(tables).groupby("claim", sort=False):
        verdict = "/".join(dict.fromkeys(rows["verdict"]))
        reason = "" if len(rows) >= seeds.MINIMUM else f"so far: {verdict}"
        sure = verdict if "/" not in verdict else "not sure"
        yield {
            "statement": claim, "where": rows["where"].iloc[0], "metric": "accuracy", "ours": rows["ours"].mean(),
            "ci_low": rows["ci_low"].min(), "ci_high": rows["ci_high"].max(), "seeds": len(rows),
            "ground": f"{dataset_of(run)}, {main_set(run)}", "reason": reason, "check": "claims.check_confidence",
            "verdict": sure if not reason else ("one seed" if len(rows) == 1 else f"{len(rows)} seeds") + ": not sure",
        }  # fmt: skip


def homology_rows(run: RunPaths) -> Iterator[Row]:
    """Yield, per test set, whether it is as far from the training proteins as "minimal homology" says."""
    if (source := dataset_of(run)) == "synthetic":
        return
    audit = pd.read_csv(run.results / "audit_leakage.csv")
    for row in audit[~audit["set"].str.contains(" ") & (audit["set"] != "val")].itertuples():
        share, limits = row.near_duplicate_share, binomtest(row.near_duplicates, row.proteins).proportion_ci()
        few = "not testable here: near duplicates are few, but homology begins below what is counted here"
        sure = few if limits.high < LEAKED else "contradicted" if limits.low > LEAKED else "not sure"
        yield {
            "statement": f"{row.set} has minimal homology with the training proteins", "where": "abstract, section 3.1",
            "metric": "near duplicates", "ours": share, "ci_low": limits.low, "ci_high": limits.high,
            "ground": f"{source}, {row.set}", "verdict": sure, "check": "ledger.homology_rows",
            "reason": f"share with half of their 6-mers in one training protein; {LEAKED:.0%} is the limit set here",
        }  # fmt: skip


def related_rows(run: RunPaths) -> Iterator[Row]:
    """Yield the rows of documents 002 and 004 that notebooks 09 and 10 of a run have measured, with their verdicts."""
    for name, document in RELATED.items():
        file = run.results / f"{name}_claims.csv"
        table = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=["seeds"])
        for row in table[table["seeds"].notna()].to_dict("records"):
            ground = f"{dataset_of(run)}, {row['ground']}"
            yield row | {"document": document, "ground": ground, "check": "structure_claims.check_document"}


def stated_rows() -> Iterator[Row]:
    """Yield the rows of ``statements.csv``: those that published numbers decide, and those that nothing here can."""
    table = pd.read_csv(REFERENCE / "statements.csv", keep_default_na=False)
    for row in table.to_dict("records"):
        if (check := row["check"]) == "absent":
            yield row | {"verdict": "not testable here", "ground": "none", "check": ""}
            continue
        found = CHECKS[check]()
        new = {"ours": found.value, "ci_low": found.low, "ci_high": found.high, "ground": "published numbers"}
        yield row | new | {"verdict": found.verdict, "reason": found.reason, "check": f"arithmetic.{check}"}


def ledger(families: Sequence[str] = FAMILIES) -> pd.DataFrame:
    """Return the ledger as ``COLUMNS`` from the committed tables of the runs of ``families`` that are there.

    ``p`` is of a difference over seeds (``seeds.p_values``), ``p_holm`` corrected over the comparisons of systems that
    have a verdict; ``after_holm`` is the verdict again, or what is left of one that does not survive. Statements of
    other kinds, on homology, confidence or published numbers, stand as they are. Only ``statements.csv`` is typed.
    """
    rows: list[Row] = []
    for run in map(RunPaths, families):
        if (run.results / "metrics.csv").is_file():
            for part in (claim_rows, table_rows, confidence_rows, homology_rows):
                rows += ({"document": HALO} | row for row in part(run))
            rows += related_rows(run)
    table = pd.DataFrame([*rows, *stated_rows()]).reindex(columns=COLUMNS)
    family = table["p"].notna() & (table["seeds"] >= seeds.MINIMUM).fillna(False).astype(bool)  # else no verdict
    family &= ~table["verdict"].str.startswith(("not comparable", "not testable"))
    table.loc[family, "p_holm"] = holm(table.loc[family, "p"].to_numpy(dtype=float))
    falls = table["verdict"].isin(SURE) & (table["p_holm"] >= LEVEL)
    table["after_holm"] = np.where(falls, "not sure after correction", table["verdict"])
    return table.astype({"seeds": "Int64"})


def kind(verdict: str) -> str:
    """Return the one of ``KINDS`` that a verdict belongs to."""
    if "not sure" in verdict:
        return "not sure"
    return next((k for k in KINDS if verdict.startswith(k)), "not testable here")


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many rows of every document have a verdict of every kind."""
    kinds = pd.crosstab(table["document"], table["after_holm"].map(kind))
    return kinds.reindex(columns=[k for k in KINDS if k in kinds])
