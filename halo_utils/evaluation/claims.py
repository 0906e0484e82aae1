"""The paper's claims, each with what it says, where, and what our run says about it: see ``check_claims``."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from halo_utils.evaluation.calibration import PredictedRanges
from halo_utils.evaluation.published import DEEPLOC_COLUMNS, published_columns, published_table
from halo_utils.evaluation.seeds import MINIMUM
from halo_utils.evaluation.systems import CONTROLS, TITLES
from halo_utils.evaluation.test_sets import WITH_GRAPH

# Labels the second opinion must have decided. With 200, the share of false ones among them is known to 7 points (95 %
# interval of a proportion near one half); with a handful, a coin passes for knowledge.
LEAST_ASKED = 200
# Smallest difference that counts, as a share of the paper's, so that it scales with the metric. A convention: what is
# less than a quarter of the effect that was claimed is another effect, however surely it is not zero.
RELEVANT = 0.25


class Claim(NamedTuple):
    """One system of ours against another in one metric."""

    text: str
    metric: str
    ours: tuple[str, str]  # first minus second; ``published.DEEPLOC_COLUMNS`` says which columns they are
    table: int = 2  # the published one that holds both values
    greater: bool = True  # the paper says that the first is; False says that it is not
    reason: str = ""  # why the paper's two values do not compare, where they do not
    section: str = ""  # where else in the paper the claim stands


NOT_ASKED = "DeepLoc's claim, not asked here"
HALO_ESM, WEIGHTED = ("halo", "esm"), ("gat_weighted", "gat_finetuned")
MICRO_MACRO = "micro against macro"  # the GAT columns of Tables 1-3 hold micro precision and recall
CLAIMS = (
    Claim("Fine-tuned embeddings improve the GAT", "macro_f1", ("gat_finetuned", "gat_pretrained"), table=1),
    Claim("Weighted features improve the GAT", "macro_f1", WEIGHTED, table=1),
    Claim("Weighted features improve the GAT", "micro_f1", WEIGHTED, table=1),
    Claim("Fine-tuned ESM beats the GAT", "macro_f1", ("esm", "gat_weighted")),
    Claim("The GAT recalls more than fine-tuned ESM", "macro_recall", ("gat_weighted", "esm"), reason=MICRO_MACRO),
    Claim("HALO has a higher macro F1 than fine-tuned ESM", "macro_f1", HALO_ESM),
    Claim("HALO has a lower micro F1 than fine-tuned ESM", "micro_f1", HALO_ESM, greater=False),
    Claim("HALO has a higher Jaccard index", "jaccard", HALO_ESM),
    Claim("HALO has a higher subset accuracy", "accuracy", HALO_ESM),
    Claim("HALO has a higher ROC AUC", "roc_auc_micro", HALO_ESM),
    Claim("HALO is more precise", "macro_precision", HALO_ESM, section=", 2.3"),
    Claim("HALO recalls less (a veto cannot add)", "macro_recall", HALO_ESM, greater=False),
)


def _compared(claim: Claim, paper: float, difference: float, low: float, high: float) -> tuple[str, str]:
    agrees, sure, bar = (difference > 0) == claim.greater, low > 0 or high < 0, RELEVANT * abs(paper)
    if difference == low == high == 0:
        return "no difference", "no resample differs"
    if abs(difference) < bar and (sure or max(abs(low), abs(high)) < bar):
        return "no effect of relevant size", f"under {bar:.4f}, {RELEVANT:.0%} of the paper's difference"
    if not sure:
        return f"{'same' if agrees else 'opposite'} direction, not sure", "the interval includes zero"
    return "reproduced" if agrees else "contradicted", "the interval excludes zero"


@cache
def published_pair(claim: Claim) -> tuple[float | None, ...]:
    """Return what the paper gives for the two systems of a claim, None where it has no such value."""
    table = published_table(claim.table).set_index(["metric", "label", "system"])["published"]
    columns = {system: column for column, system in DEEPLOC_COLUMNS[claim.table].items()}
    return tuple(table.get((claim.metric, "", columns[system])) for system in claim.ours)


def _over_seeds(verdict: str, reason: str, seeds: int) -> tuple[str, str]:
    """Take a verdict back that rests on fewer than ``MINIMUM`` seeds: another seed may say something else."""
    if seeds >= MINIMUM or verdict.startswith("not "):
        return verdict, reason
    ran = "one seed" if seeds == 1 else f"{seeds} seeds"
    return f"{ran}: not sure", f"so far: {verdict}; {reason}"


def _gate_verdict(claim: Claim, paper: float, numbers: Sequence[float], veto: pd.Series | None) -> tuple[str, str]:
    if veto is None:
        return "not measured", "no comparison with a random veto"
    band, asked, vetoed = (int(veto[name]) for name in ("band", "asked", "vetoed"))
    if asked < LEAST_ASKED:
        others = "; the others belong to proteins without a structure" if asked < band else ""
        reason = f"at least {LEAST_ASKED} are needed{others}"
        return f"not testable here: {asked:,} of {band:,} labels asked", reason
    if not vetoed:
        return f"not testable here: 0 of {asked:,} asked labels vetoed", "the gate changed nothing"
    verdict, reason = _compared(claim, paper, *numbers)
    if verdict not in ("reproduced", "contradicted") or numbers[0] < 0:
        return verdict, reason + " (any veto lowers recall)" * claim.metric.endswith("recall")
    # Any veto raises precision and subset accuracy where many labels of the band are false.
    gain, most = veto["halo"] - veto["esm"], veto["random_high"] - veto["esm"]
    random = f"as many vetoes at random gain up to {most:+.4f} (97.5 %)"
    if gain > most + 1e-9:
        return verdict, f"{reason}; {random}"
    return "no more than a random veto", random


def _verdict(
    claim: Claim, paper: float, numbers: Sequence[float], veto: pd.Series | None, weights: Sequence[float] | None
) -> tuple[str, str]:
    if np.isnan(numbers[0]):
        return "not measured", ""
    if claim.reason:
        return f"not comparable in the paper ({claim.reason})", "its two values are of different averages"
    if claim.ours == HALO_ESM:
        return _gate_verdict(claim, paper, numbers, veto)
    if claim.ours == WEIGHTED and weights is not None and not all(weights):
        groups = zip(("coordinates", "embedding", "biochemistry"), weights, strict=True)
        off = " and ".join(group for group, weight in groups if weight == 0)
        return "not testable here: the chosen weights switch a group off", f"weight 0 for {off}"
    return _compared(claim, paper, *numbers)


def check_claims(
    differences: pd.DataFrame,
    split: str,
    dataset: str = "deeploc2",
    *,
    vetoes: pd.DataFrame | None = None,
    weights: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the claims ledger on one test set, or on its proteins with a graph, from ``seeds.differences_over_seeds``.

    "Reproduced" asks for ``MINIMUM`` seeds, an interval that excludes zero in the claimed direction, a difference of
    ``RELEVANT`` of the paper's, and, where HALO is the better one, more than random vetoes of equal size gain; a table
    of ``scoring.compare``, without a column seeds, is of one seed. ``vetoes`` is ``second_opinions.beside_random_veto``
    on that ground (several seeds: ``seeds.vetoes_over_seeds``), without which no claim about HALO has a verdict;
    ``weights`` are those chosen of coordinates, embedding and biochemistry. The columns are claim, where, metric, paper
    (difference, empty where it does not compare), ours, ci_low, ci_high, asked (labels the second opinion decided),
    relevant (at least ``RELEVANT`` of the paper's), seeds, p (``seeds.p_values``), verdict, reason.
    """
    measured, whole = _measured(differences, split), split.removesuffix(f", {WITH_GRAPH}")
    beside, rows = None if vetoes is None else vetoes.set_index("metric"), []
    for claim in CLAIMS:
        applies, key = claim.table in published_columns(dataset, whole), (claim.metric, *claim.ours)
        first, second = published_pair(claim)
        paper = round(float(first - second), 4) if applies and not claim.reason else np.nan
        *numbers, p, seeds = measured.loc[key] if key in measured.index else ABSENT
        veto = None if beside is None or claim.ours != HALO_ESM else beside.loc[claim.metric]
        verdict, reason = _verdict(claim, paper, numbers, veto, weights) if applies else (NOT_ASKED, "")
        verdict, reason = _over_seeds(verdict, reason, int(seeds)) if applies else (verdict, reason)
        row = {"claim": claim.text, "where": f"Table {claim.table}{claim.section}", "metric": claim.metric}
        row |= {"paper": paper} | dict(zip(("ours", "ci_low", "ci_high"), numbers, strict=True))
        row["asked"] = None if veto is None else veto["asked"]
        row["relevant"] = pd.NA if np.isnan(paper) else abs(numbers[0]) >= RELEVANT * abs(paper)
        rows.append(row | {"seeds": int(seeds), "p": p, "verdict": verdict, "reason": reason})
    return pd.DataFrame(rows).astype({"asked": "Int64", "relevant": "boolean"})


def _measured(differences: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return difference, ci_low, ci_high, p and seeds on one set by metric, first and second."""
    measured = differences[(differences["split"] == split) & (differences["label"].fillna("") == "")]
    keys, values = ["metric", "first", "second"], ["difference", "ci_low", "ci_high", "p", "seeds"]
    measured = measured if "seeds" in measured else measured.assign(seeds=1)
    return measured.drop_duplicates(keys).set_index(keys).reindex(columns=values)


ABSENT = (*[np.nan] * 4, 0)  # of ``_measured``, for what was not run
OWN_EDGES = "gat_finetuned_graphs"  # the network that the controls differ from in their edges only


def check_structure(differences: pd.DataFrame, ground: str, vetoes: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return whether structure helps on one ground: the gate beside ESM, and own contacts beside every control's edges.

    The rules are those of ``check_claims``, and so are the columns, with first and second for where. On any data set
    relevant is what is ``RELEVANT`` of the difference between HALO and ESM in the paper's Table 2, which it owes to
    structure; ``scale`` holds its size. What was not run has the verdict "not measured".
    """
    measured, rows = _measured(differences, ground), []
    beside = None if vetoes is None else vetoes.set_index("metric")
    for first, second in (HALO_ESM, *((OWN_EDGES, control) for control in CONTROLS)):
        for claim in (c for c in CLAIMS if c.ours == HALO_ESM and c.metric in ("micro_f1", "macro_f1")):
            scale, key = abs(float(np.subtract(*published_pair(claim)))), (claim.metric, first, second)
            *numbers, p, seeds = measured.loc[key] if key in measured.index else ABSENT
            verdict, reason = "not measured", ""
            if seeds:
                better, veto = claim._replace(greater=True), None if beside is None else beside.loc[claim.metric]
                gate = (first, second) == HALO_ESM
                found = _gate_verdict(better, scale, numbers, veto) if gate else _compared(better, scale, *numbers)
                verdict, reason = _over_seeds(*found, int(seeds))
            row = {"claim": f"{TITLES[first]} beats {TITLES[second]}", "first": first, "second": second}
            row |= {"metric": claim.metric, "scale": round(scale, 4)} | dict(
                zip(("ours", "ci_low", "ci_high"), numbers, strict=True)
            )
            rows.append(row | {"seeds": int(seeds), "p": p, "verdict": verdict, "reason": reason})
    return pd.DataFrame(rows)


def check_confidence(ranges: PredictedRanges, gate: float, accuracy: float) -> pd.DataFrame:
    """Return the two statements of section 2.3 about Fig. 4, checked on the labels our model predicts.

    They are read range by range: both are reproduced exactly where ``ranges.crossing`` is ``gate`` without doubt.
    ``ours`` is the accuracy of the range that decides: the best one below, the worst one above.
    """
    rows = []
    for (worst, count), text, reached in (
        (ranges.below(gate), "below {0:.0%} confidence no range reaches {1:.0%} accuracy", False),
        (ranges.above(gate), "from {0:.0%} confidence on every range reaches {1:.0%} accuracy", True),
    ):
        verdict = "not sure"
        if not worst.low < accuracy <= worst.high:  # sure: the level lies outside the interval
            verdict = "reproduced" if (worst.high >= accuracy) == reached else "contradicted"
        row = {"claim": text.format(gate, accuracy), "where": "section 2.3", "ours": worst.value}
        row |= {"ci_low": worst.low, "ci_high": worst.high, "predictions": count}
        rows.append(row | {"verdict": verdict if count else "not testable here"})
    return pd.DataFrame(rows)
