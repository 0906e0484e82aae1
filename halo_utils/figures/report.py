"""The report on predicted proteins: one HTML file that holds everything it shows and asks for nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader

from halo_utils.core.files import write_text
from halo_utils.models.predictor import HaloPredictor

COLUMNS = 600  # of a track; longer proteins show the largest value of the residues that share one
WORDS = {
    "negative": "below the threshold",
    "confident": "predicted, confident: the sequence model decides",
    "agreed": "predicted, unsure: the graph model agrees",
    "vetoed": "dropped, unsure: the graph model disagrees",
    "no_structure": "predicted, unsure: no structure to ask about",
}
COLOURS = {
    "negative": "#b4b4b4", "confident": "#0173b2", "agreed": "#029e73", "vetoed": "#d55e00", "no_structure": "#de8f05"
}  # fmt: skip


def write_report(
    path: Path,
    answers: Sequence[Mapping[str, Any]],
    predictor: HaloPredictor,
    counts: Mapping[str, int],
    total: int,
    file: str,
    notes: Sequence[str] = (),
) -> Path:
    """Write the report on ``total`` proteins of a ``file``, of which ``answers`` are drawn, and return its path.

    ``answers`` are objects of the JSON Lines file. An answer's ``track`` may hold ``importance``: location -> [L], one
    value per residue, drawn under the attention. ``counts`` are proteins per location and kind; ``notes`` sentences.
    """
    environment = Environment(loader=PackageLoader("halo_utils.figures"), autoescape=True, trim_blocks=True)
    template = environment.get_template("report.html.j2")
    facts = {"locations": predictor.locations, "confident": predictor.gate["confident"], "run": predictor.run}
    facts |= {"total": total, "file": file, "notes": notes, "counts": counts, "words": WORDS, "colours": COLOURS}
    shown = [{**one, "tracks": tracks(one["track"]) if "track" in one else []} for one in answers]
    return write_text(path, template.render(answers=shown, columns=COLUMNS, **facts))


def tracks(track: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is drawn along a protein: title, points of a polyline in 0..COLUMNS by 0..1, and unread ranges."""
    length = len(track["sequence"])
    values = np.zeros(length)
    places = np.concatenate([np.arange(start, stop) for start, stop in track["read"]])
    values[places] = track["attention"]
    peak = int(values.argmax())
    title = f"attention of the pooling; highest at residue {peak + 1} ({track['sequence'][peak]})"
    found = [_track(title, values, track["read"])]
    for location, importance in track.get("importance", {}).items():
        found.append(_track(f"importance for {location}", np.maximum(importance, 0.0), track["read"]))
    return found


def _track(title: str, values: np.ndarray, read: Sequence[Sequence[int]]) -> dict[str, Any]:
    length, columns = len(values), min(COLUMNS, len(values))
    heights = np.array([part.max() for part in np.array_split(values, columns)]) / max(float(values.max()), 1e-12)
    x = (np.arange(columns) + 0.5) * COLUMNS / columns
    points = [(0.0, 0.0), *zip(x.round(1).tolist(), heights.round(3).tolist(), strict=True), (float(COLUMNS), 0.0)]
    scale, gaps = COLUMNS / length, zip([0, *(stop for _, stop in read)], [*(s for s, _ in read), length], strict=True)
    unread = [(round(start * scale, 1), round((stop - start) * scale, 1)) for start, stop in gaps if stop > start]
    return {"title": title, "points": points, "unread": unread, "length": length}
