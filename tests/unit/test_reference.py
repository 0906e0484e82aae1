"""What the paper published, in which metric, about which proteins; and what a run is compared with."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef, precision_score

from halo_utils.commands.run import notebooks
from halo_utils.core.files import write_csv
from halo_utils.core.paths import RunPaths
from halo_utils.data.locations import DEEPLOC, LUO2024
from halo_utils.evaluation import claims, published
from halo_utils.evaluation.arithmetic import possible_precision
from halo_utils.evaluation.published import beside_paper, published_columns, published_table, readable
from halo_utils.evaluation.systems import TITLES
from halo_utils.figures import system_plots
from tools import report, statements

GATS = [(1, "ESM", 1e-4), (1, "F-ESM", 5e-3), (1, "WF-ESM", 1e-4), (2, "GAT", 1e-4), (3, "GAT", 1e-4)]
MACRO = [(n, system) for n in (2, 3) for system in ("HALO", "Fine-tuned ESM")]
SYSTEMS = ("halo", "esm", "gat_pretrained", "gat_finetuned", "gat_weighted")


def values(number: int, system: str) -> pd.Series:
    table = published_table(number)
    return table[(table["system"] == system) & (table["label"] == "")].set_index("metric")["published"]


def harmonic_mean(found: pd.Series, average: str) -> float:
    precision, recall = found[f"{average}_precision"], found[f"{average}_recall"]
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(("number", "system", "digits"), GATS)
def test_precision_and_recall_of_the_gat_are_micro(number: int, system: str, digits: float) -> None:
    found = values(number, system)
    assert harmonic_mean(found, "micro") == pytest.approx(found["micro_f1"], abs=digits)
    assert not {"macro_precision", "macro_recall"} & set(found.index)


@pytest.mark.parametrize(("number", "system"), MACRO)
def test_precision_and_recall_of_halo_and_esm_are_macro(number: int, system: str) -> None:
    found = values(number, system)
    assert abs(harmonic_mean(found, "macro") - found["micro_f1"]) > 0.05
    assert abs(harmonic_mean(found, "macro") - found["macro_f1"]) < 0.01
    assert not {"micro_precision", "micro_recall"} & set(found.index)


def test_table_4_counts_undefined_precision_as_one() -> None:
    bounds = published.precision_bounds().set_index("system")
    assert bounds["mcc_zero"].to_dict() == {"HALO_S": 2, "RF_S": 0, "MLP_S": 0, "HALO_T": 2, "HALO_N": 3}
    assert bounds.loc[["HALO_S", "HALO_T", "HALO_N"], "bound"].tolist() == pytest.approx([0.8, 0.8, 0.7])
    assert bounds.index[~bounds["possible"]].tolist() == ["HALO_S", "HALO_T", "HALO_N"]
    halo, forest = (possible_precision(system) for system in ("HALO_S", "RF_S"))
    assert halo.verdict.startswith("not comparable") and halo.value == pytest.approx(0.9178 - 0.2 - 0.722)
    assert forest.verdict == "contradicted"  # a mean over all locations, and below HALO's
    assert bounds.loc["HALO_S", "published_less_ones"] == pytest.approx(0.9178 - 0.2)


def test_the_bound_holds_for_a_system_that_never_predicts_a_label() -> None:
    y = np.tile(np.eye(10, dtype=int), (20, 1))
    pred = y * (np.arange(10) > 1)
    assert [matthews_corrcoef(y[:, k], pred[:, k]) for k in (0, 1, 2)] == [0, 0, 1]
    assert precision_score(y, pred, average="macro", zero_division=0) == pytest.approx(0.8)
    assert precision_score(y, pred, average="macro", zero_division=1) == 1


def test_accuracies_of_table_4_are_two_quantities() -> None:
    table = published_table(4)
    assert set(table.loc[table["metric"] == "accuracy", "system"]) == {"HALO_S", "HALO_T", "HALO_N"}
    assert set(table.loc[table["metric"] == "accuracy_one_vs_rest", "system"]) == {"RF_S", "MLP_S"}
    sentence = published.accuracy_sentence()
    assert "RF 0.9555 and MLP 0.9630 are means of 10" in sentence and "HALO's 0.7924 is subset" in sentence
    assert "0.958 to 0.979" in sentence  # 1 - 2 (1 - 0.7924) / 10 and 1 - (1 - 0.7924) / 10


@pytest.mark.parametrize(
    ("dataset", "split", "tables"),
    [
        ("deeploc2", "test", [1, 2, 3]),
        ("synthetic", "test", [1, 2, 3]),
        ("deeploc2", "hpa", []),
        ("luo2024", "S", [4]),
        ("luo2024", "T", [4]),
        ("luo2024", "N", [4]),
        ("luo2024", "T without near duplicates", []),
    ],
)
def test_published_values_follow_the_data_set(dataset: str, split: str, tables: list[int]) -> None:
    columns = published_columns(dataset, split)
    assert list(columns) == tables
    for number, names in columns.items():
        assert set(names) <= set(published_table(number)["system"])
    if tables == [4]:
        assert columns[4] == {f"HALO_{split}": "halo", f"RF_{split}": "", f"MLP_{split}": ""}


def tidy(dataset: str, split: str, systems: tuple[str, ...] = SYSTEMS) -> pd.DataFrame:
    """Return metrics of 0.5, and of 0.625 for MCC, for every system on one set."""
    places = LUO2024 if dataset == "luo2024" else DEEPLOC
    overall = [(m, "") for n in (1, 2, 4) for m in values(n, {1: "ESM", 2: "HALO", 4: "HALO_S"}[n]).index]
    keys = list(dict.fromkeys(overall)) + [("mcc", place) for place in places]
    rows = [(*key, system) for system in systems for key in keys]
    table = pd.DataFrame(rows, columns=["metric", "label", "system"]).assign(dataset=dataset, split=split)
    return table.assign(value=np.where(table["metric"] == "mcc", 0.625, 0.5), ci_low=0.4, ci_high=0.75)


def test_beside_the_paper_keeps_its_order_and_fills_ours() -> None:
    table = beside_paper(2, tidy("deeploc2", "test"), "deeploc2", "test", ("halo", "esm", "gat_weighted"))
    assert len(table) == 51 and table["ours"].notna().all()
    first = table.iloc[0]
    assert (first["metric"], first["system"]) == ("macro_f1", "HALO")
    assert first["difference"] == pytest.approx(0.5 - 0.6782)
    alone = beside_paper(2, tidy("deeploc2", "test"), "deeploc2", "test", ("esm",))
    assert set(alone["system"]) == {"Fine-tuned ESM"}


def test_readable_shows_the_difference_and_never_wraps() -> None:
    shown = readable(beside_paper(3, tidy("deeploc2", "test"), "deeploc2", "test", ("halo", "esm", "gat_weighted")))
    halo = shown.loc["Macro F1", "HALO"]
    assert halo.tolist() == ["0.678", "0.500\u00a0[0.400,\u00a00.750]", "-0.178"]
    assert list(shown["DeepLoc 1.0"].columns) == ["published"]
    assert shown.loc["MCC Peroxisome", ("GAT", "difference")] == "+0.314"
    assert list(shown.index[5:8]) == ["Macro recall", "Micro precision", "Micro recall"]  # in the paper's order
    assert shown.loc["Micro precision", ("GAT", "published")] == "0.577"
    assert shown.loc["Macro precision", ("GAT", "published")] == "–"
    assert shown.loc["Macro precision", ("HALO", "published")] == "0.710"
    assert not shown.map(lambda cell: " " in cell).any(axis=None)


def test_luo2024_stands_beside_its_own_table() -> None:
    metrics = tidy("luo2024", "S")
    table = beside_paper(4, metrics, "luo2024", "S", ("halo", "esm"))
    golgi = table[table["label"] == "Golgi apparatus"].set_index("system")
    assert golgi["published"].dropna().to_dict() == {"HALO_S": 0.62, "RF_S": 0.605, "MLP_S": 0.612}
    assert golgi["difference"].dropna().to_dict() == pytest.approx({"HALO_S": 0.005})
    assert golgi.loc["fine-tuned ESM", "ours"] == 0.625
    gats = beside_paper(1, metrics, "luo2024", "S", ("gat_pretrained", "gat_weighted"))
    assert gats["published"].isna().all() and gats["ours"].notna().all()
    assert [part for _, part in readable(gats).columns] == [published.PARTS[1]] * 2


CELLS = [("02", "esm_beside_paper"), ("04", "table1"), ("05", "table2"), ("06", "table3")]


@pytest.mark.parametrize("dataset", ["synthetic", "deeploc2", "luo2024"])
@pytest.mark.parametrize(("number", "name"), CELLS)
def test_notebooks_write_deeplocs_tables_for_deeploc_only(number: str, name: str, dataset: str, root: object) -> None:
    source = next(p for p in notebooks() if p.stem.startswith(number)).with_suffix(".py").read_text(encoding="utf-8")
    cells = [cell.partition("\n")[2] for cell in source.split("# %%")]
    cell = next(cell for cell in cells if f"{name}.csv" in cell and "published.beside" in cell)
    metrics = tidy(dataset, "S" if dataset == "luo2024" else "test")
    shown, paths = [], RunPaths("x").make()
    names = {
        "published": published,
        "write_csv": write_csv,
        "display": shown.append,
        "paths": paths,
        "metrics": metrics,
    }
    names |= {"halo_system": "halo", "all_metrics": metrics, "main_set": metrics["split"].iloc[0], "source": dataset}
    names["styled"] = lambda table, caption="": table
    exec(cell, names | {"settings": SimpleNamespace(data=SimpleNamespace(dataset=dataset))})
    assert (paths.results / f"{name}.csv").is_file() == (dataset != "luo2024")
    paper = [c for c in shown[0].columns if c[1] == "published"]
    assert [c[0] for c in paper if not c[0].endswith("_S")] == [] or dataset != "luo2024"


def test_mcc_figure_marks_only_what_is_published() -> None:
    systems = {"halo": "HALO_S", "esm": "", "gat_weighted": ""}
    rows = system_plots.mcc_dumbbells(tidy("luo2024", "S"), published_table(4), systems)
    known = rows.dropna(subset="published")
    assert set(known["system"]) == {"halo"} and set(known["label"]) == set(LUO2024)
    golgi = known.set_index("label").loc["Golgi apparatus", "published"]
    proteins = {name: 100 - i for i, name in enumerate(LUO2024)}
    fig = system_plots.mcc_per_label(rows, proteins, "x")
    rings = [
        [v for line in ax.lines if line.get_markerfacecolor() == "white" for v in np.atleast_1d(line.get_xdata())]
        for ax in fig.axes
    ]
    shown = [TITLES[name] == ax.get_title() for name, ax in zip(("esm", "gat_weighted", "halo"), fig.axes, strict=True)]
    assert all(shown) and golgi == 0.62 and golgi in rings[2] and np.isnan(rings[0] + rings[1]).all()
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()][0].startswith(LUO2024[0])  # the most frequent on top


def differences(split: str) -> pd.DataFrame:
    rows = [{"metric": c.metric, "first": c.ours[0], "second": c.ours[1]} for c in claims.CLAIMS]
    return pd.DataFrame(rows).assign(label="", split=split, difference=0.2, ci_low=0.1, ci_high=0.3)


def test_a_claim_between_two_metrics_has_no_verdict() -> None:
    ledger = claims.check_claims(differences("test"), "test")
    for row, claim in zip(ledger.itertuples(), claims.CLAIMS, strict=True):
        comparable = None not in claims.published_pair(claim)
        assert comparable == (not claim.reason), claim.text
        assert row.ours == 0.2 and pd.isna(row.paper) != comparable
    recall = ledger[ledger["claim"] == "The GAT recalls more than fine-tuned ESM"].iloc[0]
    assert recall["verdict"] == "not comparable in the paper (micro against macro)"


def test_claims_about_deeploc_are_not_asked_of_luo2024() -> None:
    ledger = claims.check_claims(differences("S"), "S", "luo2024")
    assert set(ledger["verdict"]) == {claims.NOT_ASKED}
    assert ledger["paper"].isna().all() and (ledger["ours"] == 0.2).all()


@pytest.fixture
def luo_run(root: object, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A luo2024 run whose gate was never asked, so that HALO is the fine-tuned ESM."""
    monkeypatch.setattr(report, "model_sizes", lambda paths: {"esm": "tiny"})
    sets, systems = ("S", "T", "T without near duplicates", "N"), ("nearest", "composition", "esm", "halo")
    table = pd.concat([tidy("luo2024", name, systems) for name in sets], ignore_index=True)
    extra = table[table["metric"] == "accuracy"]
    table = pd.concat([table, *(extra.assign(metric=m) for m in ("accuracy_argmax", "roc_auc_macro"))])
    table.loc[table["system"] == "composition", "value"] = 0.45
    table.loc[table["system"] == "nearest", "value"] = 0.55
    paths = RunPaths("luo2024-x").make()
    write_csv(paths.results / "metrics.csv", table)
    return paths


def test_luo_table_is_scored_by_threshold_argmax_and_rank(luo_run: RunPaths) -> None:
    text = report.luo_table(luo_run)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    assert list(dict.fromkeys(row[2] for row in rows)) == [
        "Accuracy (subset)",
        "Accuracy (argmax)",
        "Macro F1",
        "ROC AUC (macro)",  # macro_f1_argmax is not in this run
    ]
    argmax = [row[:2] + row[3:4] for row in rows if row[2] == "Accuracy (argmax)"]
    assert argmax == [
        ["6-mer nearest neighbour, ours", "none", "0.550 [0.400, 0.750]"],
        ["composition baseline, ours", "none", "0.450 [0.400, 0.750]"],
        ["fine-tuned ESM = HALO (paper), ours", "tiny", "0.500 [0.400, 0.750]"],
    ]
    assert ["HALO, published", "ESM-2 650 M", "Accuracy (subset)", "0.792", "0.647", "–", "0.488"] in rows
    assert "(0.7924 on S, 0.6468 on T, 0.4880 on N) is subset accuracy" in text


def test_results_stand_below_what_is_published_on_the_set(luo_run: RunPaths, root: object) -> None:
    luo = report.results_table(luo_run)
    assert "| HALO_S, published | ESM-2 650 M | 0.836 |" in luo and "DeepLoc" not in luo and "GAT, published" not in luo
    assert "published" not in report.results_table(luo_run, "T without near duplicates")
    paths = RunPaths("deeploc2-x").make()
    write_csv(paths.results / "metrics.csv", tidy("deeploc2", "test"))
    lines = report.results_table(paths).splitlines()
    head = lines[0].strip("| ").split(" | ")
    gat = dict(zip(head, next(x for x in lines if x.startswith("| GAT, pub")).strip("| ").split(" | "), strict=True))
    assert (gat["Micro precision"], gat["Micro recall"]) == ("0.577", "0.828")
    assert (gat["Macro precision"], gat["Macro recall"]) == ("–", "–")
    assert sum("published (cross-validation)" in x for x in lines) == 3
    assert "five-fold cross-validation" in statements.protocol_note() and "do not compare" in statements.protocol_note()
