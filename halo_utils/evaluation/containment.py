"""How the scores of systems depend on what the models have seen before: curves over containment, and without it."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.data.kmers import NEAR_DUPLICATE
from halo_utils.evaluation.scoring import measure, tune
from halo_utils.evaluation.test_sets import EvaluationSet, held_out_views, restrict
from halo_utils.evaluation.thresholds import Threshold

EDGES = (0.0, 0.03, 0.05, 0.10, 0.25, 0.50, 0.90, 1.0)  # of containment; the last range includes its upper end
CURVE = ("accuracy", "micro_f1")  # a macro average over the few proteins of a range would be of the labels it has
WITHOUT = ("accuracy", "micro_f1", "macro_f1")
KEYS = ["split", "system", "metric"]
CURVE_COLUMNS = [*KEYS, "range", "low", "high", "value", "ci_low", "ci_high", "n"]
WITHOUT_COLUMNS = [*KEYS, "all", "n", "without", "ci_low", "ci_high", "n_without", "difference"]


def by_containment(
    settings: Settings, table: pd.DataFrame, predictions: dict[str, pd.DataFrame], edges: Sequence[float] = EDGES
) -> pd.DataFrame:
    """Return accuracy and micro F1 of systems against the share of 6-mers that one seen protein has in common.

    Args:
        settings: the profile.
        table: dataset table with the column ``containment``, see ``audits.seen_before``.
        predictions: system -> its probabilities outside train; each predicts at its validation threshold.
        edges: increasing ends of the ranges of containment, first 0, last 1.

    Returns:
        Rows of ``CURVE_COLUMNS`` per test split and system. The range is ``inside`` low and high, or ``below``: all
        proteins under high. Ranges without a protein have no row.
    """
    rows = []
    for view, system, prob, threshold in _systems(settings, table, predictions):
        share = _column(view, table, "containment")
        for low, high in pairwise(edges):
            under = share < high if high < edges[-1] else np.ones(len(share), dtype=bool)
            for name, start, keep in (("inside", low, under & (share >= low)), ("below", edges[0], under)):
                if keep.any():
                    found = _part(settings, view, keep, system, prob, threshold, CURVE)
                    rows.append(found.assign(range=name, low=start, high=high))
    return pd.concat(rows, ignore_index=True)[CURVE_COLUMNS]


def without_near_duplicates(
    settings: Settings, table: pd.DataFrame, predictions: dict[str, pd.DataFrame], column: str = "corpus_containment"
) -> pd.DataFrame:
    """Return metrics of systems with and without the proteins that have a near duplicate in what was seen.

    Args:
        settings: the profile.
        table: dataset table with the containment column.
        predictions: system -> its probabilities outside train; each predicts at its validation threshold.
        column: share of 6-mers in one protein of what was seen; by default of the pre-training corpus.

    Returns:
        Rows of ``WITHOUT_COLUMNS`` per test split and system, difference is without minus all and the interval that
        of ``without``; no rows where the column is not known or nothing remains.
    """
    rows = []
    for view, system, prob, threshold in _systems(settings, table, predictions):
        far = _column(view, table, column) < NEAR_DUPLICATE  # False where it is not known
        if far.any():
            whole = _part(settings, view, np.ones(len(far), dtype=bool), system, prob, threshold, WITHOUT)
            rest = _part(settings, view, far, system, prob, threshold, WITHOUT).rename(columns={"value": "without"})
            whole = whole.rename(columns={"value": "all"})[[*KEYS, "all", "n"]]
            rows.append(whole.merge(rest, on=KEYS, suffixes=("", "_without"), validate="1:1"))
    if not rows:
        return pd.DataFrame(columns=WITHOUT_COLUMNS)
    joined = pd.concat(rows, ignore_index=True)
    return joined.assign(difference=joined["without"] - joined["all"])[WITHOUT_COLUMNS]


def _systems(
    settings: Settings, table: pd.DataFrame, predictions: dict[str, pd.DataFrame]
) -> Iterator[tuple[EvaluationSet, str, np.ndarray, Threshold]]:
    """Yield (test split, system, its probabilities [B, K] there, its threshold); subsets of a split are left out."""
    thresholds = {system: tune(settings, table, found) for system, found in predictions.items()}
    for name, view in held_out_views(settings, table).items():
        for system, found in predictions.items() if name in set(table["split"]) else ():
            yield view, system, view.join(found), thresholds[system]


def _column(view: EvaluationSet, table: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of the dataset table for the proteins of a set, in its order, [B] float64."""
    return table.set_index("accession").loc[view.accessions, name].to_numpy(dtype=float)


def _part(
    settings: Settings,
    view: EvaluationSet,
    keep: np.ndarray,
    system: str,
    prob: np.ndarray,
    threshold: Threshold,
    names: Sequence[str],
) -> pd.DataFrame:
    """Return some metrics of a system on the proteins of a set where ``keep`` [B] is true."""
    pred = prob[keep] >= threshold.on(view.name)
    with warnings.catch_warnings():  # scikit-learn's, about a label that no protein of a small range has
        warnings.simplefilter("ignore", UserWarning)
        found = measure(settings, restrict(view, keep, "part"), system, pred, prob[keep], threshold)
    return found[found["metric"].isin(names)].assign(split=view.name)
