"""The look of every figure: one palette, one set of sizes, and how a figure is saved and shown."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halo_utils.core.files import atomic_path

COLOURS = sns.color_palette("colorblind")
BLUE, ORANGE, GREEN, VERMILION, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], (0.55, 0.55, 0.55)
STYLE = {
    "figure.dpi": 80, "savefig.dpi": 160, "font.size": 12, "axes.titlesize": 13, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "halo", "svg.fonttype": "none",
}  # fmt: skip


def new_figure(width: float = 8.0, height: float = 4.5) -> tuple[Figure, Axes]:
    """Return an empty figure of ``width`` by ``height`` inches with one pair of axes."""
    plt.rcParams.update(STYLE)
    return plt.subplots(figsize=(width, height), layout="constrained")


def error_bars(rows: pd.DataFrame) -> np.ndarray:
    """Return how far the ends of the intervals lie from the values, [2, rows], as matplotlib's error bars want them."""
    return np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())


def percent_range(first: float, last: float) -> str:
    """Return a range of shares such as ``40–45%``."""
    return f"{first:.0%}–{last:.0%}".replace("%–", "–")


def save(fig: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` and ``name.svg`` into ``folder`` without dates, so equal plots are equal files."""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with atomic_path(folder / f"{name}.{suffix}") as temporary:
            fig.savefig(temporary, format=suffix, metadata=metadata)
    return folder / f"{name}.png"


def show_figure(fig: Figure, folder: Path, name: str, alt: str) -> None:
    """Save a figure as png and svg, display it in the notebook with its alternative text, and close it.

    Args:
        fig: the figure.
        folder: where ``name.png`` and ``name.svg`` go.
        name: file name without suffix.
        alt: what the figure shows, for readers who cannot see it; it is the text of the output where no image can be.
    """
    save(fig, folder, name)
    image = BytesIO()
    fig.savefig(image, format="png", dpi="figure", metadata={"Software": None})
    plt.close(fig)
    bundle = {"image/png": b64encode(image.getvalue()).decode(), "text/plain": alt}
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)
