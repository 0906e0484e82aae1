"""Multi-label metrics with bootstrap intervals over proteins and over families of them, as one tidy table.

scikit-learn computes every value, ``bootstrap`` the resampled ones. A label that is never predicted scores 0
(``zero_division=0``), one without a protein in the set is left out of macro averages: no system can score there.
Accuracy is subset accuracy; ranking metrics read probabilities. Where every protein has exactly one label, the most
probable one is scored too (``accuracy_argmax``, ``macro_f1_argmax``): it needs no threshold.
"""

from collections.abc import Sequence

import numpy as np
from sklearn import metrics as sk

Scores = dict[tuple[str, str], float]


def one_label_each(y: np.ndarray) -> bool:
    """Return whether every protein of [B, K] labels has exactly one, so that the most probable one can be scored."""
    return bool((np.asarray(y).sum(axis=1) == 1).all())


def most_probable(prob: np.ndarray) -> np.ndarray:
    """Return the label of largest probability of each protein, the first of equals, as [B, K] 0/1."""
    return np.eye(prob.shape[1], dtype=int)[np.argmax(prob, axis=1)]


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
