"""Multi-label metrics of many resamples at once, under weights of proteins; the formulas are those of scikit-learn."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

CHUNK = 128  # resamples worked on at once; bounds memory for large test sets


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


def _mcc(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
    return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def weighted_auc(y: np.ndarray, prob: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the ROC AUC, [R], of [B] scores, or the micro average of [B, K], under weights [B, R]; ties count half."""
    protein = np.arange(y.size) // (y.size // len(y))
    y, prob = y.ravel() > 0, prob.ravel()
    order = np.argsort(prob[y], kind="stable")
    positive = prob[y][order]
    # Weight of the positives below each of them; they are few, so only they are added up in every resample.
    below = np.zeros((len(order) + 1, weights.shape[1]))
    np.cumsum(weights[protein[y][order]], axis=0, out=below[1:])
    # Where the negatives of each protein lie among the positives, once without ties and once with them.
    place = np.concatenate([np.searchsorted(positive, prob[~y], side=side) for side in ("left", "right")])
    shape = (len(below), len(weights))
    negative = sparse.csr_matrix((np.ones(len(place)), (place, np.tile(protein[~y], 2))), shape=shape) @ weights
    total = negative.sum(axis=0) / 2 * below[-1]
    area = total - np.einsum("nr,nr->r", negative, below) / 2
    return np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0)


def _label_counts(y: np.ndarray, pred: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return w @ (y * pred), w @ ((1 - y) * pred), w @ (y * (1 - pred))


def _chunk_scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: Sequence[str], w: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    w, averaged = w.astype(np.float64), y.any(axis=0)  # macro averages: labels of the whole set, in every resample
    total, columns = w.sum(axis=1), np.ascontiguousarray(w.T)
    tp, fp, fn = _label_counts(y, pred, w)
    tn = total[:, None] - tp - fp - fn
    tps, fps, fns, tns = (counts.sum(axis=1) for counts in (tp, fp, fn, tn))
    f1, mcc = f1_score(tp, fp + fn), _mcc(tp, fp, fn, tn)
    auc = np.stack([weighted_auc(y[:, k], prob[:, k], columns) for k in range(y.shape[1])], axis=1)
    out = {
        ("accuracy", ""): w @ (y == pred).all(axis=1) / total,
        ("jaccard", ""): w @ ratio((y * pred).sum(axis=1), np.maximum(y, pred).sum(axis=1)) / total,
        ("micro_precision", ""): ratio(tps, tps + fps),
        ("micro_recall", ""): ratio(tps, tps + fns),
        ("micro_f1", ""): f1_score(tps, fps + fns),
        ("macro_precision", ""): _nanmean(ratio(tp, tp + fp)[:, averaged]),
        ("macro_recall", ""): _nanmean(ratio(tp, tp + fn)[:, averaged]),
        ("macro_f1", ""): _nanmean(f1[:, averaged]),
        ("roc_auc_micro", ""): weighted_auc(y, prob, columns),
        ("roc_auc_macro", ""): _nanmean(auc),
        ("mcc_overall", ""): _mcc(tps, fps, fns, tns),
    }
    if one_label_each(y):
        top_tp, top_fp, top_fn = _label_counts(y, most_probable(prob), w)
        out["accuracy_argmax", ""] = top_tp.sum(axis=1) / total
        out["macro_f1_argmax", ""] = _nanmean(f1_score(top_tp, top_fp + top_fn)[:, averaged])
    for k, location in enumerate(locations):
        out |= {("mcc", location): mcc[:, k], ("f1", location): f1[:, k], ("roc_auc", location): auc[:, k]}
    return out


def _nanmean(values: np.ndarray) -> np.ndarray:
    count = np.isfinite(values).sum(axis=1)
    return np.divide(np.nansum(values, axis=1), count, out=np.full(len(values), np.nan), where=count > 0)


def resampled_scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: Sequence[str], weights: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Return every metric under every row of ``weights`` [R, B], each [R]."""
    y, pred, prob = np.asarray(y, dtype=int), np.asarray(pred, dtype=int), np.asarray(prob, dtype=float)
    pieces = [_chunk_scores(y, pred, prob, locations, weights[i : i + CHUNK]) for i in range(0, len(weights), CHUNK)]
    return {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}


def scores(y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return (metric, location) -> value of one system, the location empty for metrics over all labels.

    ``y`` are 0/1 labels, ``pred`` predicted ones, ``prob`` scores for the ranking metrics and argmax, [B, K] each. A
    label that is never predicted scores 0; one without a protein in the set is left out of macro averages, because no
    system can score there. ``accuracy`` is of whole subsets. Where every protein has exactly one label, the most
    probable one is scored too (``accuracy_argmax``, ``macro_f1_argmax``): it needs no threshold.
    """
    once = resampled_scores(y, pred, prob, locations, np.ones((1, len(y))))
    return {key: float(values[0]) for key, values in once.items()}
