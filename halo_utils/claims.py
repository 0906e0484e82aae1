"""The paper's claims, each with what it says, where, and what our run says about it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.reference import published_columns, published_table


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


def _verdict(claim: Claim, difference: float, low: float, high: float) -> str:
    """Return reproduced or contradicted where the interval excludes zero, else the weaker wording."""
    if difference == 0 and low == high == 0:
        return "no difference"
    agrees = (difference > 0) == claim.greater
    sure = low > 0 or high < 0
    if sure:
        return "reproduced" if agrees else "contradicted"
    return "same direction, not significant" if agrees else "opposite direction, not significant"


def _published(claim: Claim) -> float:
    """Return the published difference of a claim, NaN where its two values are not in the same metric."""
    if not claim.comparable:
        return np.nan
    table = published_table(claim.table).set_index(["metric", "label", "system"])["published"]
    first, second = (table[claim.metric, "", column] for column in claim.published)
    return round(float(first - second), 4)


def check_claims(differences: pd.DataFrame, split: str, dataset: str = "deeploc2") -> pd.DataFrame:
    """Return the claims ledger on one test set.

    Args:
        differences: tables of ``evaluation.compare``, one under the other.
        split: test set to read.
        dataset: data set of the run; a claim is about the data of its table.

    Returns:
        Columns claim, where, metric, paper (published difference), ours, ci_low, ci_high, verdict. A claim whose
        comparison is not in ``differences`` gets the verdict ``not measured``. ``paper`` is empty where the published
        values do not compare with each other, or are about other proteins than the run's.
    """
    rows = []
    own = differences[(differences["split"] == split) & (differences["label"].fillna("") == "")]
    for claim in CLAIMS:
        asked = claim.table in published_columns(dataset, split)
        row = {
            "claim": claim.text,
            "where": claim.where,
            "metric": claim.metric,
            "paper": _published(claim) if asked else np.nan,
        }
        match = own[
            (own["first"] == claim.ours[0]) & (own["second"] == claim.ours[1]) & (own["metric"] == claim.metric)
        ]
        if match.empty:
            rows.append(row | {"ours": np.nan, "ci_low": np.nan, "ci_high": np.nan, "verdict": "not measured"})
            continue
        found = match.iloc[0]
        numbers = {"ours": found["difference"], "ci_low": found["ci_low"], "ci_high": found["ci_high"]}
        if not asked:
            verdict = NOT_ASKED
        elif not claim.comparable:
            verdict = f"not comparable in the paper ({claim.reason})"
        else:
            verdict = _verdict(claim, *numbers.values())
        rows.append(row | numbers | {"verdict": verdict})
    return pd.DataFrame(rows)


def check_confidence(bins: pd.DataFrame, gate: float, accuracy: float) -> pd.DataFrame:
    """Return the two statements of section 2.3 about Fig. 4, checked on our bins.

    Args:
        bins: from ``calibration.confidence_bins``.
        gate: the paper's confidence, 0.55.
        accuracy: the paper's accuracy, 0.60.
    """
    below, above = bins[bins["high"] <= gate + 1e-9], bins[bins["low"] >= gate - 1e-9]
    shares = [float((b["total"].sum() - b["wrong"].sum()) / max(b["total"].sum(), 1)) for b in (below, above)]
    low, high = shares
    return pd.DataFrame(
        {
            "claim": [
                f"accuracy below {gate:.0%} confidence is under {accuracy:.0%}",
                f"accuracy above {gate:.0%} is at least {accuracy:.0%}",
            ],
            "where": ["section 2.3", "section 2.3"],
            "ours": [low, high],
            "predictions": [int(below["total"].sum()), int(above["total"].sum())],
            "verdict": [
                "reproduced" if low < accuracy else "contradicted",
                "reproduced" if high >= accuracy else "contradicted",
            ],
        }
    )
