"""Bootstrap over proteins and over families of them: the metrics under thousands of weight vectors at once.

The formulas are those of scikit-learn; a test holds the two against each other.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from halo_utils.evaluation.metrics import f1_score, most_probable, one_label_each, ratio, scores

CHUNK = 128  # resamples worked on at once; bounds memory for large test sets


def resample_weights(n: int, resamples: int, seed: int, families: np.ndarray | None = None) -> np.ndarray:
    """Return bootstrap weights, [R, B] float32: how often each protein is drawn in each resample.

    Args:
        n: proteins, B.
        resamples: R.
        seed: seed of the draws.
        families: [B] family of each protein; families are then drawn in place of proteins, as many as there are,
            and a protein comes as often as its family: members of one family are right or wrong together.
    """
    members = np.arange(n) if families is None else np.unique(families, return_inverse=True)[1]  # [B] unit drawn
    units, rng = int(members.max()) + 1, np.random.default_rng([seed, 50])
    return rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.float32)[:, members]


def _mcc(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
    return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def weighted_auc(y: np.ndarray, prob: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the ROC AUC under many weight vectors, [R]; ties count one half.

    Args:
        y: [B] 0/1, or [B, K] for the micro average over all pairs of protein and label.
        prob: scores of the same shape.
        weights: [B, R].
    """
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
    """Return true positives, false positives and false negatives under ``w`` [R, B], each [R, K]."""
    return w @ (y * pred), w @ ((1 - y) * pred), w @ (y * (1 - pred))


def _chunk_scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: Sequence[str], w: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Return the metrics of ``scores`` under the weight vectors ``w`` [R, B], each [R].

    Macro averages are over the labels that have a protein in the whole set, in every resample.
    """
    w, averaged = w.astype(np.float64), y.any(axis=0)
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
    """Return the mean over labels of [R, K], NaN where no label is defined."""
    count = np.isfinite(values).sum(axis=1)
    return np.divide(np.nansum(values, axis=1), count, out=np.full(len(values), np.nan), where=count > 0)


def resampled_scores(
    y: np.ndarray, pred: np.ndarray, prob: np.ndarray, locations: Sequence[str], weights: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Return every metric under every row of ``weights`` [R, B], each [R]."""
    y, pred, prob = np.asarray(y, dtype=int), np.asarray(pred, dtype=int), np.asarray(prob, dtype=float)
    pieces = [_chunk_scores(y, pred, prob, locations, weights[i : i + CHUNK]) for i in range(0, len(weights), CHUNK)]
    return {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}


def _samples(
    y: np.ndarray,
    system: tuple[np.ndarray, np.ndarray],
    locations: Sequence[str],
    resamples: int,
    seed: int,
    families: np.ndarray | None,
) -> dict[str, dict[tuple[str, str], np.ndarray]]:
    """Return unit that is resampled -> metric -> [R]; families only where one holds several proteins."""
    drawn = {"proteins": resample_weights(len(y), resamples, seed)}
    if families is not None and len(np.unique(families)) < len(y):
        drawn["families"] = resample_weights(len(y), resamples, seed, families)
    return {unit: resampled_scores(y, *system, locations, weights) for unit, weights in drawn.items()}


def _row(key: tuple[str, str], samples: dict[str, dict[tuple[str, str], np.ndarray]], **value: float) -> dict:
    """Return a row: the metric, its value, the widest of the intervals (2.5 % to 97.5 %), and whose it is."""
    finite = {unit: drawn[key][np.isfinite(drawn[key])] for unit, drawn in samples.items()}
    ends = {u: np.percentile(drawn, [2.5, 97.5]) if len(drawn) else [np.nan] * 2 for u, drawn in finite.items()}
    unit = max(ends, key=lambda name: np.nan_to_num(ends[name][1] - ends[name][0], nan=-1.0))
    row = {"metric": key[0], "label": key[1]} | value
    return row | {"ci_low": ends[unit][0], "ci_high": ends[unit][1], "resampled": unit}


def evaluate(
    y: np.ndarray,
    pred: np.ndarray,
    prob: np.ndarray,
    locations: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 7,
    families: np.ndarray | None = None,
    **columns: object,
) -> pd.DataFrame:
    """Return the tidy metrics table of one system on one split.

    Args:
        y: [B, K] 0/1 labels.
        pred: [B, K] predicted labels.
        prob: [B, K] probabilities or gate scores.
        locations: K location names.
        resamples: bootstrap resamples, of proteins and of families, for the 95 % intervals.
        seed: seed of the resampling; equal seeds pair the resamples of systems.
        families: [B] family of each protein; None takes every protein for a family of its own.
        **columns: constant columns such as dataset, split, system, threshold.

    Returns:
        Columns: metric, label, value, ci_low, ci_high (the wider of the two intervals), resampled (``proteins`` or
        ``families``: whose it is), the constant ones, n, macro_over (labels in macro averages), seed.
    """
    samples = _samples(y, (pred, prob), locations, resamples, seed, families)
    rows = [_row(key, samples, value=value) for key, value in scores(y, pred, prob, locations).items()]
    counts = {"n": len(y), "macro_over": int(np.any(y, axis=0).sum())}
    return pd.DataFrame(rows).assign(**columns, **counts, seed=seed)


def paired_difference(
    y: np.ndarray,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    locations: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 7,
    families: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return first minus second with paired bootstrap intervals: both systems see the same resamples.

    Args:
        y: [B, K] 0/1 labels.
        first: (pred, prob) of one system, [B, K] each.
        second: (pred, prob) of the other.
        locations: K location names.
        resamples: bootstrap resamples.
        seed: seed of the resampling.
        families: [B] family of each protein, see ``evaluate``.

    Returns:
        Columns metric, label, difference, ci_low, ci_high and resampled as in ``evaluate``, and ``p_not_greater``, the
        share of those resamples in which the first system is not better.
    """
    values, others = scores(y, *first, locations), scores(y, *second, locations)
    one, other = (_samples(y, system, locations, resamples, seed, families) for system in (first, second))
    gaps = {unit: {key: one[unit][key] - other[unit][key] for key in values} for unit in one}
    rows = [_row(key, gaps, difference=values[key] - others[key]) for key in values]
    for key, row in zip(values, rows, strict=True):
        gap = gaps[row["resampled"]][key]
        row["p_not_greater"] = float(np.mean(gap[np.isfinite(gap)] <= 0)) if np.isfinite(gap).any() else np.nan
    return pd.DataFrame(rows)
