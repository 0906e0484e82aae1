"""Tables and sentences about finished runs on real proteins, in Markdown, from their committed CSV files."""

from collections.abc import Sequence

import pandas as pd

from halo_utils.core.paths import RunPaths
from halo_utils.data.kmers import ALMOST_EQUAL, NEAR_DUPLICATE, identity
from halo_utils.data.splits import CLEAN
from halo_utils.evaluation import seeds
from halo_utils.evaluation.published import CROSS_VALIDATED, LUO_SETS, METRIC_TITLES, published_columns, published_table
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import SYSTEMS, TITLES, in_order
from halo_utils.runs.provenance import records
from tools.statements import _corpus_shares, model_sizes

COLUMNS = (
    "micro_f1", "micro_precision", "micro_recall", "macro_f1", "macro_precision", "macro_recall", "accuracy", "jaccard",
    "roc_auc_micro",
)  # fmt: skip
PAPER_BACKBONE = {"HALO": "ESM-2 650 M", "Fine-tuned ESM": "ESM-2 650 M", "GAT": "ESM-2 650 M"}
LUO_METRICS = ("accuracy", "accuracy_argmax", "macro_f1", "macro_f1_argmax", "roc_auc_macro")
SHORT = [system.name for system in SYSTEMS if system.short]  # of the smaller tables
LUO_SYSTEMS = in_order({*SHORT, "esm_paper_head"})


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
    return "\n".join(lines)


def cell(metrics: pd.DataFrame, split: str, system: str, metric: str) -> str:
    """Return ``value [low, high]`` of one overall metric, or a dash."""
    chosen = (metrics["split"] == split) & (metrics["system"] == system) & (metrics["label"] == "")
    rows = metrics[chosen & (metrics["metric"] == metric)]
    return "–" if rows.empty else "{value:.3f} [{ci_low:.3f}, {ci_high:.3f}]".format(**rows.iloc[0])


def results_table(paths: RunPaths, split: str = "", *, published: bool = True) -> str:
    """Return the systems of a run on one test set, the main one by default, below what the paper has on that set."""
    metrics = read_metrics(paths.results / "metrics.csv")
    split = split or metrics["split"].iloc[0]
    rows, sizes = [], model_sizes(paths)
    tables = published_columns(metrics["dataset"].iloc[0], split) if published else {}
    number = max(tables, default=0)  # Table 3 holds Table 2 and more
    values = published_table(number).set_index(["system", "metric", "label"])["published"] if number else {}
    for system in tables.get(number, ()):
        cells = (values.get((system, c, "")) for c in COLUMNS)
        cells = ("–" if v is None else f"{v:.3f}" for v in cells)
        protocol = " (cross-validation)" if system in CROSS_VALIDATED else ""
        rows.append([f"{system}, published{protocol}", PAPER_BACKBONE.get(system.split("_")[0], ""), *cells])
    for system in in_order(metrics["system"]):
        cells = (cell(metrics, split, system, c) for c in COLUMNS)
        rows.append([f"{TITLES[system]}, ours", sizes.get(system, "none"), *cells])
    return markdown(["system", "backbone", *(METRIC_TITLES[c] for c in COLUMNS)], rows)


def seeds_table(paths: RunPaths) -> str:
    """Return the spread of the F1 scores over the seeds of a run's family; one sentence where they are too few."""
    spread = read_metrics(paths.results / "seeds.csv")
    table = seeds.overall(spread, spread["split"].iloc[0])
    rows = [[system, *map(str, cells)] for system, *cells in table.itertuples()]
    titles = [f"{title}, mean ± SD (range)" for title in table.columns[1:]]
    return _seeds_text(["system", "seeds", *titles], rows, spread)


def luo_seeds_table(paths: RunPaths) -> str:
    """Return the spread of Table 4's metrics on luo2024's sets over seeds; one sentence where they are too few."""
    spread = read_metrics(paths.results / "seeds.csv")
    spread, rows = spread[spread["system"].isin(SHORT)], []
    sets = luo_sets(spread)
    for metric in (m for m in LUO_METRICS if m in set(spread["metric"])):
        tables, title = {name: seeds.overall(spread, name, (metric,)) for name in sets}, METRIC_TITLES[metric]
        for system, count in tables[sets[0]]["seeds"].items():
            rows.append([system, str(count), title, *(tables[name].loc[system, title] for name in sets)])
    return _seeds_text(["system", "seeds", "metric, mean ± SD (range)", *sets], rows, spread)


def _seeds_text(header: list[str], rows: list[list[str]], spread: pd.DataFrame) -> str:
    """Return a table over seeds, if it has rows, and the remark on what has too few of them, if there is one."""
    return "\n\n".join(part for part in (markdown(header, rows) if rows else "", seeds.remark(spread)) if part)


def luo_sets(metrics: pd.DataFrame) -> list[str]:
    """Return the test sets of luo2024 in the order of Table 4."""
    return sorted(pd.unique(metrics["split"]), key=("S", "T", f"T{CLEAN}", "N").index)


def luo_table(paths: RunPaths) -> str:
    """Return Table 4's sets beside ours: S, T, T without near duplicates, and N, by threshold, by argmax and by rank.

    Systems that agree in every cell, as HALO and fine-tuned ESM do where the gate is never asked, share a row.
    """
    metrics, table = read_metrics(paths.results / "metrics.csv"), published_table(4)
    sets, sizes, shown = luo_sets(metrics), model_sizes(paths), [m for m in LUO_METRICS if m in set(metrics["metric"])]
    values = table[table["label"] == ""].set_index(["system", "metric"])["published"]
    alike: dict[tuple[str, ...], list[str]] = {}
    for system in (s for s in in_order(metrics["system"]) if s in LUO_SYSTEMS):
        cells = tuple(cell(metrics, name, system, metric) for metric in shown for name in sets)
        alike.setdefault(cells, []).append(system)
    rows = []
    for i, metric in enumerate(shown):
        cells = [values.get((f"HALO_{name}", metric)) for name in sets]
        if any(v is not None for v in cells):
            cells = ("–" if v is None else f"{v:.3f}" for v in cells)
            rows.append(["HALO, published", PAPER_BACKBONE["HALO"], METRIC_TITLES[metric], *cells])
        for cells, systems in alike.items():
            title = f"{' = '.join(TITLES[s] for s in systems)}, ours"
            shown_cells = cells[i * len(sets) : (i + 1) * len(sets)]
            rows.append([title, sizes.get(systems[0], "none"), METRIC_TITLES[metric], *shown_cells])
    accuracy = ", ".join(f"{values[f'HALO_{name}', 'accuracy']:.4f} on {name}" for name in LUO_SETS)
    note = f"HALO's published accuracy ({accuracy}) is subset accuracy of labels at a threshold, not by argmax."
    return f"{markdown(['system', 'backbone', 'metric', *sets], rows)}\n\n{note}"


def corpus_table(runs: Sequence[RunPaths]) -> str:
    """Return the table of a backbone's model card: evaluation proteins with a relative in its training data."""
    rows = [
        [
            str(records(run)[0]["profile"]["data"]["dataset"]),
            str(r.set),
            f"{r.proteins:,}",
            f"{r.corpus_near_duplicates:,.0f} ({r.corpus_near_duplicate_share:.1%})",
            f"{r.corpus_almost_equal_share:.1%}",
        ]
        for run in runs
        for r in _corpus_shares(run).itertuples()
    ]
    near, almost = (
        f"{share:.0%} of 6-mers ({identity(share):.0%} identity)" for share in (NEAR_DUPLICATE, ALMOST_EQUAL)
    )
    return markdown(["data set", "evaluation set", "proteins", near, almost], rows)


def structures_table(paths: RunPaths) -> str:
    """Return the systems on the test proteins with a graph, with their number, or that a run has not measured them."""
    if not (file := paths.results / "hybrid_metrics.csv").is_file():
        return f"`{paths.name}` has measured nothing on proteins with a graph alone."
    metrics = read_metrics(file)
    split, n = metrics["split"].iloc[0], int(metrics["n"].iloc[0])
    metrics = metrics[metrics["split"] == split]
    rows = [
        [TITLES[s], str(n), *(cell(metrics, split, s, m) for m in ("micro_f1", "macro_f1"))]
        for s in in_order(metrics["system"])
    ]
    return markdown(["system", "test proteins", "Micro F1", "Macro F1"], rows)


def claims_table(paths: RunPaths) -> str:
    """Return the claims ledger of a run."""
    ledger = pd.read_csv(paths.results / "claims.csv")
    rows = [
        [
            c.claim,
            METRIC_TITLES[c.metric],
            "–" if pd.isna(c.paper) else f"{c.paper:+.3f}",
            f"{c.ours:+.3f} [{c.ci_low:+.3f}, {c.ci_high:+.3f}]",
            c.verdict,
            c.reason if isinstance(c.reason, str) else "",
        ]
        for c in ledger.itertuples()
    ]
    return markdown(["claim of the paper", "metric", "paper", "ours [95 %]", "verdict", "why"], rows)
