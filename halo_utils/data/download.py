"""Downloading one file through pooch: retries, checksums, and refusal of everything that is not the file."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from halo_utils.core.errors import DownloadError
from halo_utils.core.files import storage_errors

BUSY = (429, 500, 502, 503, 504)  # answers that pass: asked again after a pause, Retry-After honoured
BY_HAND = "into a folder laid out as in data/README.md and set HALO_DATA_DIR to it"
REMEDY = f"check the network and run the same command again, or download the file by hand {BY_HAND}"


@dataclass(frozen=True)
class Patience:
    """How often and how long to try."""

    tries: int = 4  # attempts per file
    backoff: float = 1.0  # seconds before a busy server is asked again, doubled each time
    connect: float = 15.0  # seconds to wait for a connection
    read: float = 60.0  # seconds to wait for the next bytes
    longest_pause: int = 120  # most seconds of a server's Retry-After that are honoured


def offline() -> bool:
    """Return whether HALO_OFFLINE or HF_HUB_OFFLINE forbids every connection."""
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes") for name in ("HALO_OFFLINE", "HF_HUB_OFFLINE"))


def refuse_offline(what: str) -> None:
    """Raise DownloadError, naming what was asked for, before a connection is opened while offline."""
    if offline():
        problem = f"{what} is not on this machine and HALO_OFFLINE or HF_HUB_OFFLINE forbids downloading"
        raise DownloadError(f"{problem}: unset it, or put the file {BY_HAND}")


def get(session: requests.Session, address: str, patience: Patience, **options: bool) -> requests.Response:
    """Ask for an address; busy answers are repeated with back-off and Retry-After, broken connections are not."""
    pauses = {"backoff_factor": patience.backoff, "retry_after_max": patience.longest_pause}
    retry = Retry(patience.tries - 1, connect=0, read=0, status_forcelist=BUSY, raise_on_status=False, **pauses)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.headers["User-Agent"] = f"halo-utils ({requests.utils.default_user_agent()})"
    session.headers["Accept-Encoding"] = "identity"
    return session.get(address, timeout=(patience.connect, patience.read), **options)


def fetch(
    address: str,
    target: Path,
    *,
    sha256: str | None = None,
    check: Callable[[Path], None] | None = None,
    patience: Patience | None = None,
    progress: bool = True,
) -> Path:
    """Download ``address`` to ``target``; the file appears complete and checked, or not at all.

    A target with the right ``sha256`` stays as it is. ``check`` raises a HaloError for unexpected content.
    DownloadError if nothing, something else or a fragment came; StorageError if the disk is full or read-only.
    """
    patience = patience or Patience()
    refuse_offline(target.name)
    if urlsplit(address).scheme not in ("http", "https"):
        raise DownloadError(f"{target.name}: {address!r} is not an http or https address; correct data/sources.yaml")

    def transfer(address: str, output: str, _: pooch.Pooch) -> None:
        with requests.Session() as session, get(session, address, patience, stream=True) as answer:
            if not answer.ok:
                raise DownloadError(f"{target.name}: {address} answered {answer.status_code} {answer.reason}: {REMEDY}")
            size = int(answer.headers.get("Content-Length", 0)) or None
            bar = {"desc": target.name, "leave": False, "disable": not progress}
            with Path(output).open("wb") as file, tqdm.wrapattr(file, "write", size, **bar) as body:
                for chunk in answer.iter_content(1 << 17):
                    body.write(chunk)
        with Path(output).open("rb") as file:
            head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if not head or head.startswith((b"<!doctype", b"<html", b"<?xml")):
            came = f"{address} answered with {'a web page' if head else 'nothing'}"
            raise DownloadError(f"{target.name}: {came}, the file itself was expected: {REMEDY}")
        if check is not None:
            check(Path(output))

    known = f"sha256:{sha256}" if sha256 else None
    files = pooch.Pooch(target.parent, "", {target.name: known}, {target.name: address}, patience.tries - 1)
    pooch.get_logger().setLevel("WARNING")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            files.fetch(target.name, downloader=transfer)
        except requests.RequestException as error:
            cut = isinstance(error, requests.exceptions.ChunkedEncodingError)
            reason = "the connection broke before the whole file came" if cut else "no connection"
            if isinstance(error, requests.Timeout) or "timed out" in str(error):
                reason = "no answer in time"
            raise DownloadError(f"{target.name}: {reason} at {address}: {REMEDY}") from error
        except ValueError as error:  # pooch's word for a wrong checksum; it has removed the file
            came = str(error).split("but got ")[-1].split(".")[0]
            problem = f"sha256 {came} came from {address}, {sha256} was expected; the file was removed"
            remedy = f"Run the same command again; if that does not help, the publisher has changed it: {REMEDY}"
            raise DownloadError(f"{target.name}: {problem}. {remedy}") from error
    return target


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files, an hour old or older, that pooch left in ``folder`` when its process was killed."""
    for path in folder.glob("tmp????????"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()
