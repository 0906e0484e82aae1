"""The paper's tables as published, and tables that put our values beside them."""

from functools import cache

import pandas as pd

from halo_utils.labels import canonical
from halo_utils.paths import REFERENCE

# The paper writes "ROC AUC" without saying which average; its released code computes the micro average.
PUBLISHED_METRIC = {"roc_auc": "roc_auc_micro"}

METRIC_TITLES = {
    "accuracy": "Accuracy (subset)", "jaccard": "Jaccard index", "micro_f1": "Micro F1", "macro_f1": "Macro F1",
    "macro_precision": "Macro precision", "macro_recall": "Macro recall", "micro_precision": "Micro precision",
    "micro_recall": "Micro recall", "roc_auc_micro": "ROC AUC (micro)", "roc_auc_macro": "ROC AUC (macro)",
    "mcc_overall": "Overall MCC", "mcc": "MCC", "f1": "F1", "roc_auc": "ROC AUC",
}  # fmt: skip


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"{name}.csv", keep_default_na=False, na_values={})


def published_table(number: int) -> pd.DataFrame:
    """Return a table of the paper in tidy form.

    Args:
        number: 1 to 4.

    Returns:
        Columns metric, label, system, published; rows in the paper's order, cells printed as a dash left out.

    Source: Tables 1-4 of the paper, transcribed digit by digit into ``data/reference``.
    """
    wide = _read(f"table{number}").copy()
    wide["label"] = wide["label"].map(canonical)
    wide["metric"] = wide["metric"].replace(PUBLISHED_METRIC)
    tidy = wide.melt(["metric", "label"], var_name="system", value_name="published")
    tidy["published"] = pd.to_numeric(tidy["published"], errors="coerce")
    return tidy.dropna(subset="published").reset_index(drop=True)


def text_value(name: str) -> float:
    """Return a number that the paper gives in its text."""
    return float(_read("text_values").set_index("name").loc[name, "value"])


def beside_published(number: int, metrics: pd.DataFrame, systems: dict[str, str]) -> pd.DataFrame:
    """Put our metrics beside a published table.

    Args:
        number: table of the paper.
        metrics: tidy metrics of one evaluation set.
        systems: published column -> our system; columns that are not named keep their published value alone.

    Returns:
        Columns metric, label, system, published, ours, ci_low, ci_high, difference (ours minus published),
        in the paper's order.
    """
    table = published_table(number)
    ours = metrics[["metric", "label", "system", "value", "ci_low", "ci_high"]].rename(columns={"value": "ours"})
    table["key"] = table["system"].map(systems)
    merged = table.merge(
        ours,
        how="left",
        left_on=["metric", "label", "key"],
        right_on=["metric", "label", "system"],
        suffixes=("", "_own"),
    )
    merged["difference"] = merged["ours"] - merged["published"]
    return merged[["metric", "label", "system", "published", "ours", "ci_low", "ci_high", "difference"]]


def row_title(metric: str, label: str) -> str:
    """Return how a row of a table is called: the location for MCC, else the metric."""
    return f"MCC {label}" if metric == "mcc" else METRIC_TITLES[metric]


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a compared table as a reader wants it: one row per metric, published | ours [interval] per system."""
    systems = list(pd.unique(table["system"]))
    rows: dict[str, dict[str, str]] = {}
    for row in table.itertuples():
        text = f"{row.published:.3f}"
        if pd.notna(row.ours):
            text += f" | {row.ours:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
        rows.setdefault(row_title(row.metric, row.label), {})[row.system] = text
    return pd.DataFrame(rows).T.reindex(columns=systems).fillna("–").rename_axis("published | ours [95 %]")
