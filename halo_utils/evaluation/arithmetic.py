"""What published numbers say by themselves: checks of the documents that need no protein, only their own tables.

Every check returns a ``Finding``; ``CHECKS`` names them for ``data/reference/statements.csv``.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binomtest, fisher_exact, norm

from halo_utils.core.paths import REFERENCE
from halo_utils.evaluation.own_tables import (
    HOLDS,
    ROUNDING,
    Finding,
    ahead,
    decline,
    difference_interval,
    lowest_mcc,
    one_kind_of_precision,
    rounding_of,
    word_of,
)
from halo_utils.evaluation.published import precision_bounds, published_table, text_value

SURE = 0.05  # level of a test


def _table4() -> pd.Series:
    return published_table(4).query("label == ''").set_index(["metric", "system"])["published"]


def _locations() -> int:
    return published_table(4).query("metric == 'mcc'")["label"].nunique()


def subset_accuracy(one_against_rest: float, locations: int) -> float:
    """Return the share of right answers, of one location per protein, from the mean accuracy of K one-against-rest.

    A wrong answer is wrong twice, at the location named and at the one meant: a' = 1 - 2 (1 - a) / K.
    """
    return 1 - locations * (1 - one_against_rest) / 2


def both_accuracies() -> pd.DataFrame:
    """Return the accuracies of Table 4 on S in both definitions: system, published, accuracy_one_vs_rest, accuracy.

    Every protein of S has one location. HALO may name none or several, which is taken as naming one: where it names
    none, its one against rest is higher (``published.accuracy_sentence``).
    """
    values, k, rows = _table4(), _locations(), []
    for system in ("HALO_S", "RF_S", "MLP_S"):
        if ("accuracy", system) in values:
            subset = values["accuracy", system]
            rows.append((system, subset, 1 - 2 * (1 - subset) / k, subset))
        else:
            mean = values["accuracy_one_vs_rest", system]
            rows.append((system, mean, mean, subset_accuracy(mean, k)))
    return pd.DataFrame(rows, columns=["system", "published", "accuracy_one_vs_rest", "accuracy"])


def implied_accuracy(other: str) -> Finding:
    """Is HALO's accuracy on S higher than that of Luo's ``RF_S`` or ``MLP_S``, once both are the same quantity?"""
    values, k = _table4(), _locations()
    theirs = subset_accuracy(values["accuracy_one_vs_rest", other], k)
    ours, tested = values["accuracy", "HALO_S"], int(text_value("luo2024_s_proteins"))
    low, high = difference_interval(ours, theirs, tested)
    error = k * rounding_of(values["accuracy_one_vs_rest", other]) / 2
    reason = f"{values['accuracy_one_vs_rest', other]:.4f} is a mean over {k} one-against-rest tables, which is"
    reason = f"{reason} {theirs:.4f} as subset accuracy; the interval holds {tested:,} proteins and rounding"
    return Finding(ours - theirs, word_of(ours - theirs, low - error, high + error), reason, low - error, high + error)


def areas_of_hard_labels(other: str) -> Finding:
    """Is HALO's area under the ROC curve larger? The other's fits two decisions, not a ranking."""
    values = _table4()
    theirs = values["roc_auc_micro", other]
    specificity = 2 * theirs - values["macro_recall", other]
    reason = f"with its recall the other's area implies a specificity of {specificity:.3f}, that of yes-or-no answers"
    gap = values["roc_auc_micro", "HALO_S"] - theirs
    return Finding(gap, "not comparable in the paper (areas of hard labels)", reason)


def possible_precision(system: str) -> Finding:
    """Is HALO the most precise in Table 4, what is never predicted left out? See ``published.precision_bounds``."""
    bounds = precision_bounds().set_index("system")
    row, rest = bounds.loc[system], bounds[bounds.index.str.endswith(system[-2:])].drop(system)["published"]
    own = row["published_less_ones"]
    gap = own - rest.max()
    reason = f"{row['mcc_zero']} of {row['locations']} locations are never predicted, so the mean is at most"
    reason += f" {row['bound']:.1f} unless an undefined precision counts as 1; without such ones it is {own:.4f},"
    reason += f" beside {rest.max():.4f}" if len(rest) else " and no other system's is given"
    holds = HOLDS if gap > 0 else "contradicted"
    return Finding(gap, holds if row["possible"] else "not comparable in the paper (undefined precision)", reason)


def veto_and_recall() -> Finding:
    """Does the gate rescue labels? What only removes labels cannot raise recall."""
    values = published_table(2).query("label == ''").set_index(["metric", "system"])["published"]
    gap = values["macro_recall", "HALO"] - values["macro_recall", "Fine-tuned ESM"]
    verdict = "contradicted" if gap <= 0 else HOLDS
    return Finding(gap, verdict, "below 55 % a label stays only if both models predict it: a veto removes, never adds")


def fisher(first: str, second: str) -> Finding:
    """Does the larger of two embedders of document 003 win? Fisher's exact test on its nine test proteins."""
    rows = pd.read_csv(REFERENCE / "embedders.csv").set_index("embedder")
    counts = [[int(rows.loc[n, "right"]), int(rows.loc[n, "tested"] - rows.loc[n, "right"])] for n in (first, second)]
    p = fisher_exact(counts).pvalue
    right, tested = [row[0] / sum(row) for row in counts], sum(counts[0])
    low, high = difference_interval(right[1], right[0], tested)
    interval = binomtest(counts[1][0], sum(counts[1])).proportion_ci(method="exact")
    reason = (
        f"p = {p:.2f}; {counts[1][0]} of {sum(counts[1])} has the interval {interval.low:.2f} to {interval.high:.2f}"
    )
    verdict = HOLDS if p < SURE else "same direction, not sure"
    return Finding(right[1] - right[0], verdict, reason, low, high)


def average_precision(roc_auc: float, prevalence: float) -> float:
    """Return the average precision of a binormal ranker with this area under its ROC curve, at a prevalence."""
    cut = np.linspace(-8, 8, 4001)
    recall, alarm = norm.sf(cut - np.sqrt(2) * norm.ppf(roc_auc)), norm.sf(cut)
    precision = prevalence * recall / (prevalence * recall + (1 - prevalence) * alarm)
    return float(-np.trapezoid(precision, recall))


def prevalence_needed(location: str) -> Finding:
    """Which prevalence do the average precision and the area of document 003 need together?"""
    rows = pd.read_csv(REFERENCE / "embedder_curves.csv").set_index("location")
    needed = {
        name: brentq(partial(_gap, row["roc_auc"], row["average_precision"]), 0.01, 0.99)
        for name, row in rows.iterrows()
    }
    reason = (
        f"a ranker of this area needs a prevalence of {needed[location]:.2f}; the three locations together would be"
    )
    reason += f" {sum(needed.values()):.1f} per protein, so average precision shows how common they are in the test set"
    return Finding(needed[location], "contradicted", reason)


def _gap(roc_auc: float, wanted: float, prevalence: float) -> float:
    return average_precision(roc_auc, prevalence) - wanted


def f1_of_row(row: int) -> Finding:
    """Do precision, recall and F1 of a row of document 002's Table 1 agree?"""
    values = pd.read_csv(REFERENCE / "gvp_ensemble.csv").set_index("row").loc[row]
    f1 = 2 * values["precision"] * values["recall"] / (values["precision"] + values["recall"])
    agrees = abs(f1 - values["f1"]) <= ROUNDING
    return Finding(f1, HOLDS if agrees else "contradicted", "harmonic mean of the row's precision and recall")


def ranks(tasks: tuple[str, ...], place: int) -> Finding:
    """Is GwR among the first ``place`` of the published systems in every one of ``tasks`` (none: all)?"""
    table = pd.read_csv(REFERENCE / "gwr_tasks.csv").set_index("task").drop(columns="metric").astype(float)
    chosen = table.loc[list(tasks) or table.index]
    value, apiece = (int(chosen.rank(axis=1, ascending=False, method=m)["GwR"].max()) for m in ("dense", "min"))
    reason = f"its worst value is number {value} of its task, its worst place {apiece} (equal values share a number)"
    verdict = HOLDS if value <= place else "contradicted"
    return Finding(value, verdict, f"{reason}; single runs without intervals")


def other_set() -> Finding:
    """Document 002 beats the state of the art: its row 5 beside DeepLoc 2.0's ESM1b and ProtT5 rows on HPA."""
    ours = pd.read_csv(REFERENCE / "gvp_ensemble.csv").set_index("row").loc[5, "f1"]
    values = pd.read_csv(REFERENCE / "text_values.csv").set_index("name")["value"].astype(float)
    gap = ours - values["deeploc2_prott5_hpa_micro_f1"]
    reason = "six locations and 1,532 proteins beside eight and 1,717; against the better row of that table the gap is"
    return Finding(
        ours - values["deeploc2_esm1b_hpa_micro_f1"], "not comparable in the paper (other sets)", f"{reason} {gap:+.2f}"
    )


CHECKS: dict[str, Callable[[], Finding]] = {
    "implied_accuracy_rf": partial(implied_accuracy, "RF_S"),
    "implied_accuracy_mlp": partial(implied_accuracy, "MLP_S"),
    "areas_rf": partial(areas_of_hard_labels, "RF_S"),
    "areas_mlp": partial(areas_of_hard_labels, "MLP_S"),
    "precision_s": partial(possible_precision, "HALO_S"),
    "precision_t": partial(possible_precision, "HALO_T"),
    "precision_n": partial(possible_precision, "HALO_N"),
    "veto_and_recall": veto_and_recall,
    "recall_s": partial(ahead, 4, "macro_recall", "HALO_S", ("RF_S", "MLP_S")),
    "f1_s": partial(ahead, 4, "macro_f1", "HALO_S", ("RF_S", "MLP_S")),
    "esm_ahead": partial(ahead, 2, "macro_f1", "Fine-tuned ESM", ("HALO",)),
    "weighted_leads": partial(ahead, 1, "mcc", "WF-ESM", ("ESM", "F-ESM"), ("Plastid", "Extracellular")),
    "esm_per_location": partial(ahead, 2, "mcc", "Fine-tuned ESM", ("GAT",), ()),
    "graphs_above": partial(lowest_mcc, ("Plastid", "Extracellular"), 0.8),
    "decline_rf": partial(decline, "RF"),
    "decline_mlp": partial(decline, "MLP"),
    "one_kind": one_kind_of_precision,
    "protbert_over_esm2": partial(fisher, "ESM-2 8M", "ProtBERT"),
    "prott5_over_protbert": partial(fisher, "ProtBERT", "ProtT5-XL"),
    "prott5_over_esm2": partial(fisher, "ESM-2 8M", "ProtT5-XL"),
    "prevalence_extracellular": partial(prevalence_needed, "Extracellular"),
    "prevalence_nucleus": partial(prevalence_needed, "Nucleus"),
    "prevalence_cytoplasm": partial(prevalence_needed, "Cytoplasm"),
    "f1_row_1": partial(f1_of_row, 1),
    "f1_row_2": partial(f1_of_row, 2),
    "f1_row_4": partial(f1_of_row, 4),
    "f1_row_5": partial(f1_of_row, 5),
    "other_set": other_set,
    "gwr_top_three": partial(ranks, (), 3),
    "gwr_best_solubility": partial(ranks, ("DeepSol", "DeepSoluE"), 1),
}
