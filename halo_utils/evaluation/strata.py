"""How good a system is on parts of a test set, such as kingdoms, lengths or ranges of structural confidence."""

from itertools import pairwise

import numpy as np
import pandas as pd

from halo_utils.evaluation.scoring import measure
from halo_utils.evaluation.test_sets import EvaluationSet, restrict
from halo_utils.evaluation.thresholds import Threshold

LEAST = 10  # proteins of a part; fewer say nothing
METRICS = ("micro_f1", "accuracy")


def length_quarters(lengths: np.ndarray) -> pd.Categorical:
    """Return which quarter of the lengths, [B] int, each falls into, named by its ends, from short to long."""
    edges = np.unique(np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]).astype(int))
    if len(edges) == 1:
        return pd.Categorical([f"{edges[0]:,}"] * len(lengths))
    names = [f"{low:,} to {high:,}" for low, high in pairwise(edges)]
    return pd.cut(lengths, edges, labels=names, include_lowest=True)


def confidence_ranges(plddt: np.ndarray) -> pd.Categorical:
    """Return ranges of a mean pLDDT, [B], with AlphaFold's limits of 70 and 90; NaN: no structure."""
    names = ["no structure", "below 70", "70 to 90", "90 and above"]
    return pd.Categorical(np.select([np.isnan(plddt), plddt < 70, plddt < 90], names[:3], names[3]), categories=names)


def by_stratum(
    view: EvaluationSet, prob: np.ndarray, threshold: Threshold, strata: dict[str, pd.Categorical], **bootstrap: int
) -> pd.DataFrame:
    """Return micro F1 and subset accuracy of a system on the parts of a test set, with intervals.

    ``prob`` is [B, K] in the order of ``view``; ``strata`` is what is looked at -> part of each protein, [B].
    Parts of fewer than ``LEAST`` proteins are left out. Columns: stratum, part, metric, value, ci_low, ci_high, n.
    """
    cut, parts = threshold.on(view.name), []
    for stratum, values in strata.items():
        for name in values.categories:
            keep = values == name
            if keep.sum() < LEAST or not view.y[keep].any():
                continue
            found = measure(restrict(view, keep, name), "esm", prob[keep] >= cut, prob[keep], threshold, **bootstrap)
            found = found[found["metric"].isin(METRICS) & (found["label"] == "")]
            parts.append(found.assign(stratum=stratum, part=name))
    columns = ["stratum", "part", "metric", "value", "ci_low", "ci_high", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
