"""Structures from AlphaFold DB, one protein at a time: polite, parallel, only what is missing, asked of its API."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import requests
from tqdm.contrib.concurrent import thread_map

from halo_utils.core.errors import DownloadError
from halo_utils.core.files import storage_errors, write_csv
from halo_utils.core.paths import shown
from halo_utils.data.download import Patience, fetch, get, refuse_offline
from halo_utils.data.tables import check_accession, is_uniprot
from halo_utils.structures.pack import pack
from halo_utils.structures.reader import load_structure, structure_index

LEDGER = "alphafold.csv"  # one row per protein that was looked up, beside the files
BATCH = 100  # look-ups between two saves of the ledger; when all of one fail, the service is down
# Bytes per residue: of an mmCIF on its way (627 KB for 659 residues), and gzipped on disk, whole or coordinates only.
ON_THE_WAY, WHOLE, COORDINATES_ONLY = 951, 210, 55
NOT_UNIPROT = "not a UniProt accession"
LARGE = 1000  # look-ups from which on the ways that take less are named


@dataclass(frozen=True)
class Outcome:
    """What a look-up came to, a row of the ledger; ``problem`` says why its ``status`` is not ``found``."""

    accession: str
    status: str  # found, none (no prediction), failed (asked again next time), mismatched (of another sequence)
    file: str = ""
    version: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Client:
    """Asks one prediction API (the address before ``/<accession>``), at most ``per_second`` times a second.

    ``keep`` takes a protein, its file, and its rows [L, 10] (None: the file is of another sequence), keeps what is
    wanted of them, and returns the name for the ledger.
    """

    api: str
    keep: Callable[[str, Path, np.ndarray | None], str]
    patience: Patience
    per_second: float = 10.0
    turn: threading.Lock = field(default_factory=threading.Lock)  # one thread sleeps, the others stand behind it

    def _wait(self) -> None:
        with self.turn:
            time.sleep(1 / self.per_second)

    def outcome(self, accession: str, sequence: str) -> Outcome:
        """Look up, fetch and check the structure of one protein; a problem becomes the outcome ``failed``."""
        try:
            prediction = self._prediction(accession, sequence)
            if prediction is None:
                return Outcome(accession, "none", problem="AlphaFold DB has no prediction")
            address = _file_of(prediction)
            name = f"{accession}{'.pdb' if urlsplit(address).path.removesuffix('.gz').endswith('.pdb') else '.cif'}"
            self._wait()
            with TemporaryDirectory() as folder:
                path = fetch(address, Path(folder) / name, patience=self.patience, progress=False)
                row, rows = load_structure(path, accession, sequence)
                problem = str(row.get("problem", ""))
                if row["status"] == "unreadable":
                    return Outcome(accession, "failed", problem=problem)
                file = self.keep(accession, path, rows)
        except DownloadError as error:
            return Outcome(accession, "failed", problem=str(error))
        status = "found" if row["status"] == "matched" else "mismatched"
        return Outcome(accession, status, file, str(prediction.get("latestVersion", "")), problem)

    def _prediction(self, accession: str, sequence: str) -> dict[str, Any] | None:
        """Return the entry of the protein itself, see ``best_entry``; None where there is none (404)."""
        address = f"{self.api.rstrip('/')}/{check_accession(accession)}"
        self._wait()
        try:
            with requests.Session() as session:
                answer = get(session, address, self.patience)
        except requests.RequestException as error:
            raise DownloadError(f"{accession}: no answer from {address} ({type(error).__name__}); run again") from error
        if answer.status_code == 404:
            return None
        if not answer.ok:
            raise DownloadError(f"{accession}: {address} answered {answer.status_code} {answer.reason}; run again")
        try:
            entries = answer.json()
            if entries and not any("cifUrl" in entry or "pdbUrl" in entry for entry in entries):
                raise KeyError("cifUrl")
            return best_entry(entries, accession, sequence)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"{accession}: {address} did not answer with a list of predictions that name a cifUrl"
            raise DownloadError(f"{problem}; run again, and if it stays so, the service has changed") from error


def _file_of(entry: Mapping[str, Any]) -> str:
    return str(entry.get("cifUrl") or entry.get("pdbUrl") or "")


def best_entry(entries: Sequence[Mapping[str, Any]], accession: str, sequence: str) -> Mapping[str, Any] | None:
    """Return the entry of a look-up that is the protein's, None where none is.

    The service lists isoforms, fragments, and a twin under a checksum for the same sequence, in any order, and renames
    its fields in 2026; both names are read. An entry of this very sequence comes first, then the one that is called
    ``AF-<accession>-F1``, then one that is no complex, then the first fragment; isoforms of another sequence are none.
    """

    def letters(entry: Mapping[str, Any]) -> str:
        return str(entry.get("sequence") or entry.get("uniprotSequence") or "")

    def rank(entry: Mapping[str, Any]) -> tuple[bool, bool, bool, int]:
        name = entry.get("modelEntityId") or entry.get("entryId")
        start = int(entry.get("sequenceStart") or entry.get("uniprotStart") or 1)
        return letters(entry) != sequence, name != f"AF-{accession}-F1", bool(entry.get("isComplex")), start

    own = (e for e in entries if e.get("uniprotAccession", accession) == accession or letters(e) == sequence)
    return min((entry for entry in own if _file_of(entry)), key=rank, default=None)


def read_ledger(path: Path) -> dict[str, Outcome]:
    """Return accession -> outcome of every look-up that a ledger, a CSV file, lists; empty where there is none."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else pd.DataFrame()
    return {row["accession"]: Outcome(**row) for row in table.to_dict("records")}


def look_up(
    client: Client,
    missing: pd.DataFrame,
    ledger: dict[str, Outcome],
    path: Path,
    *,
    workers: int = 4,
    settle: Callable[[], None] = lambda: None,
) -> None:
    """Ask for the ``missing`` proteins and add their outcomes to ``ledger``, saved at ``path`` batch by batch.

    ``settle`` is called before each save. DownloadError when ``BATCH`` look-ups in a row failed.
    """
    for start in range(0, len(missing), BATCH):
        batch = missing.iloc[start : start + BATCH]
        progress = {"max_workers": workers, "desc": f"AlphaFold DB {start:,}/{len(missing):,}", "leave": False}
        outcomes = thread_map(client.outcome, batch["accession"], batch["sequence"], **progress)
        ledger |= {outcome.accession: outcome for outcome in outcomes}
        settle()
        write_ledger(path, ledger)
        if len(batch) == BATCH and all(outcome.status == "failed" for outcome in outcomes):
            problem = f"{BATCH} look-ups in a row failed, the last one: {outcomes[-1].problem}"
            raise DownloadError(f"{problem}. What was fetched is kept; run the same command again later")


def write_ledger(path: Path, ledger: Mapping[str, Outcome]) -> None:
    """Write the outcomes of all proteins as a CSV file, in the order of their accessions."""
    write_csv(path, pd.DataFrame([asdict(ledger[accession]) for accession in sorted(ledger)]))


def expected(missing: pd.DataFrame, api: str, per_second: float, kept: int) -> str:
    """Return what looking up the ``missing`` proteins takes at least: minutes, bytes to fetch, bytes to keep.

    ``kept`` is bytes per residue.
    """
    residues, minutes = missing["sequence"].str.len().sum(), 2 * len(missing) / per_second / 60  # look-up and file
    size = f"about {residues * ON_THE_WAY / 1e9:,.1f} GB to fetch, {residues * kept / 1e9:,.2f} GB to keep"
    return f"{len(missing):,} structures to look up at {urlsplit(api).netloc}: at least {minutes:,.0f} minutes, {size}"


def fetch_structures(
    table: pd.DataFrame,
    folders: Sequence[Path],
    target: Path,
    api: str,
    *,
    coordinates_only: bool = False,
    workers: int = 4,
    per_second: float = 10.0,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """Fetch the structures of ``table`` that ``folders`` lack into ``target``; return an ``Outcome`` row per protein.

    What the ledger in ``target`` says has no prediction is not asked for again at ``api``, the address before
    ``/<accession>``; ``coordinates_only`` is ``pack``'s. DownloadError while offline, or when ``BATCH`` look-ups in a
    row failed; what was fetched is kept.
    """
    with storage_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    files = structure_index(folders)
    known = read_ledger(target / LEDGER).values()
    ledger = {o.accession: o for o in known if o.status == "none" or (o.status != "failed" and o.accession in files)}
    for accession in table["accession"]:
        if accession in files:
            ledger.setdefault(accession, Outcome(accession, "found", files[accession].name))
        elif not is_uniprot(accession):
            ledger.setdefault(accession, Outcome(accession, "none", problem=NOT_UNIPROT))
    missing = table[~table["accession"].isin(ledger)]
    if len(missing):
        refuse_offline(f"the structure of {missing['accession'].iloc[0]} (and of {len(missing) - 1:,} more proteins)")
        print(expected(missing, api, per_second, COORDINATES_ONLY if coordinates_only else WHOLE))
    if len(missing) >= LARGE:
        print(
            "less to keep: --coordinates-only, or `fetch contacts`, which keeps the edges of the graphs alone; in one"
        )
        print("piece: EBI's archives, --structures-from human or swissprot (see data/README.md)")

    def keep(_: str, path: Path, rows: np.ndarray | None) -> str:
        return pack(target / f"{path.name}.gz", path.read_bytes(), coordinates_only).name

    client = Client(api, keep, patience or Patience(), per_second)
    look_up(client, missing, ledger, target / LEDGER, workers=workers)
    return pd.DataFrame([asdict(ledger[accession]) for accession in table["accession"]])


def summarise(outcomes: pd.DataFrame, folder: Path) -> str:
    """Return the summary of a fetch: proteins found, none, failed and mismatched, and where look-ups are listed."""
    counts = outcomes["status"].value_counts()
    words = ", ".join(f"{status} {counts.get(status, 0):,}" for status in ("found", "none", "failed", "mismatched"))
    return f"structures of {len(outcomes):,} proteins: {words}; each one is listed in {shown(folder / LEDGER)}"
