"""The last paragraphs of notebooks 09 and 10, from the tables they wrote."""

import pandas as pd

from halo_utils.config import Settings
from halo_utils.evaluation.seeds import MINIMUM
from halo_utils.runs.in_short import _paragraph
from halo_utils.runs.wording import count


def _value(metrics: pd.DataFrame, system: str, metric: str = "micro_f1") -> str:
    rows = metrics[(metrics["system"] == system) & (metrics["metric"] == metric)]
    return f"{system} {{value:.3f}} [{{ci_low:.3f}}, {{ci_high:.3f}}]".format(**rows.iloc[0])


def _gap(differences: pd.DataFrame, first: str, second: str) -> str:
    rows = differences[(differences["first"] == first) & (differences["second"] == second)]
    row = rows[rows["metric"] == "micro_f1"].iloc[0]
    return f"{first} minus {second} {{difference:+.3f}} [{{ci_low:+.3f}}, {{ci_high:+.3f}}]".format(**row)


def _seeds(number: int) -> str:
    return "" if number >= MINIMUM else f"{count(number, 'seed')} gives no verdict; {MINIMUM} are needed."


def in_short_09(
    settings: Settings, title: str, metrics: pd.DataFrame, differences: pd.DataFrame, agreed: pd.DataFrame, seeds: int
) -> str:
    """Return how the rows of document 002 compare, whether its two models err apart, and what the control says."""
    q, alone = agreed.set_index("labels").loc["all"], agreed["second"].iloc[0]
    return _paragraph(
        settings,
        f"On {title}: micro F1 of the {_value(metrics, 'LM baseline')}, {_value(metrics, alone)},"
        f" {_value(metrics, 'mean of both')}.",
        f"{_gap(differences, 'mean of both', 'LM baseline')};"
        f" the control, {_gap(differences, 'mean of two LM', 'LM baseline')}.",
        f"{_gap(differences, 'dense-residual', 'LM baseline')}.",
        f"The two models disagree in {q['disagreement']:.1%} of {int(q['decisions']):,} decisions, with Yule's Q"
        f" {q['q']:.2f} [{q['q_low']:.2f}, {q['q_high']:.2f}]: {_apart(q)}.",
        _seeds(seeds),
    )


def _apart(q: pd.Series) -> str:
    if q["q_low"] > 0:
        return "they err together more often than independent models would"
    return "they err apart" if q["q_high"] < 0 else "no sign that errors go together or apart"


def in_short_10(
    settings: Settings,
    title: str,
    metrics: pd.DataFrame,
    differences: pd.DataFrame,
    density: tuple[float, float],
    swapped: pd.DataFrame,
    seeds: int,
    official: pd.DataFrame | None = None,
) -> str:
    """Return how GwR compares with its parts and its peer, how dense its graphs are, and what corruption costs.

    ``density`` are the edges per residue of the released threshold and of the fix; ``swapped`` is the table of
    corrupted letters; ``official`` are metrics on the official DeepLoc-Binary test set, where it is at hand.
    """
    of = swapped[swapped["system"] == "GwR"].sort_values("amount")
    return _paragraph(
        settings,
        f"On {title}: micro F1 of {_value(metrics, 'LA-GCN')}, {_value(metrics, 'GwR')},"
        f" {_value(metrics, 'SES-Adapter')}.",
        f"{_gap(differences, 'GwR', 'LA-GCN')}; {_gap(differences, 'GwR', 'SES-Adapter')}.",
        f"The released threshold leaves {density[0]:.2f} edges per residue in the attention graph, top-k"
        f" {density[1]:.1f}.",
        f"With every second letter replaced, GwR's micro F1 goes from {of['value'].iloc[0]:.3f} to"
        f" {of['value'].iloc[-1]:.3f}.",
        "" if official is None else _official(official),
        _seeds(seeds),
    )


def _official(metrics: pd.DataFrame) -> str:
    systems = list(dict.fromkeys(metrics["system"]))
    values = ", ".join(_value(metrics, system, "accuracy") for system in systems)
    return f"On the official DeepLoc-Binary test set: accuracy of {values}."
