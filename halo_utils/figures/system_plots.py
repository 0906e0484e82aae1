"""Figures that put the systems of a run beside each other and beside the paper: a dumbbell per location, a forest."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.systems import TITLES, in_order
from halo_utils.figures.plots import error_bars
from halo_utils.figures.style import GREY, INK, STYLE, model_colour, new_figure


def mcc_dumbbells(metrics: pd.DataFrame, published: pd.DataFrame, systems: dict[str, str]) -> pd.DataFrame:
    """Return what ``mcc_per_label`` draws: system, label, value, ci_low, ci_high, column, published.

    ``metrics`` are of one test set, ``published`` is a tidy published table; ``systems`` is our system -> its column
    there, "" where the paper has none.
    """
    mcc = metrics[(metrics["metric"] == "mcc") & metrics["system"].isin(systems)]
    rows = mcc[["system", "label", "value", "ci_low", "ci_high"]].assign(column=mcc["system"].map(systems))
    paper = published[published["metric"] == "mcc"].rename(columns={"system": "column"})
    return rows.merge(paper[["column", "label", "published"]], how="left", on=["column", "label"])


def mcc_per_label(rows: pd.DataFrame, proteins: Mapping[str, int], title: str) -> Figure:
    """Draw ``mcc_dumbbells``, a panel per system: open the paper's, filled ours with its interval, a line between.

    ``proteins`` is location -> how many of the set are there; the most frequent one stands on top.
    """
    names, order = in_order(rows["system"]), sorted(pd.unique(rows["label"]), key=lambda name: -proteins[name])
    fig, axes = new_figure(1.8 + 2.9 * len(names), 0.42 * len(order) + 2.2, len(names))
    y = pd.Series(np.arange(len(order))[::-1], index=order)
    low = min(-0.05, np.nanmin(rows[["ci_low", "published"]].to_numpy()) - 0.03)
    for i, (ax, system) in enumerate(zip(np.atleast_1d(axes), names, strict=True)):
        own = rows[rows["system"] == system]
        at, colour = y[own["label"]].to_numpy(), model_colour(system)
        ax.hlines(at, own["value"], own["published"], color=GREY, linewidth=2)
        ax.errorbar(own["value"], at, xerr=error_bars(own), fmt="o", color=colour, capsize=3, label="ours")
        ax.plot(own["published"], at, "o", markerfacecolor="white", markeredgecolor="0.35", label="paper")
        for place, ours, theirs in zip(at, own["value"], own["published"], strict=True):
            if np.isfinite(theirs):
                ax.text(1.43, place, f"{ours - theirs:+.2f}", ha="right", va="center", fontsize=11)
        ax.axvline(0, color=GREY, linewidth=0.8)
        ax.set_yticks(y, [f"{name}  {proteins[name]:,}" for name in order] if i == 0 else [])
        ax.set(xlim=(low, 1.45), xticks=(0, 0.5, 1), xlabel="MCC, 95 % interval", title=TITLES[system])
    fig.suptitle(f"{_beside_paper(rows[rows['system'] == names[0]], names[0])}\n{title}")
    handles = [plt.Line2D([], [], marker="o", color=INK, linestyle="", label="ours (filled, in the model's colour)")]
    handles.append(
        plt.Line2D([], [], marker="o", color="0.35", markerfacecolor="white", linestyle="", label="the paper")
    )
    fig.legend(handles=handles[: 1 + int(rows["published"].notna().any())], loc="outside lower center", ncols=2)
    return fig


def _beside_paper(own: pd.DataFrame, system: str) -> str:
    """Return how often the published MCC lies above our interval."""
    known = own.dropna(subset="published")
    if known.empty:
        best, worst = (own.loc[i, "label"] for i in (own["value"].idxmax(), own["value"].idxmin()))
        return f"{TITLES[system]} is best in {best} and weakest in {worst}"
    above, below = (known["published"] > known["ci_high"]).sum(), (known["published"] < known["ci_low"]).sum()
    return f"{TITLES[system]}: the paper's MCC lies above our interval in {above} and below in {below} of {len(known)}"


def forest_rows(metrics: pd.DataFrame, differences: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return what ``forest`` draws: metric, system, value and its ends, difference and its ends, published.

    All of one test set. ``differences`` are to one reference, first minus second; ``published`` has system (ours),
    metric and published.
    """
    overall = metrics[metrics["metric"].isin(("micro_f1", "macro_f1")) & (metrics["label"] == "")]
    gaps = differences[differences["label"] == ""].rename(columns={"first": "system"})
    gaps = gaps.rename(columns={"ci_low": "difference_low", "ci_high": "difference_high"})
    columns = ["system", "metric", "difference", "difference_low", "difference_high"]
    rows = overall[["metric", "system", "value", "ci_low", "ci_high"]].merge(gaps[columns], how="left")
    return rows.merge(published, how="left", on=["system", "metric"])


def forest(rows: pd.DataFrame, reference: str, baseline: str, title: str) -> Figure:
    """Draw ``forest_rows``: left every system with its interval and the published value, right minus ``reference``."""
    names = in_order(rows["system"])
    y = pd.Series(np.arange(len(names))[::-1], index=names)
    plt.rcParams.update(STYLE)
    size = {"figsize": (11.0, 0.46 * len(names) + 2.2), "width_ratios": (1.3, 1)}
    fig, (left, right) = plt.subplots(1, 2, sharey=True, layout="constrained", **size)
    for metric, offset, marker in (("micro_f1", 0.16, "o"), ("macro_f1", -0.16, "s")):
        own = rows[rows["metric"] == metric].set_index("system")
        gaps = own[["difference", "difference_low", "difference_high"]]
        gaps = gaps.set_axis(["value", "ci_low", "ci_high"], axis=1).dropna()
        look = {"markerfacecolor": "white", "markeredgecolor": "0.35", "markersize": 8}
        left.plot(own["published"], y[own.index] + offset, marker, **look)
        for ax, table in ((left, own), (right, gaps)):
            for name in table.index:
                bars, at = error_bars(table.loc[[name]]), y[name] + offset
                filled = {"color": model_colour(name), "capsize": 2, "markersize": 5}
                ax.errorbar(table.loc[name, "value"], at, xerr=bars, fmt=marker, **filled)
        left.plot([], [], marker, color=INK, label=METRIC_TITLES[metric])
        if baseline in own.index:
            left.axvline(own.loc[baseline, "value"], color=GREY, linestyle=":")
    right.axvline(0, color=model_colour(reference), linewidth=1)
    left.set(xlabel="F1, 95 % interval")
    right.set(xlabel=f"minus {TITLES[reference]}, paired")
    left.set_yticks(y, [TITLES[name] for name in names])
    fig.legend(loc="outside lower center", ncols=2)
    gap = rows[rows["metric"] == "micro_f1"].set_index("system")
    better, worse = (gap["difference_low"] > 0).sum(), (gap["difference_high"] < 0).sum()
    compared = int(gap["difference"].notna().sum())
    found = f"Of {compared} systems {better} have a higher micro F1 than {TITLES[reference]} and {worse} a lower one"
    found = found if compared else f"{TITLES[gap['value'].idxmax()]} has the highest micro F1"
    fig.suptitle(f"{found}\n95 % intervals that exclude zero; dotted: {TITLES[baseline]}; open: published; {title}")
    return fig
