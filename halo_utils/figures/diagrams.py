"""Fig. 1-3 of the paper as diagrams drawn by code: the numbers of a run, and the shapes of one protein."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from halo_utils.figures.style import BLUE, GREEN, GREY, INK, STYLE, VERMILION, new_figure

DATA, FROZEN, LEARNS, RESULT, REMOVED = "#dbe9f6", "#e6e6e6", "#fde3c8", "#d5ecd9", "#f6d5c8"
BOX_WIDTH, BOX_HEIGHT, FONT = 2.7, 0.95, 12
LONGEST_LINE = 22  # characters that fit a box; longer lines, such as the name of a backbone, are set smaller
Boxes = dict[str, tuple[float, float, str, str]]
ENDS = {  # of Fig. 1: the four ways in which a predicted label ends, from top to bottom
    "confident": "kept: confident", "no_structure": "kept: no structure", "agreed": "kept: GAT agrees",
    "vetoed": "removed: GAT vetoes",
}  # fmt: skip
SCHEME = "HALO: the sequence model decides when confident, else both must agree"


def _box(ax: Axes, x: float, y: float, text: str, colour: str, width: float = BOX_WIDTH) -> None:
    corner, look = (x - width / 2, y - BOX_HEIGHT / 2), {"facecolor": colour, "edgecolor": "#444444"}
    ax.add_patch(FancyBboxPatch(corner, width, BOX_HEIGHT, boxstyle="round,pad=0.06", **look))
    longest = LONGEST_LINE * width / BOX_WIDTH
    size = FONT * min(1, longest / max(map(len, text.splitlines())))
    ax.text(x, y, text, ha="center", va="center", fontsize=size)


def _arrow(ax: Axes, tail: tuple[float, float], head: tuple[float, float], words: str = "") -> None:
    ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0})
    beside = abs(head[0] - tail[0]) < 0.1  # of a vertical arrow the words stand at its side
    x, y = (tail[0] + head[0]) / 2 + 0.12 * beside, (tail[1] + head[1]) / 2 + 0.08 * (not beside)
    look = {"ha": "left", "va": "center"} if beside else {"ha": "center", "va": "bottom"}
    ax.text(x, y, words, fontsize=FONT, color=INK, **look)


def _draw(ax: Axes, boxes: Boxes, arrows: Sequence[str], title: str) -> None:
    """Draw boxes, and arrows given as ``start end`` and the words beside them."""
    for box in boxes.values():
        _box(ax, *box)
    for start, end, *words in (arrow.split(maxsplit=2) for arrow in arrows):
        (x0, y0, *_), (x1, y1, *_) = boxes[start], boxes[end]
        up = np.sign(y1 - y0) * (BOX_HEIGHT / 2 + 0.08) if abs(x0 - x1) < 0.1 else 0  # boxes of one column
        right = 0 if up else np.sign(x1 - x0) * (BOX_WIDTH / 2 + 0.08)
        _arrow(ax, (x0 + right, y0 + up), (x1 - right, y1 - up), "".join(words))
    xs, ys, *_ = zip(*boxes.values(), strict=True)
    ax.set(xlim=(min(xs) - 1.6, max(xs) + 1.6), ylim=(min(ys) - 0.8, max(ys) + 0.8), aspect="equal", title=title)
    ax.axis("off")


def figure_1(
    confident: float, threshold: float = 0.45, counts: Mapping[str, tuple[int, int]] | None = None, title: str = SCHEME
) -> Figure:
    """Draw HALO as a whole: the probability of the sequence model, and where on its axis the graph model is asked.

    ``counts`` is decision of the gate -> labels and true ones among them, written on its branch.
    """
    fig, ax = new_figure(11.0, 6.4)

    def said(name: str) -> str:
        return f"\n{counts[name][0]:,}, {counts[name][1]:,} of them true" if counts else ""

    _box(ax, 2.0, 7.6, "protein sequence", DATA, 3.4)
    _box(ax, 6.9, 7.6, "fine-tuned ESM\n(Fig. 2)", LEARNS, 3.4)
    _box(ax, 2.0, 0.6, "AlphaFold structure", DATA, 3.4)
    _box(ax, 6.9, 0.6, "graph attention\nnetwork (Fig. 3)", LEARNS, 3.4)
    for i, (name, words) in enumerate(ENDS.items()):
        _box(ax, 13.0, 3.3 - 1.25 * i, words + said(name), REMOVED if name == "vetoed" else RESULT, 4.4)
    place = lambda p: 0.3 + 14.9 * p  # noqa: E731  where a probability lies
    low, high = place(min(threshold, confident)), place(confident)
    _arrow(ax, (3.8, 7.6), (5.1, 7.6))
    _arrow(ax, (3.8, 0.6), (5.1, 0.6))
    _arrow(ax, (6.9, 7.05), (6.9, 5.85), "a probability for every location")
    for start, end, colour, hatch in ((place(0), low, GREY, ""), (low, high, GREEN, "//"), (high, place(1), BLUE, "")):
        look = {"facecolor": colour, "alpha": 0.35, "hatch": hatch, "edgecolor": colour, "linewidth": 0}
        ax.fill_between((start, end), 4.7, 5.4, **look)
    for p in (0, threshold, confident, 1):
        ax.plot([place(p)] * 2, [4.7, 5.5], color=INK, linewidth=1)
        ax.text(place(p), 5.55, f"{p:g}" if p in (0, 1) else f"{p:.2f}", ha="center", va="bottom", fontsize=FONT)
    for x, words in (((place(0) + low) / 2, "not predicted"), ((high + place(1)) / 2, "sequence model decides alone")):
        ax.text(x, 5.05, words, ha="center", va="center", fontsize=FONT)
    middle = (low + high) / 2
    ax.text(middle - 0.15, 4.4, "band of\nthe gate", ha="right", va="top", fontsize=FONT, color=INK)
    if counts:
        words = f"{counts['negative'][0]:,} no label,\n{counts['negative'][1]:,} of them missed"
        ax.text((place(0) + low) / 2 - 1, 4.5, words, ha="center", va="top", fontsize=FONT, color=INK)
    _arrow(ax, (13.0, 4.7), (13.0, 3.85))
    _arrow(ax, (middle + 0.1, 4.7), (10.7, 2.05))
    _arrow(ax, (middle - 0.05, 4.7), (middle - 0.05, 1.15))
    ax.text(middle - 0.2, 2.0, "structure\nknown", ha="right", va="center", fontsize=FONT, color=INK)
    _arrow(ax, (8.7, 0.7), (10.7, 0.8))
    _arrow(ax, (8.7, 0.5), (10.7, -0.35))
    ax.set(xlim=(0, 15.5), ylim=(-1.1, 8.2))
    ax.axis("off")
    fig.suptitle(title)
    return fig


def figure_2(
    backbone: str,
    max_tokens: int,
    trainable_layers: int | str,
    pooling: str,
    hidden: int,
    composition: int,
    loss: str,
    protein: tuple[int, int, int] | None = None,
    attention: np.ndarray | None = None,
) -> Figure:
    """Draw the sequence model: backbone, the tokens it reads, its last layers that learn (or ``all``), pooling, head.

    ``hidden`` and ``composition`` are units of the head's hidden layer and of the composition network, 0 for none.
    ``protein`` is residues L, width D and locations K, which become shapes on the arrows; ``attention``, [L], a strip.
    """
    everything = trainable_layers == "all"
    layers = "layer" if trainable_layers == 1 else f"{trainable_layers} layers"
    head = f"head, {hidden} units," if hidden else "linear head"
    frozen = "token embedding" if everything else "first layers (frozen)"
    boxes: Boxes = {
        "tokens": (0, 0, f"tokens\n(up to {max_tokens:,})", DATA),
        "trunk": (4.3, 0, f"{backbone},\n{frozen}", LEARNS if everything else FROZEN),
        "top": (8.6, 0, f"{'all encoder layers' if everything else f'the last {layers}'}\n(trainable)", LEARNS),
        "pool": (8.6, -1.7, pooling, LEARNS),
        "head": (4.3, -1.7, f"{head}\nper location", LEARNS),
        "threshold": (0, -1.7, "threshold by\nmacro F1", RESULT),
    }
    n, d, k = protein or ("L", "D", "K")
    tokens = n + 2 if protein else "L + 2"
    arrows = [f"tokens trunk [{tokens}]", f"trunk top [{tokens}, {d}]", f"top pool [{n}, {d}]"]
    arrows += [f"pool head [{d}]" if "region" not in pooling else "pool head", f"head threshold [{k}]"]
    if composition:
        boxes["protein"] = (8.6, -3.4, "composition of the\nwhole protein", DATA)
        boxes["composition"] = (4.3, -3.4, f"composition network,\n{composition} units", LEARNS)
        arrows += ["protein composition", "composition head"]
    fig, ax = new_figure(9.6, (4.9 if composition else 3.6) + 0.8 * (attention is not None))
    subject = f"a protein of {n:,} residues" if protein else "a protein"
    _draw(ax, boxes, arrows, f"The sequence model turns {subject} into {k} probabilities\n({loss})")
    if attention is not None:
        edges = np.linspace(-1.4, 10.0, len(attention) + 1)
        ax.pcolormesh(edges, [0.85, 1.35], attention[None], cmap="Oranges", vmin=0, rasterized=True)
        ax.text(-1.4, 1.42, f"attention along its {len(attention):,} residues", va="bottom", fontsize=FONT)
        ax.set_ylim(top=2.0)
    return fig


def _trace(ax: Axes, ca: np.ndarray, edges: np.ndarray, colour: tuple[float, ...], title: str) -> None:
    """Draw a C-alpha trace, [L, 3] in angstrom, in the plane in which it is widest, over its edges [2, E]."""
    placed = np.isfinite(ca).all(axis=1)
    centre = ca[placed].mean(axis=0)
    flat = (ca - centre) @ np.linalg.svd(ca[placed] - centre, full_matrices=False)[2][:2].T  # [L, 2]
    ax.add_collection(LineCollection(flat[edges.T], colors=[colour], linewidths=0.5, alpha=0.5, rasterized=True))
    ax.plot(*flat.T, color=INK, linewidth=1.6)
    ax.plot(*flat.T, "o", color=INK, markersize=2.5)
    ax.set(aspect="equal", title=title)
    ax.axis("off")


def figure_3(
    cutoff_angstrom: float,
    layers: int,
    heads: int,
    hidden: int,
    weights: str,
    loss: str,
    protein: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """Draw the graph model with its cut-off in angstrom, layers, heads of ``hidden`` channels, weights and loss.

    ``protein`` is C-alpha positions [N, 3], edges [2, E] and node features [N, 3 + D + 4] of one, drawn above.
    """
    boxes: Boxes = {
        "coord": (0, 2.6, "C-alpha coordinates\n× w_coord", DATA),
        "esm": (0, 1.3, "fine-tuned ESM\nembedding × w_esm", DATA),
        "bio": (0, 0, "biochemistry\n× w_bio", DATA),
        "nodes": (3.9, 1.95, "node features", FROZEN),
        "edges": (3.9, 3.3, f"edges: C-alpha\nunder {cutoff_angstrom:g} Å", FROZEN),
        "gat": (7.8, 2.6, f"GAT: {layers} layers,\n{heads} heads × {hidden}", LEARNS),
        "pool": (7.8, 1.3, "mean over residues", FROZEN),
        "loss": (7.8, 0, f"{loss},\nlearnable thresholds", LEARNS),
    }
    arrows = ["coord nodes", "esm nodes", "bio nodes", "nodes gat", "edges gat", "gat pool", "pool loss"]
    if protein is None:
        fig, ax = new_figure(9.0, 3.9)
        _draw(ax, boxes, arrows, f"Weighted graph attention model (weights: {weights})")
        return fig
    ca, edges, x = protein
    plt.rcParams.update(STYLE)
    fig = plt.figure(figsize=(9.6, 7.6), layout="constrained")
    grid = fig.add_gridspec(2, 2, height_ratios=(1, 1.15))
    _draw(fig.add_subplot(grid[1, :]), boxes, arrows, f"Weights of the three groups: {weights}")
    count = f"{len(ca):,} residues, {edges.shape[1]:,} edges under {cutoff_angstrom:g} Å"
    _trace(fig.add_subplot(grid[0, 0]), ca, edges, GREEN, count)
    spread = x.std(axis=0)
    values = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    strip = fig.add_subplot(grid[0, 1])
    strip.imshow(values.T, aspect="auto", cmap="cividis", vmin=-2, vmax=2, interpolation="nearest")
    ends = (2.5, x.shape[1] - 4.5)
    strip.hlines(ends, -0.5, len(x) - 0.5, color="white", linewidth=1.5)
    strip.set_yticks(
        [1, sum(ends) / 2, x.shape[1] - 2.5], ["3 coordinates", f"{x.shape[1] - 7} of ESM", "4 properties"]
    )
    strip.set(xlabel="residue", title="node features, each standardised")
    fig.suptitle("A protein becomes a graph: contacts are its edges, three groups of numbers its nodes")
    return fig


def contact_graphs(ca: np.ndarray, graphs: Mapping[float, np.ndarray], where: str) -> Figure:
    """Draw the contact graph of one protein, C-alpha [L, 3] in angstrom, under several cut-offs -> edges [2, E]."""
    fig, axes = new_figure(5.4 * len(graphs), 5.6, len(graphs))
    colours, density = (GREEN, VERMILION), {cut: edges.shape[1] / len(ca) for cut, edges in graphs.items()}
    for ax, (cut, edges), colour in zip(np.atleast_1d(axes), graphs.items(), colours, strict=False):
        _trace(ax, ca, edges, colour, f"{cut:g} Å: {density[cut]:.1f} edges per residue")
    few, many = min(graphs), max(graphs)
    found = f"Twice the cut-off, {density[many] / density[few]:.1f} times the edges: local contacts become a cloud"
    fig.suptitle(f"{found}\n{where}" if many == 2 * few else where)
    return fig
