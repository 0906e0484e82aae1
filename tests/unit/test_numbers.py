"""Numbers of README's generated blocks and of the notebooks' prose stand in committed tables."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pandas as pd
import pytest

from halo_utils.core.paths import REFERENCE, REPOSITORY, RunPaths
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.seeds import differences_over_seeds, over_seeds, runs_with_other_seeds, tables_of_runs
from tools import pairs
from tools.readme import MAIN_RUN

RUN = RunPaths(MAIN_RUN)
NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?(?![\w.]*\d)")
# Names of models, data sets, licences, runs and files.
NAMES = re.compile(r"ESM-2 650 M|DeepLoc 2\.0|UniRep \d+|BY-NC 4\.0|`[^`]*`|\([^()]*/[^()]*\)")
OF_THE_PAPER = {0.45, 0.5, 0.55, 0.8}  # thresholds and confidences that prose explains the gate with


def block(name: str) -> str:
    found = re.search(rf"<!-- {name} -->(.*?)<!-- /{name} -->", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def leaves(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    elif isinstance(value, int | float):
        yield float(value)


def recorded() -> list[float]:
    """Return the numbers of the run's provenance; parameters are also told in millions."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((RUN.results / "provenance").glob("0*.json"))]
    found = [number for text in texts for number in leaves(json.loads(text))]
    return [*found, *(number / 1e6 for number in found if number >= 1000)]


def scores() -> list[float]:
    """Return the overall F1 scores of the main test set, means over seeds with their intervals, and the paper's."""
    chosen = read_metrics(RUN.results / "frozen_hybrid_metrics.csv")["head"].iloc[0]  # "head on embedder"
    heads = read_metrics(RUN.results / "head_scores.csv")
    heads["system"] = heads["head"] + " on " + heads["embedder"]
    runs = [read_metrics(run.results / "metrics.csv") for run in runs_with_other_seeds(RUN)]
    values = pd.concat([*runs, heads[heads["system"] == chosen]])
    values = values[(values["split"] == runs[0]["split"].iloc[0]) & values["metric"].isin(["micro_f1", "macro_f1"])]
    ours = over_seeds(values[values["label"] == ""], ["system", "metric"], "value")[
        ["value", "ci_low", "ci_high", "seeds"]
    ]
    paper = pd.read_csv(REFERENCE / "table2.csv").query("label.isna() and metric.str.endswith('f1')")
    return [*ours.to_numpy().ravel(), *values["n"], *paper.iloc[:, 2:].to_numpy().ravel()]


def counts() -> list[float]:
    """Return proteins of the audits and labels of the gate, with their sums."""
    labels = pd.read_csv(RUN.results / "gate_flows.csv").query("split == 'test'")["labels"]
    graphs = pd.read_csv(RUN.results / "audit_structures.csv")["proteins"]
    splits = pd.read_csv(RUN.results / "audit_labels.csv")
    sizes = [float(v) for v in splits.select_dtypes("number").to_numpy().ravel()]
    contacts = pd.read_csv(RUN.results / "audit_graphs.csv").query("group == 'split'")["with_graph"]
    return [*labels, *graphs, *sizes, *contacts, contacts.sum(), *recorded()]


def gains() -> list[float]:
    """Return what HALO adds to its sequence model where proteins have a graph, over the runs' seeds."""
    table = differences_over_seeds(tables_of_runs(runs_with_other_seeds(RUN), ("hybrid_differences.csv",)))
    rows = table.query("first == 'halo' and second == 'esm' and label == '' and split == 'test, with a graph'")
    return rows[["difference", "ci_low", "ci_high", "seeds"]].abs().to_numpy().ravel().tolist()


def missing(text: str, pool: list[float]) -> list[str]:
    """Return the numbers of a text that no value of the pool gives, rounded to as many places."""
    values, lost = np.array(pool, dtype=float), []
    for number in NUMBER.findall(NAMES.sub(" ", text)):
        places = len(number.partition(".")[2])
        if not np.isclose(values.round(places), float(number.replace(",", "")), atol=10 ** -(places + 3)).any():
            lost.append(number)
    return lost


def test_scores_of_the_first_screen_are_those_of_the_tables() -> None:
    pool = [*scores(), *recorded()]
    assert missing(block("results"), pool) == []
    shown = [number for number in NUMBER.findall(block("results")) if len(number.partition(".")[2]) == 3]
    moved = [number for number in shown if missing(f"{float(number) + 0.001:.3f}", pool)]
    assert len(shown) >= 30 and len(moved) > 0.7 * len(shown)  # a number of another run would be noticed


@pytest.mark.parametrize("name", ["came_out", "facts"])
def test_counts_of_the_first_screen_are_those_of_the_tables(name: str) -> None:
    pool = [*scores(), *counts(), *gains()]
    assert missing(block(name), pool) == []
    assert missing("0.98765 of 987,654 labels", pool) == ["0.98765", "987,654"]


def test_claims_are_counted_in_the_ledger() -> None:
    ledger = pd.read_csv(REPOSITORY / "data" / "results" / "claims.csv", keep_default_na=False)
    lines = block("claims").strip().splitlines()
    told = [re.match(r"- \*\*(.+?)\*\* \((\d+)(?:; (\d+) before Holm's correction)?\)", line) for line in lines[2:]]
    assert str(len(ledger)) in lines[0] and len(told) >= 4 and all(told)
    counted = [(found[1], int(found[2])) for found in told if found]
    for name, number in counted:  # of verdicts that a line joins, each is looked for by its own words
        assert ledger["after_holm"].str.contains(name.replace(" or ", "|")).sum() == number, name
    first = {name: ledger["verdict"].str.contains(name.replace(" or ", "|")).sum() for name, _ in counted}
    taken = {name: first[name] for name, number in counted if first[name] > number}
    assert {found[1]: int(found[3]) for found in told if found and found[3]} == taken
    assert sum(number for _, number in counted) == len(ledger)


@pytest.mark.parametrize("source", pairs.sources(), ids=lambda path: path.stem)
def test_prose_of_notebooks_holds_published_numbers_only(source: Path) -> None:
    texts = (table.read_text(encoding="utf-8") for table in sorted(REFERENCE.glob("*.csv")))
    published = [float(number) for text in texts for number in re.findall(r"\d+\.\d+", text)]
    prose = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    decimals = [
        float(n) for text in prose for n in re.findall(r"(?<![\w.])\d+\.\d{2,}(?![\w.]*\d)", NAMES.sub(" ", text))
    ]
    assert {number for number in decimals if number not in published} <= OF_THE_PAPER
