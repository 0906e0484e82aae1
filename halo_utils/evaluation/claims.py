"""The paper's claims, each with what it says, where, and what our run says about it.

"Reproduced" asks for three things: a paired bootstrap interval that excludes zero in the claimed direction; a
difference of at least ``RELEVANT`` of the paper's, because with enough proteins any difference excludes zero; and,
where HALO is the better one, more than random vetoes of equal size gain. Any veto raises precision and subset
accuracy where many labels of the band are false; only what is beyond that tells of the second opinion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.evaluation.calibration import PredictedRanges
from halo_utils.evaluation.published import published_columns, published_table

# Labels the second opinion must have decided. With 100, the share of false ones among them is known to 10 points (95 %
# interval of a proportion near one half); with a handful, a coin passes for knowledge.
LEAST_ASKED = 100
# Smallest difference that counts, as a share of the paper's, so that it scales with the metric. A convention: what is
# less than a quarter of the effect that was claimed is another effect, however surely it is not zero.
RELEVANT = 0.25
SEEDS = 1  # trainings behind each system of a run


@dataclass(frozen=True)
class Claim:
    """One system against another in one metric.

    Attributes:
        text: the claim in a sentence.
        where: table or section of the paper.
        metric: metric of the comparison.
        table: published table that holds both values.
        published: the two columns of that table, first minus second.
        ours: the two systems of ours.
        greater: the paper says the first is greater; False says it is not.
        comparable: the paper gives both values in the same metric.
        reason: why it does not.
    """

    text: str
    where: str
    metric: str
    table: int
    published: tuple[str, str]
    ours: tuple[str, str]
    greater: bool = True
    comparable: bool = True
    reason: str = ""


NOT_ASKED = "DeepLoc's claim, not asked here"
HALO_ESM, PAPER_HALO_ESM = ("halo", "esm"), ("HALO", "Fine-tuned ESM")
CLAIMS = (
    Claim(
        "Fine-tuned embeddings improve the GAT",
        "Table 1",
        "macro_f1",
        1,
        ("F-ESM", "ESM"),
        ("gat_finetuned", "gat_pretrained"),
    ),
    Claim(
        "Weighted features improve the GAT",
        "Table 1",
        "macro_f1",
        1,
        ("WF-ESM", "F-ESM"),
        ("gat_weighted", "gat_finetuned"),
    ),
    Claim(
        "Weighted features improve the GAT",
        "Table 1",
        "micro_f1",
        1,
        ("WF-ESM", "F-ESM"),
        ("gat_weighted", "gat_finetuned"),
    ),
    Claim(
        "Fine-tuned ESM beats the GAT",
        "Table 2",
        "macro_f1",
        2,
        ("Fine-tuned ESM", "GAT"),
        ("esm", "gat_weighted"),
    ),
    Claim(
        "The GAT recalls more than fine-tuned ESM",
        "Table 2",
        "macro_recall",
        2,
        ("GAT", "Fine-tuned ESM"),
        ("gat_weighted", "esm"),
        comparable=False,
        reason="micro against macro",  # the GAT columns of Tables 1-3 hold micro precision and recall
    ),
    Claim("HALO has a higher macro F1 than fine-tuned ESM", "Table 2", "macro_f1", 2, PAPER_HALO_ESM, HALO_ESM),
    Claim(
        "HALO has a lower micro F1 than fine-tuned ESM",
        "Table 2",
        "micro_f1",
        2,
        PAPER_HALO_ESM,
        HALO_ESM,
        greater=False,
    ),
    Claim("HALO has a higher Jaccard index", "Table 2", "jaccard", 2, PAPER_HALO_ESM, HALO_ESM),
    Claim("HALO has a higher subset accuracy", "Table 2", "accuracy", 2, PAPER_HALO_ESM, HALO_ESM),
    Claim("HALO has a higher ROC AUC", "Table 2", "roc_auc_micro", 2, PAPER_HALO_ESM, HALO_ESM),
    Claim("HALO is more precise", "Table 2, 2.3", "macro_precision", 2, PAPER_HALO_ESM, HALO_ESM),
    Claim(
        "HALO recalls less (a veto cannot add)",
        "Table 2",
        "macro_recall",
        2,
        PAPER_HALO_ESM,
        HALO_ESM,
        greater=False,
    ),
)


def _compared(claim: Claim, paper: float, difference: float, low: float, high: float) -> tuple[str, str]:
    """Return verdict and reason of a difference with its interval."""
    agrees, sure = (difference > 0) == claim.greater, low > 0 or high < 0
    bar = RELEVANT * abs(paper)
    small = abs(difference) < bar and (sure or max(abs(low), abs(high)) < bar)
    if difference == low == high == 0:
        return "no difference", "no resample differs"
    if small:
        return "no effect of relevant size", f"under {bar:.4f}, {RELEVANT:.0%} of the paper's difference"
    if not sure:
        return f"{'same' if agrees else 'opposite'} direction, not sure", "the interval includes zero"
    return "reproduced" if agrees else "contradicted", "the interval excludes zero"


def _published(claim: Claim) -> float:
    """Return the published difference of a claim, NaN where its two values are not in the same metric."""
    if not claim.comparable:
        return np.nan
    table = published_table(claim.table).set_index(["metric", "label", "system"])["published"]
    first, second = (table[claim.metric, "", column] for column in claim.published)
    return round(float(first - second), 4)


def _gate_verdict(claim: Claim, paper: float, numbers: Sequence[float], veto: pd.Series | None) -> tuple[str, str]:
    """Return verdict and reason of a difference between HALO and its sequence model.

    Args:
        claim: the claim.
        paper: published difference.
        numbers: our difference, ends of its interval.
        veto: row of ``second_opinions.beside_random_veto`` for the metric.
    """
    if veto is None:
        return "not measured", "no comparison with a random veto"
    band, asked, vetoed = (int(veto[name]) for name in ("band", "asked", "vetoed"))
    if asked < LEAST_ASKED:
        where = "the others belong to proteins without a structure"
        reason = f"at least {LEAST_ASKED} are needed" + (f"; {where}" if asked < band else "")
        return f"not testable here: {asked:,} of {band:,} labels asked", reason
    if not vetoed:
        return f"not testable here: 0 of {asked:,} asked labels vetoed", "the gate changed nothing"
    verdict, reason = _compared(claim, paper, *numbers)
    if verdict not in ("reproduced", "contradicted") or numbers[0] < 0:
        by_itself = " (any veto lowers recall)" if claim.metric.endswith("recall") else ""
        return verdict, reason + by_itself
    gain, most = veto["halo"] - veto["esm"], veto["random_high"] - veto["esm"]
    random = f"random vetoes of {vetoed:,} of the {asked:,} asked labels gain up to {most:+.4f} (97.5 %)"
    if gain > most + 1e-9:
        return verdict, f"{reason}; {random}"
    return "no more than a random veto", random


def _weights_verdict(claim: Claim, weights: Sequence[float] | None) -> tuple[str, str] | None:
    """Return why a claim about weighted features cannot be tested, or None where it can."""
    if claim.ours != ("gat_weighted", "gat_finetuned") or weights is None or all(weights):
        return None
    groups = ("coordinates", "embedding", "biochemistry")
    off = [group for group, weight in zip(groups, weights, strict=True) if weight == 0]
    return "not testable here: the chosen weights switch a group off", f"weight 0 for {' and '.join(off)}"


def _verdict(
    claim: Claim, paper: float, numbers: Sequence[float], veto: pd.Series | None, weights: Sequence[float] | None
) -> tuple[str, str]:
    """Return verdict and reason of a claim that is about this run's data set."""
    if np.isnan(numbers[0]):
        return "not measured", ""
    if not claim.comparable:
        return f"not comparable in the paper ({claim.reason})", ""
    if claim.ours == HALO_ESM:
        return _gate_verdict(claim, paper, numbers, veto)
    return _weights_verdict(claim, weights) or _compared(claim, paper, *numbers)


def check_claims(
    differences: pd.DataFrame,
    split: str,
    dataset: str = "deeploc2",
    *,
    vetoes: pd.DataFrame | None = None,
    weights: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the claims ledger on one test set.

    Args:
        differences: tables of ``evaluation.compare``, one under the other.
        split: test set to read.
        dataset: data set of the run; a claim is about the data of its table.
        vetoes: from ``second_opinions.beside_random_veto`` on that set; without it no claim about HALO has a verdict.
        weights: chosen weights of coordinates, embedding and biochemistry, None where unknown.

    Returns:
        Columns claim, where, metric, paper (published difference), ours, ci_low, ci_high, asked (labels the second
        opinion decided, for claims about HALO), relevant (whether our difference is at least ``RELEVANT`` of the
        paper's), seeds, verdict, reason. A claim whose comparison is not in ``differences`` gets the verdict
        ``not measured``. ``paper`` is empty where the published values do not compare with each other, or are about
        other proteins than the run's.
    """
    rows = []
    own = differences[(differences["split"] == split) & (differences["label"].fillna("") == "")]
    beside = None if vetoes is None else vetoes.set_index("metric")
    for claim in CLAIMS:
        applies = claim.table in published_columns(dataset, split)
        paper = _published(claim) if applies else np.nan
        row = {
            "claim": claim.text,
            "where": claim.where,
            "metric": claim.metric,
            "paper": paper,
        }
        match = own[
            (own["first"] == claim.ours[0]) & (own["second"] == claim.ours[1]) & (own["metric"] == claim.metric)
        ]
        numbers = [np.nan] * 3 if match.empty else list(match.iloc[0][["difference", "ci_low", "ci_high"]])
        veto = None if beside is None or claim.ours != HALO_ESM else beside.loc[claim.metric]
        verdict, reason = _verdict(claim, paper, numbers, veto, weights) if applies else (NOT_ASKED, "")
        seeds = "" if verdict.startswith("not ") or not applies else " (one seed)"
        row |= dict(zip(("ours", "ci_low", "ci_high"), numbers, strict=True))
        relevant = pd.NA if np.isnan(paper) else abs(numbers[0]) >= RELEVANT * abs(paper)
        row |= {"asked": None if veto is None else veto["asked"], "relevant": relevant}
        rows.append(row | {"seeds": SEEDS, "verdict": verdict, "reason": reason + seeds})
    return pd.DataFrame(rows).astype({"asked": "Int64", "relevant": "boolean"})


def _confidence_verdict(holds_if_below: bool, level: float, ends: tuple[float, float]) -> str:
    """Return the verdict on an accuracy whose interval is ``ends``: sure only where ``level`` is outside."""
    low, high = ends
    if not low < level <= high:
        return "reproduced" if (high < level) == holds_if_below else "contradicted"
    return "not sure"


def check_confidence(ranges: PredictedRanges, gate: float, accuracy: float) -> pd.DataFrame:
    """Return the two statements of section 2.3 about Fig. 4, checked on the labels our model predicts.

    They are read range by range, so both are reproduced exactly where ``ranges.crossing`` is ``gate`` without doubt.

    Args:
        ranges: from ``calibration.predicted_ranges``.
        gate: the paper's confidence, 0.55.
        accuracy: the paper's accuracy, 0.60.

    Returns:
        Columns claim, where, ours (accuracy of the range that decides: the best one below, the worst one above),
        ci_low, ci_high, predictions, verdict.
    """
    rows = []
    for below, text in ((True, "below {0:.0%} confidence no range reaches {1:.0%} accuracy"),
                        (False, "from {0:.0%} confidence on every range reaches {1:.0%} accuracy")):  # fmt: skip
        found, count = ranges.below(gate) if below else ranges.above(gate)
        verdict = _confidence_verdict(below, accuracy, (found.low, found.high)) if count else "not testable here"
        row = {"claim": text.format(gate, accuracy), "where": "section 2.3", "ours": found.value}
        rows.append(row | {"ci_low": found.low, "ci_high": found.high, "predictions": count, "verdict": verdict})
    return pd.DataFrame(rows)
