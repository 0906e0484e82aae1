"""Figures of notebook 03: how often predictions of a confidence are right, and where the gate works."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halo_utils.evaluation.calibration import LOWEST, TOLERANCE
from halo_utils.figures.plots import error_bars
from halo_utils.figures.style import BLUE, GREEN, GREY, ORANGE, STYLE, VERMILION, new_figure

STEP = 0.05  # width of a range of Fig. 4
LEAST_PAIRS = 5  # of a tenth of the probabilities; a share of fewer says nothing
LOOKS = ((False, BLUE, "o", "as trained"), (True, VERMILION, "s", "after temperature scaling"))


def _place(confidence: float) -> float:
    """Return where a confidence lies on the axis of Fig. 4, the lowest range at 0, at least at its left end."""
    return max((confidence - LOWEST) / STEP, 0.0) - 0.5


def _ranges(ax: Axes, bins: pd.DataFrame) -> pd.DataFrame:
    """Name the ranges of Fig. 4 on an axis; return them from low to high confidence."""
    bins = bins.sort_values("low", ignore_index=True)
    names = [f"{100 * low:.0f}–{high:.0%}" for low, high in zip(bins["low"], bins["high"], strict=True)]
    ax.set_xticks(range(len(bins)), names, rotation=45, ha="right")
    return bins


def _confidence_panel(
    top: Axes, low: Axes, bins: pd.DataFrame, band: tuple[float, float], paper: tuple[float, float, float]
) -> None:
    """Draw one ground: accuracy with the paper's statements above, right and wrong predictions below."""
    bins = _ranges(low, bins)
    x, right = np.arange(len(bins)), len(bins) - 0.5
    ends = _place(band[0]), _place(band[1])
    below = ", which begins below these ranges" if band[0] < LOWEST - TOLERANCE else ""
    name = f"band of the gate, {100 * band[0]:.0f}–{band[1]:.0%}{below}"
    for ax in (top, low):
        if ends[0] < ends[1]:
            ax.axvspan(*ends, color=GREEN, alpha=0.15, linewidth=0, label=name if ax is top else None)
    low.bar(x, bins["total"] - bins["wrong"], 0.8, color=BLUE, label="right")
    look = {"color": VERMILION, "hatch": "//", "edgecolor": "white", "linewidth": 0}
    low.bar(x, bins["wrong"], 0.8, bottom=bins["total"] - bins["wrong"], label="wrong", **look)
    low.set(xlabel="confidence range of the fine-tuned ESM", xlim=(-0.6, right))
    filled = bins[bins["accuracy"].notna()].rename(columns={"accuracy": "value"})
    look = {"color": BLUE, "marker": "o", "capsize": 3, "label": "ours, 95 % interval over families"}
    top.errorbar(x[filled.index], filled["value"], error_bars(filled), **look)
    gate, level, wrong = paper
    edge = _place(gate)
    look = {"color": "0.35", "linewidth": 2}
    top.plot([-0.5, edge], [1 - wrong] * 2, **look, label="the paper's text: nearly half are wrong")
    words = f"the paper's text: at least {level:.0%} are right"
    top.plot([edge, right], [level] * 2, **look, linestyle="--", label=words)
    top.set(ylim=(0, 1.05))


def crossing_title(bins: pd.DataFrame, paper: tuple[float, float, float], where: str) -> str:
    """Return from which confidence on every range drawn is right often enough, beside the paper's.

    ``bins`` are the ranges of one ground; ``paper`` is its gate, the accuracy it asks for and the share it calls wrong
    below the gate.
    """
    gate, level, _ = paper
    filled = bins.dropna(subset="accuracy").sort_values("low")
    poor = filled.loc[filled["accuracy"] < level, "high"]
    start = poor.max() if len(poor) else filled["low"].min()
    found = f"from {start:.0%} confidence on" if start < 1 - TOLERANCE else "from no confidence on"
    text = f"Predictions are right at least {level:.0%} of the time {found}; the paper reads {gate:.0%}"
    return f"{text}\nleast reliable range: {filled['accuracy'].min():.0%} right; {where}"


def confidence_ranges(
    bins: pd.DataFrame, band: tuple[float, float], paper: tuple[float, float, float], title: str
) -> Figure:
    """Draw Fig. 4, one column per ground: accuracy with intervals, and right and wrong predictions stacked below.

    ``bins`` is ``calibration.confidence_bins`` with a column ground; ``band`` is the threshold and the confidence of
    the gate, which is shaded; ``paper`` is as in ``crossing_title``.
    """
    grounds = list(bins.groupby("ground", sort=False))
    plt.rcParams.update(STYLE)
    size = {"figsize": (max(9.0, 6.5 * len(grounds)), 7.0), "height_ratios": (1.2, 1)}
    fig, axes = plt.subplots(2, len(grounds), squeeze=False, sharex="col", sharey="row", layout="constrained", **size)
    for (top, low), (ground, rows) in zip(axes.T, grounds, strict=True):
        _confidence_panel(top, low, rows, band, paper)
        top.set_title(f"{ground}: {rows['total'].sum():,} predictions")
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("pairs of protein and location")
    fig.suptitle(title)
    shown = [part for ax in axes[:, 0] for part in _legend(ax)]
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
    x, edge = np.arange(len(ranges)), _place(paper[0])
    wrong = pd.DataFrame({"value": 1 - ranges["accuracy"], "ci_low": 1 - ranges["ci_high"]})
    wrong["ci_high"] = 1 - ranges["ci_low"]
    left.bar(x, wrong["value"], 0.8, color=ORANGE, yerr=error_bars(wrong), capsize=3, label="one range")
    for i, row in enumerate(shares.itertuples()):
        ends = (_place(row.low), _place(row.high))
        left.fill_between(ends, row.ci_low, row.ci_high, color=BLUE, alpha=0.25, linewidth=0)
        left.plot(ends, [row.wrong] * 2, color=BLUE, label="" if i else "all ranges together")
    _ranges(right, bins)
    below = x[x < edge]
    look = {"color": "none", "edgecolor": ORANGE, "hatch": "//"}
    right.bar(below, paper[1], 0.8, label=f'"nearly half", drawn at {paper[1]:.0%}', **look)
    right.text((edge + len(ranges)) / 2, 0.5, "no share given", ha="center", color="#333333")
    for ax, name in ((left, "ours, 95 % intervals over families"), (right, "the paper's statement")):
        ax.axvline(edge, color=GREEN, linestyle="--", label=f"{paper[0]:.0%}, confidence of the gate")
        ax.set(ylim=(0, 1), xlim=(-0.6, len(ranges) - 0.4), title=name, xlabel="confidence range")
        ax.set_ylabel("share of wrong predictions")
        ax.legend(loc="upper right")
    under = shares[shares["high"] <= paper[0] + TOLERANCE].iloc[0]
    interval = f"[{under.ci_low:.0%}, {under.ci_high:.0%}]"
    fig.suptitle(f"Below {paper[0]:.0%} confidence {under.wrong:.0%} {interval} of our predictions are wrong\n{title}")
    return fig


def reliability_diagram(table: pd.DataFrame, errors: pd.DataFrame, title: str) -> Figure:
    """Draw observed frequency against predicted probability, a panel per location, over how many pairs there are.

    ``table`` is ``temperature.reliability_by_location``, ``errors`` is ``temperature.before_and_after``. Tenths with
    fewer than ``LEAST_PAIRS`` pairs are left out of the lines.
    """
    locations = list(pd.unique(table["location"]))
    columns, rows = min(5, len(locations)), -(-len(locations) // 5)
    plt.rcParams.update(STYLE)
    size = {"figsize": (2.5 * columns + 0.5, 2.9 * rows + 1.2), "squeeze": False}
    fig, axes = plt.subplots(rows, columns, sharex=True, sharey=True, layout="constrained", **size)
    known = errors.set_index("location")
    for ax, name in zip(axes.flat, locations, strict=False):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle=":")
        own = table[table["location"] == name]
        raw = own[~own["scaled"]]
        heights = 0.3 * np.log10(raw["pairs"] + 1) / np.log10(table["pairs"].max() + 1)
        ax.bar((raw["bin"] + 0.5) / 10, heights, 0.09, color=GREY, alpha=0.35)
        for scaled, colour, marker, words in LOOKS:
            shown = own[(own["scaled"] == scaled) & (own["pairs"] >= LEAST_PAIRS)]
            look = {"color": colour, "marker": marker, "markersize": 4}
            label = words if ax is axes[0, 0] else None
            ax.plot(shown["probability"], shown["observed"], label=label, **look)
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        before, after = known.loc[name, ["error_before", "error_after"]]
        ax.set_title(f"{name}\n{before:.3f} → {after:.3f}", fontsize=11)
    axes[-1, columns // 2].set_xlabel("predicted probability (bars: pairs, on a logarithmic scale)")
    axes[rows // 2, 0].set_ylabel("share that is true")
    worst = known.drop(index="all locations")["error_before"]
    means = known.loc["all locations", ["error_before", "error_after"]]
    found = f"Probabilities miss the true share by {means.iloc[0]:.3f} on average, {means.iloc[1]:.3f} after scaling"
    fig.suptitle(f"{found}\nmost for {worst.idxmax()} ({worst.max():.3f}); {title}")
    fig.legend(loc="outside lower center", ncols=2)
    return fig
