"""Structures from AlphaFold DB, one protein at a time: polite, parallel, and only what is missing.

The address of a file is looked up through the prediction API, never built from a version number. Biopython's client
has no time limit, retry or other host, so the look-up is our own.
"""

import gzip
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import requests
from tqdm import tqdm

from halo_utils.core.errors import DownloadError, StructureError
from halo_utils.core.files import atomic_path, write_csv
from halo_utils.core.locks import locked
from halo_utils.core.paths import shown
from halo_utils.data.download import BROKEN, Patience, fetch, open_session, refuse_offline, remove_temporaries
from halo_utils.data.tables import check_accession, is_uniprot
from halo_utils.structures.reader import load_structure, read_structure, structure_index

LEDGER = "alphafold.csv"  # one row per protein that was looked up, beside the files
SAVE_EVERY = 100  # proteins between two saves of the ledger
GIVE_UP_AFTER = 20  # failures in a row: the service is down, and asking 28,000 times more does not help


@dataclass(frozen=True)
class Outcome:
    """What a look-up came to.

    Attributes:
        accession: the protein.
        status: ``found``, ``none`` (no prediction exists), ``failed`` (asked again next time) or ``mismatched``
            (the model is of another sequence; the protein runs without structure).
        file: name of the structure file.
        version: version of the model.
        problem: why not, empty when found.
    """

    accession: str
    status: str
    file: str = ""
    version: str = ""
    problem: str = ""


class RateLimit:
    """Lets threads pass at most ``per_second`` times a second."""

    def __init__(self, per_second: float) -> None:
        """Start now."""
        self._gap, self._next, self._lock = 1.0 / per_second, time.monotonic(), threading.Lock()

    def wait(self) -> None:
        """Sleep until it is this thread's turn."""
        with self._lock:
            now = time.monotonic()
            start = self._next = max(now, self._next + self._gap)
        time.sleep(max(0.0, start - now))


@dataclass(frozen=True)
class Client:
    """Asks one prediction API.

    Attributes:
        api: address before ``/<accession>``.
        folder: where files go.
        patience: how often and how long to try.
        limit: shared by all threads.
    """

    api: str
    folder: Path
    patience: Patience
    limit: RateLimit

    def outcome(self, accession: str, sequence: str) -> Outcome:
        """Look up, fetch and check the structure of one protein; every problem becomes part of the outcome."""
        try:
            prediction = self._prediction(accession)
            if prediction is None:
                return Outcome(accession, "none", problem="AlphaFold DB has no prediction")
            path = self._file(accession, prediction)
            found, _ = load_structure(path, accession, sequence)
        except (DownloadError, StructureError) as error:
            return Outcome(accession, "failed", problem=str(error))
        status = "found" if found["status"] == "matched" else "mismatched"
        version = str(prediction.get("latestVersion", ""))
        return Outcome(accession, status, path.name, version, str(found.get("problem", "")))

    def _prediction(self, accession: str) -> dict[str, Any] | None:
        """Return the entry of the protein itself (not of its isoforms), first fragment first; None on 404."""
        address = f"{self.api.rstrip('/')}/{check_accession(accession)}"
        self.limit.wait()
        try:
            with open_session(self.patience) as session:
                answer = session.get(address, timeout=self.patience.timeout)
        except (*BROKEN, requests.RequestException) as error:
            raise DownloadError(f"{accession}: no answer from {address} ({type(error).__name__}); run again") from error
        if answer.status_code == 404:
            return None
        if not answer.ok:
            raise DownloadError(f"{accession}: {address} answered {answer.status_code} {answer.reason}; run again")
        try:
            entries = [e for e in answer.json() if e["cifUrl"] or e["pdbUrl"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DownloadError(
                f"{accession}: {address} did not answer with a list of predictions that name a cifUrl; run again, and"
                " if it stays so, the service has changed"
            ) from error
        own = [e for e in entries if e.get("uniprotAccession", accession) == accession]
        return min(own, key=lambda e: int(e.get("sequenceStart") or e.get("uniprotStart") or 1), default=None)

    def _file(self, accession: str, prediction: dict[str, Any]) -> Path:
        """Download the model as ``<accession>.cif.gz`` (or .pdb.gz); a file that cannot be read never stays."""
        address = str(prediction["cifUrl"] or prediction["pdbUrl"])
        suffix = ".pdb" if urlsplit(address).path.removesuffix(".gz").endswith(".pdb") else ".cif"
        self.limit.wait()
        plain = self.folder / f".incoming-{accession}{suffix}"
        try:
            fetch(address, plain, check=_readable, patience=self.patience, progress=False)
            return pack(self.folder / f"{accession}{suffix}.gz", plain.read_bytes())
        finally:
            plain.unlink(missing_ok=True)


def _readable(path: Path) -> None:
    """Raise StructureError unless the file holds a protein model."""
    read_structure(path)


def pack(target: Path, content: bytes) -> Path:
    """Write a structure file gzipped, the same bytes for the same content, and return its path."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    with atomic_path(target) as temporary:
        temporary.write_bytes(gzip.compress(content, compresslevel=6, mtime=0))
    return target


def read_ledger(folder: Path) -> pd.DataFrame:
    """Return the outcomes so far, one row per protein; empty where nothing was looked up."""
    path = folder / LEDGER
    columns = list(Outcome.__dataclass_fields__)
    if not path.is_file():
        return pd.DataFrame(columns=columns, dtype=str)
    return pd.read_csv(path, dtype=str, keep_default_na=False).reindex(columns=columns, fill_value="")


def fetch_structures(
    table: pd.DataFrame,
    folders: Sequence[Path],
    target: Path,
    api: str,
    *,
    workers: int = 4,
    per_second: float = 10.0,
    patience: Patience | None = None,
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Fetch the structures that are missing on this machine.

    Proteins with a file in one of ``folders``, and those that the ledger says have no prediction, are not asked for
    again; failed ones are. Killing the process loses at most the last ``SAVE_EVERY`` answers without a file.

    Args:
        table: dataset table with ``accession`` and ``sequence``.
        folders: where structures may already be.
        target: where new files and the ledger go.
        api: prediction API, the address before ``/<accession>``.
        workers: connections at a time.
        per_second: most requests per second over all connections.
        patience: how often and how long to try.
        report: where to say what is about to happen.

    Returns:
        One row per protein of ``table`` with the fields of ``Outcome``.

    Raises:
        DownloadError: while offline, or after ``GIVE_UP_AFTER`` failures in a row; what was fetched is kept.
        BusyError: if another process fetches into the same folder.
    """
    with locked(target / ".fetch.lock", f"the structure folder {target.name}"):
        remove_temporaries(target, older_than=0)
        have = structure_index(folders)
        ledger = {row["accession"]: Outcome(**row) for row in read_ledger(target).to_dict("records")}
        ledger = {a: o for a, o in ledger.items() if o.status == "none" or (o.status != "failed" and a in have)}
        for accession in table["accession"]:
            if accession in have and accession not in ledger:
                ledger[accession] = Outcome(accession, "found", have[accession].name)
            elif not is_uniprot(accession):
                ledger.setdefault(accession, Outcome(accession, "none", problem="not a UniProt accession"))
        missing = table[~table["accession"].isin(ledger)]
        if len(missing):
            refuse_offline(
                f"the structure of {missing['accession'].iloc[0]} (and of {len(missing) - 1:,} more proteins)"
            )
            report(f"{len(missing):,} of {len(table):,} structures to look up at {urlsplit(api).netloc}")
            client = Client(api, target, patience or Patience(), RateLimit(per_second))
            try:
                _look_up(client, missing, ledger, workers)
            finally:
                _save(target, ledger)
    return pd.DataFrame([asdict(ledger[a]) for a in table["accession"]])


def _look_up(client: Client, missing: pd.DataFrame, ledger: dict[str, Outcome], workers: int) -> None:
    """Ask for every missing protein with a bounded number of threads, filling the ledger as answers come."""
    todo = zip(missing["accession"], missing["sequence"], strict=True)
    failures, running = 0, set[Future[Outcome]]()
    pool = ThreadPoolExecutor(workers)
    try:
        with tqdm(total=len(missing), desc="AlphaFold DB", leave=False) as bar:
            while True:
                for accession, sequence in todo:
                    running.add(pool.submit(client.outcome, accession, sequence))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for outcome in (future.result() for future in done):
                    ledger[outcome.accession] = outcome
                    failures = failures + 1 if outcome.status == "failed" else 0
                    bar.update()
                    if len(ledger) % SAVE_EVERY == 0:
                        _save(client.folder, ledger)
                    if failures >= GIVE_UP_AFTER:
                        raise DownloadError(
                            f"{failures} look-ups in a row failed, the last one: {outcome.problem}. What was fetched is"
                            " kept; run the same command again later"
                        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _save(folder: Path, ledger: dict[str, Outcome]) -> None:
    """Write the ledger in accession order."""
    rows = [asdict(outcome) for _, outcome in sorted(ledger.items())]
    write_csv(folder / LEDGER, pd.DataFrame(rows, columns=list(Outcome.__dataclass_fields__)))


def summarise(outcomes: pd.DataFrame, folder: Path) -> str:
    """Return the summary of a fetch: proteins found, none, failed and mismatched, and where the list is."""
    counts = outcomes["status"].value_counts()
    parts = [f"{status} {int(counts.get(status, 0)):,}" for status in ("found", "none", "failed", "mismatched")]
    return (
        f"structures of {len(outcomes):,} proteins: {', '.join(parts)}; each one is listed in {shown(folder / LEDGER)}"
    )
