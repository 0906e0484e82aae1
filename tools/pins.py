"""The pinned requirements, for authors: ``python -m tools.pins`` makes both files with uv, ``check`` finds drift.

``requirements.txt`` holds what a run needs and ``requirements-test.txt`` what the tests need besides, each with markers
for every platform and Python of pyproject.toml. ``check`` needs neither uv nor a network.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from halo_utils.core.errors import HaloError
from halo_utils.core.files import write_text
from halo_utils.core.paths import REPOSITORY

PROJECT, PINS, TEST_PINS = (
    REPOSITORY / name for name in ("pyproject.toml", "requirements.txt", "requirements-test.txt")
)
# Torch's GPU build names these with exact versions of its own, and its CPU build, of the same version, needs none.
OF_TORCH = re.compile(r"(nvidia|cuda|triton)\b")
HEADER = """\
# {what}, for Linux, macOS and Windows and every Python of pyproject.toml.
# Made by `make pins`: change pyproject.toml, not this file. The GPU libraries that torch pins itself are left out.
# inputs: sha256 {inputs}
"""
WHAT = {PINS: "What a run needs, exactly", TEST_PINS: "What the tests need besides, exactly"}


def inputs() -> dict[str, list[str]]:
    """Return what pyproject.toml asks for: the Python versions, and the packages of a run and of the tests."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    run = [*project["dependencies"], *extras["workflow"]]
    return {"python": [project["requires-python"]], "run": run, "test": extras["test"]}


def fingerprint() -> str:
    """Return the sha256 of what the pins are made from, whatever its order."""
    asked = {name: sorted(lines) for name, lines in inputs().items()}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def pinned(path: Path) -> list[Requirement]:
    """Return the pins of a requirements file, without those of the file that it includes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def compiled(*extras: str) -> list[str]:
    """Return the pins that uv finds for all platforms; versions pinned before stay where they can.

    Raises:
        HaloError: if uv is missing or finds no set of versions.
    """
    if not (uv := shutil.which("uv")):
        raise HaloError("uv is not installed, which makes the pins: run `python -m pip install uv`")
    lowest = inputs()["python"][0].removeprefix(">=")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pins.txt"
        known = [str(pin) for path in (PINS, TEST_PINS) if path.is_file() for pin in pinned(path)]
        out.write_text("\n".join(known) + "\n", encoding="utf-8")
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", lowest, "--no-header"]
        command += ["--fork-strategy", "fewest", "--no-annotate", "--output-file", str(out), str(PROJECT)]
        done = subprocess.run([*command, *(f"--extra={name}" for name in extras)], capture_output=True, text=True)
        if done.returncode:
            raise HaloError(f"uv found no versions for every platform:\n{done.stderr}")
        return [line for line in out.read_text(encoding="utf-8").splitlines() if not OF_TORCH.match(line)]


def write() -> None:
    """Make both files; the second includes the first and repeats nothing of it."""
    everything = compiled("workflow", "test")
    run = {Requirement(line).name for line in compiled("workflow")}
    of_run = [line for line in everything if Requirement(line).name in run]
    of_tests = [line for line in everything if line not in of_run]
    for path, lines in ((PINS, of_run), (TEST_PINS, [f"-r {PINS.name}", *of_tests])):
        header = HEADER.format(what=WHAT[path], inputs=fingerprint())
        write_text(path, header + "\n".join(lines) + "\n")


def drift() -> list[str]:
    """Return what of the pins does not fit pyproject.toml; empty when all does."""
    stale = [path for path in WHAT if f"# inputs: sha256 {fingerprint()}\n" not in path.read_text(encoding="utf-8")]
    problems = [f"{path.name} was made from another pyproject.toml: run `make pins`" for path in stale]
    pins = [pin for path in WHAT for pin in pinned(path)]
    problems += [
        f"{pin} is no exact version: run `make pins`" for pin in pins if not str(pin.specifier).startswith("==")
    ]
    for asked in map(Requirement, [*inputs()["run"], *inputs()["test"]]):
        found = [pin for pin in pins if pin.name == asked.name.lower()]
        versions = [str(pin.specifier).removeprefix("==") for pin in found]
        if not versions or not all(asked.specifier.contains(version) for version in versions):
            problems.append(f"{asked} is pinned to {versions or 'nothing'}: run `make pins`")
    return problems


def main(argv: list[str]) -> int:
    """Make the files, or with ``check`` compare them with pyproject.toml; return the exit code."""
    try:
        if argv != ["check"]:
            write()
        problems = drift()
    except HaloError as error:
        problems = [str(error)]
    print("\n".join(problems) or "the pins fit pyproject.toml", file=sys.stderr if problems else sys.stdout)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
