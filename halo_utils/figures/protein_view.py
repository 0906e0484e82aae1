"""What is drawn of one protein, in the report and in notebook 00: bars with the gate, residue tracks, C-alpha trace.

``one`` is an answer as it stands in the JSON Lines file of ``predict``. The trace that can be turned is a canvas and
``templates/trace.js``: no library, nothing to fetch.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pandas import DataFrame
from pandas.io.formats.style import Styler

from halo_utils.figures.style import BLUE, VERMILION, new_figure
from halo_utils.figures.tables import styled
from halo_utils.models.gate import Decision, Rule, halo_gate

if TYPE_CHECKING:
    from ipywidgets import VBox

Answer = Mapping[str, Any]
COLUMNS = 600  # of a track; longer proteins show the largest value of the residues that share one
WORDS = {
    "negative": "below the threshold",
    "confident": "predicted, confident: the sequence model decides",
    "agreed": "predicted, unsure: the graph model agrees",
    "vetoed": "dropped, unsure: the graph model disagrees",
    "no_structure": "predicted, unsure: no structure to ask about",
}
COLOURS = {
    "negative": "#b4b4b4", "confident": "#0173b2", "agreed": "#029e73", "vetoed": "#d55e00", "no_structure": "#de8f05"
}  # fmt: skip
UNKNOWN = "#b4b4b4"  # a residue without a value
# AlphaFold DB's colours of pLDDT: from which value on, colour, words (https://alphafold.ebi.ac.uk, FAQ).
PLDDT = (
    (90.0, "#0053d6", "dark blue from 90"), (70.0, "#65cbf3", "light blue from 70"),
    (50.0, "#ffdb13", "yellow from 50"), (-np.inf, "#ff7d45", "orange below"),
)  # fmt: skip


@cache
def environment() -> Environment:
    """Return the templates; ``parts.html.j2`` sees what all pictures share."""
    found = Environment(loader=PackageLoader("halo_utils.figures"), autoescape=True, trim_blocks=True)
    found.globals |= {"words": WORDS, "colours": COLOURS, "columns": COLUMNS, "tracks": tracks, "trace": trace}
    return found


def script() -> str:
    """Return the JavaScript that draws every C-alpha trace of a page."""
    return (files("halo_utils.figures") / "templates" / "trace.js").read_text(encoding="utf-8")


def _part(name: str, *given: object) -> str:
    return str(getattr(environment().get_template("parts.html.j2").module, name)(*given)).strip()


def _svg(name: str, *given: object) -> str:
    """Return a part as an SVG that stands alone, with its name space and the patterns that a page has once."""
    text = _part(name, *given).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    text = text.replace('width="1020" style="max-width: 100%', 'width="100%" style="max-width: 1020px', 1)  # it shrinks
    return text.replace("<rect", f"{_part('patterns')}<rect", 1)


def bars(one: Answer, confident: float) -> str:
    """Return an SVG: probability per location, its threshold, and the band in which the gate asks the graph model."""
    return _svg("bars", one, confident)


def residues(one: Answer) -> str:
    """Return an SVG along the residues: attention, importance where it is known, and where rules match."""
    return _svg("residues", one)


def structure(one: Answer) -> str:
    """Return HTML with its script: the C-alpha trace of a protein, to be turned by hand."""
    return f"{_part('structure', one)}\n<script>{script()}</script>"


def answer_table(answers: Sequence[Answer], caption: str = "") -> Styler:
    """Return proteins by row, what is predicted, and the probability of every location as a bar."""
    rows = []
    for one in answers:
        predicted = "; ".join(one["predicted"]) or f"none; nearest is {one['nearest_location']}"
        probabilities = {name: v["probability"] for name, v in one["locations"].items()}
        rows.append({"protein": one["name"], "predicted": predicted, **probabilities})
    locations = list(answers[0]["locations"])
    shown = styled(DataFrame(rows), caption, digits=2)
    return shown.bar(subset=locations, vmin=0, vmax=1, color="#9ecae1")


def decided_again(
    one: Answer, threshold: float, confident: float, graph_threshold: float = 0.5, rule: Rule = "paper"
) -> Answer:
    """Return an answer whose labels follow from its stored probabilities by other thresholds; no model is asked."""
    stored = one["locations"]
    esm = np.array([[v["probability"] for v in stored.values()]])
    gat = np.array([[v["graph_probability"] or 0.0 for v in stored.values()]])
    limits = {"esm_threshold": threshold, "gat_threshold": graph_threshold, "confident": confident, "rule": rule}
    found = halo_gate(esm, gat, np.array([one["mode"] == "hybrid"]), **limits)
    names = [Decision(code).name.lower() for code in found.decision[0]]
    locations = {
        name: {**v, "threshold": threshold, "decision": decision}
        for (name, v), decision in zip(stored.items(), names, strict=True)
    }
    predicted = [name for name, kept in zip(stored, found.labels[0], strict=True) if kept]
    return {**one, "locations": locations, "predicted": predicted}


def gate_sliders(
    answers: Sequence[Answer], threshold: float, confident: float, graph_threshold: float = 0.5, rule: Rule = "paper"
) -> "VBox":
    """Return widgets: a protein to choose, sliders for threshold and gate, and the bars that follow them."""
    from ipywidgets import HTML, Dropdown, FloatSlider, VBox  # a notebook's; a command must do without

    shown, wide = {one["name"]: one for one in answers}, {"style": {"description_width": "8em"}}
    which = Dropdown(options=list(shown), description="protein", **wide)
    limits = {"min": 0.0, "max": 1.0, "step": 0.01, "layout": {"width": "36em"}}
    sliders = [FloatSlider(threshold, description="threshold", **limits, **wide)]
    sliders.append(FloatSlider(confident, description="gate", **limits, **wide))
    picture = HTML()

    def redraw(_: object = None) -> None:
        one = decided_again(shown[which.value], sliders[0].value, sliders[1].value, graph_threshold, rule)
        words = ", ".join(one["predicted"]) or "no location"
        picture.value = f"<b>{escape(one['name'])}: {words}</b><br>{bars(one, sliders[1].value)}"

    for control in (which, *sliders):
        control.observe(redraw, "value")
    redraw()
    return VBox([which, *sliders, picture])


def tracks(track: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is drawn along a protein: title, points of a polygon in 0..COLUMNS by 0..1, unread ranges, colour."""
    length = len(track["sequence"])
    values = np.zeros(length)
    places = np.concatenate([np.arange(start, stop) for start, stop in track["read"]])
    values[places] = track["attention"]
    peak = int(values.argmax())
    title = f"attention of the pooling; highest at residue {peak + 1} ({track['sequence'][peak]})"
    found = [_track(title, values, track["read"], to_hex(BLUE))]
    for location, importance in track.get("importance", {}).items():
        heights = np.fmax(np.array(importance, dtype=float), 0.0)
        title = f"importance for {location}: fall of the logit, at most {heights.max():.2f}, with nine residues masked"
        found.append(_track(title, heights, track["read"], to_hex(VERMILION)))
    return found


def _track(title: str, values: np.ndarray, read: Sequence[Sequence[int]], colour: str) -> dict[str, Any]:
    length, columns = len(values), min(COLUMNS, len(values))
    heights = np.array([part.max() for part in np.array_split(values, columns)]) / max(float(values.max()), 1e-12)
    x = (np.arange(columns) + 0.5) * COLUMNS / columns
    points = [(0.0, 0.0), *zip(x.round(1).tolist(), heights.round(3).tolist(), strict=True), (float(COLUMNS), 0.0)]
    scale, gaps = COLUMNS / length, zip([0, *(stop for _, stop in read)], [*(s for s, _ in read), length], strict=True)
    unread = [(round(start * scale, 1), round((stop - start) * scale, 1)) for start, stop in gaps if stop > start]
    return {"title": title, "points": points, "unread": unread, "length": length, "colour": colour}


def colourings(track: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ways to colour a structure: name, a colour and a text per residue (L of each), and a key in words.

    By importance where the track has it, else by attention; by pLDDT where the structure carries one.
    """
    letters, found = track["sequence"], []
    if "importance" in track:
        name, values = next((f"importance for {k}", np.array(v, dtype=float)) for k, v in track["importance"].items())
    else:
        name, values = "attention", np.full(len(letters), np.nan)
        values[np.concatenate([np.arange(start, stop) for start, stop in track["read"]])] = track["attention"]
    top = max(float(np.nanmax(values)), 1e-12)
    heat = [to_hex(colormaps["viridis"](max(v, 0.0) / top)) if np.isfinite(v) else UNKNOWN for v in values]
    found.append((name, values, heat, f"violet is 0 or less, yellow the highest ({top:.2f}), grey not read"))
    plddt = np.array(track["structure"]["plddt"], dtype=float)
    if np.isfinite(plddt).any():
        bands = [next(c for low, c, _ in PLDDT if v >= low) if np.isfinite(v) else UNKNOWN for v in plddt]
        found.append(("pLDDT", plddt, bands, ", ".join(words for _, _, words in PLDDT)))
    return [
        {"name": name, "colours": colours, "key": key, "texts": [
            f"{letter}{i}: {value:.2f}" if np.isfinite(value) else f"{letter}{i}"
            for i, (letter, value) in enumerate(zip(letters, values, strict=True), 1)
        ]}
        for name, values, colours, key in found
    ]  # fmt: skip


def flattened(ca: Sequence[Sequence[float] | None]) -> np.ndarray:
    """Return C-alpha positions turned so that the protein lies in the plane of the page, [L, 3]; NaN where unknown.

    A rotation, no reflection: hands stay what they are. Angstrom, centred on the mean.
    """
    xyz = np.array([place or [np.nan] * 3 for place in ca], dtype=float)
    xyz -= np.nanmean(xyz, axis=0)
    axes = np.linalg.svd(xyz[np.isfinite(xyz[:, 0])], full_matrices=False)[2]  # from the longest to the shortest
    axes[2] *= np.sign(np.linalg.det(axes))
    return xyz @ axes.T


def trace(one: Answer) -> dict[str, Any]:
    """Return what ``trace.js`` draws: points, L of [3] in angstrom or None, and the colourings."""
    points = flattened(one["track"]["structure"]["ca"]).round(1)
    placed = [point if np.isfinite(point).all() else None for point in points]
    return {"points": [None if p is None else p.tolist() for p in placed], "colourings": colourings(one["track"])}


def trace_figure(one: Answer, title: str) -> Figure:
    """Draw the C-alpha trace from the side that shows most of it, once per colouring, for pages without script."""
    ways = colourings(one["track"])
    xyz = flattened(one["track"]["structure"]["ca"])
    wide, high = (float(np.ptp(xyz[np.isfinite(xyz[:, 0]), k])) for k in (0, 1))
    fig, panels = new_figure(5.2 * len(ways), 5.2 * high / max(wide, 1.0) + 1.2, len(ways))
    pieces = np.stack([xyz[:-1], xyz[1:]], axis=1)  # [L - 1, 2, 3]
    order = np.argsort(pieces[:, :, 2].mean(axis=1))  # from far to near; a gap is NaN and draws nothing
    for ax, way in zip(np.atleast_1d(panels), ways, strict=True):
        colours = [colour for i in order for colour in ("#333333", way["colours"][i])]  # each piece on its own outline
        look = {"linewidths": np.tile([6.0, 4.0], len(order)), "capstyle": "round"}
        ax.add_collection(LineCollection(np.repeat(pieces[order][:, :, :2], 2, axis=0), colors=colours, **look))
        placed = np.flatnonzero(np.isfinite(xyz[:, 0]))
        for name, i in (("N", placed[0]), ("C", placed[-1])):
            ax.annotate(name, xyz[i, :2], xytext=(4, 4), textcoords="offset points", weight="bold")
        ax.set(aspect="equal", title=way["name"], xticks=[], yticks=[])
        ax.margins(0.08)
        ax.autoscale_view()
        ax.set_xlabel(way["key"], fontsize=9)
    fig.suptitle(title)
    return fig
