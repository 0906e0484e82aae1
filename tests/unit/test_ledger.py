"""The ledger: its rows come from committed tables, its verdicts can be made again, and every statement has a check."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from halo_utils.core.paths import REFERENCE, REPOSITORY
from halo_utils.evaluation import arithmetic
from halo_utils.evaluation.ledger import COLUMNS, KINDS, holm, kind, ledger, over_seeds, p_of_interval
from halo_utils.evaluation.seeds import MINIMUM

RESULTS = REPOSITORY / "data" / "results"


@pytest.fixture(scope="module")
def committed() -> pd.DataFrame:
    return pd.read_csv(RESULTS / "claims.csv", keep_default_na=False, na_values=[""])


def test_the_committed_ledger_is_what_the_committed_tables_give(committed: pd.DataFrame) -> None:
    made = ledger()
    assert list(committed.columns) == COLUMNS and len(committed) == len(made) >= 45
    assert set(committed["document"].str[:3]) == {"000", "001", "002", "003", "004"}
    assert committed["verdict"].tolist() == made["verdict"].tolist()
    assert np.allclose(committed["ours"].astype(float), made["ours"].astype(float), rtol=1e-4, equal_nan=True)


def test_a_verdict_needs_three_seeds_or_published_numbers(committed: pd.DataFrame) -> None:
    measured = committed["check"].str.startswith("claims.").fillna(False)
    few = committed[measured & (committed["seeds"] < MINIMUM)]
    assert len(few) and not set(few["verdict"].map(kind)) & {"reproduced", "contradicted", "no effect of relevant size"}
    assert committed["reason"].notna().sum() > 45 and set(committed["verdict"].map(kind)) <= set(KINDS)


def test_five_verdicts_made_again_from_the_tables(committed: pd.DataFrame) -> None:
    verdicts = committed.set_index(["statement", "ground"])["verdict"]
    # 1: a mean over ten one-against-rest tables counts every wrong answer twice
    wrong = np.zeros((200, 10), dtype=bool)
    wrong[:37, 0] = wrong[:37, 1] = True  # 37 of 200 proteins, named at one location instead of another
    assert np.isclose(arithmetic.subset_accuracy(1 - wrong.mean(), 10), 1 - 37 / 200)
    assert 0.7924 < 1 - 10 * (1 - 0.963) / 2
    assert verdicts["HALO is more accurate than Luo's perceptron on S", "published numbers"] == "contradicted"
    # 2: eleven of eighteen right answers, seven of them by chance with one embedder, by the hypergeometric distribution
    chance = hypergeom(18, 11, 9)
    p = sum(chance.pmf(k) for k in range(12) if chance.pmf(k) <= chance.pmf(7) * (1 + 1e-9))
    assert p > 0.3
    assert verdicts["ProtT5-XL embeds better than ESM-2 8M", "published numbers"] == "same direction, not sure"
    # 3 and 4: the test sets of luo2024 and their near duplicates of training proteins
    audit = pd.read_csv(RESULTS / "luo2024-mini" / "audit_leakage.csv").set_index("set")
    shares = audit["near_duplicates"] / audit["proteins"]
    for name, verdict in (("T", "contradicted"), ("N", "reproduced")):
        assert (shares[name] > 0.05) == (verdict == "contradicted")
        statement = f"{name} has minimal homology with the training proteins"
        assert verdicts[statement, f"luo2024, {name}"] == verdict
    # 5: what only removes labels
    table = pd.read_csv(REFERENCE / "table2.csv").set_index("metric")
    assert float(table.loc["macro_recall", "HALO"]) < float(table.loc["macro_recall", "Fine-tuned ESM"])
    assert verdicts["The gate rescues labels of the sequence model", "published numbers"] == "contradicted"


def test_every_statement_has_a_check_or_a_reason() -> None:
    table = pd.read_csv(REFERENCE / "statements.csv", keep_default_na=False)
    absent = table["check"] == "absent"
    assert table.loc[absent, "reason"].str.len().min() > 20
    assert set(table.loc[~absent, "check"]) == set(arithmetic.CHECKS)
    assert not table.duplicated(["document", "statement"]).any()


def test_average_precision_of_a_random_ranker_is_the_prevalence() -> None:
    assert arithmetic.average_precision(0.5, 0.3) == pytest.approx(0.3, abs=1e-3)
    rng = np.random.default_rng(0)
    score, right = np.concatenate([rng.normal(1.0, 1, 40_000), rng.normal(0, 1, 60_000)]), np.arange(100_000) < 40_000
    order = np.argsort(-score)
    precision = np.cumsum(right[order]) / np.arange(1, 100_001)
    area = float((score[:40_000, None][::40] > score[None, 40_000:][:, ::60]).mean())
    assert arithmetic.average_precision(area, 0.4) == pytest.approx(precision[right[order]].mean(), abs=0.01)


def test_holm_and_p_values() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    d, low, high = (pd.Series(v) for v in ([0.2, -0.2, 0.1], [0.0, -0.4, 0.1], [0.3, 0.0, 0.1]))
    assert p_of_interval(d, low, high).tolist() == pytest.approx([0.05, 0.05, 1.0])


def test_the_interval_over_seeds_holds_proteins_and_seeds() -> None:
    one = pd.DataFrame({"value": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    assert over_seeds(one) == pytest.approx((0.5, 0.4, 0.6))
    three = pd.DataFrame({"value": [0.4, 0.5, 0.6], "ci_low": [0.3, 0.4, 0.5], "ci_high": [0.5, 0.6, 0.7]})
    mean, low, high = over_seeds(three)
    seeds = 4.302653 * 0.1 / np.sqrt(3)
    assert (mean, high - mean, mean - low) == pytest.approx((0.5, np.hypot(0.1, seeds), np.hypot(0.1, seeds)), rel=1e-4)
