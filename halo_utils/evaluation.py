"""From stored predictions to metrics: joined by accession, thresholds from validation, one view per test set."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.calibration import Threshold, choose_label_thresholds, choose_threshold
from halo_utils.datasets import evaluation_sets, held_out_sets, label_matrix
from halo_utils.errors import DataError
from halo_utils.files import read_parquet, write_parquet
from halo_utils.labels import supported
from halo_utils.metrics import evaluate, paired_difference
from halo_utils.settings import Settings

SYSTEM_TITLES = {
    "nearest": "6-mer nearest neighbour",
    "composition": "composition baseline",
    "esm_paper_head": "ESM, the paper's head and loss",
    "esm_own_loss": "ESM, the paper's head, our loss",
    "esm_own_pooling": "ESM, our loss, pooling and hidden layer",
    "esm": "fine-tuned ESM",
    "esm_composition_mean": "mean of fine-tuned ESM and composition",
    "gat_pretrained": "GAT, pre-trained ESM",
    "gat_finetuned": "GAT, fine-tuned ESM",
    "gat_weighted": "GAT, weighted fine-tuned ESM",
    "gat_learned": "GAT, learned weights",
    "halo": "HALO (paper)",
    "halo_released_code": "HALO (released code)",
    "halo_gat_for_all": "HALO, GAT also without structure",
    "halo_sequence_only": "HALO (sequence-only)",
}


@dataclass(frozen=True)
class EvaluationSet:
    """The proteins a system is measured on.

    Attributes:
        name: split or subset.
        accessions: [B].
        y: [B, K] int8 labels.
        places: the K locations that can be measured on it.
        families: [B] int, proteins with the same number are relatives and are resampled together.
    """

    name: str
    accessions: np.ndarray
    y: np.ndarray
    places: list[str]
    families: np.ndarray

    @property
    def absent(self) -> list[str]:
        """The locations without a protein here, which macro averages leave out."""
        return [place for place, n in zip(self.places, self.y.sum(axis=0), strict=True) if n == 0]

    def join(self, predictions: pd.DataFrame, columns: list[str] | None = None) -> np.ndarray:
        """Return the predictions of these proteins in this order, [B, K], joined by accession.

        Raises:
            DataError: if a protein has no prediction.
        """
        indexed = predictions.set_index("accession", verify_integrity=True)[columns or self.places]
        missing = sorted(set(self.accessions) - set(indexed.index))
        if missing:
            raise DataError(
                f"{len(missing)} proteins of {self.name} such as {missing[0]} have no prediction:"
                " run the notebook that makes it again"
            )
        return indexed.loc[self.accessions].to_numpy()


def restrict(view: EvaluationSet, keep: np.ndarray, what: str) -> EvaluationSet:
    """Return the proteins of a set where ``keep`` [B] is true, named ``<set>, <what>``."""
    name = f"{view.name}, {what}"
    return EvaluationSet(name, view.accessions[keep], view.y[keep], view.places, view.families[keep])


def evaluation_set(settings: Settings, table: pd.DataFrame, name: str) -> EvaluationSet:
    """Return the proteins of a split or subset.

    Raises:
        DataError: if the table is from before families were stored.
    """
    if "family" not in table:
        raise DataError("the dataset table has no column family: run notebook 01_data_preparation again")
    places = list(supported(settings.data.dataset, name))
    part = table[evaluation_sets(table)[name]]
    families = part["family"].to_numpy()
    return EvaluationSet(name, part["accession"].to_numpy(), label_matrix(part, places), places, families)


def held_out_views(settings: Settings, table: pd.DataFrame) -> dict[str, EvaluationSet]:
    """Return every test set of the run, in order; the first one is the main test set."""
    return {name: evaluation_set(settings, table, name) for name in held_out_sets(table)}


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


def save_predictions(settings: Settings, system: str, predictions: pd.DataFrame) -> None:
    """Write the probabilities of a system for the later notebooks."""
    write_parquet(settings.paths.predictions(system), predictions)


def load_predictions(settings: Settings, system: str) -> pd.DataFrame:
    """Return the probabilities of a system.

    Raises:
        DataError: if the notebook that makes them has not run.
    """
    maker = "04_gat_weighting" if system.startswith("gat") else "02_esm_finetuning"
    return read_parquet(
        settings.source.predictions(system), f"run notebook {maker} with profile {settings.profile} first"
    )


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
