"""Readers: what is kept, what is left out and why, and one clear message per malformed input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.core.errors import DataError
from halo_utils.data import audit, kmers
from halo_utils.data.audit import label_counts, leakage, lengths, seen_before
from halo_utils.data.datasets import DATASETS
from halo_utils.data.deeploc import DEEPLOC2, read_deeploc2, read_hpa
from halo_utils.data.kmers import kmer_containment
from halo_utils.data.locations import DEEPLOC, HPA, HPA_SUPPORTED, LUO2024, canonical, locations, supported
from halo_utils.data.luo2024 import FILES, LUO, read_luo2024
from halo_utils.data.registry import registry
from halo_utils.data.splits import evaluation_sets, fingerprint, held_out_sets, stratified_subset
from halo_utils.runs.artifacts import example_protein

HEADER = ",ACC,Kingdom,Partition,Membrane," + ",".join(DEEPLOC) + ",Sequence"


def row(i: int, acc: str = "P1", partition: str = "0", labels: str = "1.0" + ",0.0" * 9, seq: str = "MKV") -> str:
    return f"{i},{acc},Metazoa,{partition},0.0,{labels},{seq}"


def deeploc(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "deeploc.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_deeploc_split_follows_partitions(tmp_path: Path) -> None:
    table, dropped = read_deeploc2(deeploc(tmp_path, *(row(i, f"P{i}", f"{i}.0") for i in range(5))))
    assert table["split"].tolist() == ["train", "train", "train", "val", "test"]
    assert list(table.columns[-10:]) == list(DEEPLOC)
    assert dropped.empty


def test_kept_and_dropped_add_up(tmp_path: Path) -> None:
    rows = [row(0, "P1"), row(1, "P1"), row(2, "P2", labels="0.0" + ",0.0" * 9), row(3, "P3")]
    table, dropped = read_deeploc2(deeploc(tmp_path, *rows))
    assert table["accession"].tolist() == ["P1", "P3"]
    assert dropped["reason"].tolist() == ["repeated accession, same sequence", "no location"]


def test_hpa(tmp_path: Path) -> None:
    path = tmp_path / "hpa.csv"
    path.write_text("sid," + ",".join(HPA) + ",Lengths,fasta\nE1,0,1,0,0,0,0,1,0,3,MKV\nE2,0,0,0,0,0,0,0,1,3,MKV\n")
    table, dropped = read_hpa(path)
    assert table[["Cytoplasm", "Nucleus", "Plastid"]].to_numpy().tolist() == [[1, 1, 0]]
    assert table["split"].tolist() == ["hpa"] and set(DEEPLOC) <= set(table.columns)
    assert dropped[["accession", "reason"]].to_numpy().tolist() == [["E2", "in no location with enough proteins"]]


def luo(tmp_path: Path, stray: bool = False, label: str = "Nucleus") -> list[Path]:
    train = [f"A{i:02d},MKV{'A' * i},{LUO2024[i % 10]}" for i in range(100)]
    bodies = [train, ["S1,MKL," + label], ["T1,MMM,Nucleus", "T2,MMK,Secreted", "A00,MKV,Cell junction"]]
    bodies.append(["X9,MMM,Nucleus"] if stray else ["T2,MMK,Secreted"])
    for name, body in zip(FILES, bodies, strict=True):
        (tmp_path / f"{name}.csv").write_text("\n".join(["Entry_ID,Sequence,label", *body]) + "\n")
    return [tmp_path / f"{name}.csv" for name in FILES]


def test_luo_splits_and_subset(tmp_path: Path) -> None:
    table, dropped = read_luo2024(luo(tmp_path))
    sizes = {name: int(mask.sum()) for name, mask in evaluation_sets(table).items()}
    assert sizes == {"val": 15, "S": 1, "T": 2, "N": 1}
    assert held_out_sets(table) == ["S", "T", "N"]
    assert dropped["accession"].tolist() == ["A00"]
    assert table[list(LUO2024)].sum(axis=1).eq(1).all()


def many(n: int = 400) -> pd.DataFrame:
    table = pd.DataFrame({"accession": [f"P{i:03d}" for i in range(n)], "sequence": "MKV", "kingdom": "", "subset": ""})
    table["split"] = ["train", "train", "val", "test"] * (n // 4)
    for k, location in enumerate(DEEPLOC):
        table[location] = [int((i // 4) % 10 == k or k == 0) for i in range(n)]
    return table


def test_subset_keeps_shares_and_forced_proteins() -> None:
    table, keep = many(), frozenset({"P001", "P399"})
    kept, rest = stratified_subset(table, DEEPLOC, 100, seed=1, keep=keep)
    assert len(kept) == 100 and len(kept) + len(rest) == len(table)
    assert keep <= set(kept["accession"])
    assert abs((kept["split"] == "train").mean() - 0.5) < 0.06
    again, _ = stratified_subset(table, DEEPLOC, 100, seed=1, keep=keep)
    assert kept.equals(again)
    assert stratified_subset(table, DEEPLOC, 0, 1)[0] is table


def test_fingerprint_follows_content_not_order(five_proteins: pd.DataFrame) -> None:
    same = fingerprint(five_proteins.sample(frac=1, random_state=0))
    assert same == fingerprint(five_proteins)
    assert fingerprint(five_proteins.assign(sequence="M")) != same


def test_audit_tables(five_proteins: pd.DataFrame) -> None:
    counts = label_counts(five_proteins, DEEPLOC).set_index("location")
    assert counts.loc["all proteins", "total"] == 5 and counts.loc["Cytoplasm", "total"] == 2
    row = lengths(five_proteins, max_residues=8).set_index("split").loc["val"]
    assert row["truncated"] == 1 and row["residues_lost"] == 2


def test_kmer_containment_by_hand() -> None:
    shared = kmer_containment(["ACDEFGHIKL", "WWWWWWWW", "MKV"], ["ACDEFGHYYY", "PPPPPPPP"])
    assert shared.tolist() == [pytest.approx(2 / 5), 0.0, 0.0]


def test_leakage_finds_copies_and_near_copies() -> None:
    base = "ACDEFGHIKLMNPQRSTVWYACDFHKMPRTWY"
    sequences = [base, base, base[:-4] + "GGGG", "W" * 30]
    table = pd.DataFrame({"accession": list("abcd"), "sequence": sequences, "split": ["train", "test", "test", "test"]})
    table["subset"] = ""
    table["containment"], table["corpus_containment"] = seen_before(table), float("nan")
    row = leakage(table, evaluation_sets(table)).iloc[0]
    assert row["exact_copies"] == 1 and row["near_duplicates"] == 2
    clean = evaluation_sets(table)["test without near duplicates"]
    assert table.loc[clean, "accession"].tolist() == ["d"]


def test_families_are_linked_by_a_share_of_the_six_mers_of_the_poorer_one() -> None:
    first, second = "ACDEFGHIKLMNPQRSTVWYACDFHKMPRTWY", "WYVTSRQPNMLKIHGFEDCAWWYYVVTTSSRR"
    rows = [("long", first + second), ("start", first), ("end", second), ("alone", "G" * 30), ("copy", "G" * 30)]
    # "third" has 5 of its 11 six-mers from "start": less than half. A protein of three residues has none.
    rows += [("third", first[:10] + "P" * 10), ("short", "MKV"), ("shorter", "MKV")]
    table = pd.DataFrame(rows, columns=["accession", "sequence"]).assign(split="test")
    table.loc[table["accession"] == "copy", "split"] = "val"
    assert kmers.FAMILY == 0.05
    table["family"] = kmers.families(table, cut=0.5)
    family = table.set_index("accession")["family"]
    assert family["start"] == family["end"] == family["long"]  # through a third protein
    assert family.nunique() == 6  # a copy in another split belongs to that split's families
    sizes = audit.family_sizes(table, {"test": (table["split"] == "test").to_numpy()}).iloc[0]
    assert (sizes["proteins"], sizes["families"], sizes["with_relatives"], sizes["largest_family"]) == (7, 5, 3, 3)
    alone = table.tail(2)
    assert len(set(kmers.families(alone))) == 2 and len(kmers.families(table.head(0))) == 0


def test_families_do_not_depend_on_how_many_proteins_are_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ancestors = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 60)) for _ in range(20)]
    table = pd.DataFrame({"sequence": [a[k:] for k in (0, 5, 10) for a in ancestors], "split": "test"})
    whole = kmers.families(table)
    monkeypatch.setattr(kmers, "PROTEINS_AT_ONCE", 7)
    assert kmers.families(table).tolist() == whole.tolist() == list(whole[:20]) * 3


def test_what_was_seen_is_train_for_validation_and_both_for_test() -> None:
    sequences = ["ACDEFGHIKL", "ACDEFGHIKL", "MNPQRSTVWY", "MNPQRSTVWY"]
    table = pd.DataFrame({"sequence": sequences, "split": ["train", "val", "val", "test"]})
    assert seen_before(table).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_a_data_set_is_one_record() -> None:
    assert {name: record.name for name, record in DATASETS.items()} == {name: name for name in DATASETS}
    for record in DATASETS.values():
        assert len(set(record.locations)) == 10 and set(record.supported) <= set(record.test_sets)
        assert set(record.files) <= set(registry().files) and bool(record.files) == (record.read is not None)
    assert set(LUO.files) == {f"luo2024/{name}.csv" for name in FILES}


def test_a_protein_of_both_deeploc_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hpa.csv"
    path.write_text("sid," + ",".join(HPA) + ",Lengths,fasta\nE1,0,1,0,0,0,0,1,0,3,MKV\n")
    first = deeploc(tmp_path, row(0, "P1"), row(1, "P2", "4"))
    table, dropped = DEEPLOC2.read([first, path])
    assert table["split"].tolist() == ["train", "test", "hpa"] and dropped.empty
    with pytest.raises(DataError, match="hpa.csv: E1 is also in deeploc.csv; remove it from one of the two"):
        DEEPLOC2.read([deeploc(tmp_path, row(0, "E1")), path])


def test_the_notebooks_follow_one_protein(five_proteins: pd.DataFrame) -> None:
    assert example_protein(five_proteins) == "P4"
    several = five_proteins.assign(Nucleus=1)
    assert example_protein(several) == "P4"  # Extracellular and Nucleus; P5 is Nucleus alone
    assert example_protein(several.assign(structure=[True, True, True, False, True])) == "P5"
    assert example_protein(five_proteins.assign(structure=False)) == "P4"
    assert fingerprint(five_proteins.assign(structure=False)) == fingerprint(five_proteins)


def test_one_vocabulary_one_order() -> None:
    assert locations("deeploc2") == DEEPLOC and len(set(DEEPLOC)) == 10
    assert supported("deeploc2", "test") == DEEPLOC and set(supported("deeploc2", "hpa")) == set(HPA_SUPPORTED)
    assert [p for p in DEEPLOC if p in HPA_SUPPORTED] == list(supported("deeploc2", "hpa"))
    assert canonical("ER") == "Endoplasmic reticulum" and canonical("Nucleus") == "Nucleus"


def test_kmers_of_proteins_end_to_end_are_those_of_each() -> None:
    rng = np.random.default_rng(3)
    sequences = ["", "MKV", "MKVLAA", "MKVLAAMKVLAA", *("".join(rng.choice(list("AC"), n)) for n in (5, 6, 40, 7))]
    matrix, vocabulary, sizes = kmers.kmer_matrix(sequences)
    expected = [{s[i : i + kmers.KMER] for i in range(len(s) - kmers.KMER + 1)} for s in sequences]
    letters = [[(code // kmers.BASE**place) % kmers.BASE for place in range(kmers.KMER)] for code in vocabulary]
    words = np.array(["".join(chr(ord("A") + letter) for letter in word) for word in letters])
    assert [set(words[row.indices]) for row in matrix] == expected
    assert sizes.tolist() == [len(found) for found in expected]


def test_a_kmer_with_an_odd_residue_is_marked() -> None:
    values = np.array([1, 2, 3, 4, 5, 6, -(20**kmers.KMER), 1, 2, 3, 4, 5, 6])
    owner, codes = kmers.kmer_windows(values, np.array([7, 6]), 20)
    assert owner.tolist() == [0, 0, 1] and (codes < 0).tolist() == [False, True, False]
