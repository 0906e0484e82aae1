"""What a run found, in a few lines: seconds and memory per notebook, headline metrics; ``make run`` prints it."""

from halo_utils.core.paths import RunPaths, shown
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import TITLES
from halo_utils.runs.provenance import records


def run_summary(paths: RunPaths) -> str:
    """Return the closing lines of a run: seconds and memory per notebook, and the headline metrics."""
    metrics = read_metrics(paths.results / "metrics.csv")
    split = metrics["split"].iloc[0]
    lines = [f"{paths.name}: {shown(paths.results)} holds the tables, {shown(paths.figures)} the figures"]
    for record in records(paths):
        lines.append(f"  {record['notebook']:<26}{record['seconds']:>7} s {record['peak_memory_mb']:>6} MB")
    if metrics["dataset"].iloc[0] == "synthetic":
        lines.append("The proteins are synthetic: the values show that the pipeline works, not how HALO does.")
    lines.append(f"{'set ' + str(split):<42}" + "".join(f"{METRIC_TITLES[c]:>10.10}" for c in ("micro_f1", "macro_f1")))
    for system, title in TITLES.items():
        scores = metrics[(metrics["system"] == system) & (metrics["split"] == split)].set_index("metric")["value"]
        if len(scores):
            lines.append(f"  {title:<40}{scores['micro_f1']:>10.3f}{scores['macro_f1']:>10.3f}")
    return "\n".join(lines)
