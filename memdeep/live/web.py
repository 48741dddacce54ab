"""Serves the page of a run that goes on to browsers of this machine, and to nobody else.

It listens on 127.0.0.1 only. An address holds a random token; whoever does not know it is refused,
and so is a request for another host: a page elsewhere whose name was made to lead here.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from memdeep.errors import CaptureError, OutputError
from memdeep.frozen import replace
from memdeep.live.freeze import Freezer
from memdeep.rundir import live
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.live import Live
from memdeep.rundir.meta import MAX_BYTES, decode_meta
from memdeep.text.safe import plain, plain_code

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
TOKEN_BYTES = 24
ANSWERED_S = 10.0
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class WebWatch(ThreadingHTTPServer):
    """Serves ``page``, and to it the run in ``run_dir``; `address` is where.

    With ``port`` 0 the system chooses one. Raises OutputError if the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, run_dir: RunDirectory, page: bytes, port: int = 0) -> None:
        self.run_dir = run_dir
        self.page = page
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.freezer = Freezer(run_dir)
        self.lock = threading.Lock()  # around the freezer: each request has a thread
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"Port {port} cannot be listened on: {reason.lower()}.",
                "Name another one with --port, or leave it out.",
            ) from error

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""

    def state(self) -> bytes:
        """Return the run as it is now, as JSON."""
        problem, found = None, None
        try:
            found = self._judged(live.read(self.run_dir.live))
        except CaptureError as error:
            problem = error.message
        with self.lock:
            is_busy = self.freezer.is_busy
            frozen = {
                "is_busy": is_busy,
                "has_failed": self.freezer.has_failed,
                "is_made": self.freezer.made is not None,
            }
        shown = None if found is None else json.loads(live.encode(_plain(found)))
        state = {"now_s": time.time(), "live": shown, "problem": problem, "frozen": frozen}
        return json.dumps(state).encode("ascii")

    def _judged(self, found: Live | None) -> Live | None:
        """Return the run with the verdict on its end, once there is one."""
        meta = read_if_there(self.run_dir.meta, MAX_BYTES)
        verdict = None if meta is None else decode_meta(meta, self.run_dir.meta).verdict
        return found if found is None or verdict is None else live.ended(found, verdict)

    def freeze(self) -> None:
        """Begin a report on the run as it is now."""
        with self.lock:
            self.freezer.start()

    def report(self) -> Path | None:
        """Return the page of the last such report."""
        with self.lock:
            return self.freezer.made


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: WebWatch
    timeout = ANSWERED_S
    server_version = "memdeep"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page, with the figures, or with a report."""
        name = self._name()
        if name == "":
            self._answer(HTTPStatus.OK, HTML, self.server.page)
        elif name == "live.json":
            self._answer(HTTPStatus.OK, JSON, self.server.state())
        elif name == "report" and (report := self.server.report()) is not None:
            try:
                self._answer(HTTPStatus.OK, HTML, report.read_bytes())
            except OSError:
                self._refuse(HTTPStatus.NOT_FOUND)
        elif name is not None:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Begin a report."""
        name = self._name()
        if name == "freeze":
            self.server.freeze()
            self._answer(HTTPStatus.ACCEPTED, JSON, b"{}")
        elif name is not None:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _name(self) -> str | None:
        """Return the part of the path behind the token; refuse who may not ask, and return None."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        hosts = [f"{name}:{self.server.server_port}" for name in NAMES]
        token, slash, name = self.path.partition("?")[0].lstrip("/").partition("/")
        is_known = hmac.compare_digest(token.encode(), self.server.token.encode())
        is_from_here = origin is None or origin.removeprefix("http://") in hosts
        if is_known and slash and host in hosts and is_from_here:
            return name
        self._refuse(HTTPStatus.FORBIDDEN)
        return None

    def _refuse(self, status: HTTPStatus) -> None:
        self._answer(status, TEXT, f"{status.value} {status.phrase}\n".encode())

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the address holds the token."""


def _plain(found: Live) -> Live:
    """Return the run with texts that do not deceive a reader."""
    return replace(
        found,
        process=replace(found.process, name=plain(found.process.name)),
        phases=tuple(replace(phase, name=plain(phase.name)) for phase in found.phases),
        lines=tuple(
            replace(
                line,
                file=plain(line.file),
                function=plain(line.function),
                source=None if line.source is None else plain_code(line.source),
            )
            for line in found.lines
        ),
    )
