"""Downloads against a local server: retries, refusals, the structure fetch, bulk ways and the hub."""

import gzip
import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest
import yaml

from halo_utils.__main__ import main
from halo_utils.core.errors import DataError, DownloadError, SettingsError
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.download import Patience, fetch
from halo_utils.data.registry import locate, measure, registry
from halo_utils.structures import alphafold, archives
from halo_utils.structures.reader import read_structure, structure_index
from tests.models import SEQUENCE, model, text
from tests.server import Server, serving

QUICK = Patience(tries=3, backoff=0.01, connect=2, read=1, longest_pause=5)
TABLE = b"Entry_ID,Sequence,label\n" + b"".join(b"P%05d,MKVLA,Nucleus\n" % i for i in range(20_000))


def list_sources(root: Path, server: Server, files: dict[str, dict], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a list of sources that points at the server and make it the one in use."""
    known = {"what": "test", "licence": "none", "citation": "none"}
    listed = {"files": {name: known | entry for name, entry in files.items()}}
    addresses = {"alphafold": ["/api/prediction"], "human": ["/latest/UP000005640_9606_HUMAN_v6.tar"]}
    addresses["foldcomp"] = ["/foldcomp/afdb_swissprot_v4", "/foldcomp/h_sapiens"]
    listed["structures"] = {
        name: known | {"addresses": [server.address + path for path in paths]} for name, paths in addresses.items()
    }
    (root / "sources.yaml").write_text(yaml.safe_dump(listed))
    monkeypatch.setenv("HALO_SOURCES", str(root / "sources.yaml"))


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


SHA = hashlib.sha256(TABLE).hexdigest()
# What the server does, what it means for the user: None where the file must arrive, else the message.
MISBEHAVIOURS: dict[str, tuple[dict, str | None]] = {
    "busy once, then the file": ({"faults": ["busy"]}, None),
    "asks to come later": ({"faults": ["later"]}, None),
    "error, then the file": ({"faults": ["error"]}, None),
    "connection cut in the middle": ({"faults": ["cut"]}, None),
    "cut before the first byte": ({"faults": ["cut early"]}, None),
    "connection reset": ({"faults": ["reset"]}, None),
    "no answer at first": ({"faults": ["hang"]}, None),
    "a trickle": ({"faults": ["slow"]}, None),
    "busy for ever": ({"faults": ["busy"] * 9}, r"table.csv: http.*answered 503 .*run the same command again"),
    "cut for ever": ({"faults": ["cut early"] * 9}, r"table.csv: the connection broke before the whole file came"),
    "no answer for ever": ({"faults": ["hang"] * 9}, r"table.csv: no answer in time at http.*HALO_DATA_DIR"),
    "gone": ({"status": 404}, r"table.csv: http.*answered 404 Not Found: check the network"),
    "forbidden": ({"status": 403}, r"table.csv: http.*answered 403 Forbidden"),
    "a web page with status 200": (
        {"body": b"<!DOCTYPE html><p>moved</p>"},
        r"table.csv: http.*answered with a web page, the file itself was expected",
    ),
    "a page after a byte order mark": ({"body": b"\xef\xbb\xbf\n<html>"}, r"answered with a web page"),
    "an empty body": ({"body": b""}, r"table.csv: http.*answered with nothing"),
    "other bytes": ({"body": TABLE[:-9]}, r"table.csv: sha256 [0-9a-f]{64} came from http.*was expected; the file was"),
}


@pytest.mark.parametrize("case", MISBEHAVIOURS)
def test_download_from_a_server_that(server: Server, root: Path, case: str) -> None:
    options, message = MISBEHAVIOURS[case]
    address = server.add("/table.csv", **({"body": TABLE} | options))
    target = root / "raw" / "table.csv"
    if message is None:
        assert fetch(address, target, sha256=SHA, patience=QUICK, progress=False).read_bytes() == TABLE
        assert left_in(target.parent) == ["table.csv"]
        failing = [fault for fault in options["faults"] if fault != "slow"]
        assert server.counts["/table.csv"] == len(failing) + 1  # not one request more than needed
        return
    with pytest.raises(DownloadError, match=message):
        fetch(address, target, sha256=SHA, patience=QUICK, progress=False)
    assert left_in(target.parent) == []


def test_download_list_of_misbehaviours_is_long_enough() -> None:
    assert len(MISBEHAVIOURS) >= 8


def test_download_honours_retry_after(server: Server, root: Path) -> None:
    address = server.add("/table.csv", TABLE, faults=["later"])
    fetch(address, root / "table.csv", patience=QUICK, progress=False)
    first, second = (when for _, when in server.log)
    assert second - first >= 1.0


def test_download_without_a_network_is_refused_in_one_line(root: Path) -> None:
    with serving() as stopped:
        address = stopped.address
    with pytest.raises(DownloadError, match=r"table.csv: no connection at http.*set HALO_DATA_DIR"):
        fetch(f"{address}/table.csv", root / "table.csv", patience=QUICK, progress=False)
    with pytest.raises(DownloadError, match="'ftp://x/y' is not an http or https address"):
        fetch("ftp://x/y", root / "table.csv", patience=QUICK)


@pytest.mark.parametrize("name", ["HALO_OFFLINE", "HF_HUB_OFFLINE"])
def test_download_while_offline_is_refused_before_connecting(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    list_sources(root, server, {"set/a.csv": {"address": server.add("/a.csv", TABLE)}}, monkeypatch)
    with pytest.raises(DownloadError, match=r"set/a.csv is not on this machine and HALO_OFFLINE"):
        locate("set/a.csv")
    assert not server.log


def content_of(tmp_path: Path, body: bytes) -> dict:
    (tmp_path / "published.csv").write_bytes(body)
    found = measure(tmp_path / "published.csv", ("Entry_ID", "Sequence", "label"))
    return json.loads(found.model_dump_json())


def test_download_is_verified_by_content(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another row order and line end pass; a cut or changed table does not, and never stays."""
    lines = TABLE.splitlines()
    shuffled = b"\r\n".join([lines[0], *reversed(lines[1:])])
    content = content_of(root, TABLE)
    cut, other = b"\n".join(lines[:500]) + b"\n", TABLE.replace(b"P00007,MKVLA", b"P00007,MKVLG")
    pages = {"good": shuffled, "cut": cut, "other": other}
    files = {f"set/{n}.csv": {"address": server.add(f"/{n}.csv", b), "content": content} for n, b in pages.items()}
    list_sources(root, server, files, monkeypatch)
    assert locate("set/good.csv", QUICK).read_bytes() == shuffled
    with pytest.raises(DataError, match=r"set/cut.csv: rows are 499, the published file has 20000"):
        locate("set/cut.csv", QUICK)
    with pytest.raises(DataError, match=r"set/other.csv: the rows agree in number but some cells differ"):
        locate("set/other.csv", QUICK)
    assert [n for n in left_in(root / "data" / "raw" / "set") if n.endswith(".csv")] == ["good.csv"]
    server.pages.clear()
    assert locate("set/good.csv", QUICK).is_file()  # the cache needs no server
    with pytest.raises(DataError, match=r"'set/none.csv' is not in sources.yaml: known are set/cut.csv, set/good.csv"):
        locate("set/none.csv")


def test_download_comes_last_after_the_local_folder(
    server: Server, root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path_factory.mktemp("own")
    (own / "set").mkdir()
    (own / "set" / "a.csv").write_text("local")
    list_sources(root, server, {"set/a.csv": {"address": server.add("/a.csv", TABLE)}}, monkeypatch)
    monkeypatch.setenv("HALO_DATA_DIR", str(own))
    assert locate("set/a.csv").read_text() == "local" and not server.log
    monkeypatch.setenv("HALO_DATA_DIR", str(own / "typo"))
    with pytest.raises(SettingsError, match="HALO_DATA_DIR names .*typo, which is not a folder: correct it"):
        locate("set/a.csv")


def test_download_of_what_is_not_public(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_sources(root, server, {"set/a.csv": {"address": None}}, monkeypatch)
    with pytest.raises(DownloadError, match="set/a.csv has no public address: put it into a folder"):
        locate("set/a.csv")


def test_download_list_must_be_valid(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "mine.yaml").write_text("files: {a: {adress: x}}\nstructures: {}\n")
    monkeypatch.setenv("HALO_SOURCES", str(root / "mine.yaml"))
    with pytest.raises(SettingsError, match="mine.yaml is no valid list of sources"):
        registry()


# ---- structures, one by one


PROTEINS = pd.DataFrame({"accession": ["P00001", "P00002", "P00003", "P00004", "ENSP01"], "sequence": [SEQUENCE] * 5})


def fetch_structures(server: Server, root: Path, table: pd.DataFrame = PROTEINS, **options: object) -> pd.Series:
    """Fetch into a folder of the test and return accession -> status."""
    options = {"patience": QUICK, "per_second": 1000.0} | options
    target, api = root / "structures", options.pop("api", "/api/prediction")
    target.mkdir(parents=True, exist_ok=True)
    found = alphafold.fetch_structures(table, [target], target, server.address + api, **options)
    return found.set_index("accession")["status"]


def test_structure_fetch_tells_found_none_failed_and_mismatched(server: Server, root: Path) -> None:
    (root / "structures").mkdir()
    server.add_prediction("P00001", text(model()[0]))
    server.add_prediction("P00003", b"<html>no model</html>")
    server.add_prediction("P00004", text(model("WWWWWWWWWWWWWWWWWWWW")[0], "pdb"), version=2, kind="pdb")
    status = fetch_structures(server, root)
    assert status.to_dict() == {
        "P00001": "found", "P00002": "none", "P00003": "failed", "P00004": "mismatched", "ENSP01": "none"
    }  # fmt: skip
    assert left_in(root / "structures")[-3:] == ["P00001.cif.gz", "P00004.pdb.gz", "alphafold.csv"]
    ledger = pd.read_csv(root / "structures" / "alphafold.csv").set_index("accession")
    assert ledger.loc["P00001", "version"] == 6 and "web page" in ledger.loc["P00003", "problem"]
    assert "not a UniProt accession" in ledger.loc["ENSP01", "problem"]
    line = alphafold.summarise(ledger.reset_index(), root / "structures")
    assert "of 5 proteins: found 1, none 2, failed 1, mismatched 1" in line
    # Again: only what failed is asked for, and it succeeds once the server is well.
    server.log.clear()
    server.add_prediction("P00003", text(model()[0]))
    assert fetch_structures(server, root)["P00003"] == "found"
    assert set(server.counts) == {"/api/prediction/P00003", "/files/AF-P00003-F1-model_v6.cif"}
    server.log.clear()
    fetch_structures(server, root)
    assert not server.log


@pytest.mark.parametrize("version", range(1, 7))
def test_structure_fetch_reads_every_version_alike(server: Server, root: Path, version: int) -> None:
    server.add_prediction("P00001", text(model()[0]), version=version)
    assert fetch_structures(server, root, PROTEINS[:1])["P00001"] == "found"
    assert read_structure(root / "structures" / "P00001.cif.gz").sequence == SEQUENCE


LOOKUPS: dict[str, tuple[dict, str, str]] = {
    "no list": ({"body": b"{}"}, "none", "no prediction"),
    "not JSON": ({"body": b"<html>"}, "failed", "did not answer with a list"),
    "another form": ({"body": b'[{"url": "x"}]'}, "failed", "the service has changed"),
    "an empty list": ({"body": b"[]"}, "none", "no prediction"),
    "only an isoform": ({"body": b'[{"uniprotAccession": "P00001-2", "cifUrl": "http://x/y.cif"}]'}, "none", "no pred"),
    "busy for ever": ({"body": b"", "faults": ["busy"] * 9}, "failed", "answered 503"),
    "an address that is no address": ({"body": b'[{"cifUrl": "file:///etc/passwd"}]'}, "failed", "not an http"),
}


@pytest.mark.parametrize("case", LOOKUPS)
def test_structure_look_up_that_answers(server: Server, root: Path, case: str) -> None:
    options, status, problem = LOOKUPS[case]
    server.add("/api/prediction/P00001", **options)
    assert fetch_structures(server, root, PROTEINS[:1])["P00001"] == status
    assert problem in alphafold.read_ledger(root / "structures" / "alphafold.csv")["P00001"].problem


def test_structure_of_the_protein_itself_is_taken_among_twins_and_isoforms(server: Server, root: Path) -> None:
    """What the server lists first is an isoform, then a twin of another entry with the same sequence."""
    server.add_prediction("P00001", text(model()[0]))
    assert fetch_structures(server, root, PROTEINS[:1])["P00001"] == "found"
    assert set(server.counts) == {"/api/prediction/P00001", "/files/AF-P00001-F1-model_v6.cif"}
    assert alphafold.read_ledger(root / "structures" / "alphafold.csv")["P00001"].version == "6"


OWN = {"uniprotAccession": "P00001", "cifUrl": "own", "modelEntityId": "AF-P00001-F1", "sequence": "MKV"}
# What stands beside the protein's own entry and must not be taken.
LESS = {
    "an isoform under the accession": OWN | {"cifUrl": "other", "sequence": "MK"},
    "an isoform, old names": {"uniprotAccession": "P00001", "pdbUrl": "other", "uniprotSequence": "MK"},
    "a twin": OWN | {"cifUrl": "other", "modelEntityId": "AF-0000000003510504"},
    "a complex": OWN | {"cifUrl": "other", "isComplex": True},
    "a later fragment": OWN | {"cifUrl": "other", "sequenceStart": 201},
    "a later fragment, old names": OWN | {"cifUrl": "other", "uniprotStart": 201},
    "an entry without a file": OWN | {"cifUrl": ""},
    "another protein": OWN | {"cifUrl": "other", "uniprotAccession": "P00002", "sequence": "W"},
}


@pytest.mark.parametrize("case", LESS)
@pytest.mark.parametrize("names", ["new", "old"])
def test_best_entry_of_a_look_up_is_not(case: str, names: str) -> None:
    old = {"modelEntityId": "entryId", "sequence": "uniprotSequence"}
    own = OWN if names == "new" else {old.get(key, key): value for key, value in OWN.items()}
    for entries in ([own, LESS[case]], [LESS[case], own]):
        assert alphafold.best_entry(entries, "P00001", "MKV")["cifUrl"] == "own"


def test_best_entry_of_a_protein_without_its_own_is_an_isoform_of_the_same_sequence() -> None:
    entries = [OWN | {"uniprotAccession": "P00001-2", "modelEntityId": "AF-P00001-2-F1", "sequence": "MK"}]
    assert alphafold.best_entry(entries, "P00001", "MKV") is None
    assert alphafold.best_entry(entries, "P00001", "MK") == entries[0]


def test_structure_fetch_says_what_it_takes_before_it_starts(
    server: Server, root: Path, capsys: pytest.CaptureFixture
) -> None:
    table = pd.DataFrame({"accession": [f"P{i:05d}" for i in range(28_000)], "sequence": "M" * 526})
    line = alphafold.expected(table, "https://alphafold.ebi.ac.uk/api/prediction", 10.0, alphafold.WHOLE)
    assert line.startswith("28,000 structures to look up at alphafold.ebi.ac.uk: at least 93 minutes, about 14.0 GB to")
    outcomes = fetch_structures(
        server, root, table[:1000].assign(sequence="M"), patience=Patience(tries=1), api="/none"
    )
    assert set(outcomes) == {"none"}  # nothing is served
    said = capsys.readouterr().out
    assert "1,000 structures to look up" in said and "--coordinates-only" in said and "fetch contacts" in said


def test_structures_without_all_but_their_coordinates_read_alike(server: Server, root: Path) -> None:
    server.add_prediction("P00001", text(model()[0]))
    server.add_prediction("P00003", text(model()[0], "pdb"), kind="pdb")
    whole, least = ({"table": PROTEINS[:3], "coordinates_only": only} for only in (False, True))
    assert fetch_structures(server, root / "whole", **whole).tolist() == ["found", "none", "found"]
    assert fetch_structures(server, root / "least", **least).tolist() == ["found", "none", "found"]
    for name in ("P00001.cif.gz", "P00003.pdb.gz"):
        files = [root / folder / "structures" / name for folder in ("whole", "least")]
        first, second = map(read_structure, files)
        assert first.sequence == second.sequence and np.array_equal(first.atoms, second.atoms)
        assert np.array_equal(first.plddt, second.plddt)
        sizes = [len(gzip.decompress(file.read_bytes())) for file in files]
        assert sizes[1] < sizes[0]
        atoms = [{atom.name for atom in residue} for residue in gemmi.read_structure(str(files[1]))[0][0]]
        assert all(names == {"N", "CA", "C"} for names in atoms)


def test_structure_of_the_first_fragment_and_the_protein_itself_is_taken(server: Server, root: Path) -> None:
    address = server.add("/f1.cif", text(model()[0]))
    entries = [{"uniprotAccession": "P00001-2", "cifUrl": "http://127.0.0.1:1/x.cif", "sequenceStart": 1}]
    entries += [{"uniprotAccession": "P00001", "cifUrl": "http://127.0.0.1:1/x.cif", "sequenceStart": 201}]
    entries += [{"uniprotAccession": "P00001", "cifUrl": address, "sequenceStart": 1}]
    server.add("/api/prediction/P00001", json.dumps(entries).encode())
    assert fetch_structures(server, root, PROTEINS[:1])["P00001"] == "found"


@pytest.mark.parametrize("kind", ["garbage", "cut"])
def test_structure_that_cannot_be_read_never_stays(server: Server, root: Path, kind: str) -> None:
    whole = text(model()[0])
    server.add_prediction("P00001", {"garbage": b"no model at all", "cut": whole[: len(whole) // 2]}[kind])
    assert fetch_structures(server, root, PROTEINS[:1])["P00001"] == "failed"
    assert left_in(root / "structures") == ["alphafold.csv"]
    assert "P00001.cif: " in alphafold.read_ledger(root / "structures" / "alphafold.csv")["P00001"].problem


def test_structure_fetch_is_polite(server: Server, root: Path) -> None:
    table = pd.DataFrame({"accession": [f"P{i:05d}" for i in range(30)], "sequence": SEQUENCE})
    for accession in table["accession"]:
        server.add_prediction(accession, text(model()[0]))
    start = time.monotonic()
    assert fetch_structures(server, root, table, workers=3, per_second=60.0).eq("found").all()
    assert time.monotonic() - start > 0.8  # 60 requests at 60 a second


def test_structure_fetch_opens_few_connections(server: Server, root: Path) -> None:
    table = pd.DataFrame({"accession": [f"P{i:05d}" for i in range(12)], "sequence": SEQUENCE})
    for accession in table["accession"]:
        server.add_prediction(accession, text(model()[0]), faults=["slow"])
    assert fetch_structures(server, root, table, workers=2).eq("found").all()
    assert 2 <= server.most_open <= 4  # in parallel; the server may count one that has just ended


def test_structure_fetch_gives_up_on_a_dead_service(server: Server, root: Path) -> None:
    table = pd.DataFrame({"accession": [f"P{i:05d}" for i in range(250)], "sequence": SEQUENCE})
    for accession in table["accession"]:
        server.add(f"/api/prediction/{accession}", b"", status=500)
    with pytest.raises(DownloadError, match=r"100 look-ups in a row failed.*run the same command again later"):
        fetch_structures(server, root, table, patience=Patience(tries=1))
    assert len(server.counts) == 100


def many(server: Server, root: Path, count: int) -> pd.DataFrame:
    """Serve ``count`` predictions and write their table for ``start``."""
    table = pd.DataFrame({"accession": [f"P{i:05d}" for i in range(count)], "sequence": SEQUENCE})
    for accession in table["accession"]:
        server.add_prediction(accession, text(model()[0]))
    table.to_csv(root / "table.csv", index=False)
    return table


def start(server: Server, root: Path) -> subprocess.Popen:
    """Fetch the structures of the table in another process."""
    code = (
        "import pandas as pd, sys; from pathlib import Path; from halo_utils.structures import alphafold\n"
        "root = Path(sys.argv[1]); table = pd.read_csv(root / 'table.csv')\n"
        "target = root / 'structures'\n"
        "alphafold.fetch_structures(table, [target], target, sys.argv[2], per_second=150.0)"
    )
    command = [sys.executable, "-c", code, str(root), f"{server.address}/api/prediction"]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def assert_all_readable(folder: Path, count: int) -> None:
    files = structure_index([folder])
    assert len(files) == count and all(read_structure(path).sequence == SEQUENCE for path in files.values())


def test_structure_fetch_by_two_processes_leaves_good_files(server: Server, root: Path) -> None:
    """Nobody waits for the other: files are written atomically, and the last of two equal ones stays."""
    many(server, root, 40)
    assert [process.wait() for process in [start(server, root), start(server, root)]] == [0, 0]
    assert_all_readable(root / "structures", 40)
    assert len(left_in(root / "structures")) == 41


def test_structure_fetch_killed_and_repeated_gets_the_rest(server: Server, root: Path) -> None:
    """SIGKILL in the middle of 200 structures; the second call fetches only what is missing."""
    table = many(server, root, 200)
    process = start(server, root)
    while len(list((root / "structures").glob("*.cif.gz"))) < 40:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    have = set(structure_index([root / "structures"]))
    assert 40 <= len(have) < 200
    server.log.clear()
    assert fetch_structures(server, root, table).eq("found").all()
    assert not any(f"/api/prediction/{accession}" in server.counts for accession in have)
    assert_all_readable(root / "structures", 200)


# ---- structures, in bulk


def tar_of(members: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


@pytest.fixture
def members() -> dict[str, bytes]:
    cif, pdb = text(model()[0]), text(model()[0], "pdb")
    found = {"AF-P00001-F1-model_v6.cif.gz": gzip.compress(cif), "proteome/AF-P00002-F2-model_v4.pdb": b"second"}
    found |= {"proteome/AF-P00002-F1-model_v4.pdb": pdb, "AF-P99999-F1-model_v4.cif": cif, "README": b"read me"}
    return found | {"../../../P00003.cif": cif, "P00004/../../P00005.pdb": pdb}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip", "folder", "folder with a tar"])
def test_structures_are_imported_from_a(root: Path, members: dict[str, bytes], kind: str) -> None:
    origin = root / "bulk" / f"models.{kind}"
    origin.parent.mkdir()
    if kind == "zip":
        with zipfile.ZipFile(origin, "w") as archive:
            for name, body in members.items():
                archive.writestr(name, body)
    elif kind.startswith("folder"):
        origin.mkdir()
        names = (
            {"all.tar": tar_of(members)}
            if kind.endswith("tar")
            else {k.replace("../", ""): v for k, v in members.items()}
        )
        for name, body in names.items():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            (origin / name).write_bytes(body)
    else:
        origin.write_bytes(tar_of(members, "w:gz" if kind.endswith("gz") else "w"))
    wanted = {"P00001", "P00002", "P00003", "P00006"}
    copied = archives.import_structures(origin, wanted, root / "structures")
    assert copied == ["P00001", "P00002", "P00003"]
    files = structure_index([root / "structures"])
    assert {a: p.name for a, p in files.items()} == {
        "P00001": "P00001.cif.gz", "P00002": "P00002.pdb.gz", "P00003": "P00003.cif.gz"
    }  # fmt: skip
    assert all(read_structure(p).sequence == SEQUENCE for p in files.values())
    assert not (root.parent / "P00003.cif").exists()  # no path of the archive was followed
    assert archives.import_structures(origin, wanted, root / "structures") == []


def test_structure_archives_that_are_none_or_damaged(root: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(DataError, match="none.tar does not exist: expected a folder, a .tar, a .zip"):
        archives.import_structures(root / "none.tar", {"P00001"}, root / "structures")
    (root / "cut.tar").write_bytes(tar_of(members)[:1500])
    with pytest.raises(DataError, match=r"cut.tar is damaged or cut off after \d structures"):
        archives.import_structures(root / "cut.tar", {"P00001", "P00002"}, root / "structures")
    (root / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="notes.txt: expected a folder"):
        archives.import_structures(root / "notes.txt", {"P00001"}, root / "structures")


def foldcomp_files(names: list[str]) -> dict[str, bytes]:
    """Return the files of a small Foldcomp data base, made by the real package."""
    foldcomp = pytest.importorskip("foldcomp")
    data, index, lookup = b"", [], []
    for i, name in enumerate(names):
        entry = foldcomp.compress(name, text(model(SEQUENCE * 3)[0], "pdb").decode()) + b"\0"
        index.append(f"{i}\t{len(data)}\t{len(entry)}\n")
        lookup.append(f"{i}\t{name}\t0\n")
        data += entry
    parts = {"": data, ".index": "".join(index).encode(), ".lookup": "".join(lookup).encode()}
    return parts | {".dbtype": b"\x0c\0\0\0"}  # .source, which is optional, is not there: 404


def serve_foldcomp(server: Server, damaged: bool = False) -> None:
    """Serve Swiss-Prot without human proteins, and the human ones, as opendata.mmseqs.org does."""
    names = ["AF-P00001-F1-model_v4", "AF-P00002-F1-model_v4.pdb", "AF-P00009-F1-model_v4"]
    for database, entries in (("afdb_swissprot_v4", names[:1] + names[2:]), ("h_sapiens", names[1:2])):
        for suffix, body in foldcomp_files(entries).items():
            body = b"?" * len(body) if damaged and suffix == "" else body
            faults = ["cut"] if suffix == "" else []
            server.add(f"/foldcomp/{database}{suffix}", body, faults=faults)


def test_structures_are_imported_from_foldcomp(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Two data bases without ``.source``; what neither has is counted."""
    serve_foldcomp(server)
    list_sources(root, server, {}, monkeypatch)
    (root / "three.fasta").write_text("".join(f">P0000{i}\n{SEQUENCE * 3}\n" for i in (1, 2, 7)))
    arguments = ["--only", "structures", "--structures-from", "foldcomp", "--fasta", str(root / "three.fasta")]
    assert main(["fetch", *arguments]) == 0
    said = capsys.readouterr().out
    assert "afdb_swissprot_v4: 1 structures copied" in said and "h_sapiens: 1 structures copied" in said
    assert "1 of 3 proteins are still without a structure" in said
    record = read_structure(root / "data" / "raw" / "structures" / "P00001.pdb.gz")
    assert record.sequence == SEQUENCE * 3 and 60 < record.plddt.mean() < 100
    assert not any(path.endswith(".source") for path in server.counts)


def test_foldcomp_entry_that_does_not_decompress_is_one_message(server: Server, root: Path) -> None:
    serve_foldcomp(server, damaged=True)
    (database,) = archives.fetch_foldcomp([f"{server.address}/foldcomp/h_sapiens"], root / "foldcomp", QUICK)
    with pytest.raises(DataError, match="h_sapiens is damaged or cut off after 0 structures .*does not decompress"):
        archives.import_structures(database, {"P00002"}, root / "structures")


# ---- archives on the web


EBI = "/latest/UP000005640_9606_HUMAN_v6.tar"


def serve_archive(server: Server, count: int = 40, faults: tuple[str, ...] = ()) -> str:
    """Serve an archive with the names and the compression of EBI's; return its address."""
    cif, pdb = gzip.compress(text(model()[0])), gzip.compress(text(model()[0], "pdb"))
    members = {f"AF-P{i:05d}-F1-model_v6.cif.gz": cif for i in range(count)}
    members |= {"AF-P00001-F1-model_v6.pdb.gz": pdb}
    return server.add(EBI, tar_of(members), faults=list(faults))


def test_archive_on_the_web_is_streamed_and_not_kept(server: Server, root: Path) -> None:
    address, wanted = serve_archive(server), {"P00001", "P00020", "Q00001"}
    assert archives.import_structures(address, wanted, root / "structures", patience=QUICK) == ["P00001", "P00020"]
    assert left_in(root) == ["P00001.cif.gz", "P00020.cif.gz"]  # no archive, no position of a finished reading
    assert read_structure(root / "structures" / "P00020.cif.gz").sequence == SEQUENCE
    server.log.clear()
    assert archives.import_structures(address, {"P00001", "P00020"}, root / "structures") == []
    assert not server.log


def test_archive_that_breaks_goes_on_where_it_stopped(server: Server, root: Path) -> None:
    """A connection cut in the middle, within a command and between two; the first half is not sent again."""
    address, wanted = serve_archive(server, faults=("cut",)), {"P00001", "P00038"}
    assert len(archives.import_structures(address, wanted, root / "a", patience=QUICK)) == 2
    size = len(server.pages[EBI].body)
    assert server.counts[EBI] == 2 and server.sent[EBI] < 1.1 * size
    serve_archive(server, faults=("cut", "error", "error", "error", "error", "error", "error", "error", "error"))
    with pytest.raises(DownloadError, match=r"run (the|the same) command again"):
        archives.import_structures(address, wanted, root / "b", patience=QUICK)
    assert "P00001.cif.gz" in left_in(root / "b") and len(left_in(root / "b")) == 2
    server.pages[EBI].faults.clear()
    server.sent.clear()
    assert archives.import_structures(address, wanted, root / "b", patience=QUICK) == ["P00038"]
    assert server.sent[EBI] < 0.6 * size and left_in(root / "b") == ["P00001.cif.gz", "P00038.cif.gz"]


def test_archive_is_read_from_the_start_for_other_proteins_or_another_version(server: Server, root: Path) -> None:
    address = serve_archive(server, faults=("cut", *["error"] * 8))
    with pytest.raises(DownloadError):
        archives.import_structures(address, {"P00038"}, root / "a", patience=QUICK)
    server.pages[EBI].faults.clear()
    assert archives.import_structures(address, {"P00003", "P00038"}, root / "a", patience=QUICK) == ["P00003", "P00038"]
    serve_archive(server, faults=("cut", *["error"] * 8))
    with pytest.raises(DownloadError):
        archives.import_structures(address, {"P00037"}, root / "b", patience=QUICK)
    server.pages[EBI].body = tar_of({"AF-P00037-F1-model_v7.cif.gz": gzip.compress(text(model()[0]))})
    server.pages[EBI].faults.clear()
    assert archives.import_structures(address, {"P00037"}, root / "b", patience=QUICK) == ["P00037"]


@pytest.mark.parametrize("body", [b"<html>moved</html>" * 99, b""])
def test_archive_that_is_none_is_refused(server: Server, root: Path, body: bytes) -> None:
    address = server.add(EBI, body)
    with pytest.raises(DownloadError, match=r"HUMAN_v6.tar: the connection broke, or no tar archive came"):
        archives.import_structures(address, {"P00001"}, root / "structures", patience=QUICK)
    with pytest.raises(DownloadError, match="answered 404"):
        archives.import_structures(f"{server.address}/none.tar", {"P00001"}, root / "structures", patience=QUICK)
