"""Fig. 1-3 of the paper as diagrams drawn by code: boxes, arrows and the profile's own numbers."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from halo_utils.config import Settings
from halo_utils.figures.style import STYLE
from halo_utils.runs.wording import backbone_name, blocks_that_learn, loss_words

DATA, FROZEN, LEARNS, RESULT = "#dbe9f6", "#e6e6e6", "#fde3c8", "#d5ecd9"
BOX_WIDTH, BOX_HEIGHT, FONT = 2.6, 0.95, 12
LONGEST_LINE = 22  # characters that fit a box; longer lines, such as the name of a backbone, are set smaller
Boxes = dict[str, tuple[float, float, str, str]]


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
    ax.add_patch(
        FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0.06", facecolor=colour, edgecolor="#444444")
    )
    size = FONT * min(1, LONGEST_LINE / max(len(line) for line in text.splitlines()))
    ax.text(x, y, text, ha="center", va="center", fontsize=size)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "") -> None:
    """Draw an arrow between box borders: up or down when boxes share a column, else sideways."""
    half_x, half_y = BOX_WIDTH / 2 + 0.08, BOX_HEIGHT / 2 + 0.08
    if abs(start[0] - end[0]) < 0.1:
        sign = 1 if end[1] > start[1] else -1
        tail, head = (start[0], start[1] + sign * half_y), (end[0], end[1] - sign * half_y)
    else:
        sign = 1 if end[0] > start[0] else -1
        tail, head = (start[0] + sign * half_x, start[1]), (end[0] - sign * half_x, end[1])
    ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": "#333333", "shrinkA": 0, "shrinkB": 0})
    if text:
        x, y = (tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2
        ax.text(x, y + 0.08, text, ha="center", va="bottom", fontsize=FONT, color="#333333")


def _draw(boxes: Boxes, arrows: list[tuple[str, str, str]], title: str, size: tuple[float, float]) -> Figure:
    plt.rcParams.update(STYLE)
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    for x, y, text, colour in boxes.values():
        _box(ax, x, y, text, colour)
    for start, end, text in arrows:
        _arrow(ax, boxes[start][:2], boxes[end][:2], text)
    xs, ys = zip(*[(b[0], b[1]) for b in boxes.values()], strict=True)
    ax.set(xlim=(min(xs) - 1.5, max(xs) + 1.5), ylim=(min(ys) - 0.8, max(ys) + 0.8), aspect="equal", title=title)
    ax.axis("off")
    return fig


def figure_1(settings: Settings) -> Figure:
    """Draw HALO as a whole: sequence model, graph model, gate."""
    gate = f"{settings.gate.confident:.0%}"
    boxes: Boxes = {
        "sequence": (0, 2, "protein sequence", DATA),
        "esm": (3.6, 2, "fine-tuned ESM\n(Fig. 2)", LEARNS),
        "gate": (7.4, 2, f"confidence\n≥ {gate}?", FROZEN),
        "labels": (11.2, 2, "locations", RESULT),
        "structure": (0, 0, "AlphaFold\nstructure", DATA),
        "gat": (3.6, 0, "graph attention\nnetwork (Fig. 3)", LEARNS),
        "agree": (7.4, 0, "GAT predicts\nthe label too?", FROZEN),
        "drop": (11.2, 0, "label dropped", RESULT),
    }
    arrows = [
        ("sequence", "esm", ""),
        ("esm", "gate", ""),
        ("gate", "labels", "yes"),
        ("structure", "gat", ""),
        ("esm", "gat", ""),
        ("gat", "agree", ""),
        ("gate", "agree", ""),
        ("agree", "drop", "no"),
        ("agree", "labels", "yes"),
    ]
    return _draw(boxes, arrows, "HALO: the sequence model decides when confident, else both must agree", (10.5, 3.3))


def figure_2(settings: Settings) -> Figure:
    """Draw the sequence model: backbone, blocks that learn, pooling, head, composition network, loss."""
    layers, own, name = settings.backbone.trainable_layers, settings.esm.head, backbone_name(settings.backbone.source)
    trunk = f"{name},\n" + ("token embedding" if layers == "all" else "first blocks (frozen)")
    top = "all encoder blocks\n(trainable)" if layers == "all" else f"{blocks_that_learn(layers)}\n(trainable)"
    pooling = (
        "attention pooling\nover residues" if own.pooling == "attention" else "light attention,\nwhole and both ends"
    )
    boxes: Boxes = {
        "tokens": (0, 0, f"tokens\n(up to {settings.backbone.max_tokens:,})", DATA),
        "trunk": (3.4, 0, trunk, LEARNS if layers == "all" else FROZEN),
        "top": (6.8, 0, top, LEARNS),
        "pool": (6.8, -1.6, pooling, LEARNS),
        "head": (3.4, -1.6, (f"head, {own.hidden} units," if own.hidden else "linear head") + "\nper location", LEARNS),
        "threshold": (0, -1.6, "threshold by\nmacro F1", RESULT),
    }
    names = list(boxes)
    arrows = [(a, b, "") for a, b in zip(names[:-1], names[1:], strict=True)]
    if own.composition:
        boxes["whole"] = (6.8, -3.2, "composition of the\nwhole protein", DATA)
        boxes["composition"] = (3.4, -3.2, f"composition network,\n{own.composition} units", LEARNS)
        arrows += [("whole", "composition", ""), ("composition", "head", "")]
    size = (8.2, 4.5) if own.composition else (8.2, 3.3)
    return _draw(boxes, arrows, f"Sequence model ({loss_words(settings.esm.focal)})", size)


def figure_3(settings: Settings) -> Figure:
    """Draw the graph model with its cut-off, weights, layers and heads."""
    gat, w = settings.gat, settings.gat.weights
    boxes: Boxes = {
        "coord": (0, 2.6, "C-alpha coordinates\n× w_coord", DATA),
        "esm": (0, 1.3, "fine-tuned ESM\nembedding × w_esm", DATA),
        "bio": (0, 0, "biochemistry\n× w_bio", DATA),
        "nodes": (3.7, 1.95, "node features", FROZEN),
        "edges": (3.7, 3.3, f"edges: C-alpha\nunder {gat.cutoff_angstrom:g} Å", FROZEN),
        "gat": (7.4, 2.6, f"GAT: {gat.layers} layers,\n{gat.heads} heads × {gat.hidden}", LEARNS),
        "pool": (7.4, 1.3, "mean over residues", FROZEN),
        "loss": (7.4, 0, f"{loss_words(gat.focal)},\nlearnable thresholds", LEARNS),
    }
    arrows = [
        ("coord", "nodes", ""),
        ("esm", "nodes", ""),
        ("bio", "nodes", ""),
        ("nodes", "gat", ""),
        ("edges", "gat", ""),
        ("gat", "pool", ""),
        ("pool", "loss", ""),
    ]
    return _draw(boxes, arrows, f"Weighted graph attention model (weights: {w.mode})", (9.0, 3.9))
