"""The look of every figure: one palette, one set of sizes, and how a figure is saved and shown."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from IPython.display import display
from matplotlib.figure import Figure

from halo_utils.core.files import atomic_path

COLOURS = sns.color_palette("colorblind")
BLUE, ORANGE, GREEN, VERMILION, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], (0.55, 0.55, 0.55)
STYLE = {
    "figure.dpi": 80, "savefig.dpi": 160, "font.size": 12, "axes.titlesize": 13, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "halo", "svg.fonttype": "none",
}  # fmt: skip


def new_figure(width: float, height: float, panels: int = 1) -> tuple[Figure, Any]:
    """Return an empty figure of ``width`` by ``height`` inches with axes, an array of them for several panels."""
    plt.rcParams.update(STYLE)
    return plt.subplots(1, panels, figsize=(width, height), layout="constrained")


def save(fig: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` and ``name.svg`` into ``folder`` without dates, so equal plots are equal files."""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with atomic_path(folder / f"{name}.{suffix}") as temporary:
            fig.savefig(temporary, format=suffix, metadata=metadata)
    return folder / f"{name}.png"


def show_figure(fig: Figure, folder: Path, name: str, alt: str) -> None:
    """Save a figure as png and svg, display it with the text ``alt`` for who cannot see it, and close it."""
    save(fig, folder, name)
    image = BytesIO()
    fig.savefig(image, format="png", dpi="figure", metadata={"Software": None})
    plt.close(fig)
    bundle = {"image/png": b64encode(image.getvalue()).decode(), "text/plain": alt}
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)
