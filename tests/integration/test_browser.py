"""Pages in a browser without a network: what they draw is there, and nothing leaves the machine."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from halo_utils.commands import predict as command
from halo_utils.core.paths import NOTEBOOKS
from halo_utils.figures import protein_view
from tests import models
from tests.browser import needs_browser, pixels_of, show
from tests.predictors import small_predictor

pytestmark = [pytest.mark.slow, needs_browser]


def traced(one: dict) -> set[str]:
    """Return the colours in which a protein's C-alpha trace is drawn first; bars and tracks have none of them."""
    colours = set(protein_view.colourings(one["track"])[0]["colours"])
    return colours - {*protein_view.COLOURS.values(), protein_view.UNKNOWN}


def test_the_report_is_drawn_and_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "two.fasta").write_text(f">P61626\n{models.SEQUENCE}\n>other\n{models.SEQUENCE * 3}\n")
    models.write(tmp_path / "structures" / "P61626.cif", models.model()[0])
    small_predictor(tmp_path / "model")
    options = {"model": tmp_path / "model", "structures": tmp_path / "structures", "out": tmp_path / "out"}
    out = command.predict_fasta(tmp_path / "two.fasta", **options)
    first = json.loads((out / command.LINES).read_text().splitlines()[0])
    pixels, asked, said = show(out / command.REPORT, tmp_path)
    assert asked == [] and "Content Security Policy" not in said and "CONSOLE" not in said
    decisions = {v["decision"] for v in first["locations"].values()}
    assert all(pixels_of(pixels, protein_view.COLOURS[decision]) > 50 for decision in decisions)
    seen = [colour for colour in traced(first) if pixels_of(pixels, colour) > 20]
    assert len(seen) >= 3, "the canvas is blank"


def test_notebook_00_as_html_draws_its_trace_without_a_network(tmp_path: Path) -> None:
    book = nbformat.read(NOTEBOOKS / "00_your_proteins.ipynb", as_version=4)
    book.cells = [cell for cell in book.cells if cell.get("outputs")]
    for cell in book.cells:  # the picture of the trace has its colours, too
        cell.outputs = [out for out in cell.outputs if {"text/html", "image/svg+xml"} & set(out.get("data", {}))]
    nowhere = {"mathjax_url": "", "require_js_url": "", "jquery_url": ""}  # of nbconvert's page, for other notebooks
    page = tmp_path / "00.html"
    page.write_text(HTMLExporter(**nowhere, exclude_input=True).from_notebook_node(book)[0], encoding="utf-8")
    pixels, asked, said = show(page, tmp_path, height=3600)
    assert asked == [] and "SyntaxError" not in said and "TypeError" not in said
    (canvas,) = [out.data["text/html"] for cell in book.cells for out in cell.outputs if "data-trace" in str(out)]
    decided = set(re.findall(r'class="bar"[^>]*fill="(#[0-9a-f]{6})"', str([cell.outputs for cell in book.cells])))
    assert decided <= set(protein_view.COLOURS.values()) and len(decided) >= 2
    assert all(pixels_of(pixels, colour) > 50 for colour in decided) and "<canvas" in canvas
    heat = set(re.findall("#[0-9a-f]{6}", canvas.split("<script>")[0])) - {protein_view.UNKNOWN}
    assert sum(pixels_of(pixels, colour) > 20 for colour in heat) >= 3, "the canvas is blank"


def test_a_page_that_asks_for_something_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="https://example.org/a.png"><p style="background: #123456">text</p>')
    pixels, asked, _ = show(page, tmp_path, height=300)
    assert asked and set(asked) == {"https://example.org/a.png"}
    assert pixels_of(pixels, "#123456") > 1000 > 1 > pixels_of(pixels, "#654321")
