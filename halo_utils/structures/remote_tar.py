"""A tar archive on the web, read as it comes and never kept; interrupted or cut off, it goes on where it stopped."""

import json
import tarfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from halo_utils.core.errors import DownloadError
from halo_utils.core.files import digest, write_json
from halo_utils.data.download import Patience, get, refuse_offline
from halo_utils.structures.reader import FILE_NAME

Member = tuple[str, Callable[[], bytes]]  # file name without folders, and how to read it
SAVE_EVERY = 1 << 28  # bytes of the archive between two saves of the position


def position_file(address: str, folder: Path) -> Path:
    """Return where the position in the archive at ``address`` is kept."""
    return folder / f"{digest(address)}.position.json"


class _Position:
    """Where the reading of an archive stands: ``offset`` of the next member, of the version with this ``tag``."""

    def __init__(self, address: str, wanted: Collection[str], folder: Path, settle: Callable[[], None]) -> None:
        self.path, self.settle = position_file(address, folder), settle
        known = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}
        same = set(wanted) <= set(known.get("wanted", ()))  # nothing that was passed over is wanted now
        self.wanted = known["wanted"] if same else sorted(wanted)
        self.offset, self.tag = (known["offset"], known["tag"]) if same else (0, "")
        self.saved = self.offset

    def save(self) -> None:
        """Write the position, after what was read up to it has been kept."""
        self.settle()
        self.saved = self.offset
        write_json(self.path, {"offset": self.offset, "tag": self.tag, "wanted": self.wanted})


def remote_members(
    address: str, wanted: Collection[str], folder: Path, settle: Callable[[], None], patience: Patience | None = None
) -> Iterator[Member]:
    """Yield the structures of ``wanted`` proteins in the tar archive at ``address``, in its order.

    ``folder`` keeps the position, so that a repeated command goes on there as long as it wants nothing new; ``settle``
    is called before the position is written. DownloadError where nothing, or no tar archive, comes.
    """
    refuse_offline(address)
    patience, name = patience or Patience(), address.rsplit("/", 1)[-1]
    position, failures = _Position(address, wanted, folder, settle), 0
    while True:
        start = position.offset
        try:
            yield from _read(address, position, wanted, patience)
        except (HTTPError, requests.RequestException, tarfile.TarError) as error:
            failures = failures + 1 if position.offset == start else 1
            position.save()
            if failures >= patience.tries:
                problem = f"{name}: the connection broke, or no tar archive came, after {position.offset / 1e9:.2f} GB"
                remedy = "what was copied is kept, run the same command again and it goes on there"
                raise DownloadError(f"{problem} of {address} ({type(error).__name__}: {error}): {remedy}") from error
            time.sleep(patience.backoff)
        except GeneratorExit:  # nothing more is wanted, or the command was interrupted
            position.save()
            raise
        else:
            position.settle()
            position.path.unlink(missing_ok=True)
            return


def _read(address: str, position: _Position, wanted: Collection[str], patience: Patience) -> Iterator[Member]:
    """Yield the wanted members from ``position`` to the end, and move it behind each."""
    with requests.Session() as session:
        if position.offset:  # with another version of the archive than before, the answer starts at 0
            session.headers["Range"] = f"bytes={position.offset}-"
            session.headers.update({"If-Range": position.tag} if position.tag else {})
        with get(session, address, patience, stream=True) as answer:
            if not answer.ok:
                raise DownloadError(f"{address} answered {answer.status_code} {answer.reason}: run the command again")
            base = position.offset if answer.status_code == 206 else 0
            position.offset, position.tag = base, answer.headers.get("ETag", "")
            size = base + int(answer.headers.get("Content-Length", 0))
            bar = tqdm(total=size or None, initial=base, unit="B", unit_scale=True, desc="archive", leave=False)
            with bar, tarfile.open(fileobj=answer.raw, mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    match = FILE_NAME.fullmatch(name)
                    if match and match["accession"] in wanted and (file := archive.extractfile(member)):
                        content = file.read()  # here, where a broken connection is dealt with
                        yield name, lambda content=content: content
                    position.offset = base + archive.offset
                    bar.update(position.offset - bar.n)
                    if position.offset - position.saved >= SAVE_EVERY:
                        position.save()
                while answer.raw.read(1 << 16):  # a cut between two members is an error as well
                    pass
