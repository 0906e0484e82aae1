"""Colours stay apart for the colour-blind; every figure knows its notebook and has its values; titles are findings."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib import color_sequences
from matplotlib.colors import to_rgb
from PIL import Image

from halo_utils.core.errors import DataError
from halo_utils.core.paths import NOTEBOOKS, REPOSITORY
from halo_utils.data.locations import DEEPLOC, LUO2024
from halo_utils.figures import attribution_plots, diagrams, plots, style, system_plots
from halo_utils.figures.records import FIGURES
from tools import predict_example, showcase
from tools.contact_sheet import as_seen, least_distance, write_sheet

APART = 0.08  # Oklab; two colours nearer than this are mixed up in dots and thin lines
COMMITTED = sorted(
    p for p in (REPOSITORY / "figures").glob("*/*.png") if p.parent.name not in ("demo", "bench", "readme")
)


def colours(names: tuple[str, ...]) -> np.ndarray:
    return np.array([to_rgb(style.location_colour(name)) for name in names])


@pytest.mark.parametrize("names", [DEEPLOC, LUO2024])
def test_ten_locations_have_ten_colours_that_stay_apart_without_green_cones(names: tuple[str, ...]) -> None:
    shown = colours(names)
    assert len(shown) == 10 and least_distance(shown) > APART and least_distance(as_seen(shown)) > APART
    for other in (color_sequences["tab10"], sns.color_palette("colorblind")):  # what was used before does not pass
        assert least_distance(as_seen(np.array([to_rgb(c) for c in other]))) < APART


def test_kinds_of_models_have_hues_that_stay_apart_without_green_cones() -> None:
    hues = np.array([to_rgb(c) for c in style.FAMILIES.values()])
    assert least_distance(as_seen(hues)) > APART
    assert style.model_colour("esm") == style.model_colour("esm_paper_head") != style.model_colour("halo")


def test_simulation_mixes_up_red_and_green_and_keeps_grey() -> None:
    grey = np.array([[0.3, 0.3, 0.3], [0.8, 0.8, 0.8]])
    assert as_seen(grey) == pytest.approx(grey, abs=0.01)
    pair = np.array([[0.75, 0.45, 0.0], [0.45, 0.6, 0.0]])  # an orange and a green
    assert least_distance(as_seen(pair)) < 0.5 * least_distance(pair)


def sources() -> dict[str, str]:
    paths = [*NOTEBOOKS.glob("[0-9]*.py"), *NOTEBOOKS.glob("*/[0-9A]*.py")]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    both = (texts["09_gvp_ensemble"].replace('f"{stem}_', f'"{stem}_') for stem in ("gvp", "gvp_contacts"))
    return texts | {"09_gvp_ensemble": "".join(both)}  # whose names depend on the ground


def test_every_figure_of_a_notebook_has_a_record_and_the_table_it_names_is_written() -> None:
    texts = sources()
    saved = {
        (name, notebook)
        for notebook, text in texts.items()
        for name in re.findall(r'show_figure\([^#]*?paths\.figures,\s*"(\w+)"', text)
    }
    assert saved == {(name, found.notebook) for name, found in FIGURES.items()}
    for name, found in FIGURES.items():
        if found.values:
            assert f'"{found.values}"' in texts[found.notebook], name


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_committed_figure_has_its_values_beside_the_results_of_its_run(path: object) -> None:
    known, results = FIGURES[path.stem], REPOSITORY / "data" / "results" / path.parent.name
    drawn_before = not Image.open(path).text.get("Source")  # by a version without records: its values may be elsewhere
    assert known.values is None or drawn_before or (results / known.values).is_file()


def test_a_saved_figure_names_its_notebook_and_its_values(tmp_path: object) -> None:
    fig, _ = style.new_figure(2, 2)
    written = style.save(fig, tmp_path, "strata")
    plt.close(fig)
    expected = "notebook 11_attribution; values: strata.csv"
    assert Image.open(written).text["Source"] == expected
    assert expected in written.with_suffix(".svg").read_text()


def test_the_title_becomes_part_of_the_words_for_who_cannot_see(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(style, "display", lambda bundle, **_: shown.append(bundle["text/plain"]))
    for alt in ("Dots", "Dots. Found it, here."):
        fig, _ = style.new_figure(2, 2)
        fig.suptitle("Found it\nhere")
        style.show_figure(fig, None, "x", alt)
    assert shown == ["Dots. Found it; here.", "Dots. Found it, here."]


def test_a_weight_grid_is_drawn_only_where_it_differs_more_than_seeds_do() -> None:
    grid = pd.DataFrame({"coord": [0.0, 0.5], "bio": [0.0, 0.0], "val_macro_f1": [0.50, 0.53]})
    assert plots.weight_heatmap(grid, (3, 0.04), "x") is None
    assert plots.weight_heatmap(grid, (2, 0.001), "x") is None  # two seeds do not know their noise
    fig = plots.weight_heatmap(grid, (3, 0.01), "x")
    assert fig.get_suptitle() == "Weights differ by 0.030, seeds by 0.010\nx"


def test_locations_that_occur_together_are_named_and_the_diagonal_is_bars() -> None:
    table = pd.DataFrame([[10, 4, 0], [4, 8, 1], [0, 1, 20]], index=list(DEEPLOC[:3]), columns=list(DEEPLOC[:3]))
    fig = plots.co_occurrence_map(table, "x")
    assert fig.get_suptitle() == "Cytoplasm and Nucleus overlap most: 4 proteins are in both\nx"
    assert [bar.get_width() for bar in fig.axes[1].patches] == [10, 8, 20]
    assert float(np.nanmax(fig.axes[0].collections[0].get_array())) == pytest.approx(4 / 14)


def test_a_forest_shows_differences_and_counts_the_sure_ones() -> None:
    values = {"composition": 0.4, "esm": 0.5, "halo": 0.6}
    rows = [(m, s, v, v - 0.05, v + 0.05, "") for m in ("micro_f1", "macro_f1") for s, v in values.items()]
    metrics = pd.DataFrame(rows, columns=["metric", "system", "value", "ci_low", "ci_high", "label"])
    gaps = [("micro_f1", "composition", -0.1, -0.2, -0.05), ("micro_f1", "halo", 0.1, -0.01, 0.2)]
    differences = pd.DataFrame(gaps, columns=["metric", "first", "difference", "ci_low", "ci_high"]).assign(label="")
    paper = pd.DataFrame({"system": ["halo"], "metric": ["micro_f1"], "published": [0.7364]})
    table = system_plots.forest_rows(metrics, differences, paper)
    assert len(table) == 6 and table["difference"].notna().sum() == 2
    fig = system_plots.forest(table, "esm", "composition", "x")
    title = "Of 2 systems 0 have a higher micro F1 than fine-tuned ESM and 1 a lower one"
    assert fig.get_suptitle().splitlines()[0] == title
    rings = [line for line in fig.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert np.nanmax(rings[0].get_xdata()) == 0.7364


def test_the_best_epoch_is_ringed_and_named() -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": 1.0, "val_loss": 1.0, "val_macro_f1": [0.1, 0.3, 0.2]})
    fig = plots.training_curves({"ESM": history}, "x")
    assert fig.get_suptitle() == "ESM reaches the highest validation macro F1, 0.300, in epoch 2\nx"
    (ring,) = [line for line in fig.axes[1].lines if line.get_markersize() == 11]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, 0.3)


def test_figure_1_writes_the_count_of_every_branch() -> None:
    counts = {"negative": (90, 5), "confident": (40, 36), "no_structure": (3, 2), "agreed": (6, 4), "vetoed": (7, 1)}
    fig = diagrams.figure_1(0.55, 0.4, counts)
    words = [text.get_text().replace("\n", " ") for text in fig.axes[0].texts]
    for name, text in diagrams.ENDS.items():
        assert f"{text} {counts[name][0]}, {counts[name][1]} of them true" in words
    assert "90 no label, 5 of them missed" in words and {"0.40", "0.55"} <= set(words)
    assert "kept: confident" in [text.get_text() for text in diagrams.figure_1(0.55).axes[0].texts]


def test_shapes_of_a_protein_stand_on_the_arrows_of_figures_2_and_3() -> None:
    options = {"trainable_layers": 2, "pooling": "attention pooling", "hidden": 0, "composition": 0, "loss": "x"}
    fig = diagrams.figure_2("b", 64, protein=(30, 16, 10), attention=np.full(30, 1 / 30), **options)
    words = {text.get_text() for text in fig.axes[0].texts}
    assert {"[32]", "[32, 16]", "[30, 16]", "[16]", "[10]"} <= words
    ca = np.cumsum(np.ones((12, 3)), axis=0)
    edges = np.array([[0, 1], [1, 0]])
    fig = diagrams.figure_3(10.0, 2, 2, 8, "fixed", "x", protein=(ca, edges, np.zeros((12, 23))))
    assert fig.axes[1].get_title() == "12 residues, 2 edges under 10 Å"
    assert [text.get_text() for text in fig.axes[2].get_yticklabels()] == ["3 coordinates", "16 of ESM", "4 properties"]


def test_importance_inside_planted_signals_is_in_the_title() -> None:
    values = np.zeros(20)
    values[:5] = 1.0
    fig = attribution_plots.residue_tracks({"masking": values}, [("planted", 1, 4), ("a rule", 9, 12)], "x")
    title = "80% of the importance lies in planted signals, 20% of the residues (masking)"
    assert fig.get_suptitle().splitlines()[0] == title


def test_the_contact_sheet_holds_every_figure_twice(tmp_path: object) -> None:
    for name in ("a", "b", "c", "d"):
        Image.new("RGB", (64, 32), (200, 60, 0)).save(tmp_path / f"{name}.png")
    normal, blind = (Image.open(path) for path in write_sheet([tmp_path], tmp_path / "sheet"))
    assert normal.size == blind.size == (3 * 640, 2 * (320 + 18))
    assert normal.getpixel((20, 200)) == (200, 60, 0) != blind.getpixel((20, 200))


def test_readme_shows_pictures_of_the_demo_that_are_copied_for_it(tmp_path: object) -> None:
    for name in showcase.PICTURES:
        Image.new("RGB", (1600, 800), (1, 115, 178)).save(tmp_path / f"{name}.png")
    written = showcase.copy_pictures(tmp_path, tmp_path / "readme")
    assert [Image.open(path).width for path in written] == list(showcase.PICTURES.values())
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"figures/readme/(\w+)\.png", text)) == set(showcase.PICTURES)
    with pytest.raises(DataError, match="run notebook 11_attribution on the demo first"):
        showcase.copy_pictures(tmp_path / "readme" / "nothing")


def test_readme_says_what_predicting_prints() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- predicted -->")[1].split("<!-- /predicted -->")[0]
    command, table, _ = predict_example.COMMANDS
    columns = [predict_example.csv_header(DEEPLOC)[int(i) - 1] for i in re.search(r"-f ([\d,]+) ", table)[1].split(",")]
    assert command in shown and columns == list(predict_example.COLUMNS) and ",".join(columns) in shown
