"""Figures of notebooks 09 and 10: systems beside each other, who is right where, graphs of attention, robustness."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from halo_utils.evaluation.complementarity import CASES
from halo_utils.figures.plots import error_bars
from halo_utils.figures.style import BLUE, COLOURS, GREEN, ORANGE, PALE, VERMILION, new_figure


def system_bars(
    metrics: pd.DataFrame, published: Mapping[str, float], title: str, metric: str = "micro F1", note: str = ""
) -> Figure:
    """Draw a metric of every system with its interval, and an open diamond where a paper has a value.

    ``note`` says in what the published values differ, other proteins and weights by default.
    """
    rows = metrics[(metrics["metric"] == metric.lower().replace(" ", "_")) & (metrics["label"] == "")]
    y = np.arange(len(rows))[::-1]
    fig, ax = new_figure(9.0, 0.5 * len(rows) + 2.0)
    ax.barh(y, rows["value"], 0.6, color=BLUE, label="ours, 95 % interval")
    ax.errorbar(rows["value"], y, xerr=error_bars(rows), fmt="none", color="black", capsize=3)
    known = [(published[name], at) for name, at in zip(rows["system"], y, strict=True) if name in published]
    if known:
        look = {"markersize": 9, "markerfacecolor": "white", "markeredgecolor": VERMILION, "markeredgewidth": 2}
        ax.plot(*zip(*known, strict=True), "D", **look, label=f"published, {note or 'other proteins and weights'}")
    ax.set_yticks(y, rows["system"])
    ax.set(xlim=(0, 1), xlabel=metric)
    top = rows.loc[rows["value"].idxmax()]
    interval = f"[{top['ci_low']:.2f}, {top['ci_high']:.2f}]"
    fig.suptitle(f"Highest: {top['system']}, {metric} {top['value']:.2f} {interval}\n{title}")
    fig.legend(loc="outside lower center", ncols=2, fontsize=10)
    return fig


def who_is_right(counts: pd.DataFrame, first: str, second: str, title: str) -> Figure:
    """Draw, per location (index), the share of labels at stake in each of ``complementarity.CASES``."""
    counts = counts[counts[list(CASES)].sum(axis=1) > 0]
    shares = counts[list(CASES)].div(counts[list(CASES)].sum(axis=1), axis=0)
    names = ["both", f"only {first}", f"only {second}", "neither"]
    fig, ax = new_figure(9.0, 0.45 * len(shares) + 2.2)
    y, left = np.arange(len(shares))[::-1], np.zeros(len(shares))
    for case, name, colour, hatch in zip(CASES, names, (GREEN, BLUE, ORANGE, PALE), ("", "//", "..", ""), strict=True):
        width = shares[case].to_numpy()
        ax.barh(y, width, 0.7, left=left, color=colour, hatch=hatch, edgecolor="white", label=name)
        left = left + width
    ax.set_yticks(y, [f"{name} ({int(n)})" for name, n in counts[list(CASES)].sum(axis=1).items()])
    ax.set(xlim=(0, 1), xlabel="share of the labels that are true or predicted by one")
    total = counts[list(CASES)].sum()
    only = " and ".join(f"{who} alone on {total[case]:,.0f}" for who, case in ((first, CASES[1]), (second, CASES[2])))
    fig.suptitle(f"Of {total.sum():,.0f} labels at stake {only} is right\n{title}")
    fig.legend(loc="outside lower center", ncols=4, fontsize=10)
    return fig


def edge_density(table: pd.DataFrame, bars: pd.DataFrame, title: str) -> Figure:
    """Draw edges per residue: against threshold (median and 90 % of proteins), against length, and of each rule.

    ``table`` has columns threshold, length, edges_per_residue; ``bars`` has rule and edges_per_residue (its mean).
    """
    fig, (left, middle, right) = new_figure(13.5, 4.4, panels=3)
    grouped = table.groupby("threshold")["edges_per_residue"]
    low, half, high = (grouped.quantile(q) for q in (0.05, 0.5, 0.95))
    left.fill_between(half.index, low, high, color=BLUE, alpha=0.2)
    left.plot(half.index, half, color=BLUE, marker="o")
    left.axvline(0.2, color=VERMILION, linestyle="--")
    left.set_ylim(bottom=0)
    left.text(0.19, left.get_ylim()[1] * 0.05, "released", color=VERMILION, ha="right")
    left.set(xscale="log", xlabel="threshold of attention", ylabel="edges per residue", title="threshold")
    for value, marker, colour in zip(sorted(table["threshold"].unique())[::2], "os^Dv", COLOURS, strict=False):
        rows = table[table["threshold"] == value]
        middle.plot(rows["length"], rows["edges_per_residue"], marker, color=colour, markersize=4, label=f"{value:g}")
    middle.set(xlabel="residues", ylabel="edges per residue", title="length, by threshold")
    middle.set_ylim(bottom=0)
    middle.legend(fontsize=9)
    right.barh(bars["rule"], bars["edges_per_residue"], color=GREEN)
    right.set(xlabel="edges per residue", title="rules")
    released = half[half.index <= 0.2]
    ends = f"{half.iloc[0]:.1f} edges at {half.index[0]:g}, {released.iloc[-1]:.1f} at {released.index[-1]:g}"
    fig.suptitle(f"A residue of the median protein keeps {ends}\n{title}")
    return fig


def robustness(table: pd.DataFrame, title: str) -> Figure:
    """Draw micro F1 with intervals against what was done to the structure at test time, a panel per ``kind``."""
    kinds = list(table.groupby("kind", sort=False))
    fig, axes = new_figure(5.5 * len(kinds), 4.6, len(kinds))
    for ax, (kind, rows) in zip(np.atleast_1d(axes), kinds, strict=True):
        for i, (system, values) in enumerate(rows.groupby("system", sort=False)):
            look = {"color": COLOURS[i], "marker": "os^D"[i], "capsize": 3}
            look["label"] = system if ax is fig.axes[0] else None
            ax.errorbar(values["amount"], values["value"], error_bars(values), **look)
        ax.set(xlabel=kind, ylabel="micro F1", ylim=(0, 1))
    clean = table.groupby(["kind", "system"])["value"].transform("first")
    worst = table.loc[(table["value"] - clean).idxmin()]
    loss = f"{worst['value'] - clean[worst.name]:+.2f} micro F1"
    fig.suptitle(f"Lost most: {worst['system']}, {loss} at {worst['amount']:g} ({worst['kind']})\n{title}")
    fig.legend(loc="outside lower center", ncols=4, fontsize=10)
    return fig
