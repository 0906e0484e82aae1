"""From stored predictions to metrics: joined by accession, thresholds from validation, one view per test set."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.evaluation.bootstrap import evaluate, paired_difference
from halo_utils.evaluation.systems import SYSTEM_TITLES
from halo_utils.evaluation.test_sets import EvaluationSet, evaluation_set, held_out_views
from halo_utils.evaluation.thresholds import Threshold, choose_label_thresholds, choose_threshold


def tune(settings: Settings, table: pd.DataFrame, predictions: pd.DataFrame) -> Threshold:
    """Choose the threshold of a system by macro F1 on validation."""
    val = evaluation_set(settings, table, "val")
    return choose_threshold(val.y, val.join(predictions), "val", settings.evaluation.threshold_step)


def measure(
    settings: Settings,
    view: EvaluationSet,
    system: str,
    pred: np.ndarray,
    prob: np.ndarray,
    threshold: Threshold,
) -> pd.DataFrame:
    """Return the tidy metrics of one system on one set, with intervals."""
    columns = {
        "dataset": settings.data.dataset,
        "split": view.name,
        "system": system,
        "threshold": threshold.on(view.name),
    }
    resamples = settings.evaluation.bootstrap
    return evaluate(
        view.y, pred, prob, view.places, resamples=resamples, seed=settings.seed, families=view.families, **columns
    )


def measure_plain(settings: Settings, table: pd.DataFrame, system: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of a system that predicts a label at its validation threshold, on every test set."""
    threshold = tune(settings, table, predictions)
    parts = []
    for view in held_out_views(settings, table).values():
        prob = view.join(predictions)
        parts.append(measure(settings, view, system, prob >= threshold.on(view.name), prob, threshold))
    return pd.concat(parts, ignore_index=True)


def measure_label_thresholds(
    settings: Settings, table: pd.DataFrame, system: str, predictions: pd.DataFrame
) -> tuple[dict[str, Threshold], pd.DataFrame]:
    """Return a threshold per location, chosen on validation, and the metrics of a system that uses them."""
    val = evaluation_set(settings, table, "val")
    step = settings.evaluation.threshold_step
    chosen = choose_label_thresholds(val.y, val.join(predictions), val.places, "val", step)
    parts = []
    for view in held_out_views(settings, table).values():
        prob, cut = view.join(predictions), np.array([chosen[place].on(view.name) for place in view.places])
        parts.append(measure(settings, view, system, prob >= cut, prob, Threshold(float("nan"), "val")))
    return chosen, pd.concat(parts, ignore_index=True)


def compare(
    settings: Settings,
    view: EvaluationSet,
    first: tuple[str, np.ndarray, np.ndarray],
    second: tuple[str, np.ndarray, np.ndarray],
) -> pd.DataFrame:
    """Return first minus second on one set; each system is (name, pred, prob)."""
    table = paired_difference(
        view.y,
        first[1:],
        second[1:],
        view.places,
        resamples=settings.evaluation.bootstrap,
        seed=settings.seed,
        families=view.families,
    )
    macro_over = len(view.places) - len(view.absent)
    return table.assign(split=view.name, first=first[0], second=second[0], n=len(view.y), macro_over=macro_over)


def read_metrics(path: Path) -> pd.DataFrame:
    """Return a metrics or differences table; the empty label of overall metrics stays an empty string."""
    if not path.is_file():
        raise DataError(f"{path.name} not found: run the earlier notebooks of this profile first, 02 to 05")
    return pd.read_csv(path).fillna({"label": ""})


def macro_sentence(views: Iterable[EvaluationSet]) -> str:
    """Return which locations the macro averages of these sets leave out, because no protein of the set is there."""
    named = [
        f"{view.name} over {len(view.places) - len(view.absent)} of {len(view.places)} locations, as none of its"
        f" proteins is in {', '.join(view.absent)}"
        for view in views
        if view.absent
    ]
    return f"Macro averages are taken on {'; on '.join(named)}." if named else "Macro averages are over all locations."


def headline(metrics: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return a small table of the overall metrics of every system on one set, for reading.

    The accuracy of the most probable label is there where every protein of the set has one label.
    """
    names = [
        "accuracy",
        "accuracy_argmax",
        "jaccard",
        "micro_f1",
        "macro_f1",
        "macro_precision",
        "macro_recall",
        "roc_auc_micro",
        "mcc_overall",
    ]
    own = metrics[(metrics["split"] == split) & metrics["metric"].isin(names)]
    wide = own.pivot(index="system", columns="metric", values="value")
    wide = wide[[name for name in names if name in wide]]
    order = [s for s in SYSTEM_TITLES if s in wide.index]
    return wide.loc[order].rename(index=SYSTEM_TITLES)
