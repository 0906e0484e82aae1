"""The page on structure: its conclusions follow from numbers, also where the answer is no or nobody can know yet."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.core.files import write_csv
from halo_utils.core.paths import RunPaths
from halo_utils.evaluation import seeds
from halo_utils.evaluation.claims import HALO_ESM, LEAST_ASKED, OWN_EDGES, check_structure
from halo_utils.evaluation.systems import CONTROLS
from halo_utils.runs.frozen_hybrid import NAMES
from tools import structure_reading
from tools.structure_page import FROZEN, FROZEN_OPINIONS, GROUNDS, OPINIONS, VETOES, _lacking, page

HYBRID, PLACES = GROUNDS[1], ("Nucleus", "Cytoplasm", "Golgi apparatus")
SPLIT = "test, with a graph"


def differences(gains: dict[tuple[str, str], float], shift: float = 0.0, half: float = 0.01) -> pd.DataFrame:
    """Differences of one seed: micro F1, macro F1 and MCC are all the given gain, shifted by the seed."""
    rows = [
        (SPLIT, *pair, metric, label, gain + shift, gain + shift - half, gain + shift + half)
        for pair, gain in gains.items()
        for metric, label in (("micro_f1", ""), ("macro_f1", ""), *(("mcc", place) for place in PLACES))
    ]
    return pd.DataFrame(rows, columns=[*seeds.PAIR, "difference", "ci_low", "ci_high"])


def vetoes(gain: float, random: float = 0.001, asked: int = LEAST_ASKED) -> pd.DataFrame:
    ends = {"halo": 0.6 + gain, "esm": 0.6, "random_mean": 0.6, "random_low": 0.59, "random_high": 0.6 + random}
    rows = [{"metric": m} | ends for m in ("micro_f1", "macro_f1")]
    return pd.DataFrame(rows).assign(band=asked + 5, asked=asked, vetoed=50)


def write_run(name: str, seed: int, gate: float, contacts: float, **veto: float) -> None:
    results = RunPaths(name).make().results
    gains = {HALO_ESM: gate} | {(OWN_EDGES, control): contacts for control in CONTROLS}
    systems = ("esm_paper_head", "esm", OWN_EDGES, *CONTROLS, "halo")
    rows = [
        (split, s, m, "", 0.5 + seed / 100)
        for split in ("test", SPLIT)
        for s in systems
        for m in ("micro_f1", "macro_f1")
    ]
    metrics = pd.DataFrame(rows, columns=["split", "system", "metric", "label", "value"])
    metrics = metrics.assign(ci_low=0.4, ci_high=0.6, seed=seed, dataset="deeploc2")
    write_csv(results / "metrics.csv", metrics[metrics["split"] == "test"])
    write_csv(results / HYBRID.metrics[0], metrics[metrics["split"] == SPLIT])
    write_csv(results / HYBRID.differences[0], differences(gains, (seed - 2) / 1000))
    write_csv(results / VETOES, vetoes(gate, **veto).assign(split=SPLIT))


def conclusion(root: Path, gate: float, contacts: float, n: int = 3, **veto: float) -> str:
    """Return what the head of the page says of proteins with a graph."""
    for seed in range(1, n + 1):
        write_run("a-mini" if seed == 1 else f"a-mini-seed{seed}", seed, gate, contacts, **veto)
    lines = page(("a-mini", "b-mini")).splitlines()
    assert "- `b-mini`: no finished run." in lines
    return next(line.partition(": ")[2] for line in lines if line.startswith(f"- `deeploc2`, {SPLIT}: "))


@pytest.mark.parametrize(
    ("gate", "contacts", "said"),
    [
        (0.05, 0.05, "**Yes.**"),
        (0.05, 0.0001, "**Not by structure.**"),
        (0.0001, 0.05, "**No, although contacts carry information.**"),
        (-0.05, -0.05, "**No.**"),
        (0.012, 0.05, "**Not decided.** Whether the gate improves the sequence model is not sure"),
    ],
)
def test_other_numbers_have_other_conclusions(root: Path, gate: float, contacts: float, said: str) -> None:
    half = 0.0105 if gate == 0.012 else 0.001
    for seed in (1, 2, 3):
        write_run(f"a-mini-seed{seed}", seed, gate, contacts)
        gains = {HALO_ESM: gate} | {(OWN_EDGES, control): contacts for control in CONTROLS}
        noise = (seed - 2) / (200 if gate == 0.012 else 10_000)
        write_csv(RunPaths(f"a-mini-seed{seed}").results / HYBRID.differences[0], differences(gains, noise, half))
    assert f"- `deeploc2`, {SPLIT}: {said}" in page(("a-mini",))


def test_one_seed_decides_nothing_and_says_so(root: Path) -> None:
    said = conclusion(root, 0.05, 0.05, n=1)
    assert said.startswith("**Not decided.**") and said.endswith("1 seed has been run, and a verdict needs 3.")
    assert conclusion(root, 0.05, 0.05, n=2).endswith("2 seeds have been run, and a verdict needs 3.")
    assert conclusion(root, 0.05, 0.05).startswith("**Yes.**")


def test_a_gate_that_a_random_veto_matches_or_that_was_hardly_asked_is_no_gain(root: Path) -> None:
    assert conclusion(root, 0.05, 0.05, random=0.1).startswith("**No, although contacts carry information.**")
    said = conclusion(root, 0.05, 0.05, asked=LEAST_ASKED - 1)
    assert said.startswith("**Not decided.** The gate is not tested, and the graph network uses the contacts.")


def test_one_control_that_is_as_good_refutes_the_contacts() -> None:
    found = seeds.differences_over_seeds([differences({(OWN_EDGES, c): 0.05 for c in CONTROLS}, half=0.001)] * 3)
    assert structure_reading.answers(check_structure(found, SPLIT))[1] == structure_reading.YES
    found.loc[found["second"] == "gat_sequence_edges", ["difference", "ci_low", "ci_high"]] = [0.0, -1e-5, 1e-5]
    assert structure_reading.answers(check_structure(found, SPLIT))[1] == structure_reading.NO


def test_runs_that_lack_tables_are_named(root: Path) -> None:
    write_run("a-mini", 1, 0.05, 0.05)
    (RunPaths("a-mini").results / VETOES).unlink()
    other = RunPaths("a-mini-seed2").make()
    write_csv(
        other.results / "metrics_sequence.csv", pd.read_csv(RunPaths("a-mini").results / "metrics.csv").assign(seed=2)
    )
    text = page(("a-mini",))
    assert f"`a-mini` lacks {VETOES}, {OPINIONS}; `a-mini-seed2` lacks {HYBRID.metrics[0]}" in text
    assert "| fine-tuned ESM | 1, 2 |" in text  # notebook 02 of another seed counts for the sequence models
    for name in (HYBRID.metrics[0], *HYBRID.differences):
        (RunPaths("a-mini").results / name).unlink()
    assert f"- `deeploc2`, {SPLIT}: **Not tested.** No run has measured this ground." in page(("a-mini",))


def test_a_head_on_frozen_states_has_a_section_of_its_own(root: Path) -> None:
    write_run("a-mini", 1, 0.05, 0.05)
    assert "frozen states" not in page(("a-mini",))
    systems, results = dict.fromkeys(NAMES[name] for pair in FROZEN for name in pair), RunPaths("a-mini").results
    rows = [(SPLIT, s, m, "", 0.5 + r / 10, r) for s in systems for m in ("micro_f1", "macro_f1") for r in (0, 1)]
    table = pd.DataFrame(rows, columns=["split", "system", "metric", "label", "value", "repeat"])
    write_csv(results / "frozen_hybrid_metrics.csv", table.assign(head="FFN on states"))
    gaps = [(SPLIT, NAMES[a], NAMES[b], m, "", 0.012, -0.01, 0.03) for a, b in FROZEN for m in ("micro_f1", "macro_f1")]
    columns = [*seeds.PAIR, "difference", "ci_low", "ci_high"]
    write_csv(results / "frozen_hybrid_differences.csv", pd.DataFrame(gaps, columns=columns))
    said = [(name, LEAST_ASKED - r, 0.004 + r / 1000) for name in FROZEN_OPINIONS for r in (0, 1)]
    opinions = pd.DataFrame(said, columns=["opinion", "asked", "gain"])
    opinions = opinions.assign(ground=SPLIT, vetoed=9, metric="micro_f1", random_gain=-0.001)
    write_csv(results / "frozen_hybrid_opinions.csv", opinions)
    text = page(("a-mini",))
    assert f"as few as {LEAST_ASKED - 1} labels, fewer than {LEAST_ASKED}, so that nothing" in text
    assert "gains +0.0045 micro F1, without edges +0.0045" in text and f"| {FROZEN_OPINIONS[1]} | 199 to 200 |" in text
    assert "preferred, FFN on states" in text and f"| {next(iter(systems))} | 0.550 (0.500 to 0.600) |" in text
    first, second = (NAMES[name] for name in FROZEN[0])
    assert f"| {first} minus {second} | +0.012 [-0.010, +0.030] |" in text


def test_locations_are_called_after_holms_correction() -> None:
    table = seeds.differences_over_seeds([differences({HALO_ESM: 0.0}, half=0.01)] * 3)
    mcc = table["metric"] == "mcc"
    table.loc[mcc, "difference"] = [0.0105, -0.02, 0.001]  # the first alone would be called: p = 0.04
    table.loc[mcc, "ci_low"], table.loc[mcc, "ci_high"] = table["difference"] - 0.01, table["difference"] + 0.01
    table["p"] = seeds.p_values(table)
    found = structure_reading.locations_that_change(table, SPLIT, *HALO_ESM).set_index("label")
    assert found["p"].tolist() == pytest.approx([0.0396, 8.9e-5, 0.845], rel=0.01)
    assert found["holm"].tolist() == pytest.approx([0.0792, 2.7e-4, 0.845], rel=0.02)
    assert found["called"].tolist() == ["", "loses", ""]
    text = structure_reading.locations_sentence(found.reset_index(), "the gate")
    assert text.startswith("By the gate, loses: Cytoplasm (-0.020 [") and "Nucleus" not in text
    one = structure_reading.locations_sentence(found.assign(seeds=1).reset_index(), "the gate")
    assert "(1 of 3 seeds: not sure)" in one
    calm = structure_reading.locations_sentence(found.assign(called="").reset_index(), "the gate")
    assert calm == "By the gate, no location gains or loses beyond chance."


def test_the_interval_over_seeds_holds_the_test_set_and_the_seeds() -> None:
    tables = [differences({HALO_ESM: gain}, half=0.01) for gain in (0.02, 0.03, 0.04)]
    row = seeds.differences_over_seeds(tables).query("metric == 'micro_f1'").iloc[0]
    assert (row["seeds"], row["lowest"], row["highest"]) == (3, 0.02, 0.04) and row["difference"] == pytest.approx(0.03)
    half = np.hypot(0.01, 4.3027 * 0.01 / np.sqrt(3))
    assert row[["ci_low", "ci_high"]].tolist() == pytest.approx([0.03 - half, 0.03 + half], abs=1e-5)
    one = seeds.differences_over_seeds(tables[:1]).query("metric == 'micro_f1'").iloc[0]
    assert one["seeds"] == 1 and one[["ci_low", "ci_high"]].tolist() == pytest.approx([0.01, 0.03])
    assert seeds.differences_over_seeds([]).empty


def test_vetoes_over_seeds_count_the_seed_that_asked_least() -> None:
    found = seeds.vetoes_over_seeds([vetoes(0.02), vetoes(0.04, asked=7)]).set_index("metric")
    assert found.loc["micro_f1", "halo"] == pytest.approx(0.63) and found["asked"].tolist() == [7, 7]
    assert found["vetoed"].tolist() == [50, 50]


def test_vetoes_are_read_ground_by_ground(root: Path) -> None:
    new, old = RunPaths("a-mini").make(), RunPaths("a-mini-seed2").make()
    both = [vetoes(0.02).assign(split="test"), vetoes(0.3, asked=7).assign(split=SPLIT)]
    write_csv(new.results / VETOES, pd.concat(both))
    write_csv(old.results / VETOES, vetoes(0.04).assign(split="test"))
    whole = seeds.vetoes_of_runs([new, old], "test").set_index("metric")
    assert whole.loc["micro_f1", "halo"] == pytest.approx(0.63) and whole["asked"].tolist() == [LEAST_ASKED] * 2
    ground = seeds.vetoes_of_runs([new, old], SPLIT).set_index("metric")
    assert ground.loc["micro_f1", "halo"] == pytest.approx(0.9) and ground["asked"].tolist() == [7, 7]
    assert seeds.vetoes_of_runs([old], SPLIT) is None
    assert VETOES not in _lacking([old], GROUNDS[0]) and OPINIONS in _lacking([old], HYBRID)


def test_page_shows_what_other_opinions_gain_on_its_ground_only(root: Path) -> None:
    for seed, gain in ((1, 0.01), (2, 0.03)):
        name = "a-mini" if seed == 1 else "a-mini-seed2"
        write_run(name, seed, 0.05, 0.05)
        row = {"opinion": "composition", "asked": 90, "vetoed": 40 + seed, "gain": gain, "ci_low": 0, "ci_high": 0.1}
        rows = [
            row | {"metric": m, "ground": g} for m in ("micro_f1", "macro_f1") for g in (SPLIT, "hpa, with a graph")
        ]
        write_csv(RunPaths(name).results / OPINIONS, pd.DataFrame(rows).assign(random_gain=0.002))
    cell = "+0.020 (+0.010 to +0.030); random +0.002"
    assert page(("a-mini",)).count(f"| composition baseline | 90 | 41 to 42 | {cell} | {cell} |") == 1
