"""The generated blocks of README.md and data/README.md, for authors: ``python -m halo_utils.readme``.

Numbers reach the documents only through here, between ``<!-- name -->`` and ``<!-- /name -->`` marks.
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd

from halo_utils.errors import HaloError
from halo_utils.evaluation import SYSTEM_TITLES, read_metrics
from halo_utils.files import write_text
from halo_utils.paths import REPOSITORY, RunPaths, data_dir
from halo_utils.reference import METRIC_TITLES, published_table
from halo_utils.registry import registry
from halo_utils.sources import known_sequences
from halo_utils.structure_audit import audit_files, audit_table
from halo_utils.summary import provenance

README_RUN = "mini-3000"
COLUMNS = ("micro_f1", "macro_f1", "accuracy", "jaccard", "macro_precision", "macro_recall", "roc_auc_micro")


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
    return "\n".join(lines)


def results_table(paths: RunPaths) -> str:
    """Return README's results table: published rows above ours, with intervals and the size of the backbone."""
    metrics = read_metrics(paths.results / "metrics.csv")
    split = metrics["split"].iloc[0]
    record = next(r for r in provenance(paths) if r["notebook"].startswith("02"))
    parameters = f"{record['parameters'] / 1e6:.2f} M"
    header = ["system", "backbone", *(METRIC_TITLES[c] for c in COLUMNS)]
    rows = []
    published = published_table(3).set_index(["system", "metric", "label"])["published"]
    for system in pd.unique(published_table(3)["system"]):
        values = [published.get((system, c, "")) for c in COLUMNS]
        size = {"HALO": "ESM-2 650 M", "Fine-tuned ESM": "ESM-2 650 M", "GAT": "ESM-2 650 M"}.get(system, "")
        rows.append([f"{system}, published", size, *("–" if v is None else f"{v:.3f}" for v in values)])
    for system, title in SYSTEM_TITLES.items():
        own = metrics[(metrics["system"] == system) & (metrics["split"] == split) & (metrics["label"] == "")].set_index(
            "metric"
        )
        if len(own):
            cells = [
                f"{own.loc[c, 'value']:.3f} [{own.loc[c, 'ci_low']:.3f}, {own.loc[c, 'ci_high']:.3f}]" for c in COLUMNS
            ]
            size = "none" if system == "composition" else f"random weights, {parameters}"
            rows.append([f"{title}, ours", size, *cells])
    return _markdown(header, rows)


def run_facts(paths: RunPaths) -> str:
    """Return one paragraph on what made the results of a run."""
    records = provenance(paths)
    profile, hardware = records[0]["profile"], records[0]["hardware"]
    counts = pd.read_csv(paths.results / "audit_labels.csv").set_index("location").loc["all proteins"]
    structures = pd.read_csv(paths.results / "audit_structures.csv")
    matched = structures[structures["status"] == "matched"].set_index("split")["proteins"]
    seconds = sum(float(r["seconds"]) for r in records)
    sizes = ", ".join(f"{counts[s]:,} {s}" for s in counts.index if s != "total")
    return (
        f"Run `{paths.name}`: {counts['total']:,} proteins of `{profile['data']['dataset']}` ({sizes}), of which"
        f" {matched.sum():,} have a structure ({matched.get('test', 0):,} in the test set). Seed {profile['seed']},"
        f" {hardware['cores']} cores ({hardware['processor']}), {seconds / 60:.1f} minutes for six notebooks, at most"
        f" {max(int(r['peak_memory_mb']) for r in records):,} MB."
    )


BENCH_LINES = {
    ("fine-tuning", "ratio"): ("fine-tuning, ten epochs with validation and threshold sweep", "released protocol"),
    ("edges", "ratio"): ("edges of a residue graph, 361 residues", "Python double loop, as released"),
    ("GAT epoch", "ratio"): ("an epoch of the GAT", "parsing and searching in every epoch, as released"),
    ("embedding 8M", "ratio to eager"): ("embedding, 256 proteins", "Hugging Face, eager attention, fp32, unsorted"),
    ("embedding 8M", "ratio to sdpa"): ("embedding, 256 proteins", "Hugging Face, SDPA attention, fp32, unsorted"),
}


def bench_table(folder: Path) -> str:
    """Return how many times faster each part is than the way it is compared with, for every measured machine."""
    rows = []
    for path in sorted(folder.glob("bench_*.csv")):
        table = pd.read_csv(path).set_index(["case", "quantity"])["value"]
        machine = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["embedding"]["hardware"]
        name = machine["gpu"] or f"{machine['cores']} cores ({machine['processor']})"
        rows += [[*words, f"{table[key]:,.1f}", name] for key, words in BENCH_LINES.items() if key in table.index]
    return _markdown(["what", "compared with", "times faster", "measured on"], rows)


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


def claims_table(paths: RunPaths) -> str:
    """Return the claims ledger of a run as a table."""
    ledger = pd.read_csv(paths.results / "claims.csv")
    rows = [
        [
            c.claim,
            METRIC_TITLES[c.metric],
            f"{c.paper:+.3f}",
            f"{c.ours:+.3f} [{c.ci_low:+.3f}, {c.ci_high:+.3f}]",
            c.verdict,
        ]
        for c in ledger.itertuples()
    ]
    return _markdown(["claim of the paper", "metric", "paper", "ours [95 %]", "verdict"], rows)


def sources_table() -> str:
    """Return the table of raw inputs from ``data/sources.yaml``."""
    listed = registry()
    rows = []
    for name, e in [*listed.files.items(), *((f"structures from {n}", e) for n, e in listed.structures.items())]:
        known = getattr(e, "sha256", None)
        check = (
            f"`{known[:12]}…`" if known else "rows, counts, cells" if getattr(e, "content", None) else "every file read"
        )
        rows.append([f"`{name}`", e.what, e.licence, e.citation, check])
    return _markdown(["file", "what", "licence", "citation", "checked by"], rows)


def structures_summary(folder: Path) -> str:
    """Return the table of real structure files: read, matched, pLDDT known, mean pLDDT, edges per residue."""
    table = audit_table(audit_files(known_sequences(), folder))
    rows = [
        [str(name), *(f"{v:,.1f}" if isinstance(v, float) else f"{v:,}" for v in values)]
        for name, *values in table.itertuples()
    ]
    return _markdown(["format", *(str(c) for c in table.columns)], rows)


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


def write_documents() -> None:
    """Write every generated block of README.md and data/README.md from committed results."""
    paths = RunPaths(README_RUN)
    blocks = {"results": results_table(paths), "facts": run_facts(paths), "claims": claims_table(paths)}
    bench = RunPaths("bench").results
    blocks["bench"] = f"{bench_table(bench)}\n\n{demo_times(bench)}"
    fill(REPOSITORY / "README.md", blocks)
    card = {"sources": sources_table()}
    if (folder := data_dir()) is not None:
        card["structures"] = structures_summary(folder / "structures" / "files")
    fill(REPOSITORY / "data" / "README.md", card)


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
