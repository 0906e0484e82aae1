"""What the tables of document 001 say against sentences about them, and what every check of published numbers uses."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from halo_utils.evaluation.published import LUO_SETS, published_table

HOLDS = "holds in the published numbers"  # not reproduced: nothing was run for it
ROUNDING = 0.006  # a published value of two digits, and the two that it is computed from


class Finding(NamedTuple):
    """What a check found: a value with its 95 % interval where it has one, the verdict, and why."""

    value: float
    verdict: str
    reason: str
    low: float = float("nan")
    high: float = float("nan")


def difference_interval(first: float, second: float, tested: int) -> tuple[float, float]:
    """Return the 95 % interval of first minus second, shares of ``tested`` proteins each (Newcombe 1998, method 10).

    The two are taken as independent: how often both systems are right together is not published, and the interval of
    pairs that agree is narrower.
    """
    limits = [binomtest(round(p * tested), tested).proportion_ci(method="wilson") for p in (first, second)]
    below = np.hypot(first - limits[0].low, limits[1].high - second)
    above = np.hypot(limits[0].high - first, second - limits[1].low)
    return float(first - second - below), float(first - second + above)


def word_of(gap: float, low: float, high: float) -> str:
    """Return the verdict on "the first is larger", from the interval of first minus second."""
    if low > 0:
        return HOLDS
    return "contradicted" if high < 0 else f"{'same' if gap > 0 else 'opposite'} direction, not sure"


def rounding_of(value: float) -> float:
    """Return by how much a printed value may differ from the one that was rounded."""
    return next(0.5 * 10**-digits for digits in (2, 3, 4) if round(value, digits) == value)


def ahead(table: int, metric: str, first: str, others: tuple[str, ...], labels: tuple[str, ...] = ("",)) -> Finding:
    """Is ``first`` above every one of ``others`` in a table of document 001, in every one of ``labels`` (none: all)?"""
    values = published_table(table).set_index(["metric", "system", "label"])["published"]
    labels = labels or tuple(published_table(table).query("metric == @metric")["label"].unique())
    pairs = [(values[metric, first, label], values[metric, other, label]) for label in labels for other in others]
    a, b = min(pairs, key=lambda pair: pair[0] - pair[1])
    error = rounding_of(a) + rounding_of(b)
    reason = f"the pair that decides is {a:g} and {b:g}, rounded by up to {error:.4f}"
    return Finding(a - b, word_of(a - b, a - b - error, a - b + error), reason)


def lowest_mcc(labels: tuple[str, ...], level: float) -> Finding:
    """Do all three graph networks of Table 1 reach a level of MCC in ``labels``?"""
    rows = published_table(1).query("metric == 'mcc' and label in @labels")
    worst = rows.loc[rows["published"].idxmin()]
    reason = f"{worst['system']} has {worst['published']:g} in {worst['label']}"
    return Finding(worst["published"], HOLDS if worst["published"] >= level else "contradicted", reason)


def decline(other: str) -> Finding:
    """Does the mean MCC of Table 4 fall more from S to N with Luo's ``RF`` or ``MLP`` than with HALO?"""
    rows = published_table(4).query("metric == 'mcc'").groupby("system")["published"].mean()
    whole, far = LUO_SETS[0], LUO_SETS[-1]
    halo, theirs = (rows[f"{name}_{whole}"] - rows[f"{name}_{far}"] for name in ("HALO", other))
    reason = f"mean MCC falls by {theirs:.3f} and by {halo:.3f}; on {whole} it is {rows[f'{other}_{whole}']:.3f}"
    reason += f" and {rows[f'HALO_{whole}']:.3f}"
    return Finding(theirs - halo, HOLDS if theirs > halo else "contradicted", reason)


def one_kind_of_precision() -> Finding:
    """Are precision and recall in Table 2 of one kind? The harmonic mean of micro values is micro F1 itself."""
    values = published_table(2).query("label == ''").set_index(["metric", "system"])["published"]
    p, r = values["micro_precision", "GAT"], values["micro_recall", "GAT"]
    other = values["macro_precision", "HALO"], values["macro_recall", "HALO"]
    of_gat, of_halo = 2 * p * r / (p + r), 2 * other[0] * other[1] / sum(other)
    gap = of_halo - values["micro_f1", "HALO"]
    reason = f"the GAT's harmonic mean is {of_gat:.4f}, its micro F1 {values['micro_f1', 'GAT']:g}; HALO's is"
    reason = f"{reason} {of_halo:.4f}, its micro F1 {values['micro_f1', 'HALO']:g}: micro there, macro here"
    return Finding(gap, HOLDS if abs(gap) <= ROUNDING else "contradicted", reason)
