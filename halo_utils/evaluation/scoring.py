"""From stored predictions to metrics: joined by accession, thresholds from validation, one view per test set."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.core.paths import shown
from halo_utils.evaluation.metrics import evaluate, paired_difference
from halo_utils.evaluation.systems import TITLES, in_order
from halo_utils.evaluation.test_sets import EvaluationSet, evaluation_set, held_out_views
from halo_utils.evaluation.thresholds import Threshold, choose_label_thresholds, choose_threshold

HEADLINE = (
    "accuracy", "accuracy_argmax", "jaccard", "micro_f1", "macro_f1", "macro_precision", "macro_recall",
    "roc_auc_micro", "mcc_overall",
)  # fmt: skip
Named = tuple[str, np.ndarray, np.ndarray]  # a system, its predicted labels and scores, [B, K] each


def tune(table: pd.DataFrame, predictions: pd.DataFrame, dataset: str, step: float = 0.05) -> Threshold:
    """Choose the threshold of a system by macro F1 on the validation proteins of the dataset table."""
    val = evaluation_set(table, "val", dataset)
    return choose_threshold(val.y, val.join(predictions), "val", step)


def measure(
    view: EvaluationSet, system: str, pred: np.ndarray, prob: np.ndarray, threshold: Threshold, **bootstrap: int
) -> pd.DataFrame:
    """Return ``metrics.evaluate`` of one system on one set; LeakError if the threshold was chosen on this set."""
    columns = {"dataset": view.dataset, "split": view.name, "system": system, "threshold": threshold.on(view.name)}
    return evaluate(view.y, pred, prob, view.locations, families=view.families, **bootstrap, **columns)


def measure_plain(
    table: pd.DataFrame, system: str, predictions: pd.DataFrame, dataset: str, *, step: float = 0.05, **bootstrap: int
) -> pd.DataFrame:
    """Return the metrics of a system that predicts a label at its validation threshold, on every test set."""
    threshold, parts = tune(table, predictions, dataset, step), []
    for view in held_out_views(table, dataset).values():
        prob = view.join(predictions)
        parts.append(measure(view, system, prob >= threshold.on(view.name), prob, threshold, **bootstrap))
    return pd.concat(parts, ignore_index=True)


def measure_label_thresholds(
    table: pd.DataFrame, system: str, predictions: pd.DataFrame, dataset: str, *, step: float = 0.05, **bootstrap: int
) -> tuple[dict[str, Threshold], pd.DataFrame]:
    """Return a threshold per location, chosen on validation, and the metrics of a system that uses them."""
    val, several, parts = evaluation_set(table, "val", dataset), Threshold(float("nan"), "val"), []
    chosen = choose_label_thresholds(val.y, val.join(predictions), val.locations, "val", step)
    for view in held_out_views(table, dataset).values():
        prob, cuts = view.join(predictions), np.array([chosen[name].on(view.name) for name in view.locations])
        parts.append(measure(view, system, prob >= cuts, prob, several, **bootstrap))
    return chosen, pd.concat(parts, ignore_index=True)


def compare(view: EvaluationSet, first: Named, second: Named, **bootstrap: int) -> pd.DataFrame:
    """Return first minus second on one set, see ``metrics.paired_difference``."""
    options = {"families": view.families, **bootstrap}
    table = paired_difference(view.y, first[1:], second[1:], view.locations, **options)
    macro_over = len(view.locations) - len(view.absent)
    return table.assign(split=view.name, first=first[0], second=second[0], n=len(view.y), macro_over=macro_over)


def compare_all(
    view: EvaluationSet,
    table: pd.DataFrame,
    stored: Mapping[str, pd.DataFrame],
    second: Named,
    *,
    step: float = 0.05,
    **bootstrap: int,
) -> pd.DataFrame:
    """Return every stored system at its validation threshold minus a second one, on one set; see ``compare``."""
    found = []
    for name, predictions in stored.items():
        prob = view.join(predictions)
        cut = tune(table, predictions, view.dataset, step).on(view.name)
        found.append(compare(view, (name, prob >= cut, prob), second, **bootstrap))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def read_metrics(path: Path) -> pd.DataFrame:
    """Return a metrics or differences table, DataError if there is none; the label of overall metrics stays empty."""
    if not path.is_file():
        raise DataError(f"{shown(path)} not found: run the notebook that makes it first, or `make run`")
    return pd.read_csv(path).fillna({"label": ""})


def macro_sentence(views: Iterable[EvaluationSet]) -> str:
    """Return which locations the macro averages of these sets leave out, because no protein of the set is there."""
    sizes = [(view.name, len(view.locations), view.absent) for view in views if view.absent]
    text = "{} over {} of {} locations, as none of its proteins is in {}"
    named = [text.format(name, number - len(absent), number, ", ".join(absent)) for name, number, absent in sizes]
    return f"Macro averages are taken on {'; on '.join(named)}." if named else "Macro averages are over all locations."


def headline(metrics: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return a small table of the overall metrics of every system on one set, by title, for reading."""
    chosen = metrics[(metrics["split"] == split) & metrics["metric"].isin(HEADLINE)]
    wide = chosen.pivot(index="system", columns="metric", values="value")
    return wide.loc[in_order(wide.index), [name for name in HEADLINE if name in wide]].rename(index=TITLES)
