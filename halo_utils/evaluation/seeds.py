"""Several runs that differ in their seed only: how far do their metrics spread?"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from halo_utils.core.paths import RunPaths
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import TITLES, in_order

SPREAD = ["mean", "sd", "lowest", "highest"]
MINIMUM = 3  # seeds; the spread of fewer says nothing
TABLES = ("metrics.csv", "metrics_sequence.csv")  # of a whole run, or of its notebook 02 alone


def runs_with_other_seeds(paths: RunPaths) -> list[RunPaths]:
    """Return the runs of this family that have metrics, if only of notebook 02, this one included, by name."""
    return [RunPaths(folder.name) for folder in _family(paths) if any((folder / name).is_file() for name in TABLES)]


def _family(paths: RunPaths) -> list[Path]:
    mark = re.compile(r"-seed\d+")  # which load_settings gives a run with another seed than the profile's
    return sorted(f for f in paths.results.parent.glob("*") if mark.sub("", f.name) == mark.sub("", paths.name))


def across_seeds(runs: list[RunPaths]) -> pd.DataFrame:
    """Return split, system, metric, label, seeds (runs that have it), mean, sd (of a sample), lowest and highest.

    The last four are empty below ``MINIMUM`` seeds.
    """
    paths = [next(path for name in TABLES if (path := run.results / name).is_file()) for run in runs]
    values = pd.concat([read_metrics(path) for path in paths], ignore_index=True)
    values = values.groupby(["split", "system", "metric", "label"], sort=False)["value"]
    spread = values.agg(["count", "mean", "std", "min", "max"]).set_axis(["seeds", *SPREAD], axis=1).reset_index()
    spread[SPREAD] = spread[SPREAD].where(spread["seeds"] >= MINIMUM)
    return spread


def tables_of_runs(runs: Sequence[RunPaths], names: Sequence[str]) -> list[pd.DataFrame]:
    """Return one table per run: its result tables ``names``, one under the other; a run without any is left out."""
    found = [[path for name in names if (path := run.results / name).is_file()] for run in runs]
    return [pd.concat(map(read_metrics, paths), ignore_index=True) for paths in found if paths]


PAIR = ["split", "first", "second", "metric", "label"]


def differences_over_seeds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean of paired differences over seeds, from one table of ``scoring.compare`` per seed.

    Columns ``PAIR``, difference, ci_low, ci_high, of_seeds, lowest, highest, seeds, p.
    """
    columns = dict.fromkeys(["difference", "ci_low", "ci_high", "of_seeds", "lowest", "highest", "seeds", "p"], float)
    if not tables:
        return pd.DataFrame(columns=[*PAIR, *columns]).astype(columns)
    values = pd.concat([table.drop_duplicates(PAIR) for table in tables], ignore_index=True)
    found = over_seeds(values.assign(label=values["label"].fillna("")), PAIR, "difference")
    return found.assign(p=p_values(found))


def over_seeds(rows: pd.DataFrame, groups: list[str], value: str) -> pd.DataFrame:
    """Return the mean of a column with interval over seeds, per group; columns as in ``differences_over_seeds``.

    Two things are uncertain: which proteins are in the test set, the same for every seed, so that the mean of the
    intervals bounds it; and which seeds were run, a t interval of their mean, half of which is ``of_seeds``. The
    interval holds both (their half widths added in squares).
    """
    grouped = rows.groupby(groups, sort=False)
    found = grouped[[value, "ci_low", "ci_high"]].mean()
    drawn = grouped[value].agg(lowest="min", highest="max", seeds="count", sd="std")
    n, sd = drawn["seeds"], drawn.pop("sd")
    found["of_seeds"] = np.where(n > 1, student.ppf(0.975, np.maximum(n - 1, 1)) * sd / np.sqrt(n), 0.0)
    below, above = found[value] - found["ci_low"], found["ci_high"] - found[value]
    found["ci_low"] = found[value] - np.hypot(below, found["of_seeds"])
    found["ci_high"] = found[value] + np.hypot(above, found["of_seeds"])
    return found.join(drawn).reset_index()


def p_values(rows: pd.DataFrame, margin: float = 0.0) -> np.ndarray:
    """Return two-sided p values, [N], of ``differences_over_seeds``: the level at which an interval ends at the limit.

    The limit is zero; of a difference said to be within ``margin`` of zero, the nearer end of that range. The part of
    an interval that is of seeds widens as Student's t does, the rest as the normal distribution; not below 1e-18.
    """
    columns = ["difference", "ci_low", "ci_high", "of_seeds", "seeds"]
    value, low, high, of_seeds, n = rows[columns].to_numpy(dtype=float).T
    distance, inward = np.abs(np.abs(value) - margin), (value > 0) == (np.abs(value) >= margin)
    half = np.where(inward, value - low, high - value)
    freedom, resampled = np.maximum(n - 1, 1), np.maximum(half**2 - of_seeds**2, 0)
    least, most = np.full(len(half), -18.0), np.zeros(len(half))  # powers of ten
    for _ in range(50):
        tail = 10 ** (middle := (least + most) / 2) / 2
        of_proteins = norm.isf(tail) / norm.isf(0.025) * np.sqrt(resampled)
        beyond = np.hypot(of_proteins, student.isf(tail, freedom) / student.isf(0.025, freedom) * of_seeds) >= distance
        least, most = np.where(beyond, middle, least), np.where(beyond, most, middle)
    return np.where(half > 0, 10**least, 1.0)


def vetoes_of_runs(runs: Sequence[RunPaths], split: str) -> pd.DataFrame | None:
    """Return ``vetoes_over_seeds`` on one set or ground; None where no run has it."""
    tables = [table[table["split"] == split] for table in tables_of_runs(runs, ("hybrid_random_veto.csv",))]
    return vetoes_over_seeds(tables) if any(map(len, tables)) else None


def vetoes_over_seeds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return ``second_opinions.beside_random_veto`` over seeds: means of the metrics, the fewest labels of any seed.

    The limits are of the mean of as many draws, one per seed: distances from the mean, added in squares.
    """
    everything, ends = pd.concat(tables, ignore_index=True), ["random_low", "random_high"]
    squares = everything[ends].sub(everything["random_mean"], axis=0) ** 2
    groups = everything.assign(**squares).groupby("metric", sort=False)
    means = groups[["halo", "esm", "random_mean"]].mean().join(groups[["band", "asked", "vetoed"]].min())
    apart = np.sqrt(groups[ends].sum()).div(groups.size(), axis=0) * [-1, 1]
    return means.join(apart.add(means["random_mean"], axis=0)).reset_index()


def seeds_of_systems(spread: pd.DataFrame) -> pd.Series:
    """Return how many seeds every system has, by its key, in the order of ``SYSTEMS``."""
    seeds = spread.groupby("system")["seeds"].max()
    return seeds[in_order(seeds.index)]


def remark(spread: pd.DataFrame) -> str:
    """Return a sentence on what has too few seeds for a mean and a range; empty where nothing has."""
    seeds = seeds_of_systems(spread)
    most, few = seeds.max(), seeds[seeds < MINIMUM]
    if most < MINIMUM:
        have = "1 seed has" if most == 1 else f"{most} seeds have"
        return f"{have} been run; a mean and a range over seeds need {MINIMUM} or more."
    return f"Fewer than {MINIMUM} seeds have been run of: {'; '.join(TITLES[s] for s in few.index)}." * any(few)


def overall(spread: pd.DataFrame, split: str, metrics: tuple[str, ...] = ("micro_f1", "macro_f1")) -> pd.DataFrame:
    """Return the systems with enough seeds on one set: their number of seeds and ``mean ± SD (range)`` per metric."""
    seeds = seeds_of_systems(spread)
    rows = spread[(spread["split"] == split) & (spread["label"] == "")].set_index(["system", "metric"])
    text = "{mean:.3f} ± {sd:.3f} ({lowest:.3f} to {highest:.3f})"
    cells = {
        TITLES[system]: [count, *(text.format(**rows.loc[(system, metric)]) for metric in metrics)]
        for system, count in seeds[seeds >= MINIMUM].items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=["seeds", *(METRIC_TITLES[m] for m in metrics)])


def validation_spread(paths: RunPaths, title: str) -> tuple[int, float]:
    """Return over how many seeds a network (its title) was trained, and the range of its best validation macro F1."""
    tables = [pd.read_csv(path) for f in _family(paths) if (path := f / "gat_training.csv").is_file()]
    best = [table.loc[table["system"] == title, "val_macro_f1"].max() for table in tables]
    return len(best), float(max(best) - min(best)) if best else float("nan")
