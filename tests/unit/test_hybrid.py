"""Networks on the proteins that have a graph: only where there are enough of them, and the audit that counts them."""

import pandas as pd
import pytest
from torch import nn

from halo_utils.config import load_settings
from halo_utils.data.audit import graph_counts
from halo_utils.models.coordinate_frame import RandomFrame
from halo_utils.models.gat import GatClassifier
from halo_utils.runs import hybrid, wording
from halo_utils.runs.hybrid import network_of, too_few

SPLITS = ("train", "val", "test")


def proteins(**families: list[int]) -> pd.DataFrame:
    rows = [(split, family) for split, numbers in families.items() for family in numbers]
    return pd.DataFrame(rows, columns=["split", "family"])


@pytest.mark.parametrize(
    ("families", "poor"),
    [
        ({"train": [1, 2], "val": [3, 4], "test": [5, 6]}, ""),
        ({"train": [1, 1], "val": [3, 4], "test": [5, 6]}, "in train:"),
        ({"train": [1, 2], "val": [3], "T": [5, 6]}, "in val, test:"),
        ({}, "in train, val, test:"),
    ],
)
def test_a_data_set_with_too_few_graphs_is_told_where(families, poor):
    sentence = too_few(proteins(**families), SPLITS, "with a graph")
    assert (poor in sentence) and bool(sentence) == bool(poor)


def test_without_any_graph_or_letters_nothing_is_trained_and_both_are_said(monkeypatch, capsys):
    table = proteins(train=[1, 2], val=[3, 4], test=[5, 6]).assign(accession=list("abcdef"), subset="", containment=0.0)
    store = type("Store", (), {"accessions": []})()
    monkeypatch.setattr(hybrid, "load_structures", lambda *_: store)
    monkeypatch.setattr(hybrid, "load_edges", lambda *_: store)
    monkeypatch.setattr(hybrid, "load_letters", lambda *_: None)
    monkeypatch.setattr(hybrid, "train_variant", lambda *_: pytest.fail("a network was trained"))
    assert hybrid.train_all(load_settings("demo"), table, hybrid.CONTROLS) == {}
    said = capsys.readouterr().out
    assert "with a graph in train, val, test" in said and "with letters in train, val, test" in said


def test_the_network_inside_its_wrappers_is_found():
    inner = GatClassifier((3, 2, 1), n_locations=2, layers=2, heads=1, hidden=2)
    outer = nn.Module()
    outer.model = RandomFrame(inner)
    assert network_of(outer) is inner and network_of(inner) is inner


def test_graphs_are_counted_by_split_location_and_kingdom():
    table = pd.DataFrame(
        {
            "accession": ["a", "b", "c", "d"],
            "split": ["train", "train", "test", "test"],
            "kingdom": ["Fungi", "Metazoa", "Metazoa", "Metazoa"],
            "Nucleus": [1, 1, 0, 0],
            "graph": [True, True, True, False],
            "source": ["coordinates", "map", "map", "none"],
        }
    )
    found = graph_counts(table, ["Nucleus"], pd.Series({"a": 10.0, "b": 20.0, "c": 7.0})).set_index(["group", "name"])
    assert found["with_graph"].to_dict() == {
        ("split", "train"): 2, ("split", "test"): 1, ("location", "Nucleus"): 2,
        ("kingdom", "Fungi"): 1, ("kingdom", "Metazoa"): 2,
    }  # fmt: skip
    assert found.loc[("split", "train"), ["coordinates", "map", "edges_median"]].tolist() == [1, 1, 15.0]
    assert found.loc[("kingdom", "Metazoa"), ["proteins", "share"]].tolist() == [3, 2 / 3]
    assert "none" not in found


def test_the_sentence_on_the_graph_network_follows_budget_schedule_and_coordinates():
    plain = load_settings("paper")
    text = wording.graph_model(plain)
    assert "in angstrom, in the frame of the file" in text and "at most 50 epochs" in text and "linearly" not in text
    changed = {"steps": 600, "epochs": 3, "schedule": "linear", "coordinates": "scaled"}
    text = wording.graph_model(plain.model_copy(update={"gat": plain.gat.model_copy(update=changed)}))
    assert "600 steps whatever the number of proteins, in 3 parts called epochs" in text
    assert "falling linearly to zero" in text and "turned at random in training" in text
    assert plain.gat.steps_per_epoch is None
    assert plain.gat.model_copy(update=changed).steps_per_epoch == 200
