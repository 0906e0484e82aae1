"""Fig. 1-3 of the paper as diagrams drawn by code: boxes, arrows and the numbers of a run."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from halo_utils.figures.style import new_figure

DATA, FROZEN, LEARNS, RESULT = "#dbe9f6", "#e6e6e6", "#fde3c8", "#d5ecd9"
BOX_WIDTH, BOX_HEIGHT, FONT = 2.6, 0.95, 12
LONGEST_LINE = 22  # characters that fit a box; longer lines, such as the name of a backbone, are set smaller
Boxes = dict[str, tuple[float, float, str, str]]


def _draw(boxes: Boxes, arrows: list[str], title: str, width: float, height: float) -> Figure:
    """Draw boxes, and arrows given as ``start end`` and the words beside them."""
    fig, ax = new_figure(width, height)
    for x, y, text, colour in boxes.values():
        corner, look = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2), {"facecolor": colour, "edgecolor": "#444444"}
        ax.add_patch(FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0.06", **look))
        size = FONT * min(1, LONGEST_LINE / max(map(len, text.splitlines())))
        ax.text(x, y, text, ha="center", va="center", fontsize=size)
    for start, end, *words in map(str.split, arrows):
        (x0, y0, *_), (x1, y1, *_) = boxes[start], boxes[end]
        up = np.sign(y1 - y0) * (BOX_HEIGHT / 2 + 0.08) if abs(x0 - x1) < 0.1 else 0  # boxes of one column
        right = 0 if up else np.sign(x1 - x0) * (BOX_WIDTH / 2 + 0.08)
        tail, head = (x0 + right, y0 + up), (x1 - right, y1 - up)
        ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": "#333333", "shrinkA": 0, "shrinkB": 0})
        middle = ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2 + 0.08)
        ax.text(*middle, " ".join(words), ha="center", va="bottom", fontsize=FONT, color="#333333")
    xs, ys, *_ = zip(*boxes.values(), strict=True)
    ax.set(xlim=(min(xs) - 1.5, max(xs) + 1.5), ylim=(min(ys) - 0.8, max(ys) + 0.8), aspect="equal", title=title)
    ax.axis("off")
    return fig


def figure_1(confident: float) -> Figure:
    """Draw HALO as a whole: sequence model, graph model, gate."""
    boxes: Boxes = {
        "sequence": (0, 2, "protein sequence", DATA),
        "esm": (3.6, 2, "fine-tuned ESM\n(Fig. 2)", LEARNS),
        "gate": (7.4, 2, f"confidence\n≥ {confident:.0%}?", FROZEN),
        "labels": (11.2, 2, "locations", RESULT),
        "structure": (0, 0, "AlphaFold\nstructure", DATA),
        "gat": (3.6, 0, "graph attention\nnetwork (Fig. 3)", LEARNS),
        "agree": (7.4, 0, "GAT predicts\nthe label too?", FROZEN),
        "drop": (11.2, 0, "label dropped", RESULT),
    }
    arrows = ["gate labels yes", "agree drop no", "agree labels yes"]
    arrows += ["sequence esm", "esm gate", "structure gat", "esm gat", "gat agree", "gate agree"]
    return _draw(boxes, arrows, "HALO: the sequence model decides when confident, else both must agree", 10.5, 3.3)


def figure_2(
    backbone: str, max_tokens: int, trainable_layers: int | str, pooling: str, hidden: int, composition: int, loss: str
) -> Figure:
    """Draw the sequence model: backbone, the tokens it reads, its last layers that learn (or ``all``), pooling, head.

    ``hidden`` and ``composition`` are units of the head's hidden layer and of the composition network, 0 for none.
    """
    everything = trainable_layers == "all"
    layers = "layer" if trainable_layers == 1 else f"{trainable_layers} layers"
    head = f"head, {hidden} units," if hidden else "linear head"
    boxes: Boxes = {
        "tokens": (0, 0, f"tokens\n(up to {max_tokens:,})", DATA),
        "trunk": (3.4, 0, f"{backbone},\n{'token embedding' if everything else 'first layers (frozen)'}",
                  LEARNS if everything else FROZEN),
        "top": (6.8, 0, f"{'all encoder layers' if everything else f'the last {layers}'}\n(trainable)", LEARNS),
        "pool": (6.8, -1.6, pooling, LEARNS),
        "head": (3.4, -1.6, f"{head}\nper location", LEARNS),
        "threshold": (0, -1.6, "threshold by\nmacro F1", RESULT),
    }  # fmt: skip
    arrows = ["tokens trunk", "trunk top", "top pool", "pool head", "head threshold"]
    if composition:
        boxes["protein"] = (6.8, -3.2, "composition of the\nwhole protein", DATA)
        boxes["composition"] = (3.4, -3.2, f"composition network,\n{composition} units", LEARNS)
        arrows += ["protein composition", "composition head"]
    return _draw(boxes, arrows, f"Sequence model ({loss})", 8.2, 4.5 if composition else 3.3)


def figure_3(cutoff_angstrom: float, layers: int, heads: int, hidden: int, weights: str, loss: str) -> Figure:
    """Draw the graph model with its cut-off in angstrom, layers, heads of ``hidden`` channels, weights and loss."""
    boxes: Boxes = {
        "coord": (0, 2.6, "C-alpha coordinates\n× w_coord", DATA),
        "esm": (0, 1.3, "fine-tuned ESM\nembedding × w_esm", DATA),
        "bio": (0, 0, "biochemistry\n× w_bio", DATA),
        "nodes": (3.7, 1.95, "node features", FROZEN),
        "edges": (3.7, 3.3, f"edges: C-alpha\nunder {cutoff_angstrom:g} Å", FROZEN),
        "gat": (7.4, 2.6, f"GAT: {layers} layers,\n{heads} heads × {hidden}", LEARNS),
        "pool": (7.4, 1.3, "mean over residues", FROZEN),
        "loss": (7.4, 0, f"{loss},\nlearnable thresholds", LEARNS),
    }
    arrows = ["coord nodes", "esm nodes", "bio nodes", "nodes gat", "edges gat", "gat pool", "pool loss"]
    return _draw(boxes, arrows, f"Weighted graph attention model (weights: {weights})", 9.0, 3.9)
