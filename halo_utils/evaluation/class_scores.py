"""Scores of classifiers that choose one location for every protein, with the intervals and pairs of ``metrics``."""

from collections.abc import Sequence

import numpy as np

from halo_utils.evaluation.metrics import Resampled, f1_score, most_probable, ratio, weighted_auc


def class_scores(
    truth: np.ndarray, prob: np.ndarray, locations: Sequence[str], weights: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Return (metric, location) -> values [R] under ``weights`` [R, B], of classes [B] and probabilities [B, K].

    Averages over locations are weighted by their proteins, as scikit-learn's ``average="weighted"``; a location that
    is never predicted has precision 0. Weighted recall is accuracy, whatever the classifier. The AUC is one against
    rest.
    """
    w = weights.astype(np.float64)
    y, pred = np.eye(prob.shape[1])[truth], most_probable(prob)
    hits, predicted, actual = w @ (y * pred), w @ pred, w @ y  # [R, K]
    share = actual / w.sum(axis=1, keepdims=True)
    precision, recall = ratio(hits, predicted), ratio(hits, actual)
    f1 = f1_score(hits, predicted + actual - 2 * hits)
    columns = np.ascontiguousarray(w.T)
    auc = np.stack([weighted_auc(y[:, k], prob[:, k], columns) for k in range(y.shape[1])], axis=1)
    averages = {"precision": precision, "recall": recall, "f1": f1, "auc": np.nan_to_num(auc)}
    found = {("accuracy_argmax", ""): hits.sum(axis=1) / w.sum(axis=1)}
    found |= {(f"weighted_{name}", ""): (share * values).sum(axis=1) for name, values in averages.items()}
    return found | {("roc_auc", location): auc[:, k] for k, location in enumerate(locations)}


def resample_classes(
    truth: np.ndarray, prob: np.ndarray, locations: Sequence[str], drawn: dict[str, np.ndarray]
) -> Resampled:
    """Return every score of a classifier, once and under the weights of ``metrics.draw``, which classifiers share."""
    once = class_scores(truth, prob, locations, np.ones((1, len(truth))))
    samples = {unit: class_scores(truth, prob, locations, weights) for unit, weights in drawn.items()}
    return Resampled({key: float(values[0]) for key, values in once.items()}, samples)


def one_vs_rest_accuracy(y: np.ndarray, pred: np.ndarray) -> float:
    """Return the mean over K locations of how many proteins each is right about, for labels [B, K]; Luo's accuracy."""
    return float((np.asarray(y, dtype=bool) == np.asarray(pred, dtype=bool)).mean())


def hard_label_auc(y: np.ndarray, pred: np.ndarray) -> float:
    """Return the mean AUC of predicted labels, [B, K], instead of probabilities: (recall + specificity) / 2; Luo's AUC.

    Locations without a protein, or with all of them, are left out.
    """
    y, pred = np.asarray(y, dtype=bool), np.asarray(pred, dtype=bool)
    both = y.any(axis=0) & ~y.all(axis=0)
    recall = (y & pred).sum(axis=0)[both] / y.sum(axis=0)[both]
    specificity = (~y & ~pred).sum(axis=0)[both] / (~y).sum(axis=0)[both]
    return float((recall + specificity).mean() / 2)
