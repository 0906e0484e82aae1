"""Multi-label metrics with bootstrap intervals over proteins and over families of them, as one tidy table.

scikit-learn computes every value, ``bootstrap`` the resampled ones. A label that is never predicted scores 0
(``zero_division=0``), one without a protein in the set is left out of macro averages: no system can score there.
Accuracy is subset accuracy; ranking metrics read probabilities. Where every protein has exactly one label, the most
probable one is scored too (``accuracy_argmax``, ``macro_f1_argmax``): it needs no threshold.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from halo_utils.bootstrap import most_probable, one_label_each, resampled_scores, resamplings, widest

Scores = dict[tuple[str, str], float]


def label_auc(y: np.ndarray, prob: np.ndarray) -> np.ndarray:
    """Return the ROC AUC per label, [K], NaN where a label has one class only."""
    return np.array(
        [sk.roc_auc_score(t, p) if 0 < t.sum() < len(t) else np.nan for t, p in zip(y.T, prob.T, strict=True)]
    )


def _mean_over(values: np.ndarray, labels: np.ndarray) -> float:
    return float(values[labels].mean()) if labels.any() else np.nan


def scores(y: np.ndarray, pred: np.ndarray, prob: np.ndarray, places: Sequence[str], zero_division: int = 0) -> Scores:
    """Return every metric of one system.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] scores for the ranking metrics and argmax; the released code passes 0/1 labels here.
        places: K location names.
        zero_division: value of an undefined precision, recall or F1; the released code uses 1, and averages over
            every label, with or without a protein.

    Returns:
        (metric, location) -> value; the location is empty for metrics over all labels.
    """
    y, pred = np.asarray(y, dtype=int), np.asarray(pred, dtype=int)
    averaged = y.any(axis=0) | (zero_division == 1)
    values: Scores = {("accuracy", ""): sk.accuracy_score(y, pred)}
    values["jaccard", ""] = sk.jaccard_score(y, pred, average="samples", zero_division=0)
    micro, each = (
        sk.precision_recall_fscore_support(y, pred, average=average, zero_division=zero_division)
        for average in ("micro", None)
    )
    names = ("precision", "recall", "f1")
    values |= {(f"micro_{name}", ""): micro[i] for i, name in enumerate(names)}
    values |= {(f"macro_{name}", ""): _mean_over(each[i], averaged) for i, name in enumerate(names)}
    auc = label_auc(y, prob)
    values["roc_auc_micro", ""] = sk.roc_auc_score(y.ravel(), np.ravel(prob)) if 0 < y.sum() < y.size else np.nan
    values["roc_auc_macro", ""] = float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan
    values["mcc_overall", ""] = sk.matthews_corrcoef(y.ravel(), pred.ravel())
    if one_label_each(y):
        top = most_probable(prob)
        values["accuracy_argmax", ""] = sk.accuracy_score(y, top)
        f1 = sk.f1_score(y, top, average=None, zero_division=zero_division)
        values["macro_f1_argmax", ""] = _mean_over(f1, averaged)
    for k, place in enumerate(places):
        values["mcc", place] = sk.matthews_corrcoef(y[:, k], pred[:, k])
        values["f1", place] = each[2][k]
        values["roc_auc", place] = auc[k]
    return values


def evaluate(
    y: np.ndarray,
    pred: np.ndarray,
    prob: np.ndarray,
    places: Sequence[str],
    *,
    resamples: int,
    seed: int,
    families: np.ndarray | None = None,
    **columns: object,
) -> pd.DataFrame:
    """Return the tidy metrics table of one system on one split.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] probabilities or gate scores.
        places: K location names.
        resamples: bootstrap resamples, of proteins and of families, for the 95 % intervals.
        seed: seed of the resampling; equal seeds pair the resamples of systems.
        families: [B] family of each protein; None takes every protein for a family of its own.
        **columns: constant columns such as dataset, split, system, threshold.

    Returns:
        Columns: metric, label, value, ci_low, ci_high (the wider of the two intervals), resampled (``proteins`` or
        ``families``: whose it is), the constant ones, n, macro_over (labels in macro averages), seed.
    """
    values = scores(y, pred, prob, places)
    drawn = {
        unit: resampled_scores(y, pred, prob, places, weights)
        for unit, weights in resamplings(len(y), resamples, seed, families).items()
    }
    rows = []
    for key, value in values.items():
        ends, _ = widest({unit: samples[key] for unit, samples in drawn.items()})
        rows.append({"metric": key[0], "label": key[1], "value": value} | ends)
    counts = {"n": len(y), "macro_over": int(np.any(y, axis=0).sum())}
    return pd.DataFrame(rows).assign(**columns, **counts, seed=seed)


def paired_difference(
    y: np.ndarray,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    places: Sequence[str],
    *,
    resamples: int,
    seed: int,
    families: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return first minus second with paired bootstrap intervals: both systems see the same resamples.

    Args:
        y: [B, K] 0/1 labels.
        first: (pred, prob) of one system, [B, K] each.
        second: (pred, prob) of the other.
        places: K location names.
        resamples: bootstrap resamples.
        seed: seed of the resampling.
        families: [B] family of each protein, see ``evaluate``.

    Returns:
        Columns metric, label, difference, ci_low, ci_high and resampled as in ``evaluate``, and ``p_not_greater``, the
        share of those resamples in which the first system is not better.
    """
    a, b = scores(y, *first, places), scores(y, *second, places)
    gaps = {}
    for unit, weights in resamplings(len(y), resamples, seed, families).items():
        one, other = (resampled_scores(y, *system, places, weights) for system in (first, second))
        gaps[unit] = {key: one[key] - other[key] for key in a}
    rows = []
    for key in a:
        ends, gap = widest({unit: samples[key] for unit, samples in gaps.items()})
        gap = gap[np.isfinite(gap)]
        row = {"metric": key[0], "label": key[1], "difference": a[key] - b[key]} | ends
        rows.append(row | {"p_not_greater": float(np.mean(gap <= 0)) if len(gap) else np.nan})
    return pd.DataFrame(rows)
