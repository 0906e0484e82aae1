"""``fetch contacts``: an archive of contact maps from structures on disk, in a tar, or of AlphaFold DB, none kept."""

import gzip
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo_utils.__main__ import main
from halo_utils.core.errors import DataError, DownloadError
from halo_utils.data.download import Patience
from halo_utils.data.registry import contact_archives
from halo_utils.structures import fetch_contacts
from halo_utils.structures.contact_maps import read_contact_maps
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.reader import CA, load_structure
from tests.models import SEQUENCE, model, text
from tests.server import Server

QUICK = Patience(tries=2, backoff=0.01, connect=2, read=1, longest_pause=1)
TABLE = pd.DataFrame({"accession": [f"P{i:05d}" for i in range(1, 5)], "sequence": SEQUENCE})


def structure_file(folder: Path, accession: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"AF-{accession}-F1-model_v6.cif.gz"
    path.write_bytes(gzip.compress(text(model()[0])))
    return path


def expected_contacts(folder: Path) -> np.ndarray:
    """Return the contacts of the one structure that all tests serve, each once, [E, 2]."""
    _, rows = load_structure(structure_file(folder, "P09999"), "P09999", SEQUENCE)
    edges = radius_edges(rows[:, CA], 10.0)
    return edges[:, edges[0] < edges[1]].T


def test_contacts_come_from_disk_then_archives_then_the_service(server: Server, root: Path) -> None:
    structure_file(root / "here", "P00001")
    with tarfile.open(root / "some.tar", "w") as archive:
        content = gzip.compress(text(model()[0]))
        member = tarfile.TarInfo("AF-P00002-F1-model_v6.cif.gz")
        member.size = len(content)
        archive.addfile(member, BytesIO(content))
    server.add_prediction("P00003", text(model()[0]))
    path, api = root / "contacts" / "mine.npz", server.address + "/api/prediction"
    ask = lambda: fetch_contacts.fetch_contacts(  # noqa: E731
        TABLE, [root / "here"], path, [root / "some.tar"], api, patience=QUICK, per_second=1000.0
    )
    assert ask()["status"].tolist() == ["found", "found", "found", "none"]
    maps, contacts = read_contact_maps(path), expected_contacts(root / "other")
    assert list(maps.accessions) == ["P00001", "P00002", "P00003"] and len(contacts) > len(SEQUENCE)
    for accession in maps.accessions:
        assert maps.length(accession) == len(SEQUENCE) and maps.exact(accession)
        assert sorted(map(tuple, maps.contacts(accession).tolist())) == sorted(map(tuple, contacts.tolist()))
    assert sorted(p.name for p in path.parent.iterdir()) == ["mine.csv", "mine.npz"]  # no structure, no part is kept
    server.log.clear()
    assert ask()["status"].tolist() == ["found", "found", "found", "none"]
    assert not server.log  # what was found, and what has no prediction, is not asked for again


def test_contacts_of_an_interrupted_building_are_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setattr(fetch_contacts, "PART", 1)
    for accession in TABLE["accession"]:
        structure_file(root / "here", accession)
    path, read = root / "contacts" / "mine.npz", fetch_contacts.load_structure
    seen: list[str] = []

    def killed(file: Path, accession: str, sequence: str) -> object:
        seen.append(accession)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return read(file, accession, sequence)

    monkeypatch.setattr(fetch_contacts, "load_structure", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch_contacts.fetch_contacts(TABLE, [root / "here"], path, [])
    assert not path.exists() and seen == ["P00001", "P00002", "P00003"]
    outcomes = fetch_contacts.fetch_contacts(TABLE, [root / "here"], path, [])
    assert seen[3:] == ["P00003", "P00004"] and set(outcomes["status"]) == {"found"}
    assert list(read_contact_maps(path).accessions) == TABLE["accession"].tolist()


def test_structures_that_do_not_fit_are_counted_and_named(root: Path) -> None:
    structure_file(root / "here", "P00001")
    structure_file(root / "here", "P00002").write_bytes(gzip.compress(b"no structure"))
    structure_file(root / "here", "P00003")
    table = TABLE.assign(sequence=[SEQUENCE, SEQUENCE, "W" * len(SEQUENCE), SEQUENCE])
    path = root / "contacts" / "mine.npz"
    outcomes = fetch_contacts.fetch_contacts(table, [root / "here"], path, [])
    assert outcomes["status"].tolist() == ["found", "unreadable", "mismatched", "none"]
    said = fetch_contacts.summarise(outcomes, path)
    assert "found 1" in said and "mismatched 1" in said and "P00002" in said and "P00003" in said


def test_an_archive_of_another_cut_off_is_refused_and_a_damaged_one_built_again(
    root: Path, capsys: pytest.CaptureFixture
) -> None:
    structure_file(root / "here", "P00001")
    path = root / "contacts" / "mine.npz"
    fetch_contacts.fetch_contacts(TABLE[:1], [root / "here"], path, [])
    with pytest.raises(DataError, match="contacts under 10 angstrom, expected 8"):
        fetch_contacts.fetch_contacts(TABLE[:1], [root / "here"], path, [], cutoff_angstrom=8.0)
    path.write_bytes(path.read_bytes()[:-50])
    fetch_contacts.fetch_contacts(TABLE[:1], [root / "here"], path, [])
    assert "built again" in capsys.readouterr().out and list(read_contact_maps(path).accessions) == ["P00001"]


def test_a_service_that_fails_for_ever_ends_with_a_message(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("halo_utils.structures.alphafold.BATCH", 2)
    server.add_prediction("P00001", text(model()[0]))
    for accession in ("P00003", "P00004"):
        server.add(f"/api/prediction/{accession}", b"{}", status=500)
    path, api = root / "contacts" / "mine.npz", server.address + "/api/prediction"
    with pytest.raises(DownloadError, match="look-ups in a row failed"):
        fetch_contacts.fetch_contacts(TABLE, [], path, [], api, patience=QUICK, per_second=1000.0)
    assert fetch_contacts.ContactBuilder(path, 10.0).has("P00001", len(SEQUENCE))  # what came before is kept


def test_the_command_builds_an_archive_that_a_run_finds(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("HALO_DATA_DIR", raising=False)
    structure_file(root / "here", "P00001")
    (root / "mine.fasta").write_text(f">P00001\n{SEQUENCE}\n")
    options = ["--fasta", str(root / "mine.fasta"), "--structures-from", str(root / "here")]
    assert main(["fetch", "contacts", *options]) == 0
    assert "contacts of 1 proteins: found 1" in capsys.readouterr().out
    (archive,) = contact_archives()
    assert list(read_contact_maps(archive).accessions) == ["P00001"]
