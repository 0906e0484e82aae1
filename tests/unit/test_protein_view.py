"""What is drawn of one protein: bars with the gate, sliders on stored probabilities, tracks with rules, the trace."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from halo_utils.data.synthetic.proteome import write_examples
from halo_utils.figures import protein_view
from halo_utils.models.gate import Decision
from halo_utils.structures.reader import load_structure
from tests import models

SVG = "{http://www.w3.org/2000/svg}"


def location(probability: float, graph: float | None, decision: str) -> dict:
    return {"probability": probability, "graph_probability": graph, "calibrated": None, "threshold": 0.2,
            "decision": decision}  # fmt: skip


@pytest.fixture
def one() -> dict:
    """An answer as it stands in the JSON file: unsure about one location, of 20 residues, of which 5 are not read."""
    ca = models.model()[1][:, 1].astype(float).tolist()
    return {
        "name": "a&b", "predicted": ["Nucleus", "Golgi apparatus"], "nearest_location": "", "mode": "hybrid",
        "length": 20, "locations": {
            "Nucleus": location(0.8, 0.1, "confident"), "Golgi apparatus": location(0.4, 0.7, "agreed"),
            "Cytoplasm": location(0.1, 0.9, "negative"),
        },
        "track": {
            "sequence": models.SEQUENCE, "read": [[0, 10], [15, 20]], "attention": [1 / 15] * 15,
            "importance": {"Nucleus": [0.5, -1.0, *[0.0] * 8, *[None] * 5, *[0.1] * 4, 2.0]},
            "rules": [["monopartite NLS", 3, 6], ["monopartite NLS", 11, 14], ["PTS1", 18, 20]],
            "structure": {"ca": [*ca[:7], None, *ca[8:]], "plddt": [95.0, 90.0, 89.9, 70.0, 50.0, 49.9, *[80.0] * 14]},
        },
    }  # fmt: skip


def test_bars_stand_on_the_axis_of_probability(one: dict) -> None:
    root = ElementTree.fromstring(protein_view.bars(one, 0.55))  # a document of its own
    left, width = 190, 360
    found = [(bar.get("width"), bar.get("fill")) for bar in root.iter(f"{SVG}rect") if bar.get("class") == "bar"]
    decisions = [v["decision"] for v in one["locations"].values()]
    values = [f"{width * v['probability']:.1f}" for v in one["locations"].values()]
    assert found == list(zip(values, [protein_view.COLOURS[d] for d in decisions], strict=True))
    lines = {float(line.get("x1")) for line in root.iter(f"{SVG}line") if line.get("x1") == line.get("x2")}
    assert lines >= {left + width * 0.2, left + width * 0.55}  # threshold, gate
    patterns = {pattern.get("id") for pattern in root.iter(f"{SVG}pattern")}
    hatched = [rect for rect in root.iter(f"{SVG}rect") if rect.get("fill") == "url(#hatch)"]
    assert "hatch" in patterns and len(hatched) == 3
    assert len(list(root.iter(f"{SVG}path"))) == 3 and root.get("aria-label").startswith("a&b: probability per")


def test_other_thresholds_decide_on_stored_probabilities(one: dict) -> None:
    same = protein_view.decided_again(one, 0.2, 0.55)
    assert same["predicted"] == one["predicted"] and same["locations"] == one["locations"]
    vetoed = protein_view.decided_again(one, 0.2, 0.9)  # the graph network is asked about the nucleus, too
    assert vetoed["predicted"] == ["Golgi apparatus"] and vetoed["locations"]["Nucleus"]["decision"] == "vetoed"
    assert protein_view.decided_again(one, 0.05, 0.05)["predicted"] == list(one["locations"])
    alone = protein_view.decided_again({**one, "mode": "sequence-only"}, 0.2, 0.9)
    assert alone["locations"]["Nucleus"]["decision"] == Decision.NO_STRUCTURE.name.lower()
    assert one["locations"]["Nucleus"] == location(0.8, 0.1, "confident")  # nothing was changed


def test_sliders_redraw_the_bars(one: dict) -> None:
    other = {**one, "name": "other", "mode": "sequence-only"}
    box = protein_view.gate_sliders([one, other], 0.2, 0.55)
    which, threshold, gate, picture = box.children
    assert picture.value.startswith("<b>a&amp;b: Nucleus, Golgi apparatus</b>") and "<svg" in picture.value
    gate.value = 0.9
    assert picture.value.startswith("<b>a&amp;b: Golgi apparatus</b>") and "confident from 0.90" in picture.value
    which.value = "other"
    assert picture.value.startswith("<b>other: Nucleus, Golgi apparatus</b>")
    threshold.value = 0.85
    assert picture.value.startswith("<b>other: no location</b>")


def test_rules_lie_along_the_residues(one: dict) -> None:
    root = ElementTree.fromstring(protein_view.residues(one))
    spans = [(float(r.get("x")), float(r.get("width")), r.get("y")) for r in root.iter(f"{SVG}rect")
             if r.get("class") == "rule"]  # fmt: skip
    column = protein_view.COLUMNS / 20
    assert [span[:2] for span in spans] == [(190 + s * column, n * column) for s, n in ((2, 4), (10, 4), (17, 3))]
    assert spans[0][2] == spans[1][2] != spans[2][2]  # a lane for each rule
    text = "".join(root.itertext())
    assert "importance for Nucleus: fall of the logit, at most 2.00" in text and text.count("hatched: not read") == 2


def test_colours_say_what_a_residue_has(one: dict) -> None:
    importance, plddt = protein_view.colourings(one["track"])
    assert importance["name"] == "importance for Nucleus" and importance["texts"][19] == "N20: 2.00"
    assert importance["colours"][19] == "#fde725" and importance["colours"][1] == importance["colours"][2] == "#440154"
    assert set(importance["colours"][10:15]) == {protein_view.UNKNOWN} and importance["texts"][10] == "T11"
    bands = [colour for _, colour, _ in protein_view.PLDDT]
    assert plddt["colours"][:6] == [bands[0], bands[0], bands[1], bands[1], bands[2], bands[3]]
    del one["track"]["importance"]
    one["track"]["structure"]["plddt"] = [None] * 20
    (attention,) = protein_view.colourings(one["track"])
    assert attention["name"] == "attention" and attention["colours"][12] == protein_view.UNKNOWN


def test_the_trace_is_the_structure_turned(one: dict) -> None:
    ca = one["track"]["structure"]["ca"]
    found = protein_view.flattened(ca)
    xyz = np.array([place or [np.nan] * 3 for place in ca])
    apart = [np.linalg.norm(a[:, None] - a[None], axis=-1) for a in (found, xyz)]
    assert np.allclose(*apart, equal_nan=True) and np.isnan(found[7]).all()
    spread = np.nanstd(found, axis=0)
    assert spread[0] > spread[1] > spread[2]

    def handed(a: np.ndarray) -> float:
        return float(np.dot(np.cross(a[1] - a[0], a[2] - a[1]), a[3] - a[2]))  # above 0 in a right-handed helix

    assert handed(xyz) > 0 and handed(found) == pytest.approx(handed(xyz))
    text = re.search(r'data-trace="([^"]*)"', protein_view.structure(one))[1]
    drawn = json.loads(text.replace("&#34;", '"').replace("&amp;", "&"))
    assert drawn["points"][7] is None and len(drawn["points"]) == 20
    assert "NaN" not in text and [c["name"] for c in drawn["colourings"]] == ["importance for Nucleus", "pLDDT"]
    assert "http" not in protein_view.script()
    fig = protein_view.trace_figure(one, "title")
    whole = [
        piece for piece in fig.axes[0].collections[0].get_segments() if np.isfinite(piece).all() and len(piece) == 2
    ]
    assert len(fig.axes) == 2 and len(whole) == 2 * 17  # two of 19 touch the gap


def test_examples_are_synthetic_and_their_structures_fit(tmp_path: object) -> None:
    fasta, folder = write_examples(tmp_path, ("Nucleus", "Peroxisome"), 60, 3)
    records = [record.splitlines() for record in fasta.read_text().split(">")[1:]]
    assert [header.split(" ", 1)[1] for header, _ in records] == [
        "synthetic, made for Nucleus", "synthetic, made for Peroxisome"
    ]  # fmt: skip
    for header, sequence in records:
        values, rows = load_structure(folder / f"{header.split()[0]}.pdb", header, sequence)
        assert values["status"] == "matched" and values["identity"] == 1.0 and len(rows) == len(sequence)
