"""Variants of one training, each over several seeds, against the variant that the paper uses."""

from collections.abc import Callable, Sequence

import pandas as pd

from halo_utils.evaluation.claims import CLAIMS, published_pair
from halo_utils.evaluation.metrics import difference
from halo_utils.evaluation.scoring import tune
from halo_utils.evaluation.seeds import MINIMUM, differences_over_seeds
from halo_utils.evaluation.sensitivity import f1_samples
from halo_utils.evaluation.test_sets import EvaluationSet

Train = Callable[[str, int], pd.DataFrame]  # variant and seed -> probabilities of validation and test proteins


def run_trials(
    study: str,
    variants: Sequence[str],
    reference: str,
    train: Train,
    table: pd.DataFrame,
    view: EvaluationSet,
    drawn: dict,
    seeds: Sequence[int],
    step: float = 0.05,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train every variant with every seed; return values on ``view``, a row per seed, and differences over seeds.

    The threshold of each network comes from the validation proteins of ``table``. Values have the columns study,
    variant, seed, threshold, metric, value; differences those of ``seeds.differences_over_seeds`` and study: a variant
    minus ``reference``, which is trained with the same seeds on the same proteins.
    """
    values, gaps = [], []
    for seed in seeds:
        found = {}
        for variant in variants:
            predictions = train(variant, seed)
            threshold, prob = tune(table, predictions, view.dataset, step), view.join(predictions)
            found[variant] = f1_samples(view.y, prob >= threshold.on(view.name), drawn)
            row = {"study": study, "variant": variant, "seed": seed, "threshold": threshold.value}
            values += [row | {"metric": metric, "value": value} for (metric, _), value in found[variant].values.items()]
        pairs = [(variant, difference(own, found[reference])) for variant, own in found.items() if variant != reference]
        gaps.append(pd.concat([gap.assign(split=view.name, first=v, second=reference) for v, gap in pairs]))
    return pd.DataFrame(values), differences_over_seeds(gaps).assign(study=study)


def relevant_size(metric: str = "macro_f1") -> float:
    """Return the smallest difference that matters here: what the paper's HALO gains over its sequence model (Table 2).

    A choice of the design that moves a score by less than the effect under study cannot explain it.
    """
    halo, esm = published_pair(next(c for c in CLAIMS if c.metric == metric and c.ours == ("halo", "esm")))
    return round(abs(halo - esm), 6)


def verdict(row: pd.Series) -> str:
    """Return what a difference over seeds says; ``row`` holds metric, difference, ci_low, ci_high and seeds.

    "Higher" and "lower" ask that all of the interval lies beyond the metric's relevant size.
    """
    relevant, nearer, farther = relevant_size(row["metric"]), *sorted(abs(row[["ci_low", "ci_high"]]))
    if row["seeds"] < MINIMUM:
        return "too few seeds"
    if farther < relevant:
        return "no effect of relevant size"
    if row["ci_low"] > 0 or row["ci_high"] < 0:
        way = "higher" if row["difference"] > 0 else "lower"
        return way if nearer >= relevant else f"{way}, not surely by a relevant size"
    return "not sure"
