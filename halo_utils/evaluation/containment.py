"""How the scores of systems depend on what the models have seen before: curves over containment, and without it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

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
Predictions = dict[str, pd.DataFrame]  # system -> its probabilities outside train


def by_containment(
    table: pd.DataFrame, predictions: Predictions, dataset: str, edges: Sequence[float] = EDGES, **options: Any
) -> pd.DataFrame:
    """Return accuracy and micro F1 of systems against the share of 6-mers that one seen protein has in common.

    ``edges`` are the ends of the ranges of ``containment`` in the table, first 0, last 1; ``options`` are ``step`` of
    the sweep, ``resamples`` and ``seed``. Rows are ``CURVE_COLUMNS`` per test split and system; the range is ``inside``
    low and high, or ``below``: all proteins under high.
    """
    rows = []
    for share, scored in _systems(table, predictions, dataset, "containment", **options):
        for low, high in pairwise(edges):
            under = share < high if high < edges[-1] else np.ones(len(share), dtype=bool)
            for name, start, keep in (("inside", low, under & (share >= low)), ("below", edges[0], under)):
                if keep.any():
                    metrics = scored(keep)
                    rows.append(metrics[metrics["metric"].isin(CURVE)].assign(range=name, low=start, high=high))
    return pd.concat(rows, ignore_index=True)[CURVE_COLUMNS]


def without_near_duplicates(
    table: pd.DataFrame, predictions: Predictions, dataset: str, column: str = "corpus_containment", **options: Any
) -> pd.DataFrame:
    """Return metrics of systems with and without the proteins that have a near duplicate in what was seen.

    ``column`` is the share of 6-mers in one protein of what was seen. Rows are ``WITHOUT_COLUMNS`` per test split and
    system, none where the column is not known or nothing remains; the interval is that of ``without``.
    """
    rows = [pd.DataFrame(columns=WITHOUT_COLUMNS)]
    for share, scored in _systems(table, predictions, dataset, column, **options):
        if (far := share < NEAR_DUPLICATE).any():  # False where it is not known
            everything, rest = scored(np.ones_like(far)), scored(far)
            everything = everything.rename(columns={"value": "all"})[[*KEYS, "all", "n"]]
            rest = rest[rest["metric"].isin(WITHOUT)].rename(columns={"value": "without"})
            joined = everything.merge(rest, on=KEYS, suffixes=("", "_without"))
            rows.append(joined.assign(difference=joined["without"] - joined["all"])[WITHOUT_COLUMNS])
    return pd.concat(rows[1:] or rows, ignore_index=True)


def _systems(
    table: pd.DataFrame, predictions: Predictions, dataset: str, column: str, step: float = 0.05, **bootstrap: int
) -> Iterator[tuple[np.ndarray, Callable[[np.ndarray], pd.DataFrame]]]:
    """Yield, per test split and system, a column of its proteins [B] and what turns a mask [B] into overall metrics."""
    thresholds = {system: tune(table, stored, dataset, step) for system, stored in predictions.items()}
    shares = table.set_index("accession")[column].astype(float)
    for name, view in held_out_views(table, dataset).items():
        for system, stored in predictions.items() if name in set(table["split"]) else ():  # subsets are left out
            scored = partial(_scored, view, system, view.join(stored), thresholds[system], **bootstrap)
            yield shares.loc[view.accessions].to_numpy(), scored


def _scored(
    view: EvaluationSet, system: str, prob: np.ndarray, threshold: Threshold, keep: np.ndarray, **bootstrap: int
) -> pd.DataFrame:
    pred = prob[keep] >= threshold.on(view.name)
    metrics = measure(restrict(view, keep, "range"), system, pred, prob[keep], threshold, **bootstrap)
    return metrics[metrics["label"] == ""].assign(split=view.name)
