"""``data/results/structure.md``: does structure help a sequence model of this strength? From committed CSV files only.

For authors: written with README by ``python -m tools.readme``, or alone by ``python -m tools.structure_page``.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from halo_utils.core.files import write_text
from halo_utils.core.paths import RunPaths, output_root
from halo_utils.embeddings.unirep import LICENCE
from halo_utils.evaluation import seeds
from halo_utils.evaluation.claims import HALO_ESM, LEAST_ASKED, OWN_EDGES, check_structure
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import CONTROLS, ON_GRAPHS, TITLES, in_order
from halo_utils.evaluation.test_sets import WITH_GRAPH
from halo_utils.runs.frozen_hybrid import NAMES
from halo_utils.runs.in_short import SYNTHETIC
from tools import structure_reading as reading
from tools.exit_code import exit_code
from tools.report import markdown

TITLE = "Does structure help a sequence model of this strength?"
FAMILIES = ("deeploc2-mini", "luo2024-mini")  # the committed runs, each with those of other seeds
METRICS = ("micro_f1", "macro_f1")
# Systems of the page besides every graph network: the sequence model with the paper's head and with ours, the gate.
SHOWN = {"composition", "esm_paper_head", "esm", "gat_pretrained", "gat_finetuned", "gat_weighted", "gat_learned"}
SHOWN |= {*ON_GRAPHS, *CONTROLS, "halo", "halo_gat_for_all", "esm_composition_mean", "gat_letters", "gat_letters_none"}
BY_LOCATION = (HALO_ESM, ("gat_weighted", "esm"), (OWN_EDGES, "gat_no_edges"), (OWN_EDGES, "gat_rewired"))
BY_LOCATION += ((OWN_EDGES, "gat_sequence_edges"), ("gat_letters", "gat_letters_none"))

# Of the head on frozen states: does the gate help, does a mean, does the network read contacts?
FROZEN = [("halo_graphs", "esm"), ("esm_gat_mean", "esm"), (OWN_EDGES, "gat_no_edges"), (OWN_EDGES, "gat_rewired")]


FROZEN_OPINIONS = NAMES["gat_weighted_graphs"], TITLES["gat_no_edges"]


class Ground(NamedTuple):
    """Where systems are compared, and the tables of a run that hold the comparison."""

    ending: str  # of the name of the set
    metrics: tuple[str, ...]  # the first of them that a run has
    differences: tuple[str, ...]
    others: tuple[str, ...]  # about the gate


VETOES, OPINIONS = "hybrid_random_veto.csv", "hybrid_opinions.csv"
GROUNDS = (
    Ground("", seeds.TABLES, ("differences_gat.csv", "differences_halo.csv"), (VETOES,)),
    Ground(f", {WITH_GRAPH}", ("hybrid_metrics.csv",), ("hybrid_differences.csv",), (VETOES, OPINIONS)),
)


def _interval(row: pd.Series, value: str, sign: str = "") -> str:
    return f"{row[value]:{sign}.3f} [{row['ci_low']:{sign}.3f}, {row['ci_high']:{sign}.3f}]"


def systems_table(tables: Sequence[pd.DataFrame], split: str) -> str:
    """Return every system on a ground: mean over seeds with range, and the interval of the first run; one per seed."""
    rows = pd.concat([t.assign(run=i) for i, t in enumerate(tables)], ignore_index=True)
    rows = rows[(rows["split"] == split) & (rows["label"] == "") & rows["system"].isin(SHOWN)]
    lines = []
    for system in in_order(rows["system"]):
        own, cells = rows[rows["system"] == system], []
        for metric in METRICS:
            values = own[own["metric"] == metric].sort_values("run")
            if values.empty:
                cells.append("–")
                continue
            cell = _interval(values.iloc[0], "value")
            if len(values) > 1:
                v = values["value"]
                cell = f"{v.mean():.3f} ({v.min():.3f} to {v.max():.3f}); seed {values['seed'].iloc[0]}: {cell}"
            cells.append(cell)
        lines.append([TITLES[system], ", ".join(map(str, sorted(own["seed"].unique()))), *cells])
    return markdown(["system", "seeds", *(f"{METRIC_TITLES[m]}: mean (range) [95 %]" for m in METRICS)], lines)


def differences_table(ledger: pd.DataFrame) -> str:
    """Return the comparisons behind the conclusion with their verdicts, from ``claims.check_structure``."""
    rows = []
    for _, row in ledger.iterrows():
        ours = "–" if pd.isna(row["ours"]) else _interval(row, "ours", "+")
        rows.append(
            [row["claim"], METRIC_TITLES[row["metric"]], ours, str(row["seeds"]), row["verdict"], row["reason"]]
        )
    return markdown(["claim", "metric", "difference [95 %]", "seeds", "verdict", "why"], rows)


def _gain(own: pd.DataFrame) -> str:
    """Return the gain of one seed with its interval, or the mean of several with their range, and by chance."""
    if len(own) == 1:
        text = _interval(own.iloc[0], "gain", "+")
    else:
        text = "{:+.3f} ({:+.3f} to {:+.3f})".format(*own["gain"].agg(["mean", "min", "max"]))
    chance = own["random_gain"].mean()
    return text if pd.isna(chance) else f"{text}; random {chance:+.3f}"


def opinions_table(opinions: pd.DataFrame) -> str:
    """Return what other second opinions in the same gate gain, the mean over seeds (range), or one seed's [95 %]."""
    rows = []
    for opinion, own in opinions.groupby("opinion", sort=False):
        counts = [
            "–"
            if own[c].isna().all()
            else " to ".join(f"{n:,.0f}" for n in dict.fromkeys((own[c].min(), own[c].max())))
            for c in ("asked", "vetoed")
        ]
        gains = [_gain(own[own["metric"] == metric]) for metric in METRICS]
        rows.append([TITLES.get(opinion, opinion), *counts, *gains])
    return markdown(["second opinion", "asked", "vetoed", *(f"gain in {METRIC_TITLES[m]}" for m in METRICS)], rows)


def _lacking(runs: Sequence[RunPaths], ground: Ground) -> str:
    """Return which runs lack which tables of a ground, in a sentence; empty where none does."""
    lacks = []
    for run in runs:
        names = (ground.metrics[0], *ground.differences, *ground.others)
        missing = [name for name in names if not (run.results / name).is_file()]
        if missing:
            lacks.append(f"`{run.name}` lacks {', '.join(missing)}")
    return f"{'; '.join(lacks)}." if lacks else ""


def macro_sentence(differences: pd.DataFrame, split: str) -> str:
    """Return which location carries most of the gate's change in macro F1, the mean over seeds; "" without rows."""
    chosen = (differences["split"] == split) & (differences["metric"] == "f1")
    rows = differences[chosen & (differences["first"] == HALO_ESM[0]) & (differences["second"] == HALO_ESM[1])]
    if not rows["difference"].any():
        return ""
    changes, most = rows.set_index("label")["difference"], rows["difference"].abs().idxmax()
    return (
        f"Of the gate's change in F1, summed over locations ({changes.sum():+.3f}), {rows.loc[most, 'label']} makes"
        f" {rows.loc[most, 'difference']:+.3f}; macro F1 is the mean over them, however few proteins one has."
    )


def ground_section(runs: Sequence[RunPaths], ground: Ground, main_set: str) -> tuple[str, str]:
    """Return the section about one ground and its conclusion, "" where no run has a table of it."""
    split = main_set + ground.ending
    lacking = _lacking(runs, ground)
    parts = [f"### {'All proteins' if not ground.ending else 'Proteins with a graph'} ({split})", lacking]
    # A run of which only notebook 02 has been run has the sequence models, and not yet the table of all systems.
    paths = [[path for name in ground.metrics if (path := run.results / name).is_file()] for run in runs]
    metrics = [table[table["split"] == split] for table in (read_metrics(found[0]) for found in paths if found)]
    if not sum(map(len, metrics)):
        return "\n\n".join([*filter(None, parts), "No run has metrics on this ground."]), ""
    differences = seeds.differences_over_seeds(seeds.tables_of_runs(runs, ground.differences))
    ledger = check_structure(differences, split, seeds.vetoes_of_runs(runs, split))
    found = reading.conclusion(ledger)
    parts += [found, systems_table(metrics, split), differences_table(ledger), macro_sentence(differences, split)]
    opinions = [t[t["ground"] == split] for t in seeds.tables_of_runs(runs, (OPINIONS,))]
    if sum(map(len, opinions)):
        parts += ["Other second opinions in the same gate:", opinions_table(pd.concat(opinions, ignore_index=True))]
    sentences = [
        reading.locations_sentence(
            reading.locations_that_change(differences, split, first, second),
            f"{TITLES[first]} instead of {TITLES[second]}",
        )
        for first, second in BY_LOCATION
    ]
    parts += (
        ["MCC of single locations:", "\n".join(f"- {text}" for text in sentences if text)] if any(sentences) else []
    )
    return "\n\n".join(filter(None, parts)), found


def frozen_section(run: RunPaths, main_set: str) -> str:
    """Return the same question for a head on frozen states (notebook 08), in a section; "" where it was not asked."""
    paths = [run.results / f"frozen_hybrid_{name}.csv" for name in ("metrics", "differences")]
    if not all(path.is_file() for path in paths):
        return ""
    metrics, gaps = (pd.read_csv(path) for path in paths)
    split, rows = f"{main_set}, {WITH_GRAPH}", []
    metrics, gaps = (t[(t["split"] == split) & t["label"].isna()] for t in (metrics, gaps))
    for system, own in metrics.groupby("system", sort=False):
        values = [own.loc[own["metric"] == metric, "value"] for metric in METRICS]
        rows.append([system, *(f"{v.mean():.3f} ({v.min():.3f} to {v.max():.3f})" for v in values)])
    found, pairs = [], gaps.set_index(["first", "second", "metric"])
    for first, second in ((NAMES[first], NAMES[second]) for first, second in FROZEN):
        cells = [_interval(pairs.loc[(first, second, metric)], "difference", "+") for metric in METRICS]
        found.append([f"{first} minus {second}", *cells])
    head, n = metrics["head"].iloc[0], metrics["repeat"].nunique()
    told = (
        f"Here the sequence model is the head and the embedder that validation preferred, {head}, and graph networks"
        f" read the embedder's frozen states; the mean of {n} trainings with other first weights, and its range."
        + (f" UniRep's weights are {LICENCE}." if "UniRep" in head else "")
    )
    columns = [METRIC_TITLES[metric] for metric in METRICS]
    tables = markdown(["system", *columns], rows), markdown(["difference [95 %]", *columns], found)
    return "\n\n".join([f"### A head on frozen states ({split})", told, *tables, *_frozen_opinions(run, split)])


def _frozen_opinions(run: RunPaths, split: str) -> list[str]:
    """Return what other second opinions gain in the gate on frozen states, in a sentence and a table."""
    opinions = pd.read_csv(run.results / "frozen_hybrid_opinions.csv").query("ground == @split")
    own, none = (opinions.query("opinion == @name and metric == 'micro_f1'") for name in FROZEN_OPINIONS)
    fewest = int(own["asked"].min())
    few = f", fewer than {LEAST_ASKED}, so that nothing follows from the gate's gain" * (fewest < LEAST_ASKED)
    text = (
        f"In one training the gate asked about as few as {fewest:,} labels{few}. With its own contacts the"
        f" network's opinion gains {own['gain'].mean():+.4f} micro F1, without edges {none['gain'].mean():+.4f}."
    )
    return [text, opinions_table(opinions)]


def page(families: Sequence[str] = FAMILIES) -> str:
    """Return the page, in Markdown; a family of runs without results is named and left out."""
    heads, sections = [], []
    for name in families:
        runs = seeds.runs_with_other_seeds(RunPaths(name))
        whole = [run for run in runs if (run.results / "metrics.csv").is_file()]
        if not whole:
            heads.append(f"- `{name}`: no finished run.")
            continue
        first = read_metrics(whole[0].results / "metrics.csv")
        main_set, dataset = first["split"].iloc[0], first["dataset"].iloc[0]
        note = SYNTHETIC if dataset == "synthetic" else ""
        sections.append(f"## {dataset}: runs {', '.join(f'`{run.name}`' for run in runs)}\n\n{note}".rstrip())
        for ground in GROUNDS:
            text, found = ground_section(runs, ground, main_set)
            sections.append(text)
            where = f"`{dataset}`, {main_set}{ground.ending}"
            heads.append(f"- {where}: {found or '**Not tested.** No run has measured this ground.'}")
        sections += filter(None, [frozen_section(runs[0], main_set)])
    made = "Written from the committed tables by `python -m tools.structure_page`; no number is typed by hand."
    return (
        "\n\n".join([f"# {TITLE}", made, "\n".join(heads), f"## How it is read\n\n{reading.RULES}", *sections]) + "\n"
    )


def write_page(families: Sequence[str] = FAMILIES) -> None:
    """Write ``data/results/structure.md``."""
    write_text(output_root() / "data" / "results" / "structure.md", page(families))


def main() -> int:
    """Write the page; return the exit code."""
    return exit_code(write_page)


if __name__ == "__main__":
    sys.exit(main())
