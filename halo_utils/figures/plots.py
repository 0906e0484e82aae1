"""Figures of one run: data in, matplotlib figure out; the title says what was found, computed from the data."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from halo_utils.evaluation.systems import TITLES
from halo_utils.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    STYLE,
    VERMILION,
    location_colour,
    model_colour,
    new_figure,
)

LEAST_SEEDS = 3  # runs from which a spread between seeds is known


def error_bars(rows: pd.DataFrame) -> np.ndarray:
    """Return how far the ends of the intervals lie from the values, [2, rows]."""
    return np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())


def _at_the_end(ax: Axes, ends: Mapping[str, tuple[float, float, tuple[float, ...]]], gap: float = 0.06) -> None:
    """Write names beside the ends (x, y) of their lines, in their colours, moved apart by a share of the axis."""
    (low, high), last = ax.get_ylim(), -np.inf
    for name, (x, y, colour) in sorted(ends.items(), key=lambda end: end[1][1]):
        last = max(y, last + gap * (high - low))
        ax.annotate(name, (x, last), (6, 0), textcoords="offset points", color=colour, va="center", fontsize=11)


def sweep_curve(sweep: pd.DataFrame, chosen: float, title: str) -> Figure:
    """Draw macro F1, micro F1 and accuracy over the thresholds of the sweep."""
    fig, ax = new_figure(8.5, 4.3)
    names = {"macro_f1": "macro F1", "micro_f1": "micro F1", "accuracy": "subset accuracy"}
    ends = {}
    for (column, name), colour, marker in zip(names.items(), (BLUE, ORANGE, GREEN), "os^", strict=True):
        ax.plot(sweep["threshold"], sweep[column], color=colour, marker=marker, markersize=5)
        ends[name] = (sweep["threshold"].iloc[-1], sweep[column].iloc[-1], colour)
    ax.axvline(chosen, color="black", linestyle="--")
    ax.set(xlabel="threshold", ylabel="validation score", ylim=(0, 1))
    ax.annotate(f"chosen: {chosen:.2f}", (chosen, 0.03), (5, 0), textcoords="offset points")
    _at_the_end(ax, ends)
    best = sweep["macro_f1"].max()
    near = sweep.loc[sweep["macro_f1"] >= best - 0.01, "threshold"]
    found = f"Macro F1 is highest at {chosen:.2f}, and within 0.01 of that from {near.min():.2f} to {near.max():.2f}"
    fig.suptitle(f"{found}\n{title}")
    return fig


def training_curves(histories: dict[str, pd.DataFrame], title: str) -> Figure:
    """Draw losses and validation macro F1 per epoch, a ring at the best; several are graph networks, in greens."""
    fig, (left, right) = new_figure(11.5, 4.8, panels=2)
    shades = sns.blend_palette(("#5bbf9a", GREEN, "#013a2b"), len(histories)) if len(histories) > 1 else (BLUE,)
    colours = dict(zip(histories, shades, strict=True))
    for i, (name, history) in enumerate(histories.items()):
        look = {"color": colours[name], "markersize": 3}
        left.plot(history["epoch"], history["train_loss"], **look)
        left.plot(history["epoch"], history["val_loss"], **look, linestyle="--")
        right.plot(history["epoch"], history["val_macro_f1"], **look, marker="os^D"[i % 4])
        best = history.loc[history["val_macro_f1"].idxmax()]
        right.plot(best["epoch"], best["val_macro_f1"], "o", markersize=11, markerfacecolor="none", color=colours[name])
    for words, style in (("loss on train", "-"), ("loss on validation", "--")):
        left.plot([], [], color=INK, linestyle=style, label=words)
    left.set(xlabel="epoch", title="loss")
    right.set(xlabel="epoch", title="macro F1 on validation, best threshold")
    left.legend()
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    tops = {name: history["val_macro_f1"].max() for name, history in histories.items()}
    if len(histories) > 1:
        last = {name: h.iloc[-1] for name, h in histories.items()}
        _at_the_end(right, {n: (row["epoch"], row["val_macro_f1"], colours[n]) for n, row in last.items()})
    best = max(tops, key=lambda name: tops[name])
    epoch = int(histories[best].loc[histories[best]["val_macro_f1"].idxmax(), "epoch"])
    fig.suptitle(f"{best} reaches the highest validation macro F1, {tops[best]:.3f}, in epoch {epoch}\n{title}")
    return fig


def weight_heatmap(grid: pd.DataFrame, seeds: tuple[int, float], title: str) -> Figure | None:
    """Draw how far each pair of weights falls short of the best; None where the grid differs no more than seeds do.

    ``seeds`` is how many runs there are and the spread between them (``seeds.validation_spread``). With fewer than
    ``LEAST_SEEDS`` runs the noise is not known, and nothing is drawn.
    """
    spread = grid["val_macro_f1"].max() - grid["val_macro_f1"].min()
    if seeds[0] < LEAST_SEEDS or spread <= seeds[1]:
        return None
    fig, ax = new_figure(6.4, 4.6)
    table = grid.pivot(index="coord", columns="bio", values="val_macro_f1").sort_index(ascending=False)
    look = {"annot": True, "fmt": ".3f", "cmap": "cividis", "vmin": -max(0.05, spread), "vmax": 0}
    sns.heatmap(table - table.max(axis=None), ax=ax, cbar_kws={"label": "macro F1 below the best pair"}, **look)
    ax.set(xlabel="weight of biochemistry", ylabel="weight of coordinates")
    fig.suptitle(f"Weights differ by {spread:.3f}, seeds by {seeds[1]:.3f}\n{title}")
    return fig


def gate_changes(counts: pd.DataFrame, title: str) -> Figure:
    """Draw, per location, the labels the gate was asked about and whether they were true."""
    locations, (fig, ax) = list(pd.unique(counts["location"])), new_figure(10.0, 4.8)
    kinds = {"agreed": "kept, GAT agrees", "no_structure": "kept, no structure", "vetoed": "removed by the GAT"}
    for i, ((code, name), colour) in enumerate(zip(kinds.items(), (GREEN, INK, VERMILION), strict=True)):
        rows = counts[counts["decision"] == code].set_index("location").reindex(locations)
        x, false = np.arange(len(locations)) + (i - 1) * 0.27, rows["labels"] - rows["true"]
        ax.bar(x, rows["true"], 0.25, color=colour, label=f"{name}: true label")
        look = {"color": colour, "alpha": 0.4, "hatch": "//", "edgecolor": "white"}
        ax.bar(x, false, 0.25, bottom=rows["true"], label=f"{name}: false label", **look)
    ax.set_xticks(range(len(locations)), locations, rotation=35, ha="right")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(ylabel="labels inside the band")
    vetoed = counts[counts["decision"] == "vetoed"].set_index("location")
    removed, true = int(vetoed["labels"].sum()), int(vetoed["true"].sum())
    most = f", most of them in {vetoed['labels'].idxmax()}" if removed else ""
    fig.suptitle(f"The GAT removed {removed - true:,} false and {true:,} true labels{most}\n{title}")
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    return fig


def co_occurrence_map(table: pd.DataFrame, title: str) -> Figure:
    """Draw the Jaccard index of every two locations (left) and how many proteins each one has (right).

    ``table`` counts proteins that carry both, [K, K], the diagonal all of a location.
    """
    names, count = list(table.index), table.to_numpy()
    size = np.diag(count)
    jaccard = np.divide(count, size[:, None] + size - count, out=np.zeros(count.shape), where=count > 0)
    shown = np.tril(np.ones_like(count, dtype=bool), -1)
    plt.rcParams.update(STYLE)
    fig, (left, right) = plt.subplots(1, 2, figsize=(11.0, 6.0), width_ratios=(1.7, 1), layout="constrained")
    words = np.where(count > 0, [[f"{x:,}" for x in row] for row in count], "")
    look = {"cmap": "Blues", "vmin": 0, "annot": words, "fmt": "", "annot_kws": {"size": 10}, "linewidths": 0.5}
    sns.heatmap(jaccard, mask=~shown, xticklabels=names, yticklabels=names, ax=left, **look)
    left.set_xticklabels(names, rotation=40, ha="right")
    left.set_title("proteins in both; colour: their share of those in either")
    right.barh(names, size, color=[location_colour(name) for name in names])
    right.bar_label(right.containers[0], fmt="{:,.0f}", padding=3)
    right.invert_yaxis()
    right.set(title="proteins", yticklabels=[], xticks=[])
    right.spines["bottom"].set_visible(False)
    i, j = np.unravel_index(np.argmax(np.where(shown, jaccard, -1)), jaccard.shape)
    found = f"{names[j]} and {names[i]} overlap most: {count[i, j]:,} proteins are in both"
    fig.suptitle(f"{found}\n{title}" if count[i, j] else f"No protein has two locations\n{title}")
    return fig


def pretraining_figure(history: pd.DataFrame, unigram: float, title: str) -> Figure:
    """Draw held-out perplexity against the tokens seen, beside the perplexity ``unigram`` of residue frequencies."""
    fig, ax = new_figure(8.5, 4.2)
    ax.plot(history["tokens"], history["val_perplexity"], color=BLUE, marker="o", markersize=4)
    ax.axhline(unigram, color=GREY, linestyle="--")
    ax.set(xlabel="tokens seen", ylabel="perplexity, held out")
    last = history.iloc[-1]
    _at_the_end(ax, {"model": (last["tokens"], last["val_perplexity"], BLUE)})
    ax.annotate("residue frequencies", (0.02, unigram), (0, 4), xycoords=("axes fraction", "data"),
                textcoords="offset points", color="0.35")  # fmt: skip
    fig.suptitle(f"Perplexity {last['val_perplexity']:.1f} where residue frequencies reach {unigram:.1f}\n{title}")
    return fig


def containment_curve(curve: pd.DataFrame, title: str) -> Figure:
    """Draw ``containment.by_containment``: micro F1 against the share of 6-mers in one seen protein, per test set."""
    inside = curve[(curve["range"] == "inside") & (curve["metric"] == "micro_f1")]
    panels = list(inside.groupby("split", sort=False))
    fig, axes = new_figure(max(9.0, 6.5 * len(panels)), 5.0, len(panels))
    for ax, (split, rows) in zip(np.atleast_1d(axes), panels, strict=True):
        ticks = rows.drop_duplicates("low").sort_values("low")
        for i, (system, values) in enumerate(rows.groupby("system", sort=False)):
            x = np.searchsorted(ticks["low"], values["low"]) + 0.12 * (i - 1)
            look = {"color": GREY if system == "nearest" else model_colour(system), "marker": "os^"[i % 3]}
            look |= {"capsize": 3, "label": TITLES[system] if ax is fig.axes[0] else None}
            ax.errorbar(x, values["value"], error_bars(values), **look)
        names = [f"{100 * r.low:.0f}–{r.high:.0%}\n{r.n:,}" for r in ticks.itertuples()]
        ax.set_xticks(range(len(ticks)), names, fontsize=10)
        ax.set(xlabel="6-mers in one seen protein; proteins", ylabel="micro F1", ylim=(0, 1.02), title=str(split))
    first = panels[0][1].query("system == 'esm'").sort_values("low")["value"]
    ends = f"{first.iloc[0]:.2f} for the least similar proteins, {first.iloc[-1]:.2f} for the most similar"
    fig.suptitle(f"Micro F1 of {TITLES['esm']}: {ends}\n{title}" if len(first) > 1 else title)
    fig.legend(loc="outside lower center", ncols=3)
    return fig
