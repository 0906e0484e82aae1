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


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return top / bottom in float64, 0 where bottom is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast_shapes(np.shape(top), np.shape(bottom))), where=bottom > 0)


def f1_score(tp: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return F1 = 2 TP / (2 TP + FP + FN) from counts of any shape; ``wrong`` is FP + FN. 0 where undefined."""
    return ratio(2 * tp, 2 * tp + wrong)


def one_label_each(y: np.ndarray) -> bool:
    """Return whether every protein of [B, K] labels has exactly one, so that the most probable one can be scored."""
    return bool((np.asarray(y).sum(axis=1) == 1).all())


def most_probable(prob: np.ndarray) -> np.ndarray:
    """Return the label of largest probability of each protein, the first of equals, as [B, K] 0/1."""
    return np.eye(prob.shape[1], dtype=int)[np.argmax(prob, axis=1)]


def _auc(y: np.ndarray, prob: np.ndarray) -> float:
    return sk.roc_auc_score(y, prob) if 0 < y.sum() < y.size else np.nan


def scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: Sequence[str], zero_division: int = 0
) -> Scores:
    """Return every metric of one system.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] scores for the ranking metrics and argmax; the released code passes 0/1 labels here.
        locations: K location names.
        zero_division: value of an undefined precision, recall or F1; the released code uses 1, and averages over
            every label, with or without a protein.

    Returns:
        (metric, location) -> value; the location is empty for metrics over all labels.
    """
    y, pred = np.asarray(y, dtype=int), np.asarray(pred, dtype=int)
    averaged = y.any(axis=0) | (zero_division == 1)

    def macro(values: np.ndarray) -> float:
        return float(values[averaged].mean()) if averaged.any() else np.nan

    values: Scores = {("accuracy", ""): sk.accuracy_score(y, pred)}
    values["jaccard", ""] = sk.jaccard_score(y, pred, average="samples", zero_division=0)
    micro, each = (
        sk.precision_recall_fscore_support(y, pred, average=average, zero_division=zero_division)
        for average in ("micro", None)
    )
    names = ("precision", "recall", "f1")
    values |= {(f"micro_{name}", ""): micro[i] for i, name in enumerate(names)}
    values |= {(f"macro_{name}", ""): macro(each[i]) for i, name in enumerate(names)}
    auc = np.array([_auc(truth, p) for truth, p in zip(y.T, np.asarray(prob).T, strict=True)])
    values["roc_auc_micro", ""] = _auc(y.ravel(), np.ravel(prob))
    values["roc_auc_macro", ""] = float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan
    values["mcc_overall", ""] = sk.matthews_corrcoef(y.ravel(), pred.ravel())
    if one_label_each(y):
        top = most_probable(prob)
        values["accuracy_argmax", ""] = sk.accuracy_score(y, top)
        values["macro_f1_argmax", ""] = macro(sk.f1_score(y, top, average=None, zero_division=zero_division))
    for k, location in enumerate(locations):
        values["mcc", location] = sk.matthews_corrcoef(y[:, k], pred[:, k])
        values["f1", location] = each[2][k]
        values["roc_auc", location] = auc[k]
    return values
