"""Structures from AlphaFold DB, one protein at a time: polite, parallel, only what is missing, asked of its API."""

import gzip
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import requests
from tqdm.contrib.concurrent import thread_map

from halo_utils.core.errors import DownloadError
from halo_utils.core.files import storage_errors, write_bytes, write_csv
from halo_utils.core.paths import shown
from halo_utils.data.download import Patience, fetch, get, refuse_offline
from halo_utils.data.tables import check_accession, is_uniprot
from halo_utils.structures.reader import load_structure, structure_index

LEDGER = "alphafold.csv"  # one row per protein that was looked up, beside the files
BATCH = 100  # look-ups between two saves of the ledger; when all of one fail, the service is down


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
    """Asks one prediction API (the address before ``/<accession>``), at most ``per_second`` times a second."""

    api: str
    folder: Path
    patience: Patience
    per_second: float = 10.0
    turn: threading.Lock = field(default_factory=threading.Lock)  # one thread sleeps, the others stand behind it

    def _wait(self) -> None:
        with self.turn:
            time.sleep(1 / self.per_second)

    def outcome(self, accession: str, sequence: str) -> Outcome:
        """Look up, fetch and check the structure of one protein; a problem becomes the outcome ``failed``."""
        try:
            prediction = self._prediction(accession)
            if prediction is None:
                return Outcome(accession, "none", problem="AlphaFold DB has no prediction")
            address = str(prediction["cifUrl"] or prediction["pdbUrl"])
            name = f"{accession}{'.pdb' if urlsplit(address).path.removesuffix('.gz').endswith('.pdb') else '.cif'}"
            self._wait()
            with TemporaryDirectory() as folder:
                path = fetch(address, Path(folder) / name, patience=self.patience, progress=False)
                row, _ = load_structure(path, accession, sequence)
                problem = str(row.get("problem", ""))
                if row["status"] == "unreadable":
                    return Outcome(accession, "failed", problem=problem)
                path = pack(self.folder / f"{name}.gz", path.read_bytes())
        except DownloadError as error:
            return Outcome(accession, "failed", problem=str(error))
        status = "found" if row["status"] == "matched" else "mismatched"
        return Outcome(accession, status, path.name, str(prediction.get("latestVersion", "")), problem)

    def _prediction(self, accession: str) -> dict[str, Any] | None:
        """Return the entry of the protein itself (not of its isoforms), first fragment first; None on 404."""
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
            entries = [e for e in answer.json() if e["cifUrl"] or e["pdbUrl"]]
        except (ValueError, KeyError, TypeError) as error:
            problem = f"{accession}: {address} did not answer with a list of predictions that name a cifUrl"
            raise DownloadError(f"{problem}; run again, and if it stays so, the service has changed") from error
        entries = [e for e in entries if e.get("uniprotAccession", accession) == accession]
        return min(entries, key=lambda e: int(e.get("sequenceStart") or e.get("uniprotStart") or 1), default=None)


def pack(target: Path, content: bytes) -> Path:
    """Write a structure file gzipped, the same bytes for the same content, and return its path."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return write_bytes(target, gzip.compress(content, compresslevel=6, mtime=0))


def read_ledger(folder: Path) -> dict[str, Outcome]:
    """Return accession -> outcome of every look-up so far."""
    path = folder / LEDGER
    table = pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else pd.DataFrame()
    return {row["accession"]: Outcome(**row) for row in table.to_dict("records")}


def fetch_structures(
    table: pd.DataFrame,
    folders: Sequence[Path],
    target: Path,
    api: str,
    *,
    workers: int = 4,
    per_second: float = 10.0,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """Fetch the structures of ``table`` that ``folders`` lack into ``target``; return an ``Outcome`` row per protein.

    What the ledger in ``target`` says has no prediction is not asked for again at ``api``, the address before
    ``/<accession>``. DownloadError while offline, or when ``BATCH`` look-ups in a row failed; what was fetched is kept.
    """
    with storage_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    files = structure_index(folders)
    known = read_ledger(target).values()
    ledger = {o.accession: o for o in known if o.status == "none" or (o.status != "failed" and o.accession in files)}
    for accession in table["accession"]:
        if accession in files:
            ledger.setdefault(accession, Outcome(accession, "found", files[accession].name))
        elif not is_uniprot(accession):
            ledger.setdefault(accession, Outcome(accession, "none", problem="not a UniProt accession"))
    missing = table[~table["accession"].isin(ledger)]
    if len(missing):
        refuse_offline(f"the structure of {missing['accession'].iloc[0]} (and of {len(missing) - 1:,} more proteins)")
        print(f"{len(missing):,} of {len(table):,} structures to look up at {urlsplit(api).netloc}")
    client = Client(api, target, patience or Patience(), per_second)
    for start in range(0, len(missing), BATCH):
        batch = missing.iloc[start : start + BATCH]
        progress = {"max_workers": workers, "desc": f"AlphaFold DB {start:,}/{len(missing):,}", "leave": False}
        outcomes = thread_map(client.outcome, batch["accession"], batch["sequence"], **progress)
        ledger |= {outcome.accession: outcome for outcome in outcomes}
        write_csv(target / LEDGER, pd.DataFrame([asdict(ledger[accession]) for accession in sorted(ledger)]))
        if len(batch) == BATCH and all(outcome.status == "failed" for outcome in outcomes):
            problem = f"{BATCH} look-ups in a row failed, the last one: {outcomes[-1].problem}"
            raise DownloadError(f"{problem}. What was fetched is kept; run the same command again later")
    return pd.DataFrame([asdict(ledger[accession]) for accession in table["accession"]])


def summarise(outcomes: pd.DataFrame, folder: Path) -> str:
    """Return the summary of a fetch: proteins found, none, failed and mismatched, and where look-ups are listed."""
    counts = outcomes["status"].value_counts()
    words = ", ".join(f"{status} {counts.get(status, 0):,}" for status in ("found", "none", "failed", "mismatched"))
    return f"structures of {len(outcomes):,} proteins: {words}; each one is listed in {shown(folder / LEDGER)}"
