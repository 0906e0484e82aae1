"""All committed figures at half size, and once more as the colour-blind see them: ``python -m tools.contact_sheet``.

The folder ``contact-sheet`` is not tracked; look at both pages before a figure is committed. Folders may be named:
``python -m tools.contact_sheet figures/demo``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from halo_utils.core.errors import DataError
from halo_utils.core.paths import REPOSITORY, shown
from tools.exit_code import exit_code

SHEET = REPOSITORY / "contact-sheet"
WIDTH, COLUMNS, CAPTION = 640, 3, 18  # pixels of a figure: half of what a notebook shows on a wide screen
# Machado, Oliveira and Fernandes 2009 (doi:10.1109/TVCG.2009.113), severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)


def linear(srgb: np.ndarray) -> np.ndarray:
    """Return sRGB values in 0..1, [..., 3], as linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def as_seen(srgb: np.ndarray) -> np.ndarray:
    """Return sRGB values in 0..1, [..., 3], as someone without green cones sees them."""
    light = np.clip(linear(srgb) @ DEUTERANOPIA.T, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def oklab(srgb: np.ndarray) -> np.ndarray:
    """Return sRGB values in 0..1, [..., 3], in Oklab (Ottosson 2020), where equal distances look about equal."""
    cones = linear(srgb) @ np.array(
        [
            [0.41222147, 0.21190350, 0.08830246],
            [0.53633254, 0.68069955, 0.28171884],
            [0.05144599, 0.10739696, 0.62997870],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.21045426, 1.97799850, 0.02590404],
            [0.79361779, -2.42859221, 0.78277177],
            [-0.00407205, 0.45059371, -0.80867577],
        ]
    )


def least_distance(srgb: np.ndarray) -> float:
    """Return the distance in Oklab of the two colours of [N, 3] that look most alike."""
    lab = oklab(srgb)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(apart[~np.eye(len(lab), dtype=bool)].min())


def page(paths: Sequence[Path], deuteranopia: bool = False) -> Image.Image:
    """Return the figures side by side, each under its name."""
    tiles = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        image = image.resize((WIDTH, max(1, image.height * WIDTH // image.width)), Image.Resampling.LANCZOS)
        if deuteranopia:
            image = Image.fromarray((as_seen(np.asarray(image) / 255) * 255).round().astype("uint8"))
        tiles.append((f"{path.parent.name}/{path.stem}", image))
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    heights = [max(image.height for _, image in row) + CAPTION for row in rows]
    sheet = Image.new("RGB", (COLUMNS * WIDTH, sum(heights)), "white")
    draw, y = ImageDraw.Draw(sheet), 0
    for row, height in zip(rows, heights, strict=True):
        for k, (name, image) in enumerate(row):
            draw.text((k * WIDTH + 4, y + 2), name, fill="black")
            sheet.paste(image, (k * WIDTH, y + CAPTION))
        y += height
    return sheet


def write_sheet(folders: Sequence[Path], target: Path = SHEET) -> list[Path]:
    """Write both pages over all figures of the folders and return their paths; DataError if there are none."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.png"))]
    if not paths:
        raise DataError(f"no figures in {', '.join(shown(f) for f in folders)}: run the notebooks first")
    target.mkdir(exist_ok=True)
    written = []
    for name, deuteranopia in (("normal", False), ("deuteranopia", True)):
        page(paths, deuteranopia).save(target / f"{name}.png")
        written.append(target / f"{name}.png")
    return written


def main(argv: Sequence[str]) -> int:
    """Write the sheet of the named folders, or of all under ``figures``; return the exit code."""
    folders = [Path(name) for name in argv] or sorted(f for f in (REPOSITORY / "figures").iterdir() if f.is_dir())
    return exit_code(lambda: print(*map(shown, write_sheet(folders)), sep="\n"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
