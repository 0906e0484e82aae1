"""TODO."""

from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halo_utils.core.files import atomic_path

COLOURS = sns.color_palette("colorblind")
BLUE, ORANGE, GREEN, VERMILION, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], (0.55, 0.55, 0.55)
STYLE = {
    "figure.dpi": 80, "savefig.dpi": 160, "font.size": 12, "axes.titlesize": 13, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "halo", "svg.fonttype": "none",
}  # fmt: skip


def _figure(width: float = 8.0, height: float = 4.5, **kwargs: int) -> tuple[Figure, Axes]:
    plt.rcParams.update(STYLE)
    return plt.subplots(figsize=(width, height), layout="constrained", **kwargs)


def save(fig: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` and ``name.svg`` into ``folder`` without dates, so equal plots are equal files."""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with atomic_path(folder / f"{name}.{suffix}") as temporary:
            fig.savefig(temporary, format=suffix, metadata=metadata)
    return folder / f"{name}.png"
