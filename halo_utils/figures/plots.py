"""Figures of one run: data in, matplotlib figure out."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from halo_utils.evaluation.systems import TITLES
from halo_utils.figures.style import BLUE, COLOURS, GREEN, GREY, ORANGE, VERMILION, new_figure


def error_bars(rows: pd.DataFrame) -> np.ndarray:
    """Return how far the ends of the intervals lie from the values, [2, rows]."""
    return np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())


def sweep_curve(sweep: pd.DataFrame, chosen: float, title: str) -> Figure:
    """Draw macro F1, micro F1 and accuracy over the thresholds of the sweep."""
    fig, ax = new_figure(7.5, 4.3)
    names = {"macro_f1": "macro F1", "micro_f1": "micro F1", "accuracy": "subset accuracy"}
    for (column, name), colour, marker in zip(names.items(), (BLUE, ORANGE, GREEN), "os^", strict=True):
        ax.plot(sweep["threshold"], sweep[column], color=colour, marker=marker, label=name)
    ax.axvline(chosen, color="black", linestyle="--", label=f"chosen: {chosen:.2f}")
    ax.set(xlabel="threshold", ylabel="validation score", ylim=(0, 1), title=title)
    fig.legend(loc="outside lower center", ncols=4, fontsize=10)
    return fig


def training_curves(histories: dict[str, pd.DataFrame], title: str) -> Figure:
    """Draw losses and validation macro F1 per epoch, one colour per model."""
    fig, (left, right) = new_figure(10, 5.0, panels=2)
    for (name, history), colour in zip(histories.items(), COLOURS, strict=False):
        left.plot(history["epoch"], history["train_loss"], color=colour)
        left.plot(history["epoch"], history["val_loss"], color=colour, linestyle="--")
        right.plot(history["epoch"], history["val_macro_f1"], color=colour, marker="o", markersize=4, label=name)
    for words, style in (("loss on train", "-"), ("loss on validation", "--")):
        left.plot([], [], color="#333333", linestyle=style, label=words)
    left.set(xlabel="epoch", ylabel="loss", title="loss")
    right.set(xlabel="epoch", ylabel="macro F1 at the best threshold", title="validation macro F1", ylim=(0, 1))
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    fig.suptitle(title)
    return fig


def mcc_per_label(metrics: pd.DataFrame, published: pd.DataFrame, systems: dict[str, str], title: str) -> Figure:
    """Draw MCC per location of one test set: ours with intervals (filled) beside the published values (open).

    ``systems`` is our system -> column of the tidy published table, "" where the paper has none.
    """
    mcc, paper = (table[table["metric"] == "mcc"].set_index("label") for table in (metrics, published))
    locations, (fig, ax) = list(pd.unique(mcc.index)), new_figure(10.5, 5.0)
    width = 0.8 / len(systems)
    for i, (system, column) in enumerate(systems.items()):
        x = np.arange(len(locations)) + (i - (len(systems) - 1) / 2) * width
        rows = mcc[mcc["system"] == system].reindex(locations)
        look = {"fmt": "o", "color": COLOURS[i], "capsize": 3, "label": f"{TITLES[system]}, ours"}
        ax.errorbar(x, rows["value"], error_bars(rows), **look)
        if column:
            values = paper.loc[paper["system"] == column, "published"].reindex(locations)
            ax.plot(x, values, "D", markerfacecolor="none", markeredgecolor=COLOURS[i], label=f"{column}, paper")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_xticks(range(len(locations)), locations, rotation=35, ha="right")
    ax.set(ylabel="MCC", ylim=(-0.25, 1.05), title=title)
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    return fig


def weight_heatmap(grid: pd.DataFrame, title: str) -> Figure:
    """Draw validation macro F1 over the weights of coordinates and biochemistry."""
    fig, ax = new_figure(5.8, 4.4)
    table = grid.pivot(index="coord", columns="bio", values="val_macro_f1").sort_index(ascending=False)
    sns.heatmap(table, annot=True, fmt=".3f", cmap="cividis", ax=ax, cbar_kws={"label": "validation macro F1"})
    ax.set(xlabel="weight of biochemistry", ylabel="weight of coordinates", title=title)
    return fig


def gate_changes(counts: pd.DataFrame, title: str) -> Figure:
    """Draw, per location, the labels the gate was asked about and whether they were true."""
    locations, (fig, ax) = list(pd.unique(counts["location"])), new_figure(10.0, 4.8)
    kinds = {"agreed": "kept, GAT agrees", "no_structure": "kept, no structure", "vetoed": "removed by the GAT"}
    for i, ((code, name), colour) in enumerate(zip(kinds.items(), (GREEN, GREY, VERMILION), strict=True)):
        rows = counts[counts["decision"] == code].set_index("location").reindex(locations)
        x, false = np.arange(len(locations)) + (i - 1) * 0.27, rows["labels"] - rows["true"]
        ax.bar(x, rows["true"], 0.25, color=colour, label=f"{name}: true label")
        look = {"color": colour, "alpha": 0.4, "hatch": "//", "edgecolor": "white"}
        ax.bar(x, false, 0.25, bottom=rows["true"], label=f"{name}: false label", **look)
    ax.set_xticks(range(len(locations)), locations, rotation=35, ha="right")
    ax.set(ylabel="labels inside the band", title=title)
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    return fig


def co_occurrence_map(table: pd.DataFrame, title: str) -> Figure:
    """Draw how many proteins carry both locations; colours on a logarithmic scale."""
    fig, ax = new_figure(8.6, 7.0)
    look = {"cmap": "cividis", "annot_kws": {"size": 10}, "cbar_kws": {"label": "log10(proteins + 1)"}}
    sns.heatmap(np.log10(table + 1), annot=table, fmt="d", ax=ax, **look)
    ax.set_xticklabels(ax.get_xticklabels(), rotation=40, ha="right")
    ax.set(title=title)
    return fig


def score_bars(headline: pd.DataFrame, metrics: pd.DataFrame, split: str, title: str) -> Figure:
    """Draw micro and macro F1 of every system with intervals, best readable from a distance."""
    fig, ax = new_figure(9.0, 0.6 * len(headline) + 2.2)
    names = {title: name for name, title in TITLES.items()}
    systems, y = [names[title] for title in headline.index], np.arange(len(headline))[::-1]
    for offset, metric, colour in ((0.18, "micro_f1", BLUE), (-0.18, "macro_f1", ORANGE)):
        chosen = metrics[(metrics["split"] == split) & (metrics["metric"] == metric)]
        rows = chosen.set_index("system").loc[systems]
        ax.barh(y + offset, rows["value"], 0.34, color=colour, label=metric.replace("_f1", " F1"))
        ax.errorbar(rows["value"], y + offset, xerr=error_bars(rows), fmt="none", color="black", capsize=3)
    ax.set_yticks(y, headline.index)
    ax.set(xlim=(0, 1), xlabel="F1, 95 % interval", title=title)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def pretraining_figure(history: pd.DataFrame, unigram: float, title: str) -> Figure:
    """Draw held-out perplexity against the tokens seen, beside the perplexity ``unigram`` of residue frequencies."""
    fig, ax = new_figure(8.0, 4.0)
    ax.plot(history["tokens"], history["val_perplexity"], color=COLOURS[0], marker="o", markersize=4, label="model")
    ax.axhline(unigram, color="grey", linestyle="--", label="residue frequencies")
    ax.set(xlabel="tokens seen", ylabel="perplexity, held out", title=title)
    ax.legend(frameon=False)
    return fig


def containment_curve(curve: pd.DataFrame, title: str) -> Figure:
    """Draw ``containment.by_containment``: micro F1 against the share of 6-mers in one seen protein, per test set."""
    inside = curve[(curve["range"] == "inside") & (curve["metric"] == "micro_f1")]
    panels = list(inside.groupby("split", sort=False))
    fig, axes = new_figure(6.5 * len(panels), 5.0, len(panels))
    for ax, (split, rows) in zip(np.atleast_1d(axes), panels, strict=True):
        ticks = rows.drop_duplicates("low").sort_values("low")
        for i, (system, values) in enumerate(rows.groupby("system", sort=False)):
            x = np.searchsorted(ticks["low"], values["low"]) + 0.12 * (i - 1)
            look = {"color": COLOURS[i], "marker": "os^"[i % 3], "capsize": 3}
            look["label"] = TITLES[system] if ax is fig.axes[0] else None
            ax.errorbar(x, values["value"], error_bars(values), **look)
        names = [f"{100 * r.low:.0f}–{r.high:.0%}\n{r.n:,}" for r in ticks.itertuples()]
        ax.set_xticks(range(len(ticks)), names, fontsize=10)
        ax.set(xlabel="6-mers in one seen protein; proteins", ylabel="micro F1", ylim=(0, 1.02), title=str(split))
    fig.suptitle(title)
    fig.legend(loc="outside lower center", ncols=3 if len(panels) > 1 else 1)
    return fig
