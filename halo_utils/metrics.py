"""Multi-label metrics with bootstrap intervals over proteins, as one tidy table.

scikit-learn computes every value; the resampled values come from the same formulas written for many weight
vectors at once, and a test holds the two against each other. A label that is never present or never predicted
scores 0 (``zero_division=0``); accuracy is subset accuracy; ranking metrics read probabilities.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics as sk

CHUNK = 64  # resamples worked on at once; bounds memory for large test sets

Scores = dict[tuple[str, str], float]


def label_auc(y: np.ndarray, prob: np.ndarray) -> np.ndarray:
    """Return the ROC AUC per label, [K], NaN where a label has one class only."""
    return np.array(
        [sk.roc_auc_score(t, p) if 0 < t.sum() < len(t) else np.nan for t, p in zip(y.T, prob.T, strict=True)]
    )


def scores(y: np.ndarray, pred: np.ndarray, prob: np.ndarray, places: Sequence[str], zero_division: int = 0) -> Scores:
    """Return every metric of one system.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] scores for the ranking metrics; the released code passes 0/1 labels here.
        places: K location names.
        zero_division: value of an undefined precision, recall or F1; the released code uses 1.

    Returns:
        (metric, location) -> value; the location is empty for metrics over all labels.
    """
    y, pred = np.asarray(y, dtype=int), np.asarray(pred, dtype=int)
    values: Scores = {("accuracy", ""): sk.accuracy_score(y, pred)}
    values["jaccard", ""] = sk.jaccard_score(y, pred, average="samples", zero_division=0)
    for average in ("micro", "macro"):
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            y, pred, average=average, zero_division=zero_division
        )
        values |= {
            (f"{average}_precision", ""): precision,
            (f"{average}_recall", ""): recall,
            (f"{average}_f1", ""): f1,
        }
    auc = label_auc(y, prob)
    values["roc_auc_micro", ""] = sk.roc_auc_score(y.ravel(), np.ravel(prob)) if 0 < y.sum() < y.size else np.nan
    values["roc_auc_macro", ""] = float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan
    values["mcc_overall", ""] = sk.matthews_corrcoef(y.ravel(), pred.ravel())
    for k, place in enumerate(places):
        values["mcc", place] = sk.matthews_corrcoef(y[:, k], pred[:, k])
        values["f1", place] = sk.f1_score(y[:, k], pred[:, k], zero_division=zero_division)
        values["roc_auc", place] = auc[k]
    return values


def resample_weights(n: int, resamples: int, seed: int) -> np.ndarray:
    """Return bootstrap weights, [R, B] float32: how often each protein is drawn in each resample."""
    rng = np.random.default_rng([seed, 50])
    return rng.multinomial(n, np.full(n, 1.0 / n), size=resamples).astype(np.float32)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _mcc(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def weighted_auc(y: np.ndarray, prob: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the ROC AUC under many weight vectors, [R]; ties count one half.

    Args:
        y: [n] 0/1.
        prob: [n] scores.
        weights: [R, n].
    """
    order = np.argsort(prob, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(prob[order]) > 0])
    ordered = weights[:, order].astype(np.float64)
    positive = np.add.reduceat(ordered * y[order], starts, axis=1)
    negative = np.add.reduceat(ordered * (1 - y[order]), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    area = (positive * (below + negative / 2)).sum(axis=1)
    total = positive.sum(axis=1) * negative.sum(axis=1)
    return np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0)


def _chunk_scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, places: Sequence[str], w: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Return the metrics of ``scores`` under the weight vectors ``w`` [R, B], each [R]."""
    w = w.astype(np.float64)
    total = w.sum(axis=1, keepdims=True)
    tp, fp, fn = w @ (y * pred), w @ ((1 - y) * pred), w @ (y * (1 - pred))  # [R, K]
    tn = total - tp - fp - fn
    both, either = (y * pred).sum(axis=1), np.maximum(y, pred).sum(axis=1)
    f1 = _ratio(2 * tp, 2 * tp + fp + fn)
    tps, fps, fns, tns = (part.sum(axis=1) for part in (tp, fp, fn, tn))
    mcc = _mcc(tp, fp, fn, tn)
    auc = np.stack([weighted_auc(y[:, k], prob[:, k], w) for k in range(y.shape[1])], axis=1)
    out = {
        ("accuracy", ""): w @ (y == pred).all(axis=1) / total[:, 0],
        ("jaccard", ""): w @ _ratio(both.astype(float), either.astype(float)) / total[:, 0],
        ("micro_precision", ""): _ratio(tps, tps + fps),
        ("micro_recall", ""): _ratio(tps, tps + fns),
        ("micro_f1", ""): _ratio(2 * tps, 2 * tps + fps + fns),
        ("macro_precision", ""): _ratio(tp, tp + fp).mean(axis=1),
        ("macro_recall", ""): _ratio(tp, tp + fn).mean(axis=1),
        ("macro_f1", ""): f1.mean(axis=1),
        ("roc_auc_micro", ""): weighted_auc(y.ravel(), prob.ravel(), np.repeat(w, y.shape[1], axis=1)),
        ("roc_auc_macro", ""): _nanmean(auc),
        ("mcc_overall", ""): _mcc(tps, fps, fns, tns),
    }
    for k, place in enumerate(places):
        out |= {("mcc", place): mcc[:, k], ("f1", place): f1[:, k], ("roc_auc", place): auc[:, k]}
    return out


def _nanmean(values: np.ndarray) -> np.ndarray:
    """Return the mean over labels of [R, K], NaN where no label is defined."""
    count = np.isfinite(values).sum(axis=1)
    return np.divide(np.nansum(values, axis=1), count, out=np.full(len(values), np.nan), where=count > 0)


def resampled_scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, places: Sequence[str], weights: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Return every metric under every row of ``weights`` [R, B], each [R]."""
    y, pred, prob = np.asarray(y, dtype=int), np.asarray(pred, dtype=int), np.asarray(prob, dtype=float)
    parts = [_chunk_scores(y, pred, prob, places, weights[i : i + CHUNK]) for i in range(0, len(weights), CHUNK)]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % percentiles, NaN where nothing is defined."""
    finite = samples[np.isfinite(samples)]
    return tuple(np.percentile(finite, [2.5, 97.5])) if len(finite) else (np.nan, np.nan)


def evaluate(
    y: np.ndarray,
    pred: np.ndarray,
    prob: np.ndarray,
    places: Sequence[str],
    *,
    resamples: int,
    seed: int,
    **columns: object,
) -> pd.DataFrame:
    """Return the tidy metrics table of one system on one split.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] probabilities or gate scores.
        places: K location names.
        resamples: bootstrap resamples over proteins for the 95 % intervals.
        seed: seed of the resampling; equal seeds pair the resamples of systems.
        **columns: constant columns such as dataset, split, system, threshold.

    Returns:
        Columns: the constant ones, metric, label, value, ci_low, ci_high, n, seed.
    """
    values = scores(y, pred, prob, places)
    drawn = resampled_scores(y, pred, prob, places, resample_weights(len(y), resamples, seed))
    rows = []
    for (metric, label), value in values.items():
        low, high = interval(drawn[metric, label])
        rows.append({"metric": metric, "label": label, "value": value, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows).assign(**columns, n=len(y), seed=seed)


def paired_difference(
    y: np.ndarray,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    places: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return first minus second with paired bootstrap intervals: both systems see the same resamples.

    Args:
        y: [B, K] 0/1 labels.
        first: (pred, prob) of one system, [B, K] each.
        second: (pred, prob) of the other.
        places: K location names.
        resamples: bootstrap resamples.
        seed: seed of the resampling.

    Returns:
        Columns metric, label, difference, ci_low, ci_high and ``p_not_greater``, the share of resamples in which
        the first system is not better.
    """
    weights = resample_weights(len(y), resamples, seed)
    a, b = scores(y, *first, places), scores(y, *second, places)
    drawn_a, drawn_b = (
        resampled_scores(y, *first, places, weights),
        resampled_scores(y, *second, places, weights),
    )
    rows = []
    for key in a:
        gap = drawn_a[key] - drawn_b[key]
        low, high = interval(gap)
        row = {
            "metric": key[0],
            "label": key[1],
            "difference": a[key] - b[key],
            "ci_low": low,
            "ci_high": high,
        }
        rows.append(
            row | {"p_not_greater": float(np.mean(gap[np.isfinite(gap)] <= 0)) if np.isfinite(gap).any() else np.nan}
        )
    return pd.DataFrame(rows)
