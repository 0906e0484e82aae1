"""Sentences and Fig. 2 describe the model that runs, and notebooks make the files that they name."""

import fnmatch
import re
from unittest.mock import MagicMock, Mock

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from halo_utils.commands.run import notebooks
from halo_utils.config import load_settings
from halo_utils.core.paths import RunPaths
from halo_utils.data.locations import DEEPLOC
from halo_utils.evaluation import seeds
from halo_utils.figures import diagrams
from halo_utils.runs import in_short, wording
from tools import statements

PROFILES = ("demo", "mini", "quick", "paper")


def test_sequence_model_of_the_demo_is_the_papers_with_random_weights() -> None:
    text = wording.sequence_model(load_settings("demo"))
    assert "random weights (4 layers, 64 wide): nothing is pre-trained" in text and "the last 2 layers" in text
    assert "Attention pooling" in text and "a linear layer" in text and "focal loss, gamma 2" in text
    assert "the rate rises during a short warm-up and then falls linearly to zero" in text
    plateau = wording.sequence_model(load_settings("paper"))
    assert "10 epochs; the rate is halved when the validation loss has not fallen for more than 3 epochs" in plateau
    assert "composition" not in text and "log-odds" not in text


def test_sequence_model_of_mini_is_not_the_papers() -> None:
    text = wording.sequence_model(load_settings("mini"))
    assert "halo-mini, an ESM-2 of 1,823,662 parameters, pre-trained by this project on 53,244,241 tokens" in text
    assert "1,024 tokens, which are 1,022 residues; of a longer protein both ends" in text and "the last layer" in text
    assert "Region attention (128 channels)" in text and "hidden layer of 256 units" in text
    assert "composition network (128 hidden units)" in text
    assert "binary cross-entropy (focal loss without focusing), with 0.5 of each label's log-odds" in text
    assert "focal loss, gamma" not in text and "halved" not in text and "falls linearly to zero" in text
    assert "A training step sees 256 tokens of a protein." in text


def test_one_is_one() -> None:
    assert (wording.count(1, "epoch"), wording.count(4, "epoch")) == ("1 epoch", "4 epochs")
    assert "2 epochs each" in wording.weights_mode(load_settings("demo"))


@pytest.mark.parametrize(
    ("profile", "words"), [("demo", "`grid`: 4 pairs"), ("mini", "`fixed`"), ("quick", "`fixed`"), ("paper", "`fixed`")]
)
def test_weights_mode_is_the_profiles(profile: str, words: str) -> None:
    text = wording.weights_mode(load_settings(profile))
    assert words in text and ("no grid is run" in text) == ("fixed" in words)
    assert ("0.5, 1, 0.5 (those of the released checkpoint)" in text) == ("fixed" in words)
    learned = wording.weights_mode(load_settings(profile, gat={"weights": {"mode": "learned"}}))  # the whole block
    assert "are trained with the network" in learned and "no grid is run" in learned


@pytest.mark.parametrize(("profile", "runs"), [("demo", 4), ("quick", 0)])
def test_grid_is_run_where_the_profile_asks_for_it(profile: str, runs: int) -> None:
    text = next(p for p in notebooks() if p.stem.startswith("04")).with_suffix(".py").read_text(encoding="utf-8")
    (cell,) = [part for part in text.split("\n# %%") if "weight_grid.csv" in part and "write_csv(" in part]
    settings, train = load_settings(profile), Mock()
    train.return_value.history = pd.DataFrame({"val_macro_f1": [0.5]})  # equal scores: the first pair is taken
    names = {"gat": settings.gat, "settings": settings, "weight_mode": "", "train": train, "pd": pd, "Markdown": str}
    names |= {"wording": wording, "write_csv": Mock(), "paths": MagicMock(), "display": Mock()}
    exec(cell[cell.index("\n") :], names)
    assert (train.call_count, names["write_csv"].call_count) == (runs, runs // 4)
    coord, bio = settings.gat.weights.pairs[0] if runs else (0.5, 0.5)
    assert names["weights"] == (coord, 1.0, bio)


def test_deviations_list_every_setting_that_is_not_the_papers() -> None:
    table = wording.deviations(load_settings("mini"))
    found = {(r.model, r.setting): (r.paper, r[4]) for r in table.itertuples()}
    assert found["GAT", "hidden"] == ("128", "16") and found["GAT", "epochs"] == ("50", "3")
    assert found["GAT", "gamma of the loss"] == ("2", "1") and found["GAT", "dropout"] == ("0.6", "0.2")
    assert found["sequence model", "backbone"] == ("ESM-2 650M", "halo-mini")
    assert ("sequence model", "tokens read") not in found  # the paper's
    assert found["sequence model", "epochs"] == ("10", "3")
    assert found["sequence model", "tokens of a training step"] == ("–", "256")
    assert found["sequence model", "units of the composition network"] == ("0", "128")
    assert "hidden 128 → 16" in wording.deviation_sentence(table, "GAT")
    assert wording.deviation_sentence(table, "GAT").count("epochs 50 → 3") == 1


def test_paper_profile_deviates_in_nothing_that_the_paper_states() -> None:
    table = wording.deviations(load_settings("paper"))
    assert set(table["paper"]) <= {"not stated"}
    for model in ("sequence model", "GAT"):
        assert (
            wording.deviation_sentence(table, model)
            == f"Every setting of the {model} that the paper states is the paper's."
        )


@pytest.mark.parametrize("names", [("backbone", "esm"), ("gat",)], ids=["sequence model", "GAT"])
def test_settings_of_a_model_have_names_of_their_own(names: tuple[str, ...]) -> None:
    groups = [getattr(load_settings("demo"), name) for name in names]
    fields = [field for group in groups for field in wording.settings_by_name(group)]
    assert "focal.gamma" in fields and ("head.pooling" in fields) == (len(names) == 2)
    readable = [wording.READABLE.get(field, field.replace("_", " ")) for field in fields]
    assert len(set(readable)) == len(readable) and not any("." in name for name in readable)


def test_report_reads_the_deviations_of_a_run(root: object) -> None:
    paths = RunPaths("x").make()
    table = wording.deviations(load_settings("mini"))
    table.to_csv(paths.results / "deviations.csv", index=False)
    assert statements.gat_note(paths) == wording.deviation_sentence(table, "GAT")
    assert statements.deviation_sentence(paths) == wording.deviation_sentence(table, "sequence model")


def words_of(fig: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in [*fig.axes[0].texts, fig.axes[0].title])


def test_figure_2_draws_what_ran() -> None:
    demo, mini, quick = (
        words_of(diagrams.figure_2(**wording.sequence_diagram(load_settings(p)))) for p in ("demo", "mini", "quick")
    )
    assert "composition network, 128 units" in mini and "composition" not in demo
    assert "halo-mini" in mini and "random ESM-2" in demo and "ESM-2 8M" in quick
    assert "binary cross-entropy" in mini and "focal" not in mini and "focal loss, gamma 2" in demo
    assert "region attention" in mini and "attention pooling" in demo
    assert "gamma 1" in words_of(diagrams.figure_3(**wording.graph_diagram(load_settings("mini"))))


@pytest.mark.parametrize("profile", [*PROFILES, "long"])
def test_no_text_leaves_its_box(profile: str) -> None:
    name = {"backbone": {"source": "some/backbone_with_a_very_long_name_of_its_own"}}
    settings = load_settings("mini") if profile == "long" else load_settings(profile)
    if profile == "long":
        settings = settings.model_copy(update={"backbone": settings.backbone.model_copy(update=name["backbone"])})
    for fig in (
        diagrams.figure_1(settings.gate.confident),
        diagrams.figure_1(settings.gate.confident, 0.4, dict.fromkeys(["negative", *diagrams.ENDS], (12345, 6789))),
        diagrams.figure_2(**wording.sequence_diagram(settings)),
        diagrams.figure_3(**wording.graph_diagram(settings)),
    ):
        fig.canvas.draw()
        ax = fig.axes[0]
        for text, box in zip(ax.texts, ax.patches, strict=False):  # boxes come first, the words of arrows after
            inner, outer = text.get_window_extent(), box.get_window_extent()
            assert outer.x0 < inner.x0 and inner.x1 < outer.x1, text.get_text()
            assert outer.y0 < inner.y0 and inner.y1 < outer.y1, text.get_text()


def metrics_of(**values: float) -> pd.DataFrame:
    rows = [
        {"system": system, "metric": metric, "value": value, "ci_low": value - 0.01, "ci_high": value + 0.01}
        for system, value in values.items()
        for metric in ("micro_f1", "macro_f1")
    ]
    return pd.DataFrame(rows).assign(split="test", label="", n=5462, threshold=0.45)


def differences_of(*pairs: tuple[str, str, float]) -> pd.DataFrame:
    rows = [
        {"first": a, "second": b, "metric": m, "difference": d, "ci_low": d - 0.005, "ci_high": d + 0.005}
        for a, b, d in pairs
        for m in ("micro_f1", "macro_f1")
    ]
    return pd.DataFrame(rows)


def test_in_short_states_the_numbers_of_the_run() -> None:
    mini, demo = load_settings("mini"), load_settings("demo")
    apart = wording.deviations(mini)
    metrics, gaps = metrics_of(esm=0.627, composition=0.566), differences_of(("esm", "composition", 0.061))
    text = in_short.in_short_02(mini, metrics, gaps, apart, "test")
    assert text.startswith(
        "**In short.** On test (5,462 proteins) the fine-tuned ESM reaches micro F1 0.627 [0.617, 0.637]"
    )
    assert "+0.061 [+0.056, +0.066] in micro F1" in text and "threshold 0.45" in text
    assert f"in {len(apart[apart['model'] == 'sequence model'])} settings" in text and "synthetic" not in text
    assert in_short.in_short_02(demo, metrics, gaps, apart, "test").endswith(in_short.SYNTHETIC)

    pairs = [
        ("gat_weighted", other, 0.1 * i) for i, other in enumerate(("composition", "gat_pretrained", "gat_finetuned"))
    ]
    text = in_short.in_short_04(mini, metrics_of(gat_weighted=0.538), differences_of(*pairs), "WEIGHTS", apart, "test")
    assert "composition baseline that is +0.000 [-0.005, +0.005]" in text and "WEIGHTS" in text

    crossings = pd.DataFrame({"where": ["paper", "ours, test"], "reliable above": [0.55, np.nan]})
    text = in_short.in_short_03(mini, crossings, 0.0071, 200, 50, "test")
    assert (
        "at least 60 % of the time: paper 55 %; ours, test none" in text
        and "0.007" in text
        and "200 labels, 25.0 % of them true" in text
    )

    verdicts = ["reproduced", "not testable here: 7 of 54,620", "not testable here: 9 of 54,620"]
    text = in_short.in_short_06(mini, pd.DataFrame({"verdict": verdicts}), 1, "test")
    assert "3 claims" in text and "1 seed says of them: not testable here (2); reproduced (1)." in text


def test_in_short_counts_what_the_gate_was_asked() -> None:
    rows = [("negative", 900, 30), ("confident", 80, 60), ("agreed", 9, 5), ("vetoed", 7, 0), ("no_structure", 4, 2)]
    changes = pd.DataFrame(rows, columns=["decision", "labels", "true"])
    text = in_short.in_short_05(load_settings("mini"), changes, differences_of(("halo", "esm", 0.0)), "test")
    assert "Of 1,000 decisions on test 20 lie where the gate looks" in text
    assert "asked about 16 labels: it kept 9 and vetoed 7, 0 of them true" in text and "+0.000" in text


def test_in_short_describes_the_data() -> None:
    labels = pd.DataFrame(np.eye(4, 10, dtype=int), columns=list(DEEPLOC)) + np.eye(4, 10, 1, dtype=int)
    table = pd.DataFrame({"split": ["train", "train", "val", "test"]}).join(labels)
    leaks = pd.DataFrame({"set": ["test"], "near_duplicate_share": [0.0108]})
    share = pd.DataFrame({"split": ["test"], "tokens": 256, "truncation": "head_tail", "cut": 0.76})
    share = share.assign(residues_read=0.42, paper_tokens=1024, paper_cut=0.107, structures=0, contacts_read=np.nan)
    text = in_short.in_short_01(load_settings("mini"), table, leaks, share, "test")
    assert "4 proteins (2 train, 1 val, 1 test), 100.0 % of them in several locations" in text
    assert "1.1 % of test" in text and "cuts 76.0 %" in text and "No test protein has a structure" in text


def test_chosen_weights_are_held_against_the_noise_of_training(root: object) -> None:
    grid = pd.DataFrame({"val_macro_f1": [0.333, 0.331]})
    for name, score in (("a-mini", 0.36), ("a-mini-seed1", 0.35)):
        paths = RunPaths(name).make()
        scores = pd.DataFrame({"system": "GAT", "val_macro_f1": [0.1, score]})
        scores.to_csv(paths.results / "gat_training.csv", index=False)
    found = seeds.validation_spread(RunPaths("a-mini-seed1"), "GAT")
    assert found == (2, pytest.approx(0.01))
    text = in_short.chosen_weights((0.5, 1.0, 0.0), grid, found)
    assert "0.5, 1, 0" in text and "a spread of 0.002, no more than the 0.010 between 2 seeds" in text
    assert "one seed does not tell" in in_short.chosen_weights((0.5, 1.0, 0.0), grid, (1, 0.0))
    assert in_short.chosen_weights((0.5, 1.0, 0.5), pd.DataFrame(), (1, 0.0)).endswith("0.5, 1, 0.5.")


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_names_only_files_that_it_makes(path: object) -> None:
    text = path.with_suffix(".py").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("# **Makes**")]
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    written = re.findall(r'write_csv\(paths\.results / "([^"]+)"', code)
    other = re.findall(r'"(\w+)"', code)  # figures and stores are made under their names
    for name in re.findall(r"`([^`]+)`", line):
        assert fnmatch.filter(written, name) if name.endswith(".csv") else name in other, name


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_prose_claims_nothing_that_depends_on_the_run(path: object) -> None:
    prose = " ".join(x for x in path.with_suffix(".py").read_text(encoding="utf-8").splitlines() if x.startswith("# "))
    for words in ("Focal loss, AdamW", "attention pooling", "without pre-training", "**In short.**", "the default"):
        assert words not in prose, words
