"""Is the graph network a good second opinion? Random vetoes of equal size, and other opinions in the same gate."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from halo_utils.evaluation.metrics import f1_score, ratio
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.scoring import measure, tune
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.models.gate import Decision, GateResult, Rule, asked_labels, halo_gate, random_veto

VETO_METRICS = ("micro_f1", "macro_f1", "accuracy", "jaccard", "macro_precision", "macro_recall")
METRICS = VETO_METRICS[:3]


def veto_scores(y: np.ndarray, decision: np.ndarray, dropped: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``VETO_METRICS``, [R] each, of labels and decisions [B, K] where ``dropped`` [R, A] are vetoed."""
    truth, asked, rows = np.asarray(y, dtype=bool), asked_labels(decision), []
    true, averaged = truth.sum(axis=0), truth.any(axis=0)  # [K]
    for row in dropped:
        pred = decision != Decision.NEGATIVE
        pred[tuple(asked[row].T)] = False
        both, predicted = truth & pred, pred.sum(axis=0)
        tp, jaccard = both.sum(axis=0), ratio(both.sum(axis=1), (truth | pred).sum(axis=1)).mean()
        wrong, macro = predicted + true - 2 * tp, [ratio(tp, n)[averaged].mean() for n in (predicted, true)]
        f1 = float(f1_score(tp.sum(), wrong.sum())), f1_score(tp, wrong)[averaged].mean()
        rows.append([*f1, (truth == pred).all(axis=1).mean(), jaccard, *macro])
    return dict(zip(VETO_METRICS, np.array(rows).T, strict=True))


def _veto_auc(y: np.ndarray, esm_prob: np.ndarray, result: GateResult, dropped: np.ndarray, seed: int) -> np.ndarray:
    """Return the micro ROC AUC under many vetoes, [R]; the scores of the gate's vetoed labels, shuffled, go there."""
    rng, asked = np.random.default_rng([seed, 61]), asked_labels(result.decision)
    scores, positive = result.score[result.decision == Decision.VETOED], np.asarray(y) > 0
    n, areas = int(positive.sum()), []
    for row in dropped:
        score = np.array(esm_prob, dtype=float)
        score[tuple(asked[row].T)] = rng.permutation(scores)
        ranks = rankdata(score).reshape(score.shape)  # the rank sum of the positives gives the area
        areas.append((ranks[positive].sum() - n * (n + 1) / 2) / (n * (score.size - n)))
    return np.array(areas)


def beside_random_veto(
    y: np.ndarray, esm_prob: np.ndarray, result: GateResult, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Return the gate's metrics beside those of the sequence model, [B, K], and of ``draws`` random vetoes of its size.

    Columns metric, halo, esm, random_mean, random_low, random_high (2.5 % and 97.5 %), band (labels inside the band),
    asked, vetoed; a row per metric of ``VETO_METRICS``, and the micro ROC AUC.
    """
    decision = result.decision
    vetoed = (decision == Decision.VETOED)[tuple(asked_labels(decision).T)]  # [A]
    dropped = random_veto(decision, draws if vetoed.any() else 1, seed)
    values = veto_scores(y, decision, np.concatenate([[vetoed, np.zeros_like(vetoed)], dropped]))
    ends = [roc_auc_score(np.ravel(y), np.ravel(score)) for score in (result.score, esm_prob)]
    values["roc_auc_micro"] = np.concatenate([ends, _veto_auc(y, esm_prob, result, dropped, seed)])
    band = np.isin(decision, [Decision.AGREED, Decision.VETOED, Decision.NO_STRUCTURE])
    table = pd.DataFrame(values).T  # metric -> the gate, no veto, random vetoes
    low, high = np.quantile(table.iloc[:, 2:], [0.025, 0.975], axis=1)
    table = pd.DataFrame({"halo": table[0], "esm": table[1], "random_mean": table.iloc[:, 2:].mean(axis=1)})
    table = table.assign(random_low=low, random_high=high, band=int(band.sum()), asked=len(vetoed), vetoed=vetoed.sum())
    return table.rename_axis("metric").reset_index()


def veto_sentence(table: pd.DataFrame) -> str:
    """Return what ``beside_random_veto`` found, in one sentence."""
    band, asked, vetoed = table.iloc[0][["band", "asked", "vetoed"]].astype(int)
    start = f"The second opinion was asked about {asked:,} of {band:,} labels in the band and vetoed {vetoed:,}"
    if not vetoed:
        return f"{start}: there is nothing to compare."
    better = table.loc[table["halo"] > table["random_high"], "metric"].map(METRIC_TITLES)
    return f"{start}; HALO is above 97.5 % of the random vetoes in {', '.join(better) or 'no metric'}."


def second_opinions(
    table: pd.DataFrame,
    view: EvaluationSet,
    predictions: dict[str, pd.DataFrame],
    *,
    confident: float = 0.55,
    rule: Rule = "paper",
    step: float = 0.05,
    **bootstrap: int,
) -> pd.DataFrame:
    """Return the metrics of the gate with other second opinions, and of the mean of the two models' probabilities.

    ``predictions`` are of ``esm``, ``gat_weighted`` (with ``has_graph``) and ``composition``; thresholds come from
    validation. Columns asks about (labels of proteins with a structure, or all in the band), second opinion, asked,
    vetoed, n, and of every metric of ``METRICS`` its value, ``<metric>_low`` and ``<metric>_high``. The mean is no
    veto: it decides every label of the proteins it may be asked about, at a threshold of its own.
    """
    esm, gat = predictions["esm"], predictions["gat_weighted"]
    mean, columns = esm.copy(), list(esm.columns.drop(["accession", "split"]))
    mean[columns] = (esm[columns] + gat.set_index("accession").loc[esm["accession"], columns].to_numpy()) / 2
    predictions = {name: predictions[name] for name in ("esm", "gat_weighted", "composition")} | {"mean": mean}
    thresholds = {name: tune(table, stored, view.dataset, step) for name, stored in predictions.items()}
    prob = {name: view.join(stored) for name, stored in predictions.items()}
    pred = {name: prob[name] >= thresholds[name].on(view.name) for name in prob}
    opinions = {  # whether each would keep a label, [B, K] bool
        "none (fine-tuned ESM)": np.ones_like(pred["esm"]),
        "GAT": pred["gat_weighted"],
        "composition baseline": pred["composition"],
        "veto all": np.zeros_like(pred["esm"]),
        "oracle (vetoes what is false)": view.y > 0,
    }
    numbers = {"esm_threshold": thresholds["esm"].on(view.name), "gat_threshold": 0.5, "confident": confident}
    structure, rows = view.join(gat, ["has_graph"])[:, 0].astype(bool), []
    asked_about = {"labels with a structure": structure, "all labels in the band": np.ones_like(structure)}
    for asks_about, may_ask in asked_about.items():
        outcomes = {}
        for name, keeps in opinions.items():
            result = halo_gate(prob["esm"], keeps.astype(float), may_ask, **numbers, rule=rule)
            counts = len(asked_labels(result.decision)), int((result.decision == Decision.VETOED).sum())
            outcomes[name] = (result.labels, result.score, *counts)
        joined = np.where(may_ask[:, None], pred["mean"], outcomes["none (fine-tuned ESM)"][0])
        outcomes["mean of ESM and GAT"] = (joined, prob["mean"], np.nan, np.nan)
        for name, (labels, score, asked, vetoed) in outcomes.items():
            found = measure(view, name, labels, score, thresholds["esm"], **bootstrap).set_index("metric")
            row = {"asks about": asks_about, "second opinion": name, "asked": asked, "vetoed": vetoed, "n": len(view.y)}
            for metric, ends in found.loc[list(METRICS), ["value", "ci_low", "ci_high"]].iterrows():
                row |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), ends, strict=True))
            rows.append(row)
    return pd.DataFrame(rows)
