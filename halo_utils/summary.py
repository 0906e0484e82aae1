"""What a run found, in a few lines: printed by ``make run`` and written into README.md and data/README.md.

Numbers reach the documents only through here, between ``<!-- name -->`` and ``<!-- /name -->`` marks.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import pandas as pd

from halo_utils.errors import HaloError
from halo_utils.evaluation import SYSTEM_TITLES, read_metrics
from halo_utils.files import write_text
from halo_utils.paths import REPOSITORY, RunPaths, data_dir, shown
from halo_utils.reference import METRIC_TITLES, published_table
from halo_utils.registry import registry
from halo_utils.settings import load_settings
from halo_utils.sources import known_sequences
from halo_utils.structure_audit import audit_files, audit_table

README_RUN = "mini-3000"
COLUMNS = ("micro_f1", "macro_f1", "accuracy", "jaccard", "macro_precision", "macro_recall", "roc_auc_micro")


def provenance(paths: RunPaths) -> list[dict[str, object]]:
    """Return the provenance records of a run in notebook order."""
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted((paths.results / "provenance").glob("*.json"))]


def run_summary(paths: RunPaths) -> str:
    """Return the closing lines of a run: seconds and memory per notebook, and the headline metrics."""
    metrics = read_metrics(paths.results / "metrics.csv")
    split = metrics["split"].iloc[0]
    lines = [f"{paths.name}: {shown(paths.results)} holds the tables, {shown(paths.figures)} the figures"]
    for record in provenance(paths):
        lines.append(f"  {record['notebook']:<26}{record['seconds']:>7} s {record['peak_memory_mb']:>6} MB")
    if metrics["dataset"].iloc[0] == "synthetic":
        lines.append("The proteins are synthetic: the values show that the pipeline works, not how HALO does.")
    lines.append(f"{'set ' + str(split):<34}" + "".join(f"{METRIC_TITLES[c]:>10.10}" for c in ("micro_f1", "macro_f1")))
    for system, title in SYSTEM_TITLES.items():
        own = metrics[(metrics["system"] == system) & (metrics["split"] == split)].set_index("metric")["value"]
        if len(own):
            lines.append(f"  {title:<32}{own['micro_f1']:>10.3f}{own['macro_f1']:>10.3f}")
    return "\n".join(lines)


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
        machine = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["hardware"]
        name = machine["gpu"] or f"{machine['cores']} cores ({machine['processor']})"
        rows += [[*words, f"{table[key]:,.1f}", name] for key, words in BENCH_LINES.items() if key in table.index]
    return _markdown(["what", "compared with", "times faster", "measured on"], rows)


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
    blocks["bench"] = bench_table(RunPaths("bench").results)
    fill(REPOSITORY / "README.md", blocks)
    card = {"sources": sources_table()}
    if (folder := data_dir()) is not None:
        card["structures"] = structures_summary(folder / "structures" / "files")
    fill(REPOSITORY / "data" / "README.md", card)


def main(argv: list[str] | None = None) -> int:
    """Print the summary of a run, or write the documents; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m halo_utils.summary", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--dataset", default="")
    parser.add_argument("--max-proteins", default="")
    parser.add_argument("--seed", default="")
    parser.add_argument(
        "--readme", action="store_true", help="write the generated blocks of README.md and data/README.md"
    )
    options = parser.parse_args(argv)
    try:
        if options.readme:
            write_documents()
            return 0
        numbers = {"max_proteins": int(options.max_proteins or -1), "seed": int(options.seed or -1)}
        print(run_summary(load_settings(options.profile, dataset=options.dataset, **numbers).paths))
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
