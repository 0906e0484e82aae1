"""Figures of notebook 03: how often predictions of a confidence are right, and where the gate works."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halo_utils.evaluation.calibration import LOWEST, TOLERANCE
from halo_utils.figures.plots import error_bars
from halo_utils.figures.style import BLUE, GREEN, GREY, ORANGE, new_figure

STEP = 0.05  # width of a range of Fig. 4


def _place(confidence: float, ranges: int) -> float:
    """Return where a confidence lies on the axis of Fig. 4, the highest range at 0, at most at its right end."""
    return min((1 - confidence) / STEP, float(ranges)) - 0.5


def _ranges(ax: Axes, bins: pd.DataFrame) -> pd.DataFrame:
    """Name the ranges of Fig. 4 on an axis; return them from high to low confidence."""
    bins = bins.sort_values("low", ascending=False, ignore_index=True)
    names = [f"{100 * high:.0f}–{low:.0%}" for low, high in zip(bins["low"], bins["high"], strict=True)]
    ax.set_xticks(range(len(bins)), names, rotation=45, ha="right")
    return bins


def _confidence_panel(ax: Axes, bins: pd.DataFrame, band: tuple[float, float], level: float) -> None:
    bins = _ranges(ax, bins)
    x, right = np.arange(len(bins)), len(bins) - 0.5
    ends = _place(band[1], len(bins)), _place(band[0], len(bins))
    below = ", which begins below these ranges" if band[0] < LOWEST - TOLERANCE else ""
    name = f"band of the gate, {100 * band[0]:.0f}–{band[1]:.0%}{below}"
    if ends[0] < ends[1]:
        ax.axvspan(*ends, color=GREEN, alpha=0.15, linewidth=0, label=name)
    ax.bar(x - 0.2, bins["total"], 0.4, color=BLUE, label="predictions")
    ax.bar(x + 0.2, bins["wrong"], 0.4, color=ORANGE, label="wrong predictions", hatch="//", edgecolor="white")
    ax.set(xlabel="confidence range of the fine-tuned ESM", ylabel="pairs of protein and location", xlim=(-0.6, right))
    line = ax.twinx()
    line.spines["right"].set_visible(True)
    filled = bins[bins["accuracy"].notna()].rename(columns={"accuracy": "value"})
    look = {"color": "black", "marker": "o", "capsize": 3, "label": "accuracy, 95 % interval over families"}
    line.errorbar(x[filled.index], filled["value"], error_bars(filled), **look)
    line.axhline(level, color=GREY, linestyle=":", label=f"{level:.0%} accuracy")
    line.set(ylim=(0, 1.05), ylabel="accuracy")


def confidence_ranges(bins: pd.DataFrame, band: tuple[float, float], level: float, title: str) -> Figure:
    """Draw Fig. 4, one panel per ground: predictions and wrong ones (bars), accuracy with intervals (line).

    ``bins`` is ``calibration.confidence_bins`` with a column ground; ``band`` is the threshold and the confidence of
    the gate, which is shaded; ``level`` the accuracy that the paper asks for.
    """
    panels = list(bins.groupby("ground", sort=False))
    fig, axes = new_figure(max(9.0, 7.5 * len(panels)), 5.4, len(panels))
    for ax, (ground, rows) in zip(np.atleast_1d(axes), panels, strict=True):
        _confidence_panel(ax, rows, band, level)
        ax.set_title(f"{ground}: {rows['total'].sum():,} predictions")
    fig.suptitle(title)
    shown = [part for ax in (np.atleast_1d(axes)[0], fig.axes[len(panels)]) for part in _legend(ax)]
    fig.legend(*zip(*shown, strict=True), loc="outside lower center", ncols=2)
    return fig


def _legend(ax: Axes) -> list[tuple]:
    return list(zip(*ax.get_legend_handles_labels(), strict=True))


def beside_the_statement(bins: pd.DataFrame, shares: pd.DataFrame, paper: tuple[float, float], title: str) -> Figure:
    """Draw the share of wrong predictions per range, ours with intervals, beside what the paper says of them.

    ``bins`` is ``calibration.confidence_bins`` on one set, ``shares`` has low, high, wrong, ci_low, ci_high of what
    lies under the confidence of the gate and above; ``paper`` is that confidence and the share that the paper states
    below it. Its text gives no share above.
    """
    fig, (left, right) = new_figure(13.0, 5.2, panels=2)
    ranges = _ranges(left, bins)
    x, edge = np.arange(len(ranges)), _place(paper[0], len(ranges))
    wrong = pd.DataFrame({"value": 1 - ranges["accuracy"], "ci_low": 1 - ranges["ci_high"]})
    wrong["ci_high"] = 1 - ranges["ci_low"]
    left.bar(x, wrong["value"], 0.8, color=ORANGE, yerr=error_bars(wrong), capsize=3, label="one range")
    for i, row in enumerate(shares.itertuples()):
        ends = (_place(row.high, len(ranges)), _place(row.low, len(ranges)))
        left.fill_between(ends, row.ci_low, row.ci_high, color=BLUE, alpha=0.25, linewidth=0)
        left.plot(ends, [row.wrong] * 2, color=BLUE, label="" if i else "all ranges together")
    _ranges(right, bins)
    below = x[x > edge]
    look = {"color": "none", "edgecolor": ORANGE, "hatch": "//"}
    right.bar(below, paper[1], 0.8, label=f'"nearly half", drawn at {paper[1]:.0%}', **look)
    right.text(edge / 2 - 0.25, 0.5, "no share given", ha="center", color="#333333")
    for ax, name in ((left, "ours, 95 % intervals over families"), (right, "the paper's statement")):
        ax.axvline(edge, color=GREEN, linestyle="--", label=f"{paper[0]:.0%}, confidence of the gate")
        ax.set(ylim=(0, 1), xlim=(-0.6, len(ranges) - 0.4), title=name, xlabel="confidence range")
        ax.set_ylabel("share of wrong predictions")
        ax.legend(loc="upper left")
    fig.suptitle(title)
    return fig


def reliability_diagram(table: pd.DataFrame, error: float, title: str) -> Figure:
    """Draw observed frequency against mean predicted probability; the point area grows with the pairs."""
    fig, ax = new_figure(5.6, 5.2)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect calibration")
    ax.plot(table["probability"], table["observed"], color=BLUE)
    area = 20 + 40 * np.log10(table["pairs"].clip(lower=1))
    ax.scatter(table["probability"], table["observed"], s=area, color=BLUE, label="all labels, ten bins")
    title = f"{title}\nexpected calibration error {error:.3f}"
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share that is true", title=title)
    ax.legend(loc="upper left")
    return fig
