"""Tables and sentences about finished runs on real proteins, in Markdown, from their committed CSV files."""

import pandas as pd

from halo_utils.datasets import CLEAN
from halo_utils.evaluation import SYSTEM_TITLES, read_metrics
from halo_utils.paths import RunPaths
from halo_utils.reference import METRIC_TITLES, published_table
from halo_utils.summary import provenance

COLUMNS = ("micro_f1", "macro_f1", "accuracy", "jaccard", "macro_precision", "macro_recall", "roc_auc_micro")
PAPER_BACKBONE = {"HALO": "ESM-2 650 M", "Fine-tuned ESM": "ESM-2 650 M", "GAT": "ESM-2 650 M"}
LUO_METRICS = ("accuracy", "macro_f1")  # the metrics of Table 4 that are shown
SHORT = ("composition", "esm", "gat_weighted", "halo")  # systems of the smaller tables


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
    return "\n".join(lines)


def backbone(paths: RunPaths) -> str:
    """Return the backbone of a run and the size of the whole model, such as ``halo-mini with head, 3.03 M``."""
    record = next(r for r in provenance(paths) if r["notebook"].startswith("02"))
    source = str(record["profile"]["backbone"]["source"])
    name = "random weights" if source == "random" else source.rsplit("/", 1)[-1]
    return f"{name} with head, {record['parameters'] / 1e6:.2f} M"


def _cell(metrics: pd.DataFrame, split: str, system: str, metric: str) -> str:
    """Return ``value [low, high]`` of one overall metric, or a dash."""
    own = metrics[(metrics["split"] == split) & (metrics["system"] == system) & (metrics["label"] == "")]
    found = own[own["metric"] == metric]
    if found.empty:
        return "–"
    return "{value:.3f} [{ci_low:.3f}, {ci_high:.3f}]".format(**found.iloc[0])


def results_table(paths: RunPaths, split: str = "", *, published: bool = True) -> str:
    """Return the systems of a run on one test set, the main one by default, below the published rows."""
    metrics = read_metrics(paths.results / "metrics.csv")
    split = split or metrics["split"].iloc[0]
    rows, size = [], backbone(paths)
    table = published_table(3)
    values = table.set_index(["system", "metric", "label"])["published"]
    for system in pd.unique(table["system"]) if published else ():
        cells = (values.get((system, c, "")) for c in COLUMNS)
        cells = ("–" if v is None else f"{v:.3f}" for v in cells)
        rows.append([f"{system}, published", PAPER_BACKBONE.get(system, ""), *cells])
    for system in (s for s in SYSTEM_TITLES if s in set(metrics["system"])):
        cells = (_cell(metrics, split, system, c) for c in COLUMNS)
        rows.append([f"{SYSTEM_TITLES[system]}, ours", "none" if system == "composition" else size, *cells])
    return markdown(["system", "backbone", *(METRIC_TITLES[c] for c in COLUMNS)], rows)


def _range(spread: pd.DataFrame, split: str, system: str, metric: str) -> str:
    """Return ``mean (lowest to highest)`` of one overall metric over seeds."""
    own = spread[(spread["split"] == split) & (spread["system"] == system) & (spread["label"] == "")]
    return "{mean:.3f} ({lowest:.3f} to {highest:.3f})".format(**own[own["metric"] == metric].iloc[0])


def seeds_table(paths: RunPaths) -> str:
    """Return mean and range of the F1 scores of every system over the seeds of a run's family."""
    spread = read_metrics(paths.results / "seeds.csv")
    split, systems, metrics = spread["split"].iloc[0], spread.groupby("system")["seeds"].max(), ("micro_f1", "macro_f1")
    rows = [
        [SYSTEM_TITLES[system], str(systems[system]), *(_range(spread, split, system, m) for m in metrics)]
        for system in SYSTEM_TITLES
        if system in systems
    ]
    return markdown(["system", "seeds", *(f"{METRIC_TITLES[m]}, mean (range)" for m in metrics)], rows)


def luo_seeds_table(paths: RunPaths) -> str:
    """Return mean and range of accuracy and macro F1 on luo2024's sets over the seeds of a run's family."""
    spread = read_metrics(paths.results / "seeds.csv")
    sets = luo_sets(spread)
    rows = [
        [SYSTEM_TITLES[system], METRIC_TITLES[metric], *(_range(spread, name, system, metric) for name in sets)]
        for metric in LUO_METRICS
        for system in SHORT
    ]
    return markdown([f"system, {spread['seeds'].max()} seeds", "metric", *sets], rows)


def luo_sets(metrics: pd.DataFrame) -> list[str]:
    """Return the test sets of luo2024 in the order of Table 4."""
    return sorted(pd.unique(metrics["split"]), key=("S", "T", f"T{CLEAN}", "N").index)


def luo_table(paths: RunPaths) -> str:
    """Return Table 4's sets beside ours: accuracy and macro F1 on S, T, T without near duplicates, and N."""
    metrics, table = read_metrics(paths.results / "metrics.csv"), published_table(4)
    sets = luo_sets(metrics)
    values = table[table["label"] == ""].set_index(["system", "metric"])["published"]
    rows = []
    for metric in LUO_METRICS:
        cells = (values.get((f"HALO_{name}", metric)) for name in sets)
        cells = ("–" if v is None else f"{v:.3f}" for v in cells)
        rows.append(["HALO, published", PAPER_BACKBONE["HALO"], METRIC_TITLES[metric], *cells])
        for system in SHORT:
            size = "none" if system == "composition" else backbone(paths)
            cells = (_cell(metrics, name, system, metric) for name in sets)
            rows.append([f"{SYSTEM_TITLES[system]}, ours", size, METRIC_TITLES[metric], *cells])
    return markdown(["system", "backbone", "metric", *sets], rows)


def leak_sentence(paths: RunPaths) -> str:
    """Return how much of luo2024's test sets the models have seen."""
    audit = pd.read_csv(paths.results / "audit_leakage.csv").set_index("set")["near_duplicate_share"]
    shares = ", ".join(f"{audit[name]:.1%} of {name}" for name in ("S", "T", "N"))
    return f"Near duplicates of training proteins (half of the 6-mers in one of them) make up {shares}."


def confidence_sentence(paths: RunPaths) -> str:
    """Return where accuracy falls under 60 %, with intervals, beside the paper's statement."""
    found = pd.read_csv(paths.results / "confidence_crossing.csv").set_index("where")
    paper, test = found["reliable above"].iloc[0], found.iloc[1]
    where = [_crossing(row) + f" on {name.removeprefix('ours, ')}" for name, row in found.iloc[1:].iterrows()]
    inside = "inside" if test["ci_low"] - 1e-9 <= paper <= test["ci_high"] + 1e-9 else "outside"
    return (
        f"Predicted labels are right at least 60 % of the time in every range {' and '.join(where)}; the paper reads"
        f" {paper:.0%} off its Fig. 4, {inside} the interval on {found.index[1].removeprefix('ours, ')}."
    )


def _crossing(row: pd.Series) -> str:
    """Return a row of ``confidence_crossing.csv`` in words; at 1 no range is reliable."""
    start = "at no confidence" if row["reliable above"] == 1 else f"from {row['reliable above']:.0%} confidence on"
    ends = (f"{end:.0%}" if end < 1 else "none" for end in row[["ci_low", "ci_high"]])
    return f"{start} (95 % interval {' to '.join(ends)})"


def structures_table(paths: RunPaths) -> str:
    """Return the systems on the test proteins that have a structure, with their number."""
    metrics = read_metrics(paths.results / "metrics_with_structure.csv")
    split, n = metrics["split"].iloc[0], int(metrics["n"].iloc[0])
    rows = [
        [SYSTEM_TITLES[s], str(n), *(_cell(metrics, split, s, m) for m in ("micro_f1", "macro_f1"))]
        for s in SYSTEM_TITLES
        if s in set(metrics["system"])
    ]
    return markdown(["system", "test proteins", "Micro F1", "Macro F1"], rows)


def run_facts(paths: RunPaths) -> str:
    """Return one paragraph on what made the results of a run."""
    records = provenance(paths)
    profile, hardware = records[0]["profile"], records[1]["hardware"]
    counts = pd.read_csv(paths.results / "audit_labels.csv").set_index("location").loc["all proteins"]
    structures = pd.read_csv(paths.results / "audit_structures.csv")
    matched = structures[structures["status"] == "matched"].set_index("split")["proteins"]
    seconds = sum(float(r["seconds"]) for r in records)
    main_set = read_metrics(paths.results / "metrics.csv")["split"].iloc[0]
    sizes = ", ".join(f"{counts[s]:,} {s}" for s in counts.index if s != "total")
    machine = hardware["gpu"] or f"{hardware['threads']} of {hardware['cores']} cores ({hardware['processor']})"
    return (
        f"Run `{paths.name}`: {counts['total']:,} proteins of `{profile['data']['dataset']}` ({sizes}), of which"
        f" {matched.sum():,} have a structure ({matched.get(main_set, 0):,} in {main_set}). Backbone"
        f" {backbone(paths)} parameters. Seed {profile['seed']}, {machine}, {seconds / 60:.0f} minutes for six"
        f" notebooks, at most {max(int(r['peak_memory_mb']) for r in records):,} MB."
    )


def claims_table(paths: RunPaths) -> str:
    """Return the claims ledger of a run."""
    ledger = pd.read_csv(paths.results / "claims.csv")
    rows = [
        [
            c.claim,
            METRIC_TITLES[c.metric],
            f"{c.paper:+.3f}",
            f"{c.ours:+.3f} [{c.ci_low:+.3f}, {c.ci_high:+.3f}]",
            c.verdict,
            c.reason if isinstance(c.reason, str) else "",
        ]
        for c in ledger.itertuples()
    ]
    return markdown(["claim of the paper", "metric", "paper", "ours [95 %]", "verdict", "why"], rows)
