"""Every notebook as a page that opens offline: ``python -m tools.site`` writes the folder ``site``, for `make site`.

Equations become MathML, which browsers draw without a script; figures keep their words; nothing is loaded from the web.
"""

import re
import sys
from html import escape
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from halo_utils.core.files import write_text
from halo_utils.core.paths import REPOSITORY
from tools.exit_code import exit_code
from tools.opening import BADGE, SET_UP
from tools.pairs import sources

SITE = REPOSITORY / "site"
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])", re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
NOTEBOOK_LINK = re.compile(r"\]\((?!https?:)(?:[\w./]*/)?(\w+)\.ipynb(#[^)]*)?\)")
README_LINK = re.compile(r"\]\((?:\.\./)+README\.md\)")
OTHER_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+[^)]*\)")  # to files that the site does not hold
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>HALO, reproducible</title><style>
body {{ font-family: sans-serif; max-width: 50em; margin: 3em auto; line-height: 1.5 }}
</style></head><body><h1>HALO, reproducible</h1><ul>
{items}
</ul></body></html>
"""


def with_mathml(text: str) -> str:
    """Return Markdown with its LaTeX as MathML; what stands in backticks is left alone."""
    parts = re.split(r"(```.*?```|`[^`\n]*`)", text, flags=re.DOTALL)
    return "".join(part if i % 2 else MATH.sub(_mathml, part) for i, part in enumerate(parts))


def _mathml(found: re.Match) -> str:
    display = "block" if found[1] else "inline"
    return re.sub(r"\s*\n\s*", " ", convert((found[1] or found[2]).strip(), display=display))


def offline(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook whose page needs nothing from the web; badges and set-up cell are left out."""
    copy = nbformat.from_dict(notebook)
    copy.cells = [cell for cell in copy.cells if SET_UP not in cell.metadata.get("tags", [])]
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            lines = [line for line in cell.source.splitlines() if not line.startswith(BADGE)]
            text = README_LINK.sub("](index.html)", NOTEBOOK_LINK.sub(r"](\1.html\2)", "\n".join(lines)))
            cell.source = with_mathml(OTHER_LINK.sub(r"\1", text))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                words = escape(output.metadata.get("image/png", {}).get("alt", data.get("text/plain", "")))
                data["text/html"] = f'<img src="data:image/png;base64,{data.pop("image/png").strip()}" alt="{words}">'
            if "text/markdown" in data:
                data["text/markdown"] = with_mathml(data["text/markdown"])
    return copy


def page(path: Path) -> tuple[str, str]:
    """Return the title of a notebook and its page."""
    notebook = offline(nbformat.read(path, as_version=4))
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    notebook.metadata["title"] = title
    body, _ = HTMLExporter().from_notebook_node(notebook)
    return title, SCRIPT.sub(lambda script: "" if "https://" in script[0] else script[0], body)


def write_site(folder: Path = SITE) -> list[Path]:
    """Write a page per notebook and an index; return their paths."""
    written, items = [], []
    for source in sources():
        title, body = page(source.with_suffix(".ipynb"))
        written.append(write_text(folder / f"{source.stem}.html", body))
        items.append(f'<li><a href="{source.stem}.html">{escape(source.stem.split("_")[0])} {escape(title)}</a></li>')
    return [*written, write_text(folder / "index.html", PAGE.format(items="\n".join(items)))]


def main() -> int:
    """Write the site; return the exit code."""
    return exit_code(lambda: print(f"{len(write_site())} pages: open {SITE / 'index.html'}"))


if __name__ == "__main__":
    sys.exit(main())
