"""The look of every figure: one palette, one set of sizes, and how a figure is saved and shown."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from IPython.display import display
from matplotlib import color_sequences
from matplotlib.figure import Figure

from halo_utils.core.files import atomic_path
from halo_utils.data.deeploc import DEEPLOC
from halo_utils.evaluation.systems import BY_NAME
from halo_utils.figures.records import FIGURES

COLOURS = sns.color_palette("colorblind")
BLUE, ORANGE, GREEN, VERMILION, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], (0.55, 0.55, 0.55)
INK = "#333333"  # of words and arrows
PALE = (0.83, 0.83, 0.83)  # of bars: who sees no green takes GREY for GREEN
# A hue per kind of model.
FAMILIES = {"sequence": BLUE, "graph": GREEN, "joined": ORANGE, "baseline": (0.25, 0.25, 0.25)}
# Ten colours that stay apart in every kind of colour blindness (Petroff 2021, arXiv:2107.02270), one per location.
LOCATIONS = dict(zip(DEEPLOC, color_sequences["petroff10"], strict=True))
OF_LUO2024 = {"Secreted": "Extracellular", "Lysosome": "Lysosome/Vacuole", "Cell junction": "Plastid"}
OF_LUO2024 |= {"Cell projection": "Peroxisome"}  # the last two have no relative: colours that luo2024 leaves free
STYLE = {
    "figure.dpi": 80, "savefig.dpi": 160, "font.size": 12, "axes.titlesize": 13, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "halo", "svg.fonttype": "none",
}  # fmt: skip


def model_colour(system: str) -> tuple[float, ...]:
    """Return the hue of a system: that of its family, so that a model looks alike in every figure."""
    return FAMILIES[BY_NAME[system].family]


def location_colour(name: str) -> tuple[float, ...]:
    """Return the colour of a location of DeepLoc 2.0 or luo2024; grey for any other."""
    return LOCATIONS.get(OF_LUO2024.get(name, name), GREY)


def new_figure(width: float, height: float, panels: int = 1) -> tuple[Figure, Any]:
    """Return an empty figure of ``width`` by ``height`` inches with axes, an array of them for several panels."""
    plt.rcParams.update(STYLE)
    return plt.subplots(1, panels, figsize=(width, height), layout="constrained")


def heading(fig: Figure) -> str:
    """Return the title of a figure in one line; by the house rule it is what the figure found."""
    return (fig.get_suptitle() or fig.axes[0].get_title()).replace("\n", "; ")


def _fit_title(fig: Figure) -> None:
    """Break the lines of a title that is wider than its figure."""
    widest = int(9.2 * fig.get_figwidth())  # characters of the size of a title
    lines = [part for line in fig.get_suptitle().splitlines() for part in wrap(line, widest)]
    if lines:
        fig.suptitle("\n".join(lines))


def save(fig: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` and ``name.svg`` into ``folder`` without dates, so equal plots are equal files.

    Both carry in their metadata the notebook that drew them and the table of the plotted values, where FIGURES has it.
    """
    _fit_title(fig)
    known = FIGURES.get(name)
    values = f"; values: {known.values}" if known and known.values else ""
    source = f"notebook {known.notebook}{values}" if known else ""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        if source:
            metadata = metadata | {"Source": source}
        with atomic_path(folder / f"{name}.{suffix}") as temporary:
            fig.savefig(temporary, format=suffix, metadata=metadata)
    return folder / f"{name}.png"


def show_figure(fig: Figure, folder: Path | None, name: str, alt: str) -> None:
    """Save a figure as png and svg, display it with the text ``alt`` for who cannot see it, and close it.

    The title, which says what was found, is added to ``alt`` where it is not part of it. Without a folder the figure is
    shown and not saved.
    """
    if (found := heading(fig)) and found.split("; ")[0] not in alt:
        alt = f"{alt.rstrip('.')}. {found}."
    _fit_title(fig)
    if folder is not None:
        save(fig, folder, name)
    image = BytesIO()
    fig.savefig(image, format="png", dpi="figure", metadata={"Software": None})
    plt.close(fig)
    bundle = {"image/png": b64encode(image.getvalue()).decode(), "text/plain": alt}
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)
