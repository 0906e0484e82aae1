"""Downloading one file: retries with back-off, resume, and refusal of everything that is not the file.

pooch keeps the cache and the checksums; the transfer itself resumes partial files where the server allows.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from halo_utils.core.errors import DownloadError
from halo_utils.core.files import storage_errors, write_json

BUSY = (429, 500, 502, 503, 504)  # answers that pass: asked again after a pause, Retry-After honoured
CHUNK = 1 << 17
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
REMEDY = (
    "check the network and run the same command again, or download the file by hand into a folder laid out as in"
    " data/README.md and set HALO_DATA_DIR to it"
)


@dataclass(frozen=True)
class Patience:
    """How often and how long to try.

    Attributes:
        tries: attempts per file.
        backoff: seconds before the second attempt, doubled for each further one.
        connect: seconds to wait for a connection.
        read: seconds to wait for the next bytes.
        longest_pause: most seconds of a server's Retry-After that are honoured.
    """

    tries: int = 4
    backoff: float = 1.0
    connect: float = 15.0
    read: float = 60.0
    longest_pause: int = 120

    @property
    def timeout(self) -> tuple[float, float]:
        """The pair that requests expects."""
        return self.connect, self.read


def offline() -> bool:
    """Return whether HALO_OFFLINE or HF_HUB_OFFLINE forbids every connection."""
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes") for name in ("HALO_OFFLINE", "HF_HUB_OFFLINE"))


def refuse_offline(what: str) -> None:
    """Stop before a connection is opened while offline.

    Raises:
        DownloadError: naming what was asked for.
    """
    if offline():
        raise DownloadError(
            f"{what} is not on this machine and HALO_OFFLINE or HF_HUB_OFFLINE forbids downloading: unset it, or put"
            " the file into a folder laid out as in data/README.md and set HALO_DATA_DIR to it"
        )


def open_session(patience: Patience) -> requests.Session:
    """Return a session that repeats busy answers with back-off and honours Retry-After."""
    retry = Retry(
        total=None,
        connect=0,  # broken connections are repeated by _Transfer, which resumes
        read=0,
        redirect=5,
        status=patience.tries - 1,
        backoff_factor=patience.backoff,
        status_forcelist=BUSY,
        allowed_methods=("GET",),
        retry_after_max=patience.longest_pause,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.headers["User-Agent"] = f"halo-utils ({requests.utils.default_user_agent()})"
    return session


def fetch(
    address: str,
    target: Path,
    *,
    sha256: str | None = None,
    check: Callable[[Path], None] | None = None,
    patience: Patience | None = None,
    progress: bool = True,
) -> Path:
    """Download ``address`` to ``target``; the file appears whole and checked, or not at all.

    A connection that breaks leaves ``.part-<name>`` beside the target, and the next attempt, in this call or a
    later one, goes on from there if the server still has the same file.

    Args:
        address: http or https.
        target: where the file goes; an existing file with the right checksum is returned as it is.
        sha256: known checksum, or None.
        check: raises a HaloError when the content is not what was expected; runs before the file appears.
        patience: how often and how long to try.
        progress: show a progress bar.

    Raises:
        DownloadError: if nothing, something else or a part came; names the file, what was expected, the remedy.
        StorageError: if the disk is full or read-only.
    """
    refuse_offline(target.name)
    if urlsplit(address).scheme not in ("http", "https"):
        raise DownloadError(f"{target.name}: {address!r} is not an http or https address; correct data/sources.yaml")
    pooch.get_logger().setLevel("WARNING")
    transfer = _Transfer(target, check, patience or Patience(), progress)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            known = f"sha256:{sha256}" if sha256 else None
            pooch.retrieve(address, known, fname=target.name, path=target.parent, downloader=transfer)
        except ValueError as error:  # pooch's word for a wrong checksum; it has removed the file
            found = str(error).split("but got ")[-1].split(".")[0]
            raise DownloadError(
                f"{target.name}: sha256 {found} came from {address}, {sha256} was expected; the file was removed."
                f" Run the same command again; if that does not help, the publisher has changed it: {REMEDY}"
            ) from error
    return target


def remove_temporaries(folder: Path, older_than: float = 3600.0) -> None:
    """Remove the temporary files that pooch left in ``folder`` when its process was killed.

    Args:
        folder: where downloads go.
        older_than: seconds since they were last written; younger ones may belong to a process at work.
    """
    for left in folder.glob("tmp????????"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > older_than:
                left.unlink()


class _Transfer:
    """pooch's downloader interface: moves one address into the temporary file that pooch names."""

    def __init__(self, target: Path, check: Callable[[Path], None] | None, patience: Patience, progress: bool) -> None:
        self.target, self.check, self.patience, self.progress = target, check, patience, progress
        self.part = target.with_name(f".part-{target.name}")
        self.identity = target.with_name(f".part-{target.name}.json")

    def __call__(self, address: str, output: str, _: Any) -> None:
        """Fetch with resume, refuse what is no file, and hand it to pooch for the checksum."""
        session = open_session(self.patience)
        for attempt in range(self.patience.tries):
            try:
                self._attempt(session, address)
                break
            except BROKEN as error:
                if attempt == self.patience.tries - 1:
                    raise DownloadError(f"{self.target.name}: {_reason(error)} at {address}: {REMEDY}") from error
                time.sleep(self.patience.backoff * 2**attempt)
        try:
            refuse_pages(self.part, self.target.name, address)
            if self.check is not None:
                self.check(self.part)
        except Exception:
            self.part.unlink(missing_ok=True)
            raise
        finally:
            self.identity.unlink(missing_ok=True)
        self.part.replace(output)

    def _attempt(self, session: requests.Session, address: str) -> None:
        """Append to the part file where the server still has the same file, else start it anew."""
        have, known = self._resumable(address)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": known}
        with session.get(address, stream=True, headers=headers, timeout=self.patience.timeout) as answer:
            if answer.status_code == 416:  # the part is not a part of what the server has
                self.part.unlink()
                raise requests.ConnectionError("the partial file does not belong to the server's; starting anew")
            if not answer.ok:
                raise DownloadError(
                    f"{self.target.name}: {address} answered {answer.status_code} {answer.reason}: {REMEDY}"
                )
            resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            write_json(self.identity, {"address": address, "version": version})
            size = int(answer.headers.get("Content-Length", 0)) + (have if resumed else 0)
            self._write(answer, "ab" if resumed else "wb", have if resumed else 0, size)

    def _resumable(self, address: str) -> tuple[int, str]:
        """Return the bytes of the part file and the version they belong to; (0, '') where there is none."""
        try:
            known = json.loads(self.identity.read_text(encoding="utf-8"))
            have = self.part.stat().st_size
        except (OSError, ValueError):
            return 0, ""
        same = known.get("address") == address and known.get("version") and not known["version"].startswith("W/")
        return (have, known["version"]) if same else (0, "")

    def _write(self, answer: requests.Response, mode: str, start: int, size: int) -> None:
        """Copy the body into the part file under a progress bar."""
        bar = tqdm(total=size or None, initial=start, unit="B", unit_scale=True, leave=False, desc=self.target.name)
        bar.disable |= not self.progress
        with bar, self.part.open(mode) as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        if size and self.part.stat().st_size != size:
            raise requests.ConnectionError(f"{self.part.stat().st_size:,} of {size:,} bytes came")


def _reason(error: Exception) -> str:
    """Return in a few words what broke."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, requests.exceptions.RetryError):
        return "the server stayed busy"
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "came" in str(error):
        return "the connection broke before the whole file came"
    return "no connection"


def refuse_pages(path: Path, name: str, address: str) -> None:
    """Refuse an empty file and a web page in the place of data.

    Raises:
        DownloadError: naming the file and the address.
    """
    with path.open("rb") as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head or head.startswith((b"<!doctype", b"<html", b"<?xml")):
        came = "a web page" if head else "nothing"
        raise DownloadError(f"{name}: {address} answered with {came}, the file itself was expected: {REMEDY}")
