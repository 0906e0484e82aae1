"""Is the graph network a good second opinion? Random vetoes of equal size, and other opinions in the same gate."""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from halo_utils.config import Settings
from halo_utils.data.locations import locations
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.scoring import measure, tune
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.models.gate import Decision, Gate, GateResult, asked_labels, halo_gate, random_veto

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
    y, where = np.asarray(y, dtype=float), asked_labels(decision)
    kept = (decision != Decision.NEGATIVE).astype(float)  # what the sequence model predicts
    protein, label = where.T
    own, member = np.unique(protein, return_inverse=True)
    lost = sparse.csr_array(dropped.astype(float))
    lost_true = sparse.csr_array(dropped * y[protein, label])
    to_label = np.eye(y.shape[1])[label]  # [A, K]
    to_protein = sparse.csr_array((np.ones(len(where)), (np.arange(len(where)), member)), (len(where), len(own)))
    right = (kept * y).sum(axis=0) - lost_true @ to_label  # [R, K]
    predicted, true = kept.sum(axis=0) - lost @ to_label, y.sum(axis=0)
    averaged = true > 0
    both = (kept * y).sum(axis=1)
    either, size = np.maximum(kept, y).sum(axis=1), kept.sum(axis=1)
    rest = np.ones(len(y), dtype=bool)
    rest[own] = False
    lost_right = (lost_true @ to_protein).toarray()
    own_right = both[own] - lost_right  # [R, P]
    own_size = size[own] - (lost @ to_protein).toarray()
    own_either = own_size + y[own].sum(axis=1) - own_right
    exact = ((both == either)[rest].sum() + (own_right == own_either).sum(axis=1)) / len(y)
    overlap = _share(both[rest], either[rest]).sum() + _share(own_right, own_either).sum(axis=1)
    f1 = _share(2 * right, predicted + true)
    return {
        "micro_f1": _share(2 * right.sum(axis=1), predicted.sum(axis=1) + true.sum()),
        "macro_f1": f1[:, averaged].mean(axis=1),
        "accuracy": exact,
        "jaccard": overlap / len(y),
        "macro_precision": _share(right, predicted)[:, averaged].mean(axis=1),
        "macro_recall": _share(right, np.broadcast_to(true, right.shape))[:, averaged].mean(axis=1),
    }


def _share(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


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


def _vetoes(
    view: EvaluationSet, gate: Gate, probs: dict[str, np.ndarray], thresholds: dict[str, Threshold]
) -> dict[str, np.ndarray]:
    """Return, per second opinion, whether it would keep each label, [B, K] bool."""
    never = np.zeros(view.y.shape, dtype=bool)
    return {
        "none (fine-tuned ESM)": ~never,
        "GAT": probs["gat_weighted"] >= thresholds["gat_weighted"].on(view.name),
        "composition baseline": probs["composition"] >= thresholds["composition"].on(view.name),
        "veto all": never,
        "oracle (vetoes what is false)": view.y > 0,
    }


def second_opinions(
    settings: Settings,
    table: pd.DataFrame,
    view: EvaluationSet,
    gate: Gate,
    predictions: dict[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return the metrics of the gate with other second opinions, and of the mean of the two models' probabilities.

    Args:
        settings: settings of the run.
        table: dataset table; thresholds come from its validation proteins.
        view: the test set.
        gate: gate of the run.
        predictions: of ``esm``, ``gat_weighted`` (with ``has_structure``) and ``composition``.

    Returns:
        Columns asks about (labels of proteins with a structure, or all in the band), second opinion, asked, vetoed, n,
        and of every metric of ``METRICS`` its value, ``<metric>_low`` and ``<metric>_high``. The mean of probabilities
        is no veto: it decides every label of the proteins it may be asked about, at a threshold of its own.
    """
    esm, gat = predictions["esm"], predictions["gat_weighted"]
    places = list(locations(settings.data.dataset))
    both = [found.set_index("accession").loc[esm["accession"], places].to_numpy() for found in (esm, gat)]
    predictions = predictions | {"mean": esm.assign(**dict(zip(places, np.mean(both, axis=0).T, strict=True)))}
    thresholds = {name: tune(settings, table, found) for name, found in predictions.items()}
    probs = {name: view.join(found) for name, found in predictions.items()}
    half = Threshold(0.5, "published")
    structure = view.join(gat, ["has_structure"])[:, 0].astype(bool)
    rows = []
    for asks, may in {MAY_BE_ASKED: structure, ALL: np.ones_like(structure)}.items():
        found = {}
        for name, keeps in _vetoes(view, gate, probs, thresholds).items():
            opinion = Gate(gate.rule, gate.esm_threshold, half, gate.confident)
            result = halo_gate(probs["esm"], keeps.astype(float), may, opinion, view.name)
            vetoed = int((result.decision == Decision.VETOED).sum())
            found[name] = (result.labels, result.score, [len(asked_labels(result.decision)), vetoed])
        alone = probs["esm"] >= gate.esm_threshold.on(view.name)
        joined = probs["mean"] >= thresholds["mean"].on(view.name)
        found["mean of ESM and GAT"] = (np.where(may[:, None], joined, alone), probs["mean"], [np.nan, np.nan])
        for name, (labels, score, (asked, vetoed)) in found.items():
            measured = measure(settings, view, name, labels, score, gate.esm_threshold)
            own = measured[measured["metric"].isin(METRICS)].set_index("metric")
            row = {"asks about": asks, "second opinion": name, "asked": asked, "vetoed": vetoed, "n": len(view.y)}
            for metric in METRICS:
                value, low, high = own.loc[metric, ["value", "ci_low", "ci_high"]]
                row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)
