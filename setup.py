"""Puts into a wheel what a run reads from a checkout, for notebooks opened alone; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# Seen from the repository; in the wheel below halo_utils/repository, where halo_utils/core/paths.py looks.
READ = (
    "data/sources.yaml",
    "data/reference/*.csv",
    "data/checkpoints/*/*",
    "notebooks/*.ipynb",
    "notebooks/related/*.ipynb",
)


class BuildWithFiles(build_py):
    """Builds the package with the files that it reads; an editable installation reads them where they are."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        for path in [] if self.editable_mode else sorted(p for pattern in READ for p in Path().glob(pattern)):
            target = Path(self.build_lib, "halo_utils", "repository", path)
            self.mkpath(str(target.parent))
            self.copy_file(str(path), str(target))


setup(cmdclass={"build_py": BuildWithFiles})
