"""The figures of a finished run, drawn again from its committed tables: ``python -m tools.redraw RUN``.

For a run whose figures were drawn by an earlier version. What needs proteins or a model stays as it is; a weight grid
that seeds do not bear out is removed.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from halo_utils.core.errors import DataError
from halo_utils.core.files import write_csv
from halo_utils.core.paths import RunPaths
from halo_utils.data.datasets import DATASETS
from halo_utils.evaluation import published, scoring, seeds
from halo_utils.evaluation.systems import TITLES
from halo_utils.figures import attribution_plots, confidence_figures, diagrams, gate_figures, plots, system_plots
from halo_utils.figures.style import save
from halo_utils.models.gate import decision_flows
from tools.exit_code import exit_code

JOINED = ("halo", "esm", "gat_weighted")
Draw = Callable[[], Figure | None]


class Finished:
    """The tables of a run, and what its provenance says of its data, its gate and its main test set."""

    def __init__(self, run: str) -> None:
        self.paths = RunPaths(run)
        file = self.paths.results / "provenance" / "05_halo_ensemble.json"
        if not file.is_file():
            raise DataError(f"{run} has no provenance of notebook 05: run it, or name another run")
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        self.gate, data = record["gate"], record["profile"]["data"]
        self.dataset, size = data["dataset"], data["max_proteins"]
        self.title = DATASETS[self.dataset].title + (f", {size:,} proteins" if size else "")
        self.metrics = scoring.read_metrics(self.paths.results / "metrics.csv")
        self.main = str(self.metrics["split"].iloc[0])
        self.where = f"{self.main} ({self.title})"

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the run, empty where it has none."""
        file = self.paths.results / f"{name}.csv"
        return pd.read_csv(file).fillna({"label": ""}) if file.is_file() else pd.DataFrame()

    def on_main(self, name: str) -> pd.DataFrame:
        """Return the rows of a table on the main test set."""
        rows = self.table(name)
        return rows[rows["split"] == self.main] if len(rows) else rows


def _forest(run: Finished) -> Figure:
    tables = [run.on_main(f"differences_{name}") for name in ("sequence", "gat", "halo")]
    gaps = pd.concat(tables, ignore_index=True)
    backwards = gaps[(gaps["first"] == "esm") & (gaps["second"] == "composition")]
    turned = backwards.rename(columns={"first": "second", "second": "first", "ci_low": "ci_high", "ci_high": "ci_low"})
    turned[["difference", "ci_low", "ci_high"]] *= -1
    gaps = pd.concat([gaps[gaps["second"] == "esm"], turned]).drop_duplicates(["first", "metric", "label"])
    metrics = run.metrics[run.metrics["split"] == run.main]
    rows = system_plots.forest_rows(metrics, gaps, published.overall_values(run.dataset, run.main))
    write_csv(run.paths.results / "systems.csv", rows)
    return system_plots.forest(rows, "esm", "composition", run.where)


def _dumbbells(run: Finished) -> Figure:
    columns = published.published_columns(run.dataset, run.main)
    number = 2 if 2 in columns else 4
    of_ours = {ours: paper for paper, ours in columns.get(number, {}).items()}
    metrics = run.metrics[run.metrics["split"] == run.main]
    table = published.published_table(number)
    rows = system_plots.mcc_dumbbells(metrics, table, {name: of_ours.get(name, "") for name in JOINED})
    write_csv(run.paths.results / "mcc_per_label.csv", rows)
    proteins = run.table("audit_labels").set_index("location")[run.main].to_dict()
    return system_plots.mcc_per_label(rows, proteins, run.where)


def _figure_1(run: Finished) -> Figure:
    changes = run.on_main("gate_changes")
    sums = changes.groupby("decision")[["labels", "true"]].sum()
    counts = {str(name): (int(row["labels"]), int(row["true"])) for name, row in sums.iterrows()}
    counts = dict.fromkeys([*diagrams.ENDS, "negative"], (0, 0)) | counts
    flows = decision_flows(changes)
    title = f"{gate_figures.flow_title(flows)}\n{run.where}"
    return diagrams.figure_1(run.gate["confident"], run.gate["esm"], counts, title)


def _confidence(run: Finished) -> Figure:
    bins = run.on_main("confidence_bins")
    bins = bins if "ground" in bins else bins.assign(ground="all proteins")
    names = ("gate_confidence", "accuracy_below_gate", "wrong_below_gate")
    paper = tuple(published.text_value(name) for name in names)
    first = bins[bins["ground"] == bins["ground"].iloc[0]]
    title = confidence_figures.crossing_title(first, paper, run.where)
    return confidence_figures.confidence_ranges(bins, (run.gate["esm"], run.gate["confident"]), paper, title)


def _together(run: Finished) -> Figure | None:
    table = run.table("audit_co_occurrence").set_index("location")
    several = table.to_numpy().sum() > sum(table.loc[name, name] for name in table.index)
    return plots.co_occurrence_map(table, run.title) if several else None


def _grid(run: Finished) -> Figure | None:
    grid, noise = run.table("weight_grid"), seeds.validation_spread(run.paths, TITLES["gat_finetuned"])
    return plots.weight_heatmap(grid, noise, run.title)


def _training(run: Finished) -> Figure:
    histories = dict(list(run.table("gat_training").groupby("system", sort=False)))
    return plots.training_curves(histories, run.title)


def drawings(run: Finished) -> Iterator[tuple[str, Draw]]:
    """Yield name and drawing of every figure whose tables the run has."""
    by_table: dict[str, dict[str, Draw]] = {
        "audit_co_occurrence": {"co_occurrence": partial(_together, run)},
        "esm_training": {"esm_training": lambda: plots.training_curves({"ESM": run.table("esm_training")}, run.title)},
        "threshold_sweep": {
            "threshold_sweep": lambda: plots.sweep_curve(
                run.table("threshold_sweep"), run.gate["esm"], f"validation ({run.title})"
            )
        },
        "confidence_bins": {"fig4_confidence": partial(_confidence, run)},
        "weight_grid": {"weight_grid": partial(_grid, run)},
        "gat_training": {"gat_training": partial(_training, run)},
        "gate_changes": {
            "fig1_halo": partial(_figure_1, run),
            "gate_changes": lambda: plots.gate_changes(run.on_main("gate_changes"), run.where),
        },
        "metrics": {"systems": partial(_forest, run), "mcc_per_label": partial(_dumbbells, run)},
        "containment_curve": {
            "containment_curve": lambda: plots.containment_curve(run.table("containment_curve"), run.title)
        },
        "importance_by_part": {
            "importance_by_part": lambda: attribution_plots.importance_by_part(
                run.table("importance_by_part"), f"masking, {run.where}"
            )
        },
    }
    for table, figures in by_table.items():
        if (run.paths.results / f"{table}.csv").is_file():
            yield from figures.items()


def redraw(name: str) -> None:
    """Draw the figures of a run again; remove those that are not drawn any more."""
    run = Finished(name)
    for figure, draw in drawings(run):
        drawn = draw()
        if drawn is None:
            for suffix in ("png", "svg"):
                (run.paths.figures / f"{figure}.{suffix}").unlink(missing_ok=True)
            continue
        print(save(drawn, run.paths.figures, figure).name)
        plt.close(drawn)


def main(argv: list[str]) -> int:
    """Redraw the runs that are named; return the exit code."""
    if not argv:
        print("usage: python -m tools.redraw RUN ...", file=sys.stderr)
        return 2
    return exit_code(lambda: [redraw(name) for name in argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
