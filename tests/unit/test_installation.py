"""What a reader installs: pins that fit pyproject.toml, low enough bounds, Binder and containers without a GPU."""

import json
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from halo_utils.core.paths import REPOSITORY
from tools import pins

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# What a hosted notebook (Colab, 2026) brings and must keep; older than our pins.
HOSTED = {"numpy": "2.1.3", "pandas": "2.2.3", "torch": "2.11.0", "transformers": "5.15.0", "psutil": "5.9.5"}
TEST_TOOLS = {"pytest", "nbval", "ruff", "hypothesis", "foldcomp", "snakemake-executor-plugin-slurm"}


def names(path: Path) -> set[str]:
    return {pin.name for pin in pins.pinned(path)}


def test_pins_fit_the_project() -> None:
    assert pins.drift() == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"tqdm>=4.67"', '"tqdm>=4.68"', "requirements.txt was made from another pyproject.toml"),
        ('"tqdm>=4.67"', '"tqdm>=99"', "tqdm>=99 is pinned to"),
        ('"tqdm>=4.67"', '"no-such-package"', "no-such-package is pinned to nothing"),
        ('"nbval>=0.11"', '"nbval>=0.12"', "requirements-test.txt was made from another pyproject.toml"),
        ('">=3.11.5"', '">=3.12"', "requirements.txt was made from another pyproject.toml"),
    ],
)
def test_drift_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str) -> None:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "pyproject.toml").write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(pins, "PROJECT", tmp_path / "pyproject.toml")
    assert any(message in problem for problem in pins.drift())


def test_pins_serve_every_platform_and_no_index_is_named() -> None:
    assert not names(pins.PINS) & (TEST_TOOLS | names(pins.TEST_PINS)) and names(pins.TEST_PINS) >= TEST_TOOLS
    text = pins.PINS.read_text(encoding="utf-8") + pins.TEST_PINS.read_text(encoding="utf-8")
    assert "torch==2.13.0\n" in text and "-r requirements.txt\n" in text
    assert "://" not in text and "--index" not in text and "nvidia" not in text
    markers = {pin.name: pin.marker for path in pins.WHAT for pin in pins.pinned(path) if pin.marker}
    windows, mac = {"sys_platform": "win32", "os_name": "nt"}, {"sys_platform": "darwin", "platform_machine": "arm64"}
    assert markers["colorama"].evaluate(windows) and markers["appnope"].evaluate(mac)
    arm_linux = {"sys_platform": "linux", "platform_machine": "aarch64"}
    assert not markers["foldcomp"].evaluate(arm_linux) and markers["foldcomp"].evaluate(mac)


def test_bounds_let_a_hosted_notebook_keep_its_packages() -> None:
    asked = {r.name: r.specifier for r in map(Requirement, pins.inputs()["run"])}
    assert {name: v for name, v in HOSTED.items() if not asked[name].contains(v)} == {}
    assert "3.13.15" in SpecifierSet(pins.inputs()["python"][0]) and "3.11.4" not in SpecifierSet(
        pins.inputs()["python"][0]
    )
    assert not any(asked["lightning"].contains(version) for version in ("2.6.2", "2.6.3", "2.6.5"))
    project = Path(pins.PROJECT).read_text(encoding="utf-8").split("[project.optional-dependencies]")[0]
    assert not re.search(
        r'"(jupyterlab|ipywidgets|ipykernel|snakemake)\b', project
    )  # the kernel's own, or of no use there


def pip_lines(path: Path) -> list[str]:
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    return next(entry["pip"] for entry in dependencies if isinstance(entry, dict))


def test_conda_and_binder_take_the_pins() -> None:
    assert pip_lines(REPOSITORY / "environment.yml") == ["-r requirements.txt", "-e ."]
    binder = REPOSITORY / "binder" / "environment.yml"
    index, *lines = pip_lines(binder)
    assert index == f"--extra-index-url {CPU_INDEX}"
    assert [(binder.parent / line.split()[1]).resolve() for line in lines] == [pins.PINS, REPOSITORY]


def test_the_container_runs_what_exists() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    steps = re.sub(r"\\\n", " ", dockerfile).splitlines()
    steps = [line.split(maxsplit=1) for line in steps if line and not line.startswith("#")]
    assert {step for step, _ in steps} <= {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "CMD"}
    assert steps[0][0] == "FROM" and ["ENV", f"PIP_EXTRA_INDEX_URL={CPU_INDEX}"] in steps
    python = re.search(r"FROM python:([\d.]+)-slim AS tools", dockerfile)
    assert python and f"{python[1]}.99" in SpecifierSet(pins.inputs()["python"][0])
    copied = [name for step, words in steps if step == "COPY" for name in words.split()[:-1]]
    assert len(copied) > 5 and [name for name in copied if not (REPOSITORY / name).exists()] == []
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    container = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    used = re.findall(
        r"\bmake (\w+)", f"{[words for step, words in steps if step == 'RUN']} {container['postCreateCommand']}"
    )
    assert used and set(used) <= set(targets)
    build = container["build"]
    assert (REPOSITORY / ".devcontainer" / build["dockerfile"]).resolve() == REPOSITORY / "Dockerfile"
    assert f"AS {build['target']}\n" in dockerfile and json.loads(dockerfile.split("CMD ")[1])[0].startswith(
        ".venv/bin/"
    )
