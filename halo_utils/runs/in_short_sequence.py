"""The last paragraphs of notebooks 07 and 08, from the tables they wrote."""

import pandas as pd

from halo_utils.config import Settings
from halo_utils.evaluation.seeds import MINIMUM
from halo_utils.runs.frozen_hybrid import NAMES
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
    networks = costs[costs["parameters"] > 0] if costs["parameters"].any() else costs
    fast, slow = (networks.loc[networks["seconds"].agg(which)] for which in ("idxmin", "idxmax"))
    gaps = differences[differences["metric"] == "accuracy_argmax"]
    sure = gaps[gaps["ci_low"] > 0]
    best, text = accuracy.iloc[0], "{embedder} with {value:.3f} [{ci_low:.3f}, {ci_high:.3f}]"
    return _paragraph(
        settings,
        f"{count(len(costs), 'embedder')} at hand, from {costs['parameters'].min():,} to"
        f" {costs['parameters'].max():,} parameters; {slow['embedder']} takes {slow['seconds'] / fast['seconds']:.0f}"
        f" times as long as {fast['embedder']}.",
        f"The best accuracy on {accuracy['n'].iloc[0]:,} test proteins, one training each, is {text.format(**best)};"
        f" {count(len(sure), 'embedder')} of {len(gaps)} beat composition with an interval above zero"
        f"{': ' + ', '.join(sure['embedder']) if len(sure) else ''}.",
        f"A pilot of 43 proteins names another best one {percent(wrong)} of the time.",
        f"Silhouettes run from {silhouettes.min().min():.2f} to {silhouettes.max().max():.2f}, by embedder and by the"
        " space they are taken in.",
    )


def in_short_08(
    settings: Settings,
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    protocols: pd.DataFrame,
    both: pd.DataFrame,
    definitions: pd.DataFrame,
    hybrid: pd.DataFrame | None = None,
    hard: pd.DataFrame | None = None,
) -> str:
    """Return how the heads compare, what the leak promises, what Table 4 says, and whether structure helps the best.

    ``both`` is from ``arithmetic.both_accuracies``, ``hybrid`` are differences in micro F1 on the proteins with a graph
    (None: there are too few), ``hard`` is from ``hard_sets.accuracies`` (None: not at hand), the others are the
    notebook's tables.
    """
    micro = scores[scores["metric"] == "micro_f1"].sort_values("value", ascending=False)
    best, n = micro.iloc[0], micro["embedder"].nunique()
    pairs = differences[(differences["metric"] == "micro_f1") & differences["second"].str.startswith("FFN on")]
    pairs = pairs[~pairs["first"].str.startswith("FFN on")]
    better, worse = (pairs["ci_low"] > 0).sum(), (pairs["ci_high"] < 0).sum()
    leak = (protocols["released_code"] - protocols["inside the fold"]).iloc[0]
    subset = both.set_index("system")["accuracy"]
    verdict = "" if differences["seeds"].max() >= MINIMUM else "; one first weight each is no verdict on a head"
    first, subsets = protocols.iloc[0], ", ".join(f"{value:.3f} ({name[:-2]})" for name, value in subset.items())
    return _paragraph(
        settings,
        f"Of {count(micro['head'].nunique(), 'head')} on {count(n, 'embedder')} the highest micro F1 is that of"
        f" {best['head']} on {best['embedder']}: {best['value']:.3f} [{best['ci_low']:.3f}, {best['ci_high']:.3f}].",
        f"Beside a network on the mean of the same states {better} of {len(pairs)} are better and {worse} worse with an"
        f" interval that leaves out zero{verdict}.",
        f"Filling up rare locations before the folds are made raises the accuracy of the {first['classifier']} in"
        f" cross-validation by {leak:+.3f}; on test proteins it has {first['test']:.3f}.",
        f"As subset accuracy the published values on S are {subsets}; ours differ between the two definitions by up to"
        f" {(definitions['accuracy_one_vs_rest'] - definitions['accuracy']).max():.2f}.",
        "" if hard is None else f"Learned from proteins far from them, {_hard(hard)}.",
        "" if hybrid is None else f"On proteins with a graph, in micro F1: {_structure(hybrid)}.",
    )


def _structure(differences: pd.DataFrame) -> str:
    text = "the {first} minus the {second} {difference:+.3f} [{ci_low:+.3f}, {ci_high:+.3f}]"
    asked = (("halo_graphs", "esm"), ("esm_gat_mean", "esm"), ("gat_finetuned_graphs", "gat_no_edges"))
    pairs = differences.set_index(["first", "second"], drop=False)
    return "; ".join(text.format(**pairs.loc[NAMES[first], NAMES[second]]) for first, second in asked)


def _hard(accuracies: pd.DataFrame) -> str:
    text = "on {set} {head} is right in {value:.2f} [{ci_low:.2f}, {ci_high:.2f}] of {n:,} (published {published:.2f})"
    best = accuracies.loc[accuracies.groupby("set", sort=False)["value"].idxmax()]
    return "; ".join(text.format(**row) for row in best.to_dict("records"))
