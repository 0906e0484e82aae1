"""The official DeepLoc-Binary sets: read strictly, and no copy or near duplicate of theirs is learned from."""

import json
import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import load_settings
from halo_utils.core.errors import DataError
from halo_utils.core.residue_store import ResidueStore, write_store
from halo_utils.data.deeploc import DEEPLOC2
from halo_utils.data.deeploc_binary import SOLUBLE, leave_out, read_binary, read_sets
from halo_utils.data.record import STANDARD
from halo_utils.runs import binary_ground
from halo_utils.structures.structure_letters import WIDTH, one_hot

GOOD = {"name": "P1", "aa_seq": "MKVLA", "foldseek_seq": "DVVPC", "ss8_seq": "LHHHL", "label": 1, "location": "S"}
OTHER = GOOD | {"name": "P2", "aa_seq": "MKVLW", "label": 0, "location": "M", "ss3_seq": "CHHHC"}


def written(path: Path, *rows: dict | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes(lzma.compress("".join(f"{line}\n" for line in lines).encode()))
    return path


def test_a_good_file_is_read_and_a_field_more_does_no_harm(tmp_path: Path) -> None:
    table = read_binary(written(tmp_path / "good.json.xz", GOOD, OTHER, ""))
    assert table.columns.tolist() == ["accession", "sequence", "foldseek_3di", "ss8", SOLUBLE]
    assert table[SOLUBLE].tolist() == [1, 0] and table[SOLUBLE].dtype == "int8"
    assert table.loc[1, ["accession", "sequence", "ss8"]].tolist() == ["P2", "MKVLW", "LHHHL"]


BAD = {
    "a short string": (
        GOOD | {"ss8_seq": "LHH"},
        r"row 2 \(P1\): ss8_seq has 3 letters, expected 5 as in aa_seq; corr",
    ),
    "a third label": (GOOD | {"label": 2}, r"row 2 \(P1\): label is 2, expected 0 \(membrane\) or 1 \(soluble\); corr"),
    "a label in words": (GOOD | {"label": "1"}, r"row 2 \(P1\): label is '1', expected 0"),
    "a yes": (GOOD | {"label": True}, r"row 2 \(P1\): label is True, expected 0"),
    "labels turned round": (GOOD | {"label": 0}, r"row 2 \(P1\): location is 'S', expected 'M' for label 0; correct"),
    "a name twice": (OTHER, r"f.json.xz: P2 occurs twice, expected once; remove one of its rows, or fetch the file"),
    "a field missing": ({"name": "P1", "aa_seq": "MK"}, r"row 2: no foldseek_seq, ss8_seq, label, location; expected"),
    "no object": ("[1]", r"row 2: no name, aa_seq, foldseek_seq, ss8_seq, label, location; expected name, aa_seq"),
    "a number for a text": (GOOD | {"aa_seq": 7}, r"row 2: aa_seq is 7, expected a text; fetch the file again"),
    "an odd residue": (GOOD | {"aa_seq": "MKV*A"}, r"row 2 \(P1\): illegal residue\(s\) \*; expected one-letter"),
    "a way out": (GOOD | {"name": "../P1"}, r"row 2 \(\.\./P1\): accession '\.\./P1' is not valid"),
    "a cut line": ('{"name": "P1", "aa', r"row 2: no JSON \(.*\); expected one object per row; fetch the file again"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_row_is_refused_by_file_row_and_protein(tmp_path: Path, bad: str) -> None:
    row, message = BAD[bad]
    with pytest.raises(DataError, match=message) as raised:
        read_binary(written(tmp_path / "f.json.xz", OTHER, row))
    assert str(raised.value).startswith("f.json.xz")


def test_an_empty_set_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.json.xz holds no protein: fetch the file again"):
        read_binary(written(tmp_path / "none.json.xz", ""))
    (tmp_path / "bytes.json").write_bytes(b'{"name": "\xff"}\n')
    with pytest.raises(DataError, match=r"bytes.json: bytes that are not UTF-8 text"):
        read_binary(tmp_path / "bytes.json")


def test_a_protein_of_both_sets_is_refused_by_name_and_by_sequence(tmp_path: Path) -> None:
    val = written(tmp_path / "valid.json.xz", GOOD)
    table = read_sets([val, written(tmp_path / "test.json.xz", OTHER)])
    assert table["split"].tolist() == ["val", "test"]
    for bad, column in ((OTHER | {"name": "P1"}, "accession"), (OTHER | {"aa_seq": "MKVLA"}, "sequence")):
        message = rf"test.json.xz: {bad['name']}: its {column} is in valid.json.xz, too"
        with pytest.raises(DataError, match=message):
            read_sets([val, written(tmp_path / "test.json.xz", bad)])


def drawn(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list(STANDARD), length))


def test_copies_and_near_duplicates_are_left_out_and_counted_by_set() -> None:
    val, test = drawn(120, 1), drawn(200, 2)
    training = {
        "copy of val": val,
        "V1": drawn(90, 3),  # the accession of an official protein, with another sequence
        "one residue apart": test[:100] + ("A" if test[100] != "A" else "C") + test[101:],
        "fragment": test[40:90],
        "longer": drawn(500, 4) + test + drawn(300, 5),  # holds an official protein, which is a small part of it
        "relative": test[:40] + drawn(160, 6),  # shares a fifth
        "far": drawn(150, 7),
        "tiny": "MKVL",
    }
    table = pd.DataFrame({"accession": list(training), "sequence": list(training.values()), "split": "train"})
    official = pd.DataFrame({"accession": ["V1", "T1"], "sequence": [val, test], "split": ["val", "test"]})
    kept, counts = leave_out(table, official)
    assert kept["accession"].tolist() == ["relative", "far", "tiny"]
    columns = ["set", "split", "before", "exact_copies", "near_duplicates", "left"]
    assert list(counts) == columns and counts.to_numpy().tolist() == [
        ["validation", "train", 8, 2, 0, 6],
        ["test", "train", 8, 0, 3, 5],
        ["validation and test", "train", 8, 2, 3, 3],
    ]


def letters_of(folder: Path, strings: dict[str, tuple[str, str]]) -> ResidueStore:
    rows = [one_hot(name, *text) for name, text in strings.items()]
    return write_store(folder / "l.npy", "k", list(strings), [len(r) for r in rows], WIDTH, enumerate(rows), "uint8")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with four proteins of DeepLoc 2.0 and both official sets from both predictors."""
    sequences = {name: drawn(30, seed) for seed, name in enumerate(("A1", "A2", "V1", "T1", "T2"))}
    file = tmp_path / DEEPLOC2.files[0]
    file.parent.mkdir()
    membrane = {"A1": "1.0", "A2": "0.0", "V1": "0.0", "T1": "1.0"}
    rows = [f"{name},{label},{sequences[name]}\n" for name, label in membrane.items()]
    file.write_text("ACC,Membrane,Sequence\n" + "".join(rows))
    (tmp_path / "gwr").mkdir()
    for source, letter in (("AlphaFold2", "D"), ("ESMFold", "V")):
        for split, names in (("valid", ["V1"]), ("test", ["T1", "T2"])):
            found = []
            for name in names:
                sequence = sequences[name] + ("K" if (name, source) == ("T2", "ESMFold") else "")
                texts = {"foldseek_seq": letter * len(sequence), "ss8_seq": "H" * len(sequence)}
                found.append({"name": name, "aa_seq": sequence, "label": 0, "location": "M"} | texts)
            written(tmp_path / "gwr" / f"DeepLocBinary_{source}_{split}.json.xz", *found)
    monkeypatch.setenv("HALO_DATA_DIR", str(tmp_path))
    return tmp_path


def test_the_ground_learns_from_far_proteins_alone_and_swaps_letters_of_equal_sequences(raw: Path, root: Path) -> None:
    settings = load_settings("mini")
    table = pd.DataFrame([(n, drawn(30, s), "train") for s, n in enumerate(("A1", "A2", "V1", "T1"))])
    table.columns = ["accession", "sequence", "split"]
    learned = letters_of(root, {name: ("A" * 30, "L" * 30) for name in table["accession"]})
    structures = write_store(root / "s.npy", "k", ["Z9"], [1], 10, enumerate([np.zeros((1, 10))]), "float32")
    found, sentence = binary_ground.find_binary(settings, table, learned, structures, root)
    ground = found.ground
    assert dict(zip(ground.table["accession"], ground.table["split"], strict=True)) == {
        "A1": "train", "A2": "train", "V1": "val", "T1": "test", "T2": "test"
    }  # fmt: skip
    assert ground.table[SOLUBLE].tolist() == [0, 1, 0, 0, 0] and ground.y.shape == (2, 1)
    assert found.counts["exact_copies"].tolist() == [1, 1, 2] and "another sequence for 1 of those" in sentence
    first, other = found.letters.values()
    assert (first.rows("A1") == learned.rows("A1")).all() and (first.rows("A1") == other.rows("A1")).all()
    assert (first.rows("T1") != other.rows("T1")).any() and (first.rows("T2") == other.rows("T2")).all()


def test_what_is_not_at_hand_is_said_in_one_sentence(raw: Path, root: Path) -> None:
    store = letters_of(root, {"A1": ("D", "L")})
    assert binary_ground.why_not(load_settings("mini"), store) == ""
    assert "structure letters of AlphaFold2 is needed" in binary_ground.why_not(load_settings("mini"), None)
    assert "a run on DeepLoc 2.0 (this one is on synthetic)" in binary_ground.why_not(load_settings("demo"), None)
    (raw / "gwr" / "DeepLocBinary_ESMFold_test.json.xz").unlink()
    found, sentence = binary_ground.find_binary(load_settings("mini"), pd.DataFrame(), store, store, root)
    assert found is None and sentence.endswith("gwr/DeepLocBinary_ESMFold_*.json.xz is needed.")


def test_the_published_accuracies_are_those_of_the_documents_table() -> None:
    assert binary_ground.published().round(4).to_dict() == {"SES-Adapter": 0.9392, "GwR": 0.9397}
