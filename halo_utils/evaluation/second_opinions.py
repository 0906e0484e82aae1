"""Is the graph network a good second opinion? Random vetoes of equal size, and other opinions in the same gate."""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from halo_utils.evaluation.metrics import f1_score, ratio
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.scoring import measure, tune
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.models.gate import Decision, GateResult, Rule, asked_labels, halo_gate, random_veto

VETO_METRICS = ("micro_f1", "macro_f1", "accuracy", "jaccard", "macro_precision", "macro_recall")
DRAWS = 1000  # random vetoes
METRICS = ("micro_f1", "macro_f1", "accuracy")
MAY_BE_ASKED, ALL = "labels with a structure", "all labels in the band"


def veto_scores(y: np.ndarray, decision: np.ndarray, dropped: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``VETO_METRICS`` under many vetoes, [R] each, as ``metrics.scores`` defines them.

    Only proteins with an asked label are counted anew for every veto. Macro averages are over the labels that have a
    protein.

    Args:
        y: [B, K] 0/1 labels.
        decision: [B, K] values of ``Decision``.
        dropped: [R, A] from ``random_veto``, or any other choice among ``asked_labels``.
    """
    y, (protein, label) = np.asarray(y, dtype=float), asked_labels(decision).T
    kept = (decision != Decision.NEGATIVE).astype(float)  # what the sequence model predicts
    touched, row = np.unique(protein, return_inverse=True)  # [P] proteins with an asked label
    rest = np.delete(np.arange(len(y)), touched)
    to_label = np.eye(y.shape[1])[label]  # [A, K]
    to_protein = sparse.csr_array((np.ones(len(row)), (np.arange(len(row)), row)), (len(row), len(touched)))
    lost, lost_true = (sparse.csr_array(dropped * weight) for weight in (np.ones(len(row)), y[protein, label]))
    right = (kept * y).sum(axis=0) - lost_true @ to_label  # [R, K]
    predicted, true = kept.sum(axis=0) - lost @ to_label, y.sum(axis=0)
    both, either = (kept * y).sum(axis=1), np.maximum(kept, y).sum(axis=1)
    both_now = both[touched] - (lost_true @ to_protein).toarray()  # [R, P]; a false label leaves the union only
    either_now = either[touched] - (lost @ to_protein).toarray() + (lost_true @ to_protein).toarray()
    exact = (both == either)[rest].sum() + (both_now == either_now).sum(axis=1)
    overlap = ratio(both[rest], either[rest]).sum() + ratio(both_now, either_now).sum(axis=1)
    wrong, averaged = predicted + true - 2 * right, true > 0
    return {
        "micro_f1": f1_score(right.sum(axis=1), wrong.sum(axis=1)),
        "macro_f1": f1_score(right, wrong)[:, averaged].mean(axis=1),
        "accuracy": exact / len(y),
        "jaccard": overlap / len(y),
        "macro_precision": ratio(right, predicted)[:, averaged].mean(axis=1),
        "macro_recall": ratio(right, true)[:, averaged].mean(axis=1),
    }


def veto_auc(y: np.ndarray, esm_prob: np.ndarray, result: GateResult, dropped: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the micro ROC AUC under many vetoes, [R]; the scores of the gate's vetoed labels, shuffled, go there.

    Args:
        y: [B, K] 0/1 labels.
        esm_prob: [B, K] probabilities of the sequence model.
        result: the gate's.
        dropped: [R, A] from ``random_veto``.
        seed: seed of the shuffling.
    """
    rng = np.random.default_rng([seed, 61])
    scores, positive = result.score[result.decision == Decision.VETOED], np.asarray(y).ravel() > 0
    place = np.ravel_multi_index(tuple(asked_labels(result.decision).T), esm_prob.shape)
    n, areas = int(positive.sum()), []
    for row in dropped:
        score = np.asarray(esm_prob, dtype=float).ravel().copy()
        score[place[row]] = rng.permutation(scores)
        areas.append((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * (score.size - n)))
    return np.array(areas)


def beside_random_veto(
    y: np.ndarray, esm_prob: np.ndarray, result: GateResult, draws: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """Return the gate's metrics beside those of the sequence model and of random vetoes of equal size.

    Args:
        y: [B, K] 0/1 labels.
        esm_prob: [B, K] probabilities of the sequence model.
        result: the gate's.
        draws: random vetoes.
        seed: seed of the draws.

    Returns:
        Columns metric, halo, esm, random_mean, random_low, random_high (2.5 % and 97.5 %), band (labels inside the
        band), asked, vetoed; a row per metric of ``VETO_METRICS``, and the micro ROC AUC.
    """
    decision = result.decision
    dropped = random_veto(decision, draws if (decision == Decision.VETOED).any() else 1, seed)
    own = (decision == Decision.VETOED)[tuple(asked_labels(decision).T)]
    values = veto_scores(y, decision, np.concatenate([[own, np.zeros_like(own)], dropped]))
    ends = [roc_auc_score(np.ravel(y), np.ravel(score)) for score in (result.score, esm_prob)]
    values["roc_auc_micro"] = np.concatenate([ends, veto_auc(y, esm_prob, result, dropped, seed)])
    band = np.isin(decision, [Decision.AGREED, Decision.VETOED, Decision.NO_STRUCTURE])
    counts = {"band": int(band.sum()), "asked": len(own), "vetoed": int(own.sum())}
    rows = []
    for metric, (halo, esm, *drawn) in values.items():
        low, high = np.quantile(drawn, [0.025, 0.975])
        row = {"metric": metric, "halo": halo, "esm": esm, "random_mean": np.mean(drawn)}
        rows.append(row | {"random_low": low, "random_high": high} | counts)
    return pd.DataFrame(rows)


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

    Args:
        table: dataset table; thresholds come from its validation proteins.
        view: the test set.
        predictions: of ``esm``, ``gat_weighted`` (with ``has_structure``) and ``composition``.
        confident: upper edge of the gate's band.
        rule: rule of the gate.
        step: distance of two thresholds of the sweep.
        **bootstrap: ``resamples`` and ``seed`` of the intervals.

    Returns:
        Columns asks about (labels of proteins with a structure, or all in the band), second opinion, asked, vetoed, n,
        and of every metric of ``METRICS`` its value, ``<metric>_low`` and ``<metric>_high``. The mean of probabilities
        is no veto: it decides every label of the proteins it may be asked about, at a threshold of its own.
    """
    esm, gat = predictions["esm"], predictions["gat_weighted"]
    columns = list(esm.columns.drop(["accession", "split"]))
    both = esm[columns], gat.set_index("accession").loc[esm["accession"], columns]
    mean = esm.assign(**dict(zip(columns, np.mean([p.to_numpy() for p in both], axis=0).T, strict=True)))
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
    structure, rows = view.join(gat, ["has_structure"])[:, 0].astype(bool), []
    for asks_about, may_ask in {MAY_BE_ASKED: structure, ALL: np.ones_like(structure)}.items():
        outcomes = {}
        for name, keeps in opinions.items():
            result = halo_gate(prob["esm"], keeps.astype(float), may_ask, **numbers, rule=rule)
            vetoed = int((result.decision == Decision.VETOED).sum())
            outcomes[name] = (result.labels, result.score, len(asked_labels(result.decision)), vetoed)
        alone = outcomes["none (fine-tuned ESM)"][0]
        joined = np.where(may_ask[:, None], pred["mean"], alone)
        outcomes["mean of ESM and GAT"] = (joined, prob["mean"], np.nan, np.nan)
        for name, (labels, score, asked, vetoed) in outcomes.items():
            measured = measure(view, name, labels, score, thresholds["esm"], **bootstrap)
            values = measured.set_index("metric")[["value", "ci_low", "ci_high"]]
            row = {"asks about": asks_about, "second opinion": name, "asked": asked, "vetoed": vetoed, "n": len(view.y)}
            for metric in METRICS:
                row |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), values.loc[metric], strict=True))
            rows.append(row)
    return pd.DataFrame(rows)
