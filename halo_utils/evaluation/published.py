"""The paper's tables as published, and tables that put our values beside them."""

from functools import cache

import pandas as pd

from halo_utils.core.paths import REFERENCE
from halo_utils.data.locations import canonical
from halo_utils.evaluation.systems import TITLES

# Columns of Table 3 that are quoted from five-fold cross-validation on Swiss-Prot (github.com/TviNet/DeepLoc-2.0:
# "Compute metrics on the SwissProt CV dataset"), with thresholds of their own.
CROSS_VALIDATED = ("DeepLoc 1.0", "DeepLoc 2.0 (ESM1b)", "DeepLoc 2.0 (ProtT5)")
# Number of a table about DeepLoc -> published column -> our system, "" where it has no counterpart.
DEEPLOC_COLUMNS = {
    1: {"ESM": "gat_pretrained", "F-ESM": "gat_finetuned", "WF-ESM": "gat_weighted"},
    2: {"HALO": "halo", "Fine-tuned ESM": "esm", "GAT": "gat_weighted"},
    3: dict.fromkeys(CROSS_VALIDATED, "") | {"HALO": "halo", "Fine-tuned ESM": "esm", "GAT": "gat_weighted"},
}
LUO_SETS = ("S", "T", "N")  # the test sets of luo2024 that Table 4 is about
METRIC_TITLES = {
    "accuracy": "Accuracy (subset)", "accuracy_argmax": "Accuracy (argmax)",
    "accuracy_one_vs_rest": "Accuracy (mean of one against rest)", "macro_f1_argmax": "Macro F1 (argmax)",
    "micro_f1_argmax": "Micro F1 (argmax)", "jaccard": "Jaccard index", "micro_f1": "Micro F1", "macro_f1": "Macro F1",
    "macro_precision": "Macro precision", "macro_recall": "Macro recall", "micro_precision": "Micro precision",
    "micro_recall": "Micro recall", "roc_auc_micro": "ROC AUC (micro)", "roc_auc_macro": "ROC AUC (macro)",
    "weighted_precision": "Weighted precision", "weighted_recall": "Weighted recall", "weighted_f1": "Weighted F1",
    "weighted_auc": "Weighted ROC AUC", "average_precision": "Average precision", "mcc_overall": "Overall MCC",
    "mcc": "MCC", "f1": "F1", "roc_auc": "ROC AUC",
}  # fmt: skip


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"{name}.csv", keep_default_na=False, na_values={})


def published_table(number: int) -> pd.DataFrame:
    """Return metric, label, system, published of Table 1 to 4, in the paper's order, cells with a dash left out."""
    wide = _read(f"table{number}")
    # The paper writes "ROC AUC" without saying which average; its released code computes the micro average.
    wide = wide.assign(label=wide["label"].map(canonical), metric=wide["metric"].replace("roc_auc", "roc_auc_micro"))
    tidy = wide.melt(["metric", "label"], var_name="system", value_name="published", ignore_index=False)
    tidy = tidy.sort_index(kind="stable")  # row by row, so that a row that only some systems have keeps its place
    tidy["published"] = pd.to_numeric(tidy["published"], errors="coerce")
    return tidy.dropna(subset="published").reset_index(drop=True)


def text_value(name: str) -> float:
    """Return a number that the paper gives in its text."""
    return float(_read("text_values").set_index("name").loc[name, "value"])


def published_columns(dataset: str, split: str) -> dict[int, dict[str, str]]:
    """Return number of a table about a test set -> its columns -> our system, "" for one without counterpart."""
    if dataset == "luo2024":
        return {4: {f"HALO_{split}": "halo", f"RF_{split}": "", f"MLP_{split}": ""}} if split in LUO_SETS else {}
    return DEEPLOC_COLUMNS if split == "test" else {}


def overall_values(dataset: str, split: str) -> pd.DataFrame:
    """Return the paper's overall values of one test set by our systems: system, metric, published."""
    columns = published_columns(dataset, split)
    number = next((n for n in (2, 4) if n in columns), None)
    if number is None:
        return pd.DataFrame({"system": [], "metric": [], "published": []}, dtype=object)
    table = published_table(number).query("label == ''")
    table = table.assign(system=table["system"].map({ours: name for ours, name in columns[number].items() if name}))
    return table.dropna(subset="system")[["system", "metric", "published"]].reset_index(drop=True)


def compared_with(number: int, dataset: str, split: str) -> str:
    """Return the sentence that says what a table of the paper is to a run."""
    if number not in published_columns(dataset, split):
        return f"Table {number} of the paper has nothing about {split} of {dataset}: our values stand alone."
    if dataset == "synthetic":
        return f"Compared with Table {number} of the paper as a rehearsal: the proteins are synthetic."
    return f"Compared with Table {number} of the paper, {split} of {dataset}."


COMPARED = ["metric", "label", "system", "published", "ours", "ci_low", "ci_high", "difference"]
PARTS = ("published", "ours [95\u00a0%]", "difference")  # no-break spaces: cells stay on one line


def beside_paper(
    number: int, metrics: pd.DataFrame, dataset: str, split: str, systems: tuple[str, ...]
) -> pd.DataFrame:
    """Put our systems beside a table of the paper as ``COMPARED``, for its metrics and in its order.

    The difference is ours minus published. Systems without a column follow, with ``published`` empty.
    """
    ours = metrics[metrics["split"] == split].rename(columns={"value": "ours"})
    columns, table = published_columns(dataset, split).get(number, {}), published_table(number)
    alone = ours[ours["metric"].isin(table["metric"])]
    left = [s for s in systems if s not in columns.values()]
    rest = [alone[alone["system"] == s].assign(system=TITLES[s]).reindex(columns=COMPARED) for s in left]
    table = table[table["system"].isin([c for c, s in columns.items() if not s or s in systems])]
    table = table.assign(key=table["system"].map(columns)).merge(
        ours.rename(columns={"system": "key"}), how="left", on=["metric", "label", "key"]
    )
    table = table.assign(difference=table["ours"] - table["published"])[COMPARED]
    return pd.concat([rows for rows in (table, *rest) if len(rows)], ignore_index=True)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a compared table for reading: a row per metric, and per system those of ``PARTS`` that have a value."""
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for row in table.itertuples():
        cells = rows.setdefault(f"MCC {row.label}" if row.metric == "mcc" else METRIC_TITLES[row.metric], {})
        ours = f"{row.ours:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]".replace(" ", "\u00a0")
        texts = (f"{row.published:.3f}", ours, f"{row.difference:+.3f}")
        known = pd.notna([row.published, row.ours, row.difference])
        cells |= {(row.system, PARTS[i]): texts[i] for i in range(3) if known[i]}
    columns = [(s, p) for s in pd.unique(table["system"]) for p in PARTS if any((s, p) in c for c in rows.values())]
    body = [[cells.get(column, "–") for column in columns] for cells in rows.values()]
    return pd.DataFrame(body, index=list(rows), columns=pd.MultiIndex.from_tuples(columns))


def precision_bounds() -> pd.DataFrame:
    """Return how large the macro precisions of Table 4 can be where an undefined precision counts as 0.

    A location with MCC 0 is never predicted (or no better than by chance), so its precision is undefined (or as small
    as its frequency). With ``zero_division=0`` the mean cannot exceed the share of the other locations, ``bound``;
    ``published_less_ones`` is the published value without the ones that ``zero_division=1`` adds.
    """
    values = published_table(4).set_index(["metric", "system"])["published"]
    precision, mcc = values["macro_precision"], values["mcc"]
    zero = (mcc == 0).groupby("system").agg(["size", "sum"]).loc[precision.index]
    share = zero["sum"] / zero["size"]
    table = zero.set_axis(["locations", "mcc_zero"], axis=1).assign(published=precision, bound=1 - share)
    return table.assign(possible=precision <= 1 - share, published_less_ones=precision - share).reset_index()


def accuracy_sentence() -> str:
    """Return why the accuracies of Table 4 do not compare, with HALO's in the terms of the others.

    RF's cannot be subset accuracy: with 4.45 % of the proteins wrong, its MCC of Nucleus could not fall to 0.73. Each
    protein of S has one location, so one that is wrong has one or two wrong labels, which bounds HALO's mean of ten.
    """
    table = published_table(4)
    values = table[table["label"] == ""].set_index(["metric", "system"])["published"]
    locations = table.loc[table["metric"] == "mcc", "label"].nunique()
    forest, perceptron = (values["accuracy_one_vs_rest", f"{name}_S"] for name in ("RF", "MLP"))
    halo = values["accuracy", "HALO_S"]
    low, high = (1 - wrong * (1 - halo) / locations for wrong in (2, 1))
    return (
        f"Accuracy on S: RF {forest:.4f} and MLP {perceptron:.4f} are means of {locations} one-against-rest accuracies,"
        f" HALO's {halo:.4f} is subset accuracy of labels at a threshold. In the terms of the others HALO"
        f" would have {low:.3f} to {high:.3f}, with two or one wrong labels in each protein that is not right."
    )
