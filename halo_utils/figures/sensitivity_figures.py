"""Figures of notebook 12: what the gate's numbers, learned gates and choices of the design are worth, and errors."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from halo_utils.evaluation.errors import ALL
from halo_utils.evaluation.learned_gates import TITLES
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.sensitivity import ORACLE, RULE
from halo_utils.figures.plots import error_bars
from halo_utils.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure

SETS = {"val": "validation"}
LEAST_EXPECTED = 1.0  # shared errors of independent models; a ratio to less is a lottery


def confidence_curves(sweeps: list[pd.DataFrame], metric: str, paper: float, title: str) -> Figure:
    """Draw ``sensitivity.sweep_confidence`` of several sets: what the gate gains, and what a perfect one would."""
    fig, axes = new_figure(5.6 * len(sweeps), 4.9, len(sweeps))
    looks = {RULE: (BLUE, "o", "HALO's rule"), ORACLE: (GREEN, "^", "oracle, an upper bound")}
    for ax, sweep in zip(np.atleast_1d(axes), sweeps, strict=True):
        rows, split = sweep[sweep["metric"] == metric], str(sweep["split"].iloc[0])
        for opinion, (colour, marker, words) in looks.items():
            own = rows[rows["opinion"] == opinion]
            ax.plot(own["confidence"], own["gain"], color=colour, marker=marker, label=words)
            ax.fill_between(own["confidence"], own["ci_low"], own["ci_high"], color=colour, alpha=0.18, linewidth=0)
        own = rows[rows["opinion"] == RULE]
        look = {"color": ORANGE, "marker": "x", "linestyle": ":", "label": "as many vetoes at random"}
        ax.plot(own["confidence"], own["random_gain"], **look)
        ax.axhline(0, color="black", linewidth=1)
        ax.axvline(paper, color=GREY, linestyle="--", label=f"the run's confidence, {paper:g}")
        first, _, rest = split.partition(", ")
        where = ", ".join(filter(None, [SETS.get(first, first), rest]))
        ax.set(xlabel="confidence of the gate", title=where)
        ax.set(ylabel=f"{METRIC_TITLES[metric]}, gate minus sequence model" if ax is fig.axes[0] else "")
    low, high = zip(*(ax.get_ylim() for ax in fig.axes), strict=True)
    for ax in fig.axes:
        ax.set_ylim(min(low), max(high))
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=11)
    fig.suptitle(title)
    return fig


def band_map(sweep: pd.DataFrame, chosen: pd.Series, metric: str, title: str) -> Figure:
    """Draw ``sensitivity.sweep_band``: a score over threshold and width of the band, the best cell framed."""
    table = sweep.pivot(index="threshold", columns="width", values=metric).sort_index(ascending=False)
    fig, ax = new_figure(8.2, 0.42 * len(table) + 1.8)
    look = {"annot": True, "fmt": ".3f", "cmap": "cividis", "annot_kws": {"size": 10}}
    sns.heatmap(table, ax=ax, cbar_kws={"label": METRIC_TITLES[metric]}, **look)
    at = table.columns.get_loc(chosen["width"]), table.index.get_loc(chosen["threshold"])
    ax.add_patch(Rectangle(at, 1, 1, fill=False, edgecolor=VERMILION, linewidth=3, clip_on=False))
    ax.set_yticklabels([f"{value:.2f}" for value in table.index], rotation=0)
    ax.set(xlabel="width of the band above the threshold (0: no gate)", ylabel="threshold", title=title)
    return fig


def gate_forest(compared: pd.DataFrame, metrics: tuple[str, ...], title: str) -> Figure:
    """Draw ``learned_gates.compare_gates``: every gate minus the sequence model alone, with paired intervals."""
    rows = compared[compared["second"] == "sequence"].drop(columns="value", errors="ignore")
    rows = rows.rename(columns={"difference": "value"})
    names = list(pd.unique(rows["first"]))
    fig, ax = new_figure(9.5, 0.62 * len(names) + 2.2)
    y = pd.Series(np.arange(len(names))[::-1], index=names)
    looks = ((BLUE, "o"), (ORANGE, "s"))[: len(metrics)]  # a third metric has none
    for i, (metric, (colour, marker)) in enumerate(zip(metrics, looks, strict=True)):
        own = rows[rows["metric"] == metric]
        look = {"fmt": marker, "color": colour, "capsize": 3, "label": METRIC_TITLES[metric]}
        ax.errorbar(own["value"], y[own["first"]] + 0.16 - 0.32 * i, xerr=error_bars(own), **look)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(y, [TITLES[name] for name in names])
    ax.set(xlabel="gate minus sequence model, 95 % interval", ylim=(-0.6, len(names) - 0.4))
    ax.locator_params("x", nbins=6)
    fig.legend(loc="outside lower center", ncols=2)
    fig.suptitle(title)
    return fig


def errors_by_part(scores: pd.DataFrame, shared: pd.DataFrame, titles: dict[str, str], title: str) -> Figure:
    """Draw micro F1 of both models on every part of a set, beside how many errors they share beyond chance."""
    parts = list(dict.fromkeys(zip(scores["stratum"], scores["part"], strict=True)))
    fig, (left, right) = new_figure(13.0, 0.36 * len(parts) + 2.0, panels=2)
    y = pd.Series(np.arange(len(parts))[::-1], index=pd.MultiIndex.from_tuples(parts))
    for i, (system, colour, marker) in enumerate(zip(titles, (BLUE, ORANGE), "os", strict=False)):
        own = scores[scores["system"] == system]
        at = y.loc[list(zip(own["stratum"], own["part"], strict=True))].to_numpy() + 0.16 - 0.32 * i
        look = {"fmt": marker, "color": colour, "capsize": 2, "label": titles[system]}
        left.errorbar(own["value"], at, xerr=error_bars(own), **look)
    proteins = scores.drop_duplicates(["stratum", "part"])["proteins"]
    names = [(f"{b}" if a in (ALL, "location") else f"{a}: {b}") for a, b in parts]
    left.set_yticks(y, [f"{name} ({n:,})" for name, n in zip(names, proteins, strict=True)])
    left.set(xlim=(0, 1.02), xlabel="micro F1, 95 % interval", ylim=(-0.7, len(parts) - 0.3))
    known = shared[shared["expected"] >= LEAST_EXPECTED].rename(columns={"ratio": "value"})
    at = y.loc[list(zip(known["stratum"], known["part"], strict=True))].to_numpy()
    right.errorbar(known["value"], at, xerr=error_bars(known), fmt="D", color=GREEN, capsize=2)
    right.axvline(1, color="black", linewidth=1)
    words = f"shared errors / expected if independent\n(drawn from {LEAST_EXPECTED:g} expected error on)"
    right.set(xlabel=words, ylim=left.get_ylim(), xlim=(0, None), yticks=y, yticklabels=[""] * len(parts))
    fig.legend(loc="outside lower center", ncols=2)
    fig.suptitle(title)
    return fig


def trials_forest(differences: pd.DataFrame, metric: str, relevant: float, title: str) -> Figure:
    """Draw ``trials.run_trials``: every variant minus the reference of its study, means over seeds with intervals.

    The grey strip is what is smaller than the relevant size.
    """
    rows = differences[differences["metric"] == metric].rename(columns={"difference": "value"}).reset_index(drop=True)
    studies = list(rows.groupby("study", sort=False))
    lines = len(rows) + len(studies)
    fig, ax = new_figure(9.5, 0.4 * lines + 1.9)
    ax.axvspan(-relevant, relevant, color=GREY, alpha=0.25, linewidth=0, label=f"under {relevant:.3f}")
    ax.axvline(0, color="black", linewidth=1)
    at, ticks, names = lines, [], []
    for study, own in studies:
        at -= 1
        ticks.append(at)
        names.append(f"{study}: {own['second'].iloc[0]}")
        ax.plot(0, at, "D", color="black", markerfacecolor="white", label="reference" if at == lines - 1 else None)
        y = at - 1 - np.arange(len(own))
        ax.errorbar(own["value"], y, xerr=error_bars(own), fmt="o", color=BLUE, capsize=3)
        ax.hlines(y, own["lowest"], own["highest"], color=ORANGE, linewidth=4, alpha=0.6)
        ticks += list(y)
        names += [name.replace("_", " and ") for name in own["first"]]
        at = int(y[-1])
    ax.hlines([], 0, 0, color=ORANGE, linewidth=4, alpha=0.6, label="range over seeds")
    ax.set_yticks(ticks, names)
    ax.set(xlabel=f"{METRIC_TITLES[metric]}, variant minus reference, 95 % interval", ylim=(-0.8, lines - 0.2))
    fig.legend(loc="outside lower center", ncols=3)
    fig.suptitle(title)
    return fig
