"""Multi-label metrics with the formulas of scikit-learn, of many resamples at once, and their bootstrap intervals."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

CHUNK = 128  # resamples worked on at once; bounds memory for large test sets
Decided = tuple[np.ndarray, np.ndarray]  # what a system says: predicted labels and scores, [B, K] each
Samples = dict[str, dict[tuple[str, str], np.ndarray]]  # unit that is resampled -> metric -> [R]


class Resampled(NamedTuple):
    """Every metric of one system on one set, and its values in the resamples, to be compared with other systems."""

    values: dict[tuple[str, str], float]  # (metric, location) -> value
    samples: Samples


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


def resample_weights(n: int, resamples: int = 1000, seed: int = 7, families: np.ndarray | None = None) -> np.ndarray:
    """Return how often each of B = ``n`` proteins is drawn, [R, B] float32.

    With ``families`` [B] it is how often its family is drawn: members of one family are right or wrong together.
    """
    members = np.arange(n) if families is None else np.unique(families, return_inverse=True)[1]  # [B] unit drawn
    units, rng = int(members.max()) + 1, np.random.default_rng([seed, 50])
    return rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.float32)[:, members]


def draw(n: int, resamples: int = 1000, seed: int = 7, families: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the weights of ``resample_weights``, [R, B], of proteins, and of families where some are relatives."""
    drawn = {"proteins": resample_weights(n, resamples, seed)}
    if families is not None and len(np.unique(families)) < n:
        drawn["families"] = resample_weights(n, resamples, seed, families)
    return drawn


def resample(y: np.ndarray, system: Decided, locations: Sequence[str], drawn: dict[str, np.ndarray]) -> Resampled:
    """Return every metric of a system, once and under every weight of ``draw``; systems share the resamples drawn.

    ValueError unless labels, predicted labels and scores, [B, K] each, are of the same proteins.
    """
    if shapes := {np.shape(part) for part in system} - {np.shape(y)}:
        raise ValueError(f"predictions {shapes} of other proteins or locations than the labels, {np.shape(y)}")
    samples = {unit: resampled_scores(y, *system, locations, weights) for unit, weights in drawn.items()}
    return Resampled(scores(y, *system, locations), samples)


def _row(key: tuple[str, str], samples: Samples, **value: float) -> dict[str, Any]:
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
    """Return the tidy metrics table of one system on one split; ``y``, ``pred`` and ``prob`` as in ``scores``.

    The 95 % intervals are of ``resamples`` of proteins and of ``families``, [B] the family of each protein (None: each
    is its own); equal seeds pair the resamples of systems. Columns are metric, label, value, ci_low, ci_high (the wider
    of the two intervals), resampled (whose it is), the constant ``columns``, n, macro_over (labels averaged), seed.
    """
    found = resample(y, (pred, prob), locations, draw(len(y), resamples, seed, families))
    return values(found).assign(**columns, n=len(y), macro_over=int(np.any(y, axis=0).sum()), seed=seed)


def values(found: Resampled) -> pd.DataFrame:
    """Return the first columns of ``evaluate``: metric, label, value, ci_low, ci_high, resampled."""
    return pd.DataFrame([_row(key, found.samples, value=value) for key, value in found.values.items()])


def paired_difference(
    y: np.ndarray, first: Decided, second: Decided, locations: Sequence[str], **resampling: Any
) -> pd.DataFrame:
    """Return first minus second with paired intervals: both systems see the same resamples.

    ``resampling`` and the columns are as in ``evaluate``, with ``difference`` for value; ``p_not_greater`` is the share
    of those resamples in which the first system is not better.
    """
    drawn = draw(len(y), **resampling)
    return difference(*(resample(y, system, locations, drawn) for system in (first, second)))


def difference(first: Resampled, second: Resampled) -> pd.DataFrame:
    """Return ``paired_difference`` of systems whose resamples are the same ones."""
    gaps: Samples = {
        unit: {key: drawn - second.samples[unit][key] for key, drawn in own.items()}
        for unit, own in first.samples.items()
    }
    rows = []
    for key, value in first.values.items():
        row = _row(key, gaps, difference=value - second.values[key])
        gap = gaps[row["resampled"]][key]
        gap = gap[np.isfinite(gap)]
        rows.append(row | {"p_not_greater": float(np.mean(gap <= 0)) if len(gap) else np.nan})
    return pd.DataFrame(rows)
