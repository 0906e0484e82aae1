"""Is the graph network a good second opinion? Random vetoes of equal size, and other opinions in the same gate."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from halo_utils.evaluation.metrics import Decided, difference, draw, f1_score, ratio, resample
from halo_utils.evaluation.published import METRIC_TITLES
from halo_utils.evaluation.test_sets import EvaluationSet
from halo_utils.models.gate import Decision, GateResult, Rule, asked_labels, halo_gate, random_veto

VETO_METRICS = ("micro_f1", "macro_f1", "accuracy", "jaccard", "macro_precision", "macro_recall")
METRICS, GAIN = VETO_METRICS[:3], ["difference", "ci_low", "ci_high"]
# Systems that the gate asks in turn, on proteins with a graph.
OPINIONS = ("gat_weighted", "gat_weighted_graphs", "gat_no_edges", "gat_rewired", "composition", "other_seed")


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


def _random_gains(y: np.ndarray, decision: np.ndarray, draws: int, seed: int) -> dict[str, tuple[float, ...]]:
    """Return mean, 2.5 % and 97.5 % of what random vetoes of the gate's size gain, by metric; nan without a veto."""
    if not (decision == Decision.VETOED).any():
        return dict.fromkeys(METRICS, (np.nan,) * 3)
    dropped = random_veto(decision, draws, seed)
    values = veto_scores(y, decision, np.concatenate([np.zeros_like(dropped[:1]), dropped]))
    gains = {metric: values[metric][1:] - values[metric][0] for metric in METRICS}
    return {metric: (gain.mean(), *np.quantile(gain, [0.025, 0.975])) for metric, gain in gains.items()}


def second_opinions(
    view: EvaluationSet,
    esm_prob: np.ndarray,
    threshold: float,
    keeps: dict[str, np.ndarray],
    mean: Decided | None = None,
    *,
    confident: float = 0.55,
    rule: Rule = "paper",
    resamples: int = 1000,
    seed: int = 7,
) -> pd.DataFrame:
    """Return what the gate gains over the sequence model, [B, K], with other second opinions, all asked alike.

    ``keeps`` says of each opinion whether it would keep a label, [B, K] bool. Added are ``all`` (vetoes every label it
    is asked about), ``random`` (as many as the first of ``keeps``) and ``oracle`` (those that are false). ``mean`` are
    labels and scores of the mean of two models, which is no veto and decides every label at its own threshold. Columns
    ground, opinion, asked, vetoed, metric (``METRICS``), value, gain, ci_low and ci_high (of the gain, paired
    resamples), random_gain, random_low, random_high (of random vetoes of equal size, empty where there is no veto).
    """
    numbers = {"esm_threshold": threshold, "gat_threshold": 0.5, "confident": confident}
    drawn, structure = draw(len(view.y), resamples, seed, view.families), np.ones(len(view.y), dtype=bool)

    def gate(keep: np.ndarray) -> GateResult:
        return halo_gate(esm_prob, keep.astype(float), structure, **numbers, rule=rule)

    first, random = gate(next(iter(keeps.values()))), np.ones(esm_prob.shape, dtype=bool)
    random[tuple(asked_labels(first.decision)[random_veto(first.decision, 1, seed + 1)[0]].T)] = False
    keeps = keeps | {"all": np.zeros_like(random), "random": random, "oracle": view.y > 0}
    results = {name: gate(keep) for name, keep in keeps.items()}
    said = {name: (result.labels, result.score) for name, result in results.items()} | ({"mean": mean} if mean else {})
    alone, rows = resample(view.y, (esm_prob >= threshold, esm_prob), view.locations, drawn), []
    for name, system in said.items():
        own = resample(view.y, system, view.locations, drawn)
        gaps = difference(own, alone).query("label == ''").set_index("metric")
        decision = results[name].decision if name in results else np.full(esm_prob.shape, Decision.NEGATIVE)
        by_chance, row = _random_gains(view.y, decision, resamples, seed), {"ground": view.name, "opinion": name}
        vetoed = int((decision == Decision.VETOED).sum())
        row |= {"asked": len(asked_labels(decision)), "vetoed": vetoed} if name in results else {}
        for metric in METRICS:
            ends = dict(zip(("gain", "ci_low", "ci_high"), gaps.loc[metric, GAIN], strict=True))
            chance = dict(zip(("random_gain", "random_low", "random_high"), by_chance[metric], strict=True))
            rows.append(row | {"metric": metric, "value": own.values[metric, ""]} | ends | chance)
    return pd.DataFrame(rows).astype({"asked": "Int64", "vetoed": "Int64"})
