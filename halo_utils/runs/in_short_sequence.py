"""The last paragraphs of notebooks 07 and 08, from the tables they wrote."""

import pandas as pd

from halo_utils.config import Settings
from halo_utils.runs.in_short import _paragraph
from halo_utils.runs.wording import count, percent


def in_short_07(
    settings: Settings,
    costs: pd.DataFrame,
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    wrong: float,
    silhouettes: pd.DataFrame,
) -> str:
    """Return what the embedders cost and know, and what a pilot would have said.

    ``scores`` and ``differences`` (to composition) are the notebook's tables; ``wrong`` is from ``pilots.wrong_best``;
    ``silhouettes`` has embedders down and spaces across.
    """
    accuracy = scores[scores["metric"] == "accuracy_argmax"].sort_values("value", ascending=False)
    fast, slow = (costs.loc[costs["seconds"].agg(which)] for which in ("idxmin", "idxmax"))
    gaps = differences[differences["metric"] == "accuracy_argmax"]
    sure = gaps[gaps["ci_low"] > 0]
    best, text = accuracy.iloc[0], "{embedder} with {value:.3f} [{ci_low:.3f}, {ci_high:.3f}]"
    return _paragraph(
        settings,
        f"{count(len(costs), 'embedder')} at hand, from {costs['parameters'].min():,} to"
        f" {costs['parameters'].max():,} parameters; {slow['embedder']} takes {slow['seconds'] / fast['seconds']:.0f}"
        f" times as long as {fast['embedder']}.",
        f"The best accuracy on {accuracy['n'].iloc[0]:,} test proteins is {text.format(**best)};"
        f" {count(len(sure), 'embedder')} of {len(gaps)} beat composition with an interval above zero"
        f"{': ' + ', '.join(sure['embedder']) if len(sure) else ''}.",
        f"A pilot of 43 proteins names another best one {percent(wrong)} of the time.",
        f"Silhouettes run from {silhouettes.min().min():.2f} to {silhouettes.max().max():.2f}, by embedder and by the"
        " space they are taken in.",
    )
