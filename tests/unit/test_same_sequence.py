"""Proteins with other identifiers than UniProt's find structures and contact maps by their sequence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.config import load_settings
from halo_utils.core.paths import RunPaths
from halo_utils.core.residue_store import write_store
from halo_utils.data import same_sequence
from halo_utils.data.deeploc import DEEPLOC, DEEPLOC2, HPA
from halo_utils.data.luo2024 import LUO
from halo_utils.data.splits import fingerprint
from halo_utils.runs.prepare import read_table
from halo_utils.structures.contact_maps import write_contact_maps
from halo_utils.structures.edges import graph_sources, store_edges
from halo_utils.structures.reader import WIDTH, load_structures
from tests.models import model, write
from tools.statements import matches_sentence

LONG, SHORT, OTHER = "MKVLAAGHWYTDESRKQIFNPC", "MARTKQTARKSTGGKAPRKQLA", "GAVLIMFWPSTCYNQDEKRHGA"


@pytest.fixture
def table() -> pd.DataFrame:
    """One protein of UniProt, and three that are Ensembl's: in UniProt twice, once, and not at all."""
    rows = [("P00001", SHORT, "train"), ("ENSP01", LONG, "hpa"), ("ENSP02", SHORT, "hpa"), ("ENSP03", OTHER, "hpa")]
    known = pd.DataFrame(
        [("Q00002", LONG), ("P00001", SHORT), ("Q00001", LONG), ("ENSP09", OTHER)], columns=["accession", "sequence"]
    )
    table = pd.DataFrame(rows, columns=["accession", "sequence", "split"])
    return table.assign(uniprot=same_sequence.uniprot_names(table, known))


def test_equal_sequences_give_uniprot_names_in_a_fixed_order(table: pd.DataFrame) -> None:
    assert table["uniprot"].tolist() == ["", "Q00001 Q00002", "P00001", ""]
    assert same_sequence.lookup_names(table)[1] == ["ENSP01", "Q00001", "Q00002"]
    assert same_sequence.lookup_names(table.drop(columns="uniprot"))[1] == ["ENSP01"]
    asked = same_sequence.as_looked_up(table)
    assert asked["accession"].tolist() == ["P00001", "Q00001", "ENSP03"]  # a protein of two names is asked for once
    assert asked["sequence"].tolist() == [SHORT, LONG, OTHER]


def test_nothing_that_was_trained_depends_on_the_names(table: pd.DataFrame) -> None:
    assert fingerprint(table) == fingerprint(table.drop(columns="uniprot"))


def test_structures_are_found_by_the_first_name_that_has_a_file(table: pd.DataFrame, tmp_path: Path) -> None:
    write(tmp_path / "Q00002.pdb", model(LONG)[0])
    write(tmp_path / "P00001.pdb", model(SHORT)[0])
    arrays, report = load_structures(table, [tmp_path])
    assert report["file"].tolist() == ["P00001.pdb", "Q00002.pdb", "P00001.pdb", ""]
    assert set(arrays) == {"P00001", "ENSP01", "ENSP02"}  # a run knows a protein by the table's identifier
    write(tmp_path / "ENSP01.pdb", model(LONG)[0])
    assert load_structures(table, [tmp_path])[1]["file"][1] == "ENSP01.pdb"


def test_contact_maps_are_found_by_name_and_old_stores_stay_current(table: pd.DataFrame, tmp_path: Path) -> None:
    chain = np.array([[0, 1], [1, 2], [2, 21]])
    maps = [write_contact_maps(tmp_path / "maps.npz", ["Q00001", "Q00002"], [20, 22], [chain[:2], chain])]
    none = write_store(tmp_path / "none.npy", "k", [], [], WIDTH, [], "float32")
    sources = graph_sources(table, none, maps).set_index("accession")
    assert sources.loc["ENSP01", ["source", "map", "name"]].tolist() == ["contact map, exact", 0, "Q00002"]
    assert sources["source"].drop("ENSP01").eq("none").all()  # Q00001's map is of another length
    edges = store_edges(tmp_path / "edges.npy", table, none, maps)
    assert edges.accessions == ["ENSP01"] and np.array_equal(edges.rows("ENSP01"), maps[0].edges("Q00002").T)

    own = [write_contact_maps(tmp_path / "own.npz", ["ENSP01", "Q00002"], [22, 22], [chain, chain[1:]])]
    keys = [store_edges(tmp_path / f"{len(t.columns)}.npy", t, none, own).key for t in (table, table.iloc[:, :3])]
    assert keys[0] == keys[1]  # found by its own identifier, as before there were other names
    renamed = table.assign(accession=["P00001", "ENSP07", "ENSP02", "ENSP03"])
    assert store_edges(tmp_path / "renamed.npy", renamed, none, own).rows("ENSP07").shape == (4, 2)


def test_counts_are_of_the_proteins_that_uniprot_names_otherwise(table: pd.DataFrame) -> None:
    found = table.assign(structure=[True, False, True, False], graph=[True, True, True, False])
    counted = same_sequence.count_matches(found)
    assert counted.to_dict("records") == [{"split": "hpa", "proteins": 3, "matched": 2, "structure": 1, "graph": 2}]
    text = same_sequence.sentence(counted)
    assert "2 of its 3 proteins are" in text and "1 have a structure and 2 a graph" in text
    assert same_sequence.count_matches(found.drop(columns="uniprot")).empty
    assert same_sequence.count_matches(found[:1]).empty


def test_readme_says_what_a_run_knew(root: Path) -> None:
    paths = RunPaths("x").make()
    rows = [("hpa", "matched", 2), ("hpa", "none", 5), ("test", "matched", 9)]
    pd.DataFrame(rows, columns=["split", "status", "proteins"]).to_csv(paths.results / "audit_structures.csv")
    assert "2 of 7 hpa proteins have a structure" in matches_sentence(paths, "hpa")
    counted = pd.DataFrame([("hpa", 7, 4, 3, 2)], columns=["split", "proteins", "matched", "structure", "graph"])
    counted.to_csv(paths.results / "audit_same_sequence.csv", index=False)
    assert matches_sentence(paths, "hpa") == same_sequence.sentence(counted)


def test_a_run_matches_its_table_with_the_others_on_this_machine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALO_DATA_DIR", str(root))
    deeploc = pd.DataFrame({"ACC": [f"P1000{i}" for i in range(5)], "Kingdom": "Metazoa", "Partition": range(5)})
    deeploc = deeploc.assign(**dict.fromkeys(DEEPLOC, 1), Sequence=SHORT)
    hpa = pd.DataFrame({"sid": ["ENSP01", "ENSP02"], "fasta": [LONG, OTHER]}).assign(**dict.fromkeys(HPA, 1))
    tables = dict(zip(DEEPLOC2.files, (deeploc, hpa), strict=True))
    for number, name in enumerate(LUO.files):
        same = [LONG if number == 2 and i == 7 else SHORT for i in range(30)]
        luo = pd.DataFrame({"Entry_ID": [f"Q{min(number, 2)}00{i:02d}" for i in range(30)], "Sequence": same})
        tables[name] = luo.assign(label=["Nucleus", "Cytoplasm"] * 15)
    for name, table in tables.items():
        (root / name).parent.mkdir(exist_ok=True)
        table.to_csv(root / name, index=False)
    found = read_table(load_settings("mini")).table.set_index("accession")["uniprot"]
    assert found[["ENSP01", "ENSP02"]].tolist() == ["Q20007", ""] and set(found[:5]) == {""}
    (root / LUO.files[0]).unlink()
    assert read_table(load_settings("mini")).table["uniprot"].eq("").all()
