"""The report on predicted proteins: one HTML file that holds everything it shows and asks for nothing else."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from halo_utils.core.files import write_text
from halo_utils.figures.protein_view import Answer, environment, script
from halo_utils.models.predictor import HaloPredictor


def write_report(
    path: Path,
    answers: Sequence[Answer],
    predictor: HaloPredictor,
    counts: Mapping[str, int],
    total: int,
    file: str,
    notes: Sequence[str] = (),
) -> Path:
    """Write the report on ``total`` proteins of a ``file``, of which ``answers`` are drawn, and return its path.

    ``answers`` are objects of the JSON Lines file. An answer's ``track`` may hold ``importance``: location -> L values,
    one per residue, drawn under the attention, and ``structure``, whose C-alpha trace can be turned. ``counts`` are
    proteins per location and kind; ``notes`` sentences. The page names the one script that it may run by its digest.
    """
    template = environment().get_template("report.html.j2")
    drawn = any("structure" in one.get("track", {}) for one in answers)
    code = script() if drawn else ""
    facts = {"confident": predictor.gate["confident"], "run": predictor.run, "script": code}
    facts |= {"total": total, "file": file, "notes": notes, "counts": counts}
    allowed = b64encode(sha256(code.encode()).digest()).decode()
    return write_text(path, template.render(answers=answers, script_digest=allowed, **facts))
