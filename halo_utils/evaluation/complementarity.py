"""Do two systems err on different labels? Agreement, Yule's Q, and what a perfect choice between them would reach."""

import numpy as np
import pandas as pd

from halo_utils.evaluation.metrics import ratio

CASES = ("both right", "only the first", "only the second", "neither")


def oracle(y: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return labels [B, K] that are right wherever one of two systems is: the bound of any choice between them."""
    truth, first, second = (np.asarray(part, dtype=bool) for part in (y, first, second))
    return np.where(second == truth, truth, first).astype(int)


def case_counts(y: np.ndarray, first: np.ndarray, second: np.ndarray, stake: bool = False) -> np.ndarray:
    """Return how many decisions of each protein fall into each of ``CASES``, [B, 4].

    A decision is one label of one protein, [B, K]. With ``stake`` only labels count that are true or predicted by one:
    of the others both are right, and there are many. That leaves out a part of "both right" alone, so it lowers Q.
    """
    truth, first, second = (np.asarray(part, dtype=bool) for part in (y, first, second))
    a, b = first == truth, second == truth
    counted = truth | first | second if stake else np.ones_like(truth)
    cases = np.stack([a & b, a & ~b, ~a & b, ~a & ~b], axis=-1)  # [B, K, 4]
    return (cases & counted[..., None]).sum(axis=1)


def q_statistic(counts: np.ndarray) -> np.ndarray:
    """Return Yule's Q, [...], from counts of ``CASES`` [..., 4] (Kuncheva and Whitaker 2003).

    1: right and wrong together; 0: independent; below 0: each is right where the other is wrong.
    """
    both, first, second, neither = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    together, apart = both * neither, first * second
    return ratio(together - apart, together + apart)


def agreement(y: np.ndarray, first: np.ndarray, second: np.ndarray, drawn: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return Q with 95 % interval and the share of decisions of which one system is right, of all labels and at stake.

    ``drawn`` are resamples (``metrics.draw``); the wider interval is kept. Columns labels, decisions, ``CASES``, q,
    q_low, q_high, disagreement.
    """
    rows = []
    for name, stake in (("all", False), ("true or predicted", True)):
        counts = case_counts(y, first, second, stake)
        total = counts.sum(axis=0)
        spread = [np.percentile(q_statistic(w @ counts), [2.5, 97.5]) for w in drawn.values()]
        low, high = max(spread, key=np.ptp)
        row = {"labels": name, "decisions": int(total.sum()), **dict(zip(CASES, total.tolist(), strict=True))}
        row |= {"q": float(q_statistic(total)), "q_low": low, "q_high": high}
        rows.append(row | {"disagreement": float(ratio(total[1] + total[2], total.sum()))})
    return pd.DataFrame(rows)
