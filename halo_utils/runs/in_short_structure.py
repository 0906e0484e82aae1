"""The last paragraphs of notebooks 09 and 10, from the tables they wrote."""

import pandas as pd

from halo_utils.config import Settings
from halo_utils.evaluation.seeds import MINIMUM, differences_over_seeds
from halo_utils.runs.in_short import _paragraph
from halo_utils.runs.wording import count

PLAIN = "GwR without coordinates"
SWAPPED = (f"{PLAIN}, ", "SES-Adapter on letters, ")  # the same systems with other letters in the test proteins


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
    titles: tuple[str, str],
    metrics: pd.DataFrame,
    per_training: list[pd.DataFrame],
    density: tuple[float, float],
    official: pd.DataFrame | None = None,
) -> str:
    """Return how GwR compares with its parts and its peer, what letters add, and how dense its graphs are.

    ``titles`` are of the grounds with coordinates and with letters; ``per_training`` are paired differences on both;
    ``density`` are the edges per residue of the released threshold and of the fix; ``official`` are
    metrics on the official DeepLoc-Binary test set, where it is at hand.
    """
    differences = differences_over_seeds(per_training)
    swaps = [first for first in dict.fromkeys(differences["first"]) if first.startswith(f"{PLAIN}, letters of ")]
    return _paragraph(
        settings,
        f"On {titles[0]}: micro F1 of {_value(metrics, 'LA-GCN')}, {_value(metrics, 'GwR')},"
        f" {_value(metrics, 'SES-Adapter')}.",
        f"{_gap(differences, 'GwR', 'LA-GCN')}; {_gap(differences, 'GwR', 'SES-Adapter')}.",
        f"On {titles[1]}: {_gap(differences, PLAIN, 'its sequence branch')},"
        f" {_gap(differences, PLAIN, 'SES-Adapter on letters')};"
        f" {', '.join(_gap(differences, first, PLAIN) for first in (*swaps, f'{PLAIN}, 50 % false'))}.",
        f"The released threshold leaves {density[0]:.2f} edges per residue in the attention graph, top-k"
        f" {density[1]:.1f}.",
        "" if official is None else _official(official),
        _seeds(len(per_training)),
    )


def _official(metrics: pd.DataFrame) -> str:
    systems = (system for system in dict.fromkeys(metrics["system"]) if not system.startswith(SWAPPED))
    values = ", ".join(_value(metrics, system, "accuracy") for system in systems)
    return f"On the official DeepLoc-Binary test set: accuracy of {values}."
