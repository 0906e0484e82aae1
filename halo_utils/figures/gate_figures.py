"""Figures of notebook 05: how labels flow through the gate, where it helps, and what contacts are worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.systems import TITLES, in_order
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.figures.plots import error_bars
from halo_utils.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, model_colour, new_figure

LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"))  # colour and marker of the first, second and third series
NODES = {  # of ``gate.decision_flows``: column and words
    "predicted": (0, "predicted by the\nsequence model:\n"),
    "confident": (1, "confident: "),
    "band": (1, "in the band: "),
    "no_structure": (2, "no structure: "),
    "asked": (2, "GAT asked: "),
    "agreed": (3, "GAT agrees: "),
    "vetoed": (3, "GAT vetoes: "),
}
LAST, SPACE = 4, 0.09  # column of right and wrong; space below each, as a share of all predicted labels
ENDS = {"right": (BLUE, ""), "wrong": (VERMILION, "//")}
HALO = [withStroke(linewidth=4, foreground="white")]
SURE = "95 % intervals that exclude zero"
BELOW = ("band", "asked", "vetoed")  # whose labels come from above


def flow_title(flows: pd.DataFrame) -> str:
    """Return what the gate did on one set, from the rows of ``gate.decision_flows``."""
    labels = flows.set_index(["from", "to"])["labels"]
    asked, vetoed = labels["band", "asked"], labels["asked", "vetoed"]
    text = f"The GAT was asked about {asked:,} of {labels['predicted'].sum():,} predicted labels"
    return f"{text} and removed {vetoed:,}, {labels['vetoed', 'right']:,} of them false" if asked else text


def gate_flow(flows: pd.DataFrame, title: str) -> Figure:
    """Draw the predicted labels of one set through the gate, from the rows of ``gate.decision_flows``.

    Heights are labels; what is thinner than a line is drawn as one.
    """
    fig, ax = new_figure(11.5, 6.2)
    total = int(flows.loc[flows["from"] == "predicted", "labels"].sum())
    _, end = _node(ax, flows.assign(share=flows["labels"] / max(total, 1)), "predicted", total, 0.0)
    ax.set(xlim=(-0.85, LAST + 1.15), ylim=(end, 0.02))
    ax.set_axis_off()
    fig.suptitle(title)
    return fig


def _node(ax: Axes, flows: pd.DataFrame, node: str, labels: int, top: float) -> tuple[float, float]:
    """Draw a node below ``top`` with all that flows from it; return its centre and where the next one may start."""
    column, title = NODES[node]
    ways, centres, start = flows[flows["from"] == node] if labels else flows.iloc[:0], [], top
    for way in ways.itertuples():
        if way.to in NODES:
            centre, top = _node(ax, flows, way.to, way.labels, top)
        else:
            centre, top = top - way.share / 2, top - way.share - SPACE
            kept, right = node != "vetoed", way.to == "right"
            words = f"{'kept' if kept else 'removed'}, {'true' if kept == right else 'false'}"
            ax.text(LAST + 0.05, centre, f"{way.labels:,} {way.to}: {words}", va="center")
        centres.append(centre)
    end, height = (top if labels else top - SPACE), ways["share"].sum()
    centre = (start + end + SPACE) / 2
    edge = centre + height / 2
    for way, to in zip(ways.itertuples(), centres, strict=True):
        if way.labels:
            x = column, NODES.get(way.to, (LAST,))[0]
            _ribbon(ax, x, (edge - way.share / 2, to), way.share, *ENDS.get(way.to, (GREY, "")))
        edge -= way.share
    ax.plot([column] * 2, [centre - height / 2, centre + height / 2], color="black", linewidth=3)
    side = 0 if height > SPACE else -1 if node in BELOW else 1  # in a wide band stand words, else on or under it
    look = {"ha": "right", "va": ("center", "bottom", "top")[side], "path_effects": HALO}
    ax.text(column - 0.05, centre + side * (height / 2 + 0.01), f"{title}{labels:,}", **look)
    return centre, end


def _ribbon(
    ax: Axes, x: tuple[int, int], y: tuple[float, float], width: float, colour: tuple[float, ...], hatch: str
) -> None:
    """Draw a band of constant width from one column to another, level from the middle on."""
    t = np.linspace(0, 1, 60)
    s = np.minimum(2 * t, 1)
    middle = y[0] + (y[1] - y[0]) * s**2 * (3 - 2 * s)
    look = {"facecolor": colour, "alpha": 0.45, "hatch": hatch, "edgecolor": colour, "linewidth": 0.8}
    ax.fill_between(x[0] + (x[1] - x[0]) * t, middle - width / 2, middle + width / 2, **look)


def mcc_rows(metrics: pd.DataFrame, views: Sequence[EvaluationSet], systems: Sequence[str]) -> pd.DataFrame:
    """Return the MCC of systems per location on some sets, with how many proteins of the set are there.

    Columns split, system, label, value, ci_low, ci_high, proteins; a location without a protein has no MCC.
    """
    mcc = metrics[(metrics["metric"] == "mcc") & metrics["system"].isin(systems)]
    parts = []
    for view in views:
        proteins = dict(zip(view.locations, view.y.sum(axis=0), strict=True))
        own = mcc[mcc["split"] == view.name]
        parts.append(own.assign(proteins=own["label"].map(proteins)))
    rows = pd.concat(parts, ignore_index=True)
    columns = ["split", "system", "label", "value", "ci_low", "ci_high", "proteins"]
    return rows.loc[rows["proteins"] > 0, columns].reset_index(drop=True)


def _sure(differences: pd.DataFrame, better: str, worse: str) -> str:
    counts = int((differences["ci_low"] > 0).sum()), int((differences["ci_high"] < 0).sum())
    return f"{better} in {counts[0]} and {worse} in {counts[1]} of {len(differences)}"


def mcc_title(rows: pd.DataFrame, differences: pd.DataFrame, pair: tuple[str, str], where: str) -> str:
    """Return in how many locations the first of a pair has a higher MCC, from ``mcc_rows`` and one set's differences.

    ``differences`` is ``scoring.compare`` of the set; without the pair the title says what is drawn.
    """
    found = differences[(differences["first"] == pair[0]) & (differences["second"] == pair[1])]
    known = rows.loc[rows["split"].isin(found["split"]), "label"]
    found = found[(found["metric"] == "mcc") & found["label"].isin(known)]
    if found.empty:
        return f"MCC per location\n{where}"
    text = f"{TITLES[pair[0]]} has {_sure(found, f'a higher MCC than {TITLES[pair[1]]}', 'a lower one')} locations"
    return f"{text}\n{SURE}; {where}"


def controls_title(rows: pd.DataFrame, where: str) -> str:
    """Return how often own contacts are better, from ``hybrid_ground.beside_controls`` of one set."""
    return f"A protein's own contacts {_sure(rows, 'gain', 'lose')} comparisons\n{SURE}; {where}"


def mcc_by_ground(rows: pd.DataFrame, title: str) -> Figure:
    """Draw ``mcc_rows``: a panel per set, a line per location, a dot with its interval per system."""
    sets, locations = list(rows.groupby("split", sort=False)), list(pd.unique(rows["label"]))
    fig, axes = new_figure(1.5 + 5.0 * len(sets), 0.55 * len(locations) + 1.8, len(sets))
    y = pd.Series(np.arange(len(locations))[::-1], index=locations)
    for i, (ax, (split, own)) in enumerate(zip(np.atleast_1d(axes), sets, strict=True)):
        proteins = own.drop_duplicates("label").set_index("label")["proteins"].reindex(locations, fill_value=0)
        for j, system in enumerate(in_order(rows["system"])):
            values, colour, marker = own[own["system"] == system], model_colour(system), LOOKS[j][1]
            look = {"fmt": marker, "color": colour, "capsize": 3, "label": None if i else TITLES[system]}
            ax.errorbar(values["value"], y[values["label"]] + 0.22 * (1 - j), xerr=error_bars(values), **look)
        ax.set_yticks(y, [f"{'' if i else name}  {f'{n:,}':\u2007>3}" for name, n in proteins.items()])
        ax.hlines(y + 0.5, -1, 1, color=GREY, linewidth=0.4)
        ax.axvline(0, color=GREY, linewidth=0.8)
        low = min(-0.1, rows["ci_low"].min() - 0.03)
        ax.set(xlabel="MCC, 95 % interval", title=f"{split} (proteins per location)", xlim=(low, 1.03))
        ax.set_ylim(-0.5, len(locations) - 0.5)
    fig.suptitle(title)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def edge_controls(rows: pd.DataFrame, title: str) -> Figure:
    """Draw ``hybrid_ground.beside_controls`` on one set: what a network gains by its own contacts, over each control.

    Right of the line at zero, which stands for the control, own contacts are better.
    """
    controls = list(pd.unique(rows["second"]))
    fig, ax = new_figure(10.0, 0.8 * len(controls) + 2.0)
    y = pd.Series(np.arange(len(controls))[::-1], index=controls)
    for i, (metric, own) in enumerate(rows.groupby("metric", sort=False)):
        own = own.rename(columns={"difference": "value"})
        look = {"fmt": LOOKS[i][1], "color": LOOKS[i][0], "capsize": 3, "label": METRIC_TITLES[metric]}
        ax.errorbar(own["value"], y[own["second"]] + 0.2 * (1 - i), xerr=error_bars(own), **look)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(y, [TITLES[name].removeprefix("GAT on graphs, ") for name in controls])
    fig.suptitle(title)
    words = "own contacts minus control, 95 % interval (right of 0: own contacts are better)"
    ax.set(xlabel=words, ylim=(-0.5, len(controls) - 0.5))
    fig.legend(loc="outside lower center", ncols=3)
    return fig
