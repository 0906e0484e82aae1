"""Pictures of the demo run that README shows, copied to where they are tracked: ``python -m tools.showcase``.

The demo's own figures are not tracked, because every ``make run`` draws them again.
"""

import sys
from pathlib import Path

from PIL import Image

from halo_utils.core.errors import DataError
from halo_utils.core.paths import REPOSITORY, RunPaths, shown
from halo_utils.figures.records import FIGURES
from tools.exit_code import exit_code

TARGET = REPOSITORY / "figures" / "readme"
PICTURES = {
    "residue_importance": 1000,
    "c_alpha_trace": 480,
    "planted_shares": 480,
    "pretraining": 480,
}  # name -> pixels


def copy_pictures(source: Path, target: Path = TARGET) -> list[Path]:
    """Copy the pictures from a run's folder, each as wide as README needs it, and return their new paths."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, width in PICTURES.items():
        path = source / f"{name}.png"
        if not path.is_file():
            raise DataError(f"{shown(path)} not found: run notebook {FIGURES[name].notebook} on the demo first")
        image = Image.open(path).convert("RGB")
        height = round(image.height * width / image.width)
        image.resize((width, height), Image.Resampling.LANCZOS).save(target / path.name, optimize=True)
        written.append(target / path.name)
    return written


def main() -> int:
    """Copy the pictures; return the exit code."""
    return exit_code(lambda: print(*map(shown, copy_pictures(RunPaths("demo").figures)), sep="\n"))


if __name__ == "__main__":
    sys.exit(main())
