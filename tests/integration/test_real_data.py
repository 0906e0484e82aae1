"""The real files of HALO_DATA_DIR: published counts, every structure, and the real profile's first steps."""

import gc
import json
import time
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import f1_score

from halo_utils.commands.predict import locate_proteins
from halo_utils.config import load_settings
from halo_utils.core.paths import REPOSITORY
from halo_utils.core.residue_store import write_store
from halo_utils.data import audit, deeploc_binary, kmers, splits
from halo_utils.data.deeploc import read_deeploc2, read_hpa, read_membrane
from halo_utils.data.deeploc1 import FILES, read_deeploc1
from halo_utils.data.locations import DEEPLOC, HPA_SUPPORTED
from halo_utils.data.luo2024 import LUO
from halo_utils.data.overlap import closeness, count_left_out
from halo_utils.data.same_sequence import uniprot_names
from halo_utils.runs import prepare
from halo_utils.structures import reader, store
from halo_utils.structures.edges import radius_edges, store_edges

pytestmark = pytest.mark.real

LABEL_TOTALS = [9870, 9720, 3301, 4187, 2590, 1047, 2180, 1496, 1279, 304]


@pytest.fixture(scope="module")
def deeploc(real_data: Path) -> pd.DataFrame:
    table, dropped = read_deeploc2(real_data / "deeploc2" / "Swissprot_Train_Validation_dataset.csv")
    assert dropped.empty
    return table


def test_deeploc_counts(deeploc: pd.DataFrame) -> None:
    assert deeploc["split"].value_counts().to_dict() == {"train": 17145, "val": 5696, "test": 5462}
    assert deeploc[list(DEEPLOC)].sum().tolist() == LABEL_TOTALS
    assert (deeploc[list(DEEPLOC)].sum(axis=1) > 1).sum() == 6684
    length = deeploc["sequence"].str.len()
    assert (int(length.median()), round(length.mean()), length.max()) == (433, 557, 34350)
    assert round((length > 1022).mean(), 3) == 0.107
    assert audit.lengths(deeploc, 1022)["non_standard_residues"].sum() == 130


def test_deeploc_test_proteins_have_relatives_among_themselves(deeploc: pd.DataFrame) -> None:
    table = deeploc[deeploc["split"] == "test"]
    for cut, families, with_relatives in ((0.5, 4666, 1310), (kmers.FAMILY, 3457, 2887)):
        size = pd.Series(kmers.families(table, cut)).value_counts()
        assert (len(size), size[size > 1].sum()) == (families, with_relatives)


def test_hpa_counts(real_data: Path) -> None:
    table, dropped = read_hpa(real_data / "deeploc2" / "hpa_testset.csv")
    assert len(table) + len(dropped) == 1717
    assert dropped["reason"].tolist() == ["in no location with enough proteins"] * 9
    assert set(DEEPLOC) <= set(table.columns) and (table[list(HPA_SUPPORTED)].sum(axis=1) > 0).all()
    luo, _ = LUO.read([real_data / name for name in LUO.files])
    assert (uniprot_names(table, luo) != "").sum() == 244


def test_official_deeploc_binary_sets_and_what_training_leaves_out(real_data: Path, deeploc: pd.DataFrame) -> None:
    paths = deeploc_binary.files_at_hand("AlphaFold2")
    if paths is None:
        pytest.skip("the official sets of DeepLoc-Binary are not at hand")
    official = deeploc_binary.read_sets(paths)
    assert official.groupby("split")[deeploc_binary.SOLUBLE].agg(["size", "sum"]).to_numpy().tolist() == [
        [1728, 992], [1009, 590]
    ]  # fmt: skip
    membrane = read_membrane(real_data / "deeploc2" / "Swissprot_Train_Validation_dataset.csv")
    assert membrane.value_counts().to_dict() == {0: 19710, 1: 8593}
    shared = official[official["accession"].isin(membrane.index)]
    same = shared["accession"].map(membrane) == 1 - shared[deeploc_binary.SOLUBLE]
    assert (len(shared), int((~same).sum())) == (2553, 55)  # in a few, the two annotations differ
    kept, counts = deeploc_binary.leave_out(deeploc[deeploc["split"] == "train"].head(300), official)
    row = counts.set_index("set").loc["validation and test"]
    assert row["before"] == 300 and row["left"] == len(kept) == 300 - row["exact_copies"] - row["near_duplicates"]
    assert not kept["sequence"].isin(official["sequence"]).any()
    near = kmers.kmer_containment(list(official["sequence"]), list(kept["sequence"]))
    assert near.max() < kmers.NEAR_DUPLICATE


def test_deeploc1_counts_and_what_training_has_of_it(real_data: Path, deeploc: pd.DataFrame) -> None:
    sets = {name: read_deeploc1(real_data / file, name) for name, file in FILES.items()}
    assert [len(table) for table, _ in sets.values()] == [2768, 490] and all(left.empty for _, left in sets.values())
    # The shares are the published accuracies of always naming the largest location, 29 % and 24 %.
    largest = {"setDeepLoc": ("Nucleus", 806, 0.29), "setHARD": ("Cytoplasm", 117, 0.24)}
    for name, (location, number, share) in largest.items():
        totals = sets[name][0][list(DEEPLOC)].sum()
        assert (totals.idxmax(), totals.max(), round(totals.max() / totals.sum(), 2)) == (location, number, share)
    known = {name: table["sequence"].isin(deeploc["sequence"]).sum() for name, (table, _) in sets.items()}
    assert known == {"setDeepLoc": 2621, "setHARD": 434}
    train = deeploc[deeploc["split"] == "train"].iloc[::10].reset_index(drop=True)  # a tenth: all take half a minute
    levels = {name: closeness(train["sequence"], table["sequence"]) for name, (table, _) in sets.items()}
    counts = count_left_out(train["split"], pd.DataFrame(levels)).set_index("set").drop(columns="split")
    assert counts.loc["setDeepLoc"].tolist() == [1715, 144, 12, 71, 1488]
    assert counts.loc["setHARD"].tolist() == [1715, 20, 3, 10, 1682]
    validation, left_out = read_deeploc1(real_data / "deeploc1" / "deeploc_our_val_set.fasta.xz", "val")
    assert (len(validation), left_out["reason"].tolist()) == (1655, ["two locations"] * 23)


def test_luo_counts_and_leak(real_data: Path) -> None:
    table, dropped = LUO.read([real_data / name for name in LUO.files])
    sets = splits.evaluation_sets(table)
    assert len(table) + len(dropped) == 5549 + 2379 + 7280
    assert sets["N"].sum() == 2283 and sets["S"].sum() == 2379
    table["containment"], table["corpus_containment"] = audit.seen_before(table), float("nan")
    sets = splits.evaluation_sets(table)
    assert set(sets) == {"val", "S", "T", "N", "T without near duplicates"}
    leaks = audit.leakage(table, sets).set_index("set")["near_duplicate_share"]
    assert leaks["T"] == pytest.approx(0.40, abs=0.03) and leaks["S"] < 0.06 and leaks["N"] < 0.01


def test_all_real_structures_are_read_and_matched(real_data: Path, deeploc: pd.DataFrame) -> None:
    folder = real_data / "structures" / "files"
    hpa, _ = read_hpa(real_data / "deeploc2" / "hpa_testset.csv")
    luo, _ = LUO.read([real_data / name for name in LUO.files])
    table = pd.concat([deeploc, hpa, luo])[["accession", "sequence"]].drop_duplicates("accession")
    table = table[table["accession"].isin(reader.structure_index([folder]))]
    arrays, report = reader.load_structures(table, [folder])
    assert report["status"].value_counts().to_dict() == {"matched": 554}
    assert report["identity"].min() > 0.99
    assert report["mean_plddt"].isna().sum() == 14  # files whose B-factors are not pLDDT
    assert report["mean_plddt"].dropna().between(20, 100).all()
    degrees = [radius_edges(a[:, reader.CA], 10.0).shape[1] / len(a) for a in arrays.values()]
    assert 8 < sum(degrees) / len(degrees) < 25


def test_all_real_structures_become_graphs_in_ten_seconds(real_data: Path, root: Path, deeploc: pd.DataFrame) -> None:
    folder = real_data / "structures" / "files"
    luo, _ = LUO.read([real_data / name for name in LUO.files])
    hpa, _ = read_hpa(real_data / "deeploc2" / "hpa_testset.csv")
    table = pd.concat([deeploc, hpa, luo])[["accession", "sequence"]].drop_duplicates("accession")
    table = table[table["accession"].isin(reader.structure_index([folder]))]
    seconds = []
    gc.freeze()  # what other tests have left in memory is not searched for garbage again and again
    for key in ("first", "second"):  # the shorter time counts: another process slows one down, seldom both
        start = time.perf_counter()
        arrays, _ = reader.load_structures(table, [folder])
        rows = enumerate(arrays.values())
        lengths = [len(a) for a in arrays.values()]
        store = write_store(root / f"{key}.npy", key, list(arrays), lengths, reader.WIDTH, rows, "float32")
        edges = store_edges(root / f"{key}_edges.npy", table, store)
        seconds.append(time.perf_counter() - start)
    gc.unfreeze()
    assert min(seconds) < 10
    assert len(edges) == 554
    name = edges.accessions[7]
    assert (edges.rows(name).T == radius_edges(arrays[name][:, reader.CA], 10.0)).all()


def test_mini_profile_prepares_real_proteins(real_data: Path, root: Path) -> None:
    settings = load_settings("mini", max_proteins=400)
    found = prepare.read_inputs(settings)
    assert len(found.table) + len(found.dropped) == 28303 + 1717
    assert len(found.table) == 400
    read = found.table.set_index("split")["corpus_containment"]
    assert read["train"].isna().all() and read.drop("train").notna().all()  # the corpus is at hand, and is halo-mini's
    # 43 %, where all test proteins have 15 %: this subset keeps every protein with a structure, others drawn.
    assert (read >= kmers.NEAR_DUPLICATE).sum() == 61 and read.notna().sum() == 142
    path = settings.paths.make().work / "structures.npy"
    report = store.store_structures(path, found.table, found.structures)
    assert (report["status"] == "matched").sum() == 336 + 5  # five of the second test set
    structures, length = (
        store.structure_store(path, found.table),
        found.table.set_index("accession")["sequence"].str.len(),
    )
    assert all(structures.length(a) == length[a] for a in structures.accessions)  # whole proteins


def test_the_shipped_sequence_model_scores_what_its_table_says(deeploc: pd.DataFrame) -> None:
    folder = REPOSITORY / "data" / "checkpoints" / "halo"
    table = pd.read_csv(REPOSITORY / "data" / "results" / "deeploc2-mini" / "metrics.csv")
    stated = table.query("split == 'test' and system == 'esm' and metric == 'micro_f1'").squeeze()
    threshold = json.loads((folder / "config.json").read_text())["threshold"]
    some = deeploc[deeploc["split"] == "test"].sample(400, random_state=1)
    found = locate_proteins(folder, dict(zip(some["accession"], some["sequence"], strict=True)))
    predicted = found.set_index("accession").loc[some["accession"], list(DEEPLOC)].to_numpy() >= threshold
    assert threshold == stated["threshold"]
    assert f1_score(some[list(DEEPLOC)], predicted, average="micro") == pytest.approx(stated["value"], abs=0.04)
