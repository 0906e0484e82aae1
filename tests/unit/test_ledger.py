"""The ledger: its rows come from committed tables, its verdicts can be made again, and every statement has a check."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom, norm
from scipy.stats import t as student

from halo_utils.core.paths import REFERENCE, REPOSITORY, RunPaths
from halo_utils.evaluation import arithmetic, seeds
from halo_utils.evaluation.ledger import COLUMNS, KINDS, chosen_weights, holm, kind, ledger

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


def test_a_verdict_needs_three_seeds_or_published_numbers(
    committed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "runs_with_other_seeds", lambda run: [run])  # as if each had one seed
    alone = ledger()
    few = alone[alone["check"].str.startswith("claims.").fillna(False) & (alone["seeds"] < seeds.MINIMUM)]
    assert len(few) and not set(few["verdict"].map(kind)) & {"reproduced", "contradicted", "no effect of relevant size"}
    assert committed["reason"].notna().sum() > 45 and set(committed["verdict"].map(kind)) <= set(KINDS)


def test_five_verdicts_made_again_from_the_tables(committed: pd.DataFrame) -> None:
    verdicts = committed.set_index(["statement", "ground"])["verdict"]
    # 1: a mean over ten one-against-rest tables counts every wrong answer twice
    wrong = np.zeros((200, 10), dtype=bool)
    wrong[:37, 0] = wrong[:37, 1] = True  # 37 of 200 proteins, named at one location instead of another
    assert np.isclose(arithmetic.subset_accuracy(1 - wrong.mean(), 10), 1 - 37 / 200)
    gap = 0.7924 - (1 - 10 * (1 - 0.963) / 2)  # and the perceptron's three digits leave 0.0025 open
    error = norm.ppf(0.975) * np.sqrt((0.7924 * 0.2076 + 0.815 * 0.185) / 2379) + 0.0025
    assert -error < gap < 0
    found = verdicts["HALO is more accurate than Luo's perceptron on S", "published numbers"]
    assert found == "opposite direction, not sure"
    # 2: eleven of eighteen right answers, seven of them by chance with one embedder, by the hypergeometric distribution
    chance = hypergeom(18, 11, 9)
    p = sum(chance.pmf(k) for k in range(12) if chance.pmf(k) <= chance.pmf(7) * (1 + 1e-9))
    assert p > 0.3
    assert verdicts["ProtT5-XL embeds better than ESM-2 8M", "published numbers"] == "same direction, not sure"
    # 3 and 4: the test sets of luo2024 and their near duplicates of training proteins
    audit = pd.read_csv(RESULTS / "luo2024-mini" / "audit_leakage.csv").set_index("set")
    shares = audit["near_duplicates"] / audit["proteins"]
    for name, verdict in (("T", "contradicted"), ("N", "not testable here: near duplicates are few")):
        assert (shares[name] > 0.05) == (verdict == "contradicted")
        statement = f"{name} has minimal homology with the training proteins"
        assert verdicts[statement, f"luo2024, {name}"].startswith(verdict)
    # 5: what only removes labels
    table = pd.read_csv(REFERENCE / "table2.csv").set_index("metric")
    assert float(table.loc["macro_recall", "HALO"]) < float(table.loc["macro_recall", "Fine-tuned ESM"])
    assert verdicts["The gate rescues labels of the sequence model", "published numbers"] == "contradicted"


def test_a_switched_off_group_or_a_missing_system_is_not_testable(committed: pd.DataFrame) -> None:
    record = json.loads((RESULTS / "deeploc2-mini" / "provenance" / "04_gat_weighting.json").read_text())
    assert chosen_weights([RunPaths("deeploc2-mini"), RunPaths("no-such-run")]) == record["weights"]
    rows = committed[committed["statement"].str.startswith("Weighted features") & committed["ours"].notna()]
    assert rows["verdict"].str.startswith("not testable here").all() == (not all(record["weights"]))
    assert "not measured" not in set(committed["verdict"])
    assert committed.loc[committed["verdict"] == "not testable here", "reason"].notna().all()


def test_tables_contradict_sentences_about_them() -> None:
    four, two = (pd.read_csv(REFERENCE / f"table{n}.csv").set_index(["metric", "label"]) for n in (4, 2))
    recall, f1 = four.loc["macro_recall"].iloc[0], two.loc["macro_f1"].iloc[0]
    assert recall["HALO_S"] < min(recall["RF_S"], recall["MLP_S"]) and f1["Fine-tuned ESM"] < f1["HALO"]
    assert {arithmetic.CHECKS[c]().verdict for c in ("recall_s", "esm_ahead")} == {"contradicted"}
    assert arithmetic.ahead(2, "macro_f1", "HALO", ("Fine-tuned ESM",)).verdict == arithmetic.HOLDS
    assert (
        arithmetic.CHECKS["weighted_leads"]().verdict == "opposite direction, not sure"
    )  # 0.8389 against a rounded 0.84
    mcc = four.loc["mcc"].mean()
    assert arithmetic.decline("RF").value == pytest.approx(mcc["RF_S"] - mcc["RF_N"] - mcc["HALO_S"] + mcc["HALO_N"])


def test_the_interval_of_a_difference_of_shares() -> None:
    def wilson(k: int, n: int) -> np.ndarray:  # with 1.96 squared written out
        return (k + 1.92073 + np.array([-1, 1]) * np.sqrt(3.84146 * k * (n - k) / n + 3.68920)) / (n + 3.84146)

    (a, b), (c, d) = wilson(7, 9), wilson(4, 9)
    expected = 3 / 9 - np.hypot(7 / 9 - a, d - 4 / 9), 3 / 9 + np.hypot(b - 7 / 9, 4 / 9 - c)
    assert arithmetic.difference_interval(7 / 9, 4 / 9, 9) == pytest.approx(expected, abs=1e-4)


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

    def p(difference: list[float], low: list[float], high: list[float], of_seeds: float = 0.0, **margin: float) -> list:
        rows = pd.DataFrame({"difference": difference, "ci_low": low, "ci_high": high})
        return seeds.p_values(rows.assign(of_seeds=of_seeds, seeds=3), **margin).tolist()

    # The interval ends at zero, of proteins alone, of seeds alone and of both; and an interval without width.
    for of_seeds in (0.0, 0.2, 0.1):
        assert p([0.2, -0.2, 0.1], [0.0, -0.4, 0.1], [0.3, 0.0, 0.1], of_seeds) == pytest.approx([0.05, 0.05, 1.0])
    # Three times as far: of proteins the normal tail, of three seeds Student's with two degrees of freedom.
    assert p([0.3], [0.2], [0.4])[0] == pytest.approx(2 * norm.sf(3 * norm.isf(0.025)))
    assert p([0.3], [0.2], [0.4], 0.1)[0] == pytest.approx(2 * student.sf(3 * student.isf(0.025, 2), 2))
    # Of "within 0.02 of zero": the interval ends at a limit, within and beyond; then at both.
    ends = [0.01, -0.01, -0.05, 0.0], [-0.02, -0.02, -0.1, -0.02], [0.02, 0, -0.02, 0.02]
    assert p(*ends, margin=0.02) == pytest.approx([0.05] * 4)


def test_the_interval_of_a_value_over_seeds_holds_proteins_and_seeds() -> None:
    three = pd.DataFrame({"value": [0.4, 0.5, 0.6], "ci_low": [0.3, 0.4, 0.5], "ci_high": [0.5, 0.6, 0.7], "s": "a"})
    one, row = (seeds.over_seeds(rows, ["s"], "value").iloc[0] for rows in (three[1:2], three))
    assert one[["value", "ci_low", "ci_high", "of_seeds"]].tolist() == pytest.approx([0.5, 0.4, 0.6, 0])
    half = np.hypot(0.1, 4.302653 * 0.1 / np.sqrt(3))
    assert row[["value", "ci_low", "ci_high"]].tolist() == pytest.approx([0.5, 0.5 - half, 0.5 + half], rel=1e-4)


def test_random_vetoes_over_seeds_are_as_far_apart_as_a_mean_of_draws() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal([0.1, 0.2, 0.3], 0.01, (20_000, 3))
    ends = np.quantile(draws, [0.025, 0.975], axis=0)
    columns = {"halo": 0.2, "esm": 0.1, "band": 9, "asked": 9, "vetoed": 3, "metric": "micro_f1"}
    tables = [
        pd.DataFrame(
            [columns | {"random_mean": draws[:, i].mean(), "random_low": ends[0, i], "random_high": ends[1, i]}]
        )
        for i in range(3)
    ]
    row = seeds.vetoes_over_seeds(tables).iloc[0]
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
    assert row[["random_low", "random_high"]].tolist() == pytest.approx([low, high], abs=3e-4)
