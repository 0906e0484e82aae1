"""The pages of the notebooks open offline: equations and figures are in them, and nothing is loaded from the web."""

import re
import warnings

import nbformat

from tools import site
from tools.pairs import sources

FIGURE = {"image/png": "iVBORw0KGgo=", "text/plain": "three bars"}


def book(*texts: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    output = nbformat.v4.new_output("display_data", data=dict(FIGURE), metadata={"image/png": {"alt": 'three "bars"'}})
    return nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell("x", outputs=[output])])


def test_a_page_needs_nothing_from_the_web() -> None:
    path = next(p for p in sources() if p.stem.startswith("04")).with_suffix(".ipynb")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        title, page = site.page(path)
    figures = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,', page)
    assert title in page and page.count("<math") >= 5 and len(figures) >= 3 and all(figures)
    assert not re.findall(r'(?:src|import\()=?["\']https?://', page) and "<script src" not in page
    assert "mybinder" not in page and 'href="05_halo_ensemble.html"' in page and "set_up(" not in page


def test_equations_become_mathml_and_code_stays() -> None:
    text = site.with_mathml("the loss $p_k$, in code `$HOME` and\n\n$$ a =\n\\frac{1}{2} $$\n\nfor $5.")
    assert text.count("<math") == 2 and "`$HOME`" in text and "<mfrac>" in text and "\n\n<math" in text


def test_links_lead_to_pages_and_figures_keep_their_words() -> None:
    copy = site.offline(
        book("[next](05_halo_ensemble.ipynb#x) [A1](appendix/A1_b.ipynb) [home](../README.md) [t](../a.csv)")
    )
    assert copy.cells[0].source == "[next](05_halo_ensemble.html#x) [A1](A1_b.html) [home](index.html) t"
    assert 'alt="three &quot;bars&quot;"' in copy.cells[1].outputs[0].data["text/html"]
