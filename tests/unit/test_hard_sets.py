"""DeepLoc 1.0's test sets: headers are read or refused, what is close to them leaves, and one location is scored."""

import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import load_settings
from halo_utils.core.errors import DataError
from halo_utils.data import overlap
from halo_utils.data.deeploc import DEEPLOC
from halo_utils.data.deeploc1 import FILES, read_deeploc1
from halo_utils.data.kmers import kmer_overlap
from halo_utils.embeddings.embedder import EMBEDDERS
from halo_utils.runs import hard_sets, in_short_sequence

RNG = np.random.default_rng(5)
FIRST, SECOND, THIRD, FOURTH = ("".join(RNG.choice(list("ACDEFGHIKLMNPQRSTVWY"), 60)) for _ in range(4))

GOOD = f""">P1 Cell.membrane-M test
{FIRST[:30]}
{FIRST[30:]}
>P2 Lysosome/Vacuole-U new_test_set \n{SECOND}
>P3 Cytoplasm-Nucleus-U
MKVLAAG
>P4 Nucleus-S test
MKX
"""

REFUSED = {
    "an unknown location": (">P1 Nucleolus-U test\nMKV\n", r"record 1 \(P1\): unknown location 'Nucleolus'; .*Nucleus"),
    "a location of DeepLoc 2.0's spelling": (
        ">P1 Cell membrane-M test\nMKV\n",
        r"record 1: header 'P1 Cell membrane-M",
    ),
    "no location": (">P1\nMKV\n", r"f.fasta.xz record 1: header 'P1'; expected an accession and a location"),
    "no letter behind it": (">P1 Nucleus-U\nM\n>P2 Nucleus test\nMKV\n", r"record 2: header 'P2 Nucleus test'"),
    "another set": (">P1 Nucleus-U train\nMKV\n", r"record 1: header 'P1 Nucleus-U train'; expected"),
    "an accession twice": (
        ">P1 Nucleus-U\nMKV\n>P2 Nucleus-U\nMKL\n>P1 Nucleus-U\nMKV\n",
        r"record 3 \(P1\): the accession occurs before; keep one",
    ),
    "an illegal letter": (">P1 Nucleus-U\nMJV\n", r"record 1 \(P1\): illegal residue\(s\) J; .* mask unknown residues"),
    "no sequence": (">P1 Nucleus-U\n>P2 Nucleus-U\nMKV\n", r"record 1 \(P1\): empty sequence"),
    "a path as accession": (">../P1 Nucleus-U\nMKV\n", r"record 1 \(../P1\): accession '../P1' is not valid"),
    "a table": ("ACC,Location\nP1,Nucleus\n", r"f.fasta.xz row 1: 'ACC,Location.*; expected a FASTA header"),
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(text.encode()))
    return path


def test_every_protein_has_one_of_the_ten_locations(tmp_path: Path) -> None:
    table, dropped = read_deeploc1(write(tmp_path / "f.fasta.xz", GOOD), "setHARD")
    assert table["accession"].tolist() == ["P1", "P2", "P4"] and (table["split"] == "setHARD").all()
    assert table["sequence"].tolist() == [FIRST, SECOND, "MKX"]
    assert table[list(DEEPLOC)].idxmax(axis=1).tolist() == ["Cell membrane", "Lysosome/Vacuole", "Nucleus"]
    assert (table[list(DEEPLOC)].sum(axis=1) == 1).all() and (table[list(DEEPLOC)].dtypes == "int8").all()
    assert dropped[["accession", "reason"]].to_numpy().tolist() == [["P3", "two locations"]]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_file_of_deeploc1_is_refused_in_one_message(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        read_deeploc1(write(tmp_path / "f.fasta.xz", text), "setHARD")
    assert "\n" not in str(caught.value)


# Copy, near duplicate (14 residues changed of 60), fragment, whole protein of a fragment, relative, unrelated, short.
CLOSE = [FIRST, FIRST[:46] + FOURTH[:14], FIRST[20:40], THIRD + SECOND[:30], FIRST[:10] + FOURTH[:50], FOURTH, "MKV"]
LEVELS = [overlap.COPY, overlap.NEAR, overlap.NEAR, overlap.NEAR, overlap.RELATIVE, overlap.APART, overlap.APART]


def test_copies_near_duplicates_and_relatives_are_found_in_both_directions() -> None:
    shares = kmer_overlap(CLOSE, [FIRST, SECOND[:30]])
    assert shares.tolist() == pytest.approx([1, 41 / 55, 1, 1, 5 / 55, 0, 0])
    assert overlap.closeness(CLOSE, [FIRST, SECOND[:30]]).tolist() == LEVELS
    assert overlap.closeness(["MKV"], [FIRST, "MKV"]).tolist() == [overlap.COPY]  # too short for a 6-mer


def test_a_protein_close_to_two_sets_leaves_once() -> None:
    split = pd.Series(["train"] * 4 + ["val"] * 3)
    levels = pd.DataFrame({"a": [3, 2, 0, 0, 1, 0, 0], "b": [3, 1, 0, 2, 0, 0, 0]})
    found = overlap.count_left_out(split, levels).set_index(["set", "split"])
    assert found.loc[("a", "train")].tolist() == [4, 1, 1, 0, 2] and found.loc[("b", "train")].tolist() == [
        4,
        1,
        1,
        1,
        1,
    ]
    assert found.loc[("a and b", "train")].tolist() == [4, 1, 2, 0, 1]
    assert found.loc[("a and b", "val")].tolist() == [3, 0, 0, 1, 2]
    assert (found["before"] == found.drop(columns="before").sum(axis=1)).all()


def test_weights_of_positives_are_undone() -> None:
    odds, weights = np.array([[0.2, 3.0, 1.0]]), np.array([4.0, 1.0, 32.0])
    weighted = odds * weights / (1 + odds * weights)
    np.testing.assert_allclose(hard_sets.unweighted(weighted, weights), odds / (1 + odds))
    assert weighted.argmax() == 2 and hard_sets.unweighted(weighted, weights).argmax() == 1


def test_validation_decides_whether_weights_are_undone() -> None:
    hard = dataset("abcdef").assign(split=["val", "val", "val", "val", "setHARD", "setHARD"])
    hard[list(DEEPLOC)] = np.eye(10, dtype=np.int8)[[0, 0, 1, 0, 1, 1]]
    hard.loc[3, "Nucleus"] = 1  # of two locations, which decides nothing
    prob, weights = np.full((6, 10), 0.01), np.ones(10)
    prob[:, 0], prob[:, 1], weights[1] = 0.6, 0.8, 4.0  # Nucleus as it is, Cytoplasm without its weight
    found = hard[["accession", "split"]].join(pd.DataFrame(prob, columns=list(DEEPLOC)))
    undone = hard_sets.decided_on_validation(hard, found, weights)
    np.testing.assert_allclose(undone[list(DEEPLOC)], hard_sets.unweighted(prob, weights))
    assert undone["accession"].tolist() == list("abcdef")
    hard.loc[1, ["Cytoplasm", "Nucleus"]] = [0, 1]
    assert hard_sets.decided_on_validation(hard, found, weights) is found
    assert hard_sets.decided_on_validation(hard, found, None) is found


@pytest.fixture
def at_hand(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both files with made-up proteins, in the folder that HALO_DATA_DIR names."""
    monkeypatch.setenv("HALO_DATA_DIR", str(root))
    write(root / FILES["setDeepLoc"], GOOD)
    write(root / FILES["setHARD"], f">P1 Nucleus-U new_test_set\n{THIRD}\n>P9 Cytoplasm-U new_test_set\n{THIRD[:50]}\n")
    return root


def dataset(names: str) -> pd.DataFrame:
    """Return proteins to learn from and to choose with: one per letter, ``CLOSE`` first, then others."""
    rng = np.random.default_rng(6)
    others = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 40)) for _ in names]
    table = pd.DataFrame({"accession": list(names), "sequence": (CLOSE + others)[: len(names)], "kingdom": ""})
    labels = pd.DataFrame(np.eye(10, dtype=np.int8)[rng.integers(10, size=len(names))], columns=list(DEEPLOC))
    split = ["train", "val"] * (len(names) // 2)
    return table.assign(split=split, subset="", family=range(len(names)), containment=0.0).join(labels)


def test_sets_are_read_where_they_are_and_where_the_run_is_on_deeploc2(at_hand: Path) -> None:
    settings = load_settings("mini")
    asked = hard_sets.read_sets(settings)
    assert asked["accession"].tolist() == [
        "setDeepLoc:P1",
        "setDeepLoc:P2",
        "setDeepLoc:P4",
        "setHARD:P1",
        "setHARD:P9",
    ]
    assert asked["family"].nunique() == 4 and asked["family"].iloc[3] == asked["family"].iloc[4]
    assert hard_sets.read_sets(load_settings("demo")) is None
    (at_hand / FILES["setHARD"]).unlink()
    assert hard_sets.read_sets(settings) is None


def test_what_is_close_leaves_before_heads_learn(at_hand: Path) -> None:
    settings = load_settings("mini", backbone={"max_tokens": 22})
    everything = dataset("abcdefghijklmnopqrst")
    everything.loc[19, "sequence"] = FOURTH[:25] + SECOND[:30]  # close by what the models do not read
    table, asked = everything.assign(sequence=everything["sequence"].str[:20]), hard_sets.read_sets(settings)
    hard, counts = hard_sets.without_overlap(settings, table, everything, asked)
    assert hard["accession"].tolist() == [*"fghijklmnopqrs", *asked["accession"]]  # whole sequences are compared
    assert hard["sequence"].str.len().max() == 20 and not hard["accession"].duplicated().any()
    left = counts.set_index(["set", "split"])["left"]
    assert left["setDeepLoc and setHARD"].tolist() == [7, 7] == hard["split"].value_counts()[["train", "val"]].tolist()
    embedder = EMBEDDERS["one-hot"]
    states = hard_sets.states_beside(settings, embedder, table, hard[hard["split"].isin(FILES)])
    said = hard_sets.ask_heads(settings, embedder, hard, states, epochs=1, residues_per_batch=60, repeats=1)
    found = hard_sets.accuracies(hard, said, embedder.title, resamples=20, seed=1)
    assert found["n"].tolist() == [3] * 3 + [2] * 3 and found["value"].between(0, 1).all()
    assert (found["ci_low"] <= found["value"]).all() and (found["repeats"] == 1).all()
    assert found.loc[found["head"] == "Light Attention", "published"].tolist() == [0.71, 0.55]
    assert hard_sets.beside_published(found)["setHARD, published"].tolist() == ["43", "49", "55"]
    best = found[found["set"] == "setHARD"]["value"].max()
    assert f"is right in {best:.2f} [" in (told := in_short_sequence._hard(found)) and "setHARD" in told


def test_repeats_widen_the_interval() -> None:
    hard = dataset("abcd").assign(split=["setHARD"] * 4)
    hard[list(DEEPLOC)] = np.eye(10, dtype=np.int8)[:4]
    right, wrong = (hard[["accession", *DEEPLOC]].assign(Cytoplasm=value) for value in (hard["Cytoplasm"], 2))
    one = hard_sets.accuracies(hard, {("Light Attention", 0): right}, "x", resamples=50, seed=1).iloc[0]
    two = hard_sets.accuracies(
        hard, {("Light Attention", 0): right, ("Light Attention", 1): wrong}, "x", resamples=50, seed=1
    )
    assert (one["value"], one["ci_low"], one["ci_high"]) == (1, 1, 1)
    assert two[["value", "lowest", "highest", "repeats"]].iloc[0].tolist() == [0.625, 0.25, 1.0, 2]
    assert two[["ci_low", "ci_high"]].iloc[0].tolist() == [0, 1]  # two first weights say next to nothing
