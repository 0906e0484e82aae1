"""The generated blocks of README.md, data/README.md and halo-mini's card, and the page on structure, for authors.

Numbers reach the documents only through here, between ``<!-- name -->`` and ``<!-- /name -->`` marks.
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd

from halo_utils.config import load_settings
from halo_utils.core.errors import HaloError
from halo_utils.core.files import write_text
from halo_utils.core.paths import REPOSITORY, RunPaths, data_dir
from halo_utils.data import same_sequence
from halo_utils.data.deeploc import DEEPLOC2
from halo_utils.data.registry import contact_archives, registry, structure_folders
from halo_utils.runs.in_short import confidence_sentence
from halo_utils.runs.prepare import read_table
from halo_utils.structures.contact_maps import read_contact_maps
from halo_utils.structures.edges import GRAPH_SOURCES, graph_sources
from halo_utils.structures.reader import load_structures
from halo_utils.structures.store import audit_files
from tools import report, statements, structure_page
from tools.report import markdown

# Ratios that README shows: (case, quantity) -> what, compared with, the measurement it belongs to.
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
    ("esm.cpp 8M", f"{own} beside esm.cpp FP32"): (f"embedding 256 proteins, {own}", "esm.cpp, packed, fp32", "esm.cpp")
    for own in ("fp32", "bf16")
}


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
                machine, (value, differs) = measured[measurement]["hardware"], table.loc[key, ["value", "note"]]
                name = machine["gpu"] or f"{machine['cores']} cores ({machine['processor']})"
                rows.append([what, other, differs, f"{value:,.{2 if value < 10 else 1}f}", name])
    return markdown(["what", "compared with", "what differs", "times faster", "measured on"], rows)


def demo_times(folder: Path) -> str:
    """Return how long the demo took on the machines that were measured, and how much of it is importing libraries."""
    lines = []
    for path in sorted(folder.glob("bench_*.csv")):
        table = pd.read_csv(path)
        whole, imports = (table.loc[table["case"] == case, "value"].sum() for case in ("demo", "imports"))
        if whole and imports:
            lines.append(
                f"The demo's six notebooks took {whole:.0f} s there, {imports:.0f} s of it to import libraries."
            )
    return "\n".join(lines)


def sources_table() -> str:
    """Return the table of raw inputs from ``data/sources.yaml``."""
    listed = registry()
    rows = []
    for name, e in [*listed.files.items(), *((f"structures from {n}", e) for n, e in listed.structures.items())]:
        known = getattr(e, "sha256", None)
        check = f"`{known[:12]}…`" if known else "rows, cells" if getattr(e, "content", None) else "every file read"
        rows.append([f"`{name}`", e.what, e.licence, e.citation, check])
    return markdown(["file", "what", "licence", "citation", "checked by"], rows)


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    """Return the counts of ``audit_files`` per file format and over all.

    Returns:
        Indexed by format; files, read, matched, mismatched, without pLDDT, residues, mean pLDDT over residues of
        the files that carry it, edges per residue at 10 A.
    """
    matched = audit["status"] == "matched"
    weight = audit["residues"].where(audit["mean_plddt"].notna())
    sums = pd.DataFrame(
        {
            "format": audit["format"],
            "files": 1,
            "read": audit["status"] != "unreadable",
            "matched": matched,
            "mismatched": audit["status"] == "mismatched",
            "without pLDDT": matched & audit["mean_plddt"].isna(),
            "residues": audit["residues"].where(matched),
            "plddt": audit["mean_plddt"] * weight,
            "weight": weight,
            "edges": audit["edges"],
        }
    )
    table = sums.groupby("format").sum()
    table.loc["all"] = table.sum()
    table["mean pLDDT"] = table.pop("plddt") / table.pop("weight")
    table["edges per residue at 10 A"] = table.pop("edges") / table["residues"]
    counts = ["files", "read", "matched", "mismatched", "without pLDDT", "residues"]
    return table.astype(dict.fromkeys(counts, int))


def structures_summary(folder: Path) -> str:
    """Return the table of real structure files: read, matched, pLDDT known, mean pLDDT, edges per residue."""
    table = audit_table(audit_files(same_sequence.known_sequences(), folder))
    rows = [
        [str(name), *(f"{v:,.1f}" if isinstance(v, float) else f"{v:,}" for v in values)]
        for name, *values in table.itertuples()
    ]
    return markdown(["format", *(str(c) for c in table.columns)], rows)


def matches_here() -> str:
    """Return how many proteins of DeepLoc 2.0's files were matched by sequence and have a structure or graph here."""
    table = read_table(load_settings("paper", dataset=DEEPLOC2.name, max_proteins=0)).table
    table = table[table["split"] == "hpa"]
    arrays, _ = load_structures(table, structure_folders())
    sources = graph_sources(table, arrays, [read_contact_maps(path) for path in contact_archives()])
    graph = sources["source"].isin(GRAPH_SOURCES).to_numpy()
    return same_sequence.sentence(
        same_sequence.count_matches(table.assign(structure=table["accession"].isin(arrays), graph=graph))
    )


def fill(path: Path, blocks: dict[str, str]) -> None:
    """Replace the text between the marks of every block in a Markdown file.

    Raises:
        HaloError: if a mark is missing.
    """
    text = path.read_text(encoding="utf-8")
    for name, content in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise HaloError(
                f"{path.name} has no <!-- {name} --> ... <!-- /{name} --> marks: add them where the table goes"
            )
        text = pattern.sub(lambda found, content=content: f"{found[1]}\n{content}\n\n{found[2]}", text)
    write_text(path, text)


def deeploc_blocks(run: RunPaths) -> dict[str, str]:
    """Return README's blocks about the DeepLoc 2.0 run."""
    results = f"{report.results_table(run)}\n\n{statements.protocol_note()}"
    read = " ".join(filter(None, (statements.read_sentence(run), statements.corpus_sentence(run))))
    declared = f"{statements.deviation_sentence(run)}\n\n{statements.gat_note(run)}"
    blocks = {
        "facts": f"{statements.run_facts(run)} {statements.gate_sentence(run)}",
        "results": results,
        "claims": report.claims_table(run),
    }
    blocks |= {"reading": f"{read}\n\n{declared}"}
    page = f"[{structure_page.TITLE}](data/results/structure.md) reads all runs, on both grounds and over seeds."
    structures = f"{report.structures_table(run)}\n\n{page}"
    blocks |= {"confidence": confidence_sentence(run), "structures": structures}
    hpa = f"{statements.matches_sentence(run, 'hpa')}\n\n{report.results_table(run, 'hpa', published=False)}"
    return blocks | {"hpa": hpa, "seeds": report.seeds_table(run)}


def luo_blocks(run: RunPaths) -> dict[str, str]:
    """Return README's blocks about the luo2024 run."""
    facts = f"{statements.run_facts(run)} {statements.gate_sentence(run)} {statements.leak_sentence(run)}"
    return {"luo": f"{facts}\n\n{report.luo_table(run)}", "luo_seeds": report.luo_seeds_table(run)}


BACKBONE_CARD = REPOSITORY / "data" / "checkpoints" / "halo-mini" / "README.md"  # of the model those runs start from
RUNS = {"deeploc2-mini": deeploc_blocks, "luo2024-mini": luo_blocks}  # the committed runs that README shows


def _counted(run: RunPaths) -> bool:
    """Return whether a run says how much of its proteins was read."""
    return (run.results / "read_share.csv").is_file()


def write_documents() -> None:
    """Write the generated blocks of the documents; those of README.md about a run without results stay as they are."""
    blocks = {}
    for name, make in RUNS.items():
        run = RunPaths(name)
        blocks |= make(run) if (run.results / "metrics.csv").is_file() else {}
    structure_page.write_page()
    bench = RunPaths("bench").results
    blocks["bench"] = f"{bench_table(bench)}\n\n{demo_times(bench)}"
    fill(REPOSITORY / "README.md", blocks)
    card = {"sources": sources_table()}
    if (folder := data_dir()) is not None:
        card |= {"structures": structures_summary(folder / "structures" / "files"), "matches": matches_here()}
        fill(REPOSITORY / "README.md", {"matches": card["matches"]})
    fill(REPOSITORY / "data" / "README.md", card)
    audited = [run for run in map(RunPaths, RUNS) if (run.results / "audit_leakage.csv").is_file()]
    read = [f"In `{run.name}`: {statements.read_sentence(run)}" for run in audited if _counted(run)]
    fill(BACKBONE_CARD, {"seen": "\n\n".join([report.corpus_table(audited), *read])})


def main() -> int:
    """Write the documents; return the exit code."""
    try:
        write_documents()
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
