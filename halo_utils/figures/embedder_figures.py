"""Figures of the embedder comparison, notebook 07, and of the sequence baselines, notebook 08."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve

from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.figures.attribution_plots import neighbours_agree
from halo_utils.figures.style import BLUE, COLOURS, GREEN, GREY, VERMILION, location_colour, new_figure

MARKERS = "os^Dv<>Px*d"
LINES = ("-", "--", "-.", ":")


def _best_and_worst(values: Mapping[str, float]) -> str:
    """Return who has the highest and the lowest of some scores, in words."""
    best, worst = max(values, key=lambda name: values[name]), min(values, key=lambda name: values[name])
    ends = f"{best} {values[best]:.2f}"
    return ends if best == worst else f"{ends}, lowest {worst} {values[worst]:.2f}"


def cost_bars(costs: pd.DataFrame, title: str) -> Figure:
    """Draw seconds and memory of every embedder on the same proteins; both axes are logarithmic."""
    fig, (left, right) = new_figure(11, 0.45 * len(costs) + 2.2, panels=2)
    y, speeds = np.arange(len(costs))[::-1], costs["residues_per_second"]
    left.barh(y, costs["seconds"], color=BLUE)
    for place, seconds, speed in zip(y, costs["seconds"], speeds, strict=True):
        left.annotate(f" {speed:,.0f}/s", (seconds, place), va="center", fontsize=10)
    right.barh(y + 0.2, costs["weights_mb"], 0.38, color=GREEN, label="weights")
    right.barh(y - 0.2, costs["peak_mb"], 0.38, color=GREY, label="beyond them at the peak")
    left.set(xscale="log", xlabel="seconds (residues per second)", title="time")
    left.set_xlim(right=left.get_xlim()[1] * 6)
    right.set(xscale="symlog", xlabel="MB", title="memory", xlim=0)
    for ax in (left, right):
        ax.set_yticks(y, costs["embedder"])
    fig.legend(loc="outside lower right", ncols=2, fontsize=10)
    fast, slow = (costs.loc[at(), ["embedder", "residues_per_second"]] for at in (speeds.idxmax, speeds.idxmin))
    fig.suptitle(
        f"{fast.iloc[0]} reads {fast.iloc[1]:,.0f} residues a second, {slow.iloc[0]} {slow.iloc[1]:,.0f}\n{title}"
    )
    return fig


def roc_panels(truth: np.ndarray, probs: Mapping[str, np.ndarray], locations: Sequence[str], title: str) -> Figure:
    """Draw, per location, the ROC curve of every classifier, [B, K] probabilities, one location against the others."""
    fig, axes = new_figure(4.4 * len(locations), 5.2, panels=len(locations))
    for k, (ax, location) in enumerate(zip(axes, locations, strict=True)):
        for i, (name, prob) in enumerate(probs.items()):
            false, true, _ = roc_curve(truth == k, prob[:, k])
            ax.plot(false, true, LINES[i % 4], color=COLOURS[i], linewidth=2, label=name if k == 0 else None)
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="by chance" if k == 0 else None)
        ax.set(xlabel="false positive rate", title=f"{location} ({(truth == k).sum():,})")
    axes[0].set_ylabel("true positive rate")
    fig.legend(loc="outside lower center", ncols=4, fontsize=10)
    areas = {n: np.mean([roc_auc_score(truth == k, p[:, k]) for k in range(len(locations))]) for n, p in probs.items()}
    fig.suptitle(f"Mean area under the curve: {_best_and_worst(areas)}\n{title}")
    return fig


def size_curves(sizes: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy against the training proteins, a line and the interval of one training per embedder."""
    fig, ax = new_figure(8.5, 5.4)
    names = list(pd.unique(sizes["embedder"]))
    for i, name in enumerate(names):
        rows = sizes[sizes["embedder"] == name].sort_values("proteins")
        x = rows["proteins"] * 1.035 ** (i - (len(names) - 1) / 2)
        reach = np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())
        ax.errorbar(x, rows["value"], reach, color=COLOURS[i], marker=MARKERS[i], capsize=3, label=name)
    ticks = np.unique(sizes["proteins"])
    ax.axhline(1 / 3, color=GREY, linestyle=":", label="by chance")
    ax.set(xscale="log", xlabel="training proteins", ylabel="accuracy on all test proteins", ylim=(0, 1.03))
    few, all_of_them = (sizes[sizes["proteins"] == n].set_index("embedder")["value"] for n in (ticks[0], ticks[-1]))
    first, last = (f"{values.idxmax()} ({values.max():.2f})" for values in (few, all_of_them))
    fig.suptitle(f"Best with {ticks[0]:,} proteins: {first}; with {ticks[-1]:,}: {last}\n{title}")
    ax.set_xticks(ticks, [f"{n:,}" for n in ticks])
    ax.minorticks_off()
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    return fig


def pair_bars(pairs: pd.DataFrame, title: str) -> Figure:
    """Draw, for every two embedders, the shares of pilots that order them rightly, as equals and the wrong way."""
    fig, ax = new_figure(10, 0.42 * len(pairs) + 2.0)
    y, left = np.arange(len(pairs))[::-1], np.zeros(len(pairs))
    for column, colour, hatch in (("right", BLUE, ""), ("tied", GREY, ".."), ("reversed", VERMILION, "//")):
        ax.barh(y, pairs[column], left=left, color=colour, hatch=hatch, edgecolor="white", label=column)
        left = left + pairs[column]
    names = [f"{row.first} > {row.second} ({row.difference:+.2f})" for row in pairs.itertuples()]
    ax.set_yticks(y, names)
    ax.axvline(0.5, color="black", linewidth=1)
    ax.set(xlim=(0, 1), xlabel="share of pilots")
    means = pairs[["right", "tied", "reversed"]].mean()
    fig.suptitle(
        f"Pilots order two embedders rightly in {means['right']:.0%}, reversed in {means['reversed']:.0%}\n{title}"
    )
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    return fig


def maps(places: Mapping[str, np.ndarray], names: Sequence[str], locations: Sequence[str], title: str) -> Figure:
    """Draw maps [N, 2] of the same proteins side by side, coloured by location; keys are the panels' titles."""
    fig, axes = new_figure(6.0 * len(places), 5.6, panels=len(places))
    for ax, (name, place) in zip(np.atleast_1d(axes), places.items(), strict=True):
        for k, location in enumerate(locations):
            rows = np.asarray(names) == location
            look = {"color": location_colour(location), "marker": MARKERS[k], "s": 26, "alpha": 0.7, "linewidths": 0}
            ax.scatter(*place[rows].T, label=location if ax is fig.axes[0] else None, **look)
        ax.set(title=name, xticks=[], yticks=[], xlabel="first axis", ylabel="second axis")
    fig.legend(loc="outside lower center", ncols=len(locations))
    near = ", ".join(f"{neighbours_agree(place, names):.0%} in {name}" for name, place in places.items())
    fig.suptitle(f"Nearest neighbours that share a location: {near}\n{title}")
    return fig


def confusion_panels(y: np.ndarray, pred: np.ndarray, locations: Sequence[str], title: str) -> Figure:
    """Draw one 2 x 2 matrix per location, labels [B, K] down, predictions across, proteins in the cells."""
    fig, axes = new_figure(3.6 * len(locations), 4.4, panels=len(locations))
    missed = {}
    for k, (ax, location) in enumerate(zip(axes, locations, strict=True)):
        counts = confusion_matrix(y[:, k], pred[:, k], labels=[0, 1])
        shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
        ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
        for (i, j), share in np.ndenumerate(shares):
            text = f"{counts[i, j]:,}\n{share:.0%}"
            ax.text(j, i, text, ha="center", va="center", color="black" if share > 0.5 else "white", fontsize=14)
        ax.set_xticks([0, 1], ["no", "yes"])
        ax.set_yticks([0, 1], ["no", "yes"])
        ax.set(xlabel="predicted", ylabel="annotated" if k == 0 else "", title=location)
        missed[location] = shares[1, 0]
    most = max(missed, key=lambda name: missed[name])
    fig.suptitle(f"{most} is missed most often, {missed[most]:.0%} of its proteins\n{title}")
    return fig


def precision_recall_and_roc(y: np.ndarray, prob: np.ndarray, locations: Sequence[str], title: str) -> Figure:
    """Draw precision-recall and ROC curves per location; what a random ranker would have is dashed in its colour."""
    fig, (left, right) = new_figure(11, 6.0, panels=2)
    averages = {}
    for k, location in enumerate(locations):
        precision, recall, _ = precision_recall_curve(y[:, k], prob[:, k])
        false, true, _ = roc_curve(y[:, k], prob[:, k])
        area, average = roc_auc_score(y[:, k], prob[:, k]), average_precision_score(y[:, k], prob[:, k])
        prevalence, averages[location] = y[:, k].mean(), average
        label = f"{location}: AP {average:.2f} (prevalence {prevalence:.2f}), AUC {area:.2f}"
        colour = location_colour(location)
        left.plot(recall, precision, color=colour, linewidth=2, label=label)
        left.axhline(prevalence, color=colour, linestyle="--", linewidth=1)
        right.plot(false, true, color=colour, linewidth=2)
    right.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    left.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="precision and recall; dashed: prevalence")
    right.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC; dashed: by chance")
    fig.legend(loc="outside lower center", ncols=1, fontsize=11)
    fig.suptitle(f"Average precision: {_best_and_worst(averages)}\n{title}")
    return fig


def head_scores(scores: pd.DataFrame, metric: str, title: str) -> Figure:
    """Draw a metric of every head (down) on every embedder (colour), with intervals."""
    fig, ax = new_figure(9, 0.75 * scores["head"].nunique() + 2.4)
    heads, embedders = list(pd.unique(scores["head"])), list(pd.unique(scores["embedder"]))
    for i, embedder in enumerate(embedders):
        rows = scores[(scores["embedder"] == embedder) & (scores["metric"] == metric)].set_index("head").reindex(heads)
        y = np.arange(len(heads))[::-1] - 0.16 * (i - (len(embedders) - 1) / 2)
        reach = np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())
        ax.errorbar(rows["value"], y, xerr=reach, color=COLOURS[i], fmt=MARKERS[i], capsize=3, label=embedder)
    ax.set_yticks(range(len(heads)), heads[::-1])
    ax.set(xlim=(0, 1), xlabel=f"{METRIC_TITLES[metric]}, 95 % interval")
    top = scores.loc[scores.loc[scores["metric"] == metric, "value"].idxmax()]
    fig.suptitle(f"Highest: {top['head']} on {top['embedder']}, {METRIC_TITLES[metric]} {top['value']:.2f}\n{title}")
    fig.legend(loc="outside lower center", ncols=len(embedders))
    return fig


def attention_profiles(profiles: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the attention of several heads along one protein, [L] each, in units of what equal attention would give."""
    fig, ax = new_figure(10, 4.2)
    for i, (name, weights) in enumerate(profiles.items()):
        residue = np.arange(1, len(weights) + 1)
        ax.plot(residue, weights * len(weights), LINES[i % 4], color=COLOURS[i], linewidth=2, label=name)
    ax.axhline(1, color=GREY, linewidth=1)
    ax.set(xlabel="residue", ylabel="attention / equal attention", ylim=0)
    tops = {name: weights.max() * len(weights) for name, weights in profiles.items()}
    most = max(tops, key=lambda name: tops[name])
    fig.suptitle(f"{most} is the most uneven: one residue gets {tops[most]:.1f} times an equal share\n{title}")
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def smote_map(x: np.ndarray, classes: np.ndarray, made: np.ndarray, made_classes: np.ndarray, title: str) -> Figure:
    """Draw real proteins (filled) and made-up ones (open) in two dimensions, coloured by class."""
    fig, ax = new_figure(6.5, 4.6)
    for k in np.unique(classes):
        look = {"color": COLOURS[k], "marker": MARKERS[k]}
        ax.scatter(*x[classes == k].T, s=70, label=f"class {k}, real", **look)
        rows = made[made_classes == k]
        if len(rows):
            ax.scatter(*rows.T, s=40, facecolors="none", edgecolors=COLOURS[k], marker=MARKERS[k], label="made up")
    ax.set(xlabel="first feature", ylabel="second feature", title=title)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def protocol_bars(protocols: pd.DataFrame, title: str) -> Figure:
    """Draw the accuracy of both protocols in cross-validation, and that on the test proteins, per classifier."""
    fig, ax = new_figure(8.5, 0.9 * len(protocols) + 2.2)
    y = np.arange(len(protocols))[::-1]
    looks = {"released_code": (VERMILION, "//"), "inside the fold": (BLUE, ""), "test": (GREY, "..")}
    for i, (column, (colour, hatch)) in enumerate(looks.items()):
        values, label = protocols[column], column.replace("_", " ")
        label = f"cross-validation, {label}" if column != "test" else "test proteins"
        ax.barh(y + 0.27 * (1 - i), values, 0.25, color=colour, hatch=hatch, edgecolor="white", label=label)
        for place, value in zip(y, values, strict=True):
            ax.annotate(f" {value:.2f}", (value, place + 0.27 * (1 - i)), va="center", fontsize=10)
    ax.set_yticks(y, protocols["classifier"])
    ax.set(xlim=(0, 1.1), xlabel="accuracy")
    over = {way: (protocols[way] - protocols["test"]).mean() for way in ("released_code", "inside the fold")}
    found = f"{over['released_code']:+.2f} with the released code, {over['inside the fold']:+.2f} inside the fold"
    fig.suptitle(f"Cross-validation beside the test proteins: {found}\n{title}")
    fig.legend(loc="outside lower center", ncols=1, fontsize=10)
    return fig
