"""What README shows before a reader decides to stay: badges, what came out in three lines, one table, the claims."""

import pandas as pd

from halo_utils.core.paths import RunPaths
from halo_utils.embeddings.unirep import LICENCE
from halo_utils.evaluation import seeds
from halo_utils.evaluation.published import METRIC_TITLES, published_table
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import TITLES
from halo_utils.runs import wording
from tools import ledger, statements
from tools.report import PAPER_BACKBONE, cell, markdown

PUBLISHED, OURS = ("Fine-tuned ESM", "HALO"), ("composition", "esm_paper_head", "esm", "gat_weighted", "halo")
SHOWN = ("micro_f1", "macro_f1")


def badges(repository: str) -> str:
    """Return the badges: tests, Colab, Binder and the licence."""
    owner = repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner}/blob/main/notebooks/01_data_preparation.ipynb"
    return "\n".join(
        [
            f"[![test]({repository}/actions/workflows/test.yml/badge.svg)]({repository}/actions/workflows/test.yml)",
            f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})",
            "[![Open on Binder](https://mybinder.org/badge_logo.svg)]"
            f"(https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/notebooks)",
            "[![MIT licence](https://img.shields.io/badge/licence-MIT-blue.svg)](LICENSE)",
        ]
    )


def start(repository: str) -> str:
    """Return the two lines that bring the companion to a machine and run it."""
    return f"```bash\ngit clone {repository} halo && cd halo\nmake run\n```"


def _published() -> pd.Series:
    """Return the paper's overall values on DeepLoc 2.0's test set by system and metric."""
    table = published_table(3)
    return table[table["label"] == ""].set_index(["system", "metric"])["published"]


KEYS = ["split", "system", "metric", "label"]


def over_seeds(paths: RunPaths) -> pd.DataFrame:
    """Return the mean of every metric over the seeds of a run's family, as ``seeds.over_seeds``."""
    tables = seeds.tables_of_runs(seeds.runs_with_other_seeds(paths), seeds.TABLES)
    values = pd.concat(tables, ignore_index=True).drop_duplicates([*KEYS, "seed"])
    return seeds.over_seeds(values, KEYS, "value")


def results_table(paths: RunPaths) -> str:
    """Return both F1 scores of the main systems of a run on its main test set, means over seeds, below the paper's."""
    first, sizes, paper = read_metrics(paths.results / "metrics.csv"), statements.model_sizes(paths), _published()
    split, n, metrics = first["split"].iloc[0], f"{int(first['n'].iloc[0]):,}", over_seeds(paths)
    rows = [
        [f"{system}, published", *(f"{paper[system, m]:.3f}" for m in SHOWN), "", PAPER_BACKBONE[system]]
        for system in PUBLISHED
    ]
    found = set(metrics["system"])
    rows += [
        [f"{TITLES[s]}, ours", *(cell(metrics, split, s, m) for m in SHOWN), n, sizes.get(s, "none")]
        for s in OURS
        if s in found
    ]
    rows += frozen_rows(paths, split, n)
    ran = int(metrics.loc[metrics["system"] == "esm", "seeds"].max())
    titles = (METRIC_TITLES[m] + f" (ours: mean of {ran} seeds)" * (ran > 1) for m in SHOWN)
    return markdown(["system", *titles, "proteins", "backbone"], rows)


def frozen_rows(paths: RunPaths, split: str, n: str) -> list[list[str]]:
    """Return the row of the head on frozen states that validation preferred (notebook 08), mean of its trainings."""
    files = [paths.results / name for name in ("frozen_hybrid_metrics.csv", "head_scores.csv")]
    if not all(file.is_file() for file in files):
        return []
    chosen, scores = read_metrics(files[0])["head"].iloc[0], read_metrics(files[1])
    scores = seeds.over_seeds(scores.assign(system=scores["head"] + " on " + scores["embedder"]), KEYS, "value")
    states = chosen.partition(" on ")[2]
    backbone = f"{states}, frozen" + f" ({LICENCE})" * states.startswith("UniRep")
    return [[f"{chosen}, ours", *(cell(scores, split, chosen, m) for m in SHOWN), n, backbone]]


def came_out(paths: RunPaths) -> str:
    """Return what a reader gets, what came out and what did not, a bullet each."""
    split, paper = read_metrics(paths.results / "metrics.csv")["split"].iloc[0], _published()
    values = over_seeds(paths).set_index(["split", "system", "label"]).sort_index()
    found = values.loc[(split, "esm", "")].set_index("metric")
    ran, scores = int(found["seeds"].max()), " / ".join(f"{found.loc[m, 'value']:.3f}" for m in SHOWN)
    theirs = " / ".join(f"{paper['Fine-tuned ESM', m]:.3f}" for m in SHOWN)
    return "\n".join(
        [
            "- **What you get:** notebooks that teach the method and put every published value beside ours with its"
            " uncertainty, on a synthetic proteome or on real proteins; and a command that predicts your own.",
            "- **What came out:** on DeepLoc 2.0's test set our small sequence model, fine-tuned on two cores, has a"
            f" micro / macro F1 of {scores} ({wording.count(ran, 'seed')}); the paper's,"
            f" {PAPER_BACKBONE['Fine-tuned ESM']}, {theirs}."
            f" {' '.join(filter(None, (statements.gate_sentence(paths), statements.ground_sentence(paths))))}",
            "- **What not:** the paper's own backbone was not at hand; nothing here speaks about its absolute values.",
        ]
    )


def blocks(paths: RunPaths, repository: str, table: pd.DataFrame) -> dict[str, str]:
    """Return README's blocks, with lines of the ledger ``table``; those about a run only where it has results."""
    found = {"badges": badges(repository), "start": start(repository)}
    if not (paths.results / "metrics.csv").is_file():
        return found
    found |= {"came_out": came_out(paths), "facts": statements.run_facts(paths), "results": results_table(paths)}
    return found | {"claims": ledger.readme_lines(table)}
