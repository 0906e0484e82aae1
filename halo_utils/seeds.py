"""Several runs that differ in their seed only: how far do their metrics spread?"""

import pandas as pd

from halo_utils.evaluation import read_metrics
from halo_utils.paths import RunPaths

MARK = "-seed"  # settings.load_settings gives a run with another seed than the profile's this ending
KEYS = ["split", "system", "metric", "label"]


def runs_with_other_seeds(paths: RunPaths) -> list[RunPaths]:
    """Return the runs of this family that have metrics, this one included, in order of their names."""
    family = paths.name.split(MARK)[0]
    folders = [paths.results.parent / family, *sorted(paths.results.parent.glob(f"{family}{MARK}*"))]
    return [RunPaths(folder.name) for folder in folders if (folder / "metrics.csv").is_file()]


def across_seeds(runs: list[RunPaths]) -> pd.DataFrame:
    """Return the mean and the range of every metric over runs.

    Args:
        runs: from ``runs_with_other_seeds``; at least one.

    Returns:
        Columns split, system, metric, label, seeds (runs that have the value), mean, lowest, highest.
    """
    tables = pd.concat([read_metrics(run.results / "metrics.csv") for run in runs], ignore_index=True)
    found = tables.groupby(KEYS, sort=False)["value"].agg(["count", "mean", "min", "max"]).reset_index()
    return found.rename(columns={"count": "seeds", "min": "lowest", "max": "highest"})


def validation_spread(paths: RunPaths, title: str) -> tuple[int, float]:
    """Return over how many seeds of a run's family a network was trained, and the range of its best validation score.

    Args:
        paths: any run of the family.
        title: the network as ``gat_training.csv`` names it.
    """
    family = paths.name.split(MARK)[0]
    folders = [paths.results.parent / family, *paths.results.parent.glob(f"{family}{MARK}*")]
    tables = [pd.read_csv(f / "gat_training.csv") for f in folders if (f / "gat_training.csv").is_file()]
    best = [table.loc[table["system"] == title, "val_macro_f1"].max() for table in tables]
    return len(best), float(max(best) - min(best)) if best else float("nan")
