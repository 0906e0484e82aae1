"""A local HTTP server for the tests: serves generated files as the real services do, and misbehaves on request.

What AlphaFold DB and EBI's archives answer is as public clients found it in autumn 2026.
"""

import hashlib
import http.server
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.models import SEQUENCE


@dataclass
class Page:
    """What the server answers for one path.

    Attributes:
        body: the bytes.
        status: HTTP status.
        headers: extra headers.
        faults: one word per request, used up in order: ``cut`` (half of the promised bytes), ``cut early`` (nothing
            after the headers), ``slow`` (a trickle), ``busy`` (503), ``later`` (429 with Retry-After 1), ``error``
            (500), ``hang`` (no answer), ``reset`` (connection reset), ``ok``.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from ``server.pages``; counts requests in ``server.log``."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(head=True)

    def do_GET(self) -> None:
        self.answer(head=False)

    def answer(self, *, head: bool) -> None:
        path = self.path.split("?")[0]
        self.server.log.append((path, time.monotonic()))
        with self.server.counting:
            self.server.open_now += 1
            self.server.most_open = max(self.server.most_open, self.server.open_now)
        try:
            self._answer(self.server.pages.get(path, Page(b"not here", 404)), head)
        finally:
            with self.server.counting:
                self.server.open_now -= 1

    def _answer(self, page: Page, head: bool) -> None:
        fault = page.faults.pop(0) if page.faults else "ok"
        if fault in ("busy", "later", "error"):
            headers = {"Retry-After": "1"} if fault == "later" else {}
            return self._send({"busy": 503, "later": 429, "error": 500}[fault], b"", headers, head)
        if fault == "hang":
            time.sleep(3)
            self.close_connection = True
            return None
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            self.close_connection = True
            return None
        body, status, tag = page.body, page.status, f'"{hashlib.md5(page.body).hexdigest()}"'
        span = self.headers.get("Range", "")
        if span and status == 200 and self.headers.get("If-Range", tag) == tag:
            body, status = body[int(span.removeprefix("bytes=").split("-")[0]) :], 206
        sent = {"cut": body[: len(body) // 2], "cut early": b""}.get(fault, body)
        headers = {"ETag": tag} | page.headers
        self.server.sent[self.path.split("?")[0]] += len(sent)
        return self._send(status, sent, headers, head, promised=len(body), slow=fault == "slow")

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        head: bool,
        promised: int | None = None,
        slow: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        if not head:
            piece = 4096 if slow else len(body) or 1
            for start in range(0, len(body), piece):
                time.sleep(0.02 if slow else 0)
                self.wfile.write(body[start : start + piece])
        if promised is not None and promised != len(body):
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """The server with its pages and its log of (path, time)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.log: list[tuple[str, float]] = []
        self.sent: Counter[str] = Counter()  # bytes of bodies per path
        self.counting, self.open_now, self.most_open = threading.Lock(), 0, 0
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A reset connection is part of the tests."""

    @property
    def counts(self) -> Counter[str]:
        """Requests per path."""
        return Counter(path for path, _ in self.log)

    def add(self, path: str, body: bytes, **options: object) -> str:
        """Serve ``body`` at ``path`` and return its address."""
        self.pages[path] = Page(body, **options | {"faults": list(options.get("faults", []))})
        return self.address + path

    def add_prediction(
        self,
        accession: str,
        model: bytes,
        version: int = 6,
        kind: str = "cif",
        sequence: str = SEQUENCE,
        **options: object,
    ) -> None:
        """Serve the look-up and the file of one protein as AlphaFold DB does: an isoform and a twin are listed first.

        The twin, under a checksum, has the accession and the sequence of the protein, an older model and no ``pdbUrl``;
        it tells the new names of the fields, the protein both, the isoform the old ones.
        """
        name = f"/files/AF-{accession}-F1-model_v{version}.{kind}"
        address = self.add(name, model, **options)
        number = int(hashlib.sha256(accession.encode()).hexdigest(), 16) % 10**16
        old_model = self.add(f"/files/AF-{number:016d}-model_v1.cif", b"the model of a twin was asked for")
        short = self.add(f"/files/AF-{accession}-2-F1-model_v{version}.cif", b"the model of an isoform was asked for")
        of_isoform = {"entryId": f"AF-{accession}-2-F1", "uniprotAccession": f"{accession}-2", "isComplex": False}
        of_isoform |= {"uniprotStart": 1, "uniprotSequence": sequence[2:], "cifUrl": short, "pdbUrl": short}
        twin = {"modelEntityId": f"AF-{number:016d}", "uniprotAccession": accession, "latestVersion": 1}
        twin |= {"sequenceStart": 1, "sequence": sequence, "cifUrl": old_model, "isComplex": False, "isUniProt": True}
        entry = {"entryId": f"AF-{accession}-F1", "uniprotAccession": accession, "latestVersion": version}
        entry |= {"modelEntityId": f"AF-{accession}-F1", "isComplex": False, "isUniProt": True}
        entry |= {"uniprotStart": 1, "sequenceStart": 1, "uniprotSequence": sequence, "sequence": sequence}
        entry |= {"cifUrl": address if kind == "cif" else "", "pdbUrl": address}
        self.add(f"/api/prediction/{accession}", json.dumps([of_isoform, twin, entry]).encode())


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the length of the block."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
