"""Figures of notebook 11: importance along a protein, in known signals and at its ends; maps of embeddings; strata."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.spatial import KDTree

from halo_utils.figures.style import BLUE, GREEN, GREY, ORANGE, PALE, VERMILION, location_colour, new_figure

PLANTED = "planted"  # the name of a span that the maker of a synthetic protein put there
METHOD_COLOURS = (BLUE, ORANGE, GREEN, PALE)
PART_COLOURS = (BLUE, (0.82, 0.82, 0.82), VERMILION)


def residue_tracks(
    tracks: dict[str, np.ndarray],
    spans: Sequence[tuple[str, int, int]],
    title: str,
    words: dict[str, str] | None = None,
) -> Figure:
    """Draw values along a protein, [L] each, one panel per track; ``spans`` are named stretches, 1-based, inclusive.

    ``words`` is track -> label of its axis.
    """
    fig, axes = new_figure(10.0, 1.7 * len(tracks) + 1.1, 1)
    fig.clear()
    axes = np.atleast_1d(fig.subplots(len(tracks), 1, sharex=True))
    for ax, (name, values), colour in zip(axes, tracks.items(), METHOD_COLOURS, strict=False):
        position = np.arange(1, len(values) + 1)
        ax.fill_between(position, np.nan_to_num(values), step="mid", color=colour, linewidth=0)
        for _, start, stop in spans:
            ax.axvspan(start - 0.5, stop + 0.5, color=ORANGE, alpha=0.2, linewidth=0)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set(ylabel=(words or {}).get(name, ""), xlim=(0.5, len(values) + 0.5))
        ax.set_title(name, loc="left", fontsize=12)
    named = {name: (start, stop) for name, start, stop in spans}  # of several with one name the last carries it
    for i, (name, (start, stop)) in enumerate(named.items()):
        late = start > len(values) / 2
        look = {"ha": "right" if late else "left", "va": "top", "fontsize": 10}
        height = 0.98 - 0.17 * (i % 4)
        axes[0].text(stop if late else start, height, name, transform=axes[0].get_xaxis_transform(), **look)
    axes[-1].set_xlabel("residue")
    first, values = next(iter(tracks.items()))
    inside = np.zeros(len(values), dtype=bool)
    for name, start, stop in spans:
        inside[start - 1 : stop] |= not any(n == PLANTED for n, *_ in spans) or name == PLANTED
    positive = np.clip(np.nan_to_num(values), 0, None)
    if inside.any() and positive.sum() > 0:
        what = "planted signals" if any(n == PLANTED for n, *_ in spans) else "known patterns"
        share = positive[inside].sum() / positive.sum()
        title = f"{share:.0%} of the importance lies in {what}, {inside.mean():.0%} of the residues ({first})\n{title}"
    fig.suptitle(title)
    return fig


def planted_shares(table: pd.DataFrame, title: str) -> Figure:
    """Draw ``shares.mean_shares``: share of importance inside planted signals per location and method, and chance."""
    locations, methods = list(pd.unique(table["location"])), list(pd.unique(table["method"]))
    fig, ax = new_figure(10.0, 4.8)
    for i, (method, colour) in enumerate(zip(methods, METHOD_COLOURS, strict=False)):
        rows = table[table["method"] == method].set_index("location").reindex(locations)
        ax.bar(
            np.arange(len(locations)) + (i - (len(methods) - 1) / 2) * 0.2,
            rows["share"],
            0.19,
            color=colour,
            label=method,
        )
    chance = table.drop_duplicates("location").set_index("location")["chance"].reindex(locations)
    for x, value in enumerate(chance):
        ax.hlines(value, x - 0.42, x + 0.42, color="black", linewidth=1.5, label=None if x else "by chance")
    ax.set_xticks(range(len(locations)), locations, rotation=25, ha="right")
    ax.set(ylabel="share of importance in the signals", ylim=(0, 1))
    best = table.groupby("method", sort=False)["times_chance"].median()
    found = f"{best.idxmax()} finds planted signals best: {best.max():.1f} times chance in the median location"
    fig.suptitle(f"{found[0].upper()}{found[1:]}\n{title}")
    fig.legend(loc="outside lower center", ncols=5, fontsize=10)
    return fig


def importance_by_part(table: pd.DataFrame, title: str) -> Figure:
    """Draw ``shares.shares_by_part``: shares of importance per location; dotted lines are the shares by chance."""
    fig, ax = new_figure(9.5, 0.45 * len(table) + 1.8)
    y, left = np.arange(len(table))[::-1], np.zeros(len(table))
    for part, colour in zip(("N-terminus", "middle", "C-terminus"), PART_COLOURS, strict=True):
        ax.barh(y, table[part], 0.75, left=left, color=colour, label=part)
        left += table[part].to_numpy()
    first, last = table["N-terminus, chance"], 1 - table["C-terminus, chance"]
    for edge in (first, last):
        ax.vlines(edge, y - 0.38, y + 0.38, color="black", linestyle=":", label=None)
    ax.set_yticks(y, [f"{row.location} ({row.proteins})" for row in table.itertuples()])
    ax.set(xlim=(0, 1), xlabel="share of importance; dotted: by chance")
    start, end = (table[name] - table[f"{name}, chance"] for name in ("N-terminus", "C-terminus"))
    first, last = (table["location"][gap.idxmax()] for gap in (start, end))
    fig.suptitle(f"Importance exceeds chance most at the start for {first} and at the end for {last}\n{title}")
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def embedding_maps(maps: dict[str, np.ndarray], labels: Sequence[str], axis: str, title: str) -> Figure:
    """Draw proteins as points, [B, 2] per panel, coloured by ``labels``; ``axis`` names what the axes are."""
    fig, axes = new_figure(6.0 * len(maps), 6.0, len(maps))
    names = list(pd.unique(pd.Series(labels)))
    for ax, (panel, points) in zip(np.atleast_1d(axes), maps.items(), strict=True):
        for i, name in enumerate(names):
            chosen = np.array([label == name for label in labels])
            look = {"color": location_colour(name), "marker": "os^Dv"[i % 5], "label": name}
            ax.scatter(*points[chosen].T, s=18, **look)
        ax.set(xlabel=f"{axis} 1", ylabel=f"{axis} 2", title=panel, xticks=[], yticks=[])
    handles = np.atleast_1d(axes)[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=4, fontsize=10)
    near = {panel: neighbours_agree(points, labels) for panel, points in maps.items()}
    found = ", ".join(f"{share:.0%} {panel}" for panel, share in near.items())
    fig.suptitle(f"Nearest neighbours on the map that share a location: {found}\n{title}")
    return fig


def neighbours_agree(points: np.ndarray, labels: Sequence[str]) -> float:
    """Return the share of points, [B, 2], whose nearest other point has their label."""
    nearest = KDTree(points).query(points, k=2)[1][:, 1]
    return float(np.mean(np.asarray(labels) == np.asarray(labels)[nearest]))


def strata(table: pd.DataFrame, overall: float, title: str) -> Figure:
    """Draw ``strata.by_stratum``'s micro F1 as points with intervals, part by part; the line is all proteins."""
    rows = table[table["metric"] == "micro_f1"].reset_index(drop=True)
    fig, ax = new_figure(9.0, 0.36 * len(rows) + 1.6)
    y = np.arange(len(rows))[::-1]
    spread = np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())
    ax.errorbar(rows["value"], y, xerr=spread, fmt="o", color=BLUE, capsize=3)
    ax.axvline(overall, color=GREY, linestyle="--", label=f"all proteins: {overall:.2f}")
    ax.set_yticks(y, [f"{row.stratum}: {row.part} ({row.n:,})" for row in rows.itertuples()])
    ax.set(xlim=(max(0, rows["ci_low"].min() - 0.05), 1.02), xlabel="micro F1, 95 % interval")
    for stratum in pd.unique(rows["stratum"])[1:]:
        ax.axhline(y[rows["stratum"] == stratum].max() + 0.5, color=GREY, linewidth=0.5)
    found = "No part of the proteins is large enough"
    if len(rows):
        worst, best = (rows.loc[i] for i in (rows["value"].idxmin(), rows["value"].idxmax()))
        ends = [f"{row['value']:.2f} for {row['stratum']} {row['part']}" for row in (best, worst)]
        found = f"Micro F1 from {ends[0]} to {ends[1]}"
    fig.suptitle(f"{found}\n{title}")
    fig.legend(loc="outside lower center")
    return fig
