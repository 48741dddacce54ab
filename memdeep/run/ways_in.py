"""The ways into a running program: its own socket, its interpreter's offer to call, a debugger.

At the end of each there is a thread in the program that does what it is told
(`memdeep.record.attached`), and a socket to tell it. Knows nothing of what is recorded.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from contextlib import suppress
from typing import Any

from memdeep.errors import AttachError
from memdeep.record import attachable
from memdeep.record.attached import DETACH, MAX_LINE, RECORD, TELL
from memdeep.run import rehearsal
from memdeep.run.called import by_interpreter, call, peer
from memdeep.run.target import PROC, Target, already_recorded, is_there
from memdeep.version import __version__

ANSWER_S = 30.0  # of a program that is busy, and has to import what records it
LISTENING = "00010000"  # among the flags of a socket, in /proc/net/unix
FIRST_CALLED = (3, 14)  # the first Python that calls for others: sys.remote_exec


class Line:
    """The line to the thread in a program. Each order is answered; use as a context manager."""

    def __init__(self, connected: socket.socket, pid: int) -> None:
        self._socket = connected
        self._pid = pid
        self._answers = connected.makefile("rb")

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def facts(self) -> dict[str, Any]:
        """Return what the program tells of itself. Raises AttachError if it cannot be recorded."""
        self._send({"do": TELL})
        told = self._answer()
        if told.get("version") != __version__:
            raise AttachError(
                f"Process {self._pid} has memdeep {told.get('version')}, and this is memdeep "
                f"{__version__}.",
                "Attach with the memdeep that the program itself imports.",
            )
        obstacle = str(told.get("obstacle", ""))
        if obstacle == "recorded":
            raise already_recorded(self._pid)
        if obstacle == "traced":
            raise AttachError(
                f"memray is tracking process {self._pid} already, and there can be but one "
                "tracker.",
                "End that one first.",
            )
        if obstacle:
            raise AttachError(
                f"Process {self._pid} cannot import memray.",
                "Install memdeep, and memray with it, for the Python of the program.",
            )
        return told

    def record(self, words: list[str], orders: int) -> None:
        """Begin the recording; the program gets the descriptor ``orders``. Raises AttachError."""
        order = _encoded({"do": RECORD, "how": words})
        try:
            socket.send_fds(self._socket, [order], [orders])
        except OSError as error:
            raise self._is_gone() from error
        self._answer()

    def ask_to_detach(self) -> None:
        """Ask for the end of the recording, without awaiting it."""
        with suppress(OSError):  # it has ended with the program
            self._socket.sendall(_encoded({"do": DETACH}))

    def await_detached(self) -> bool:
        """Wait until nothing of the recording is left in the program; False if it does not say."""
        try:
            return "problem" not in self._answer()
        except AttachError:
            return False

    def close(self) -> None:
        """Hang up: the program ends the recording, if it has not yet."""
        self._answers.close()
        self._socket.close()

    def _send(self, order: dict[str, Any]) -> None:
        try:
            self._socket.sendall(_encoded(order))
        except OSError as error:
            raise self._is_gone() from error

    def _answer(self) -> dict[str, Any]:
        """Return the answer to an order. Raises AttachError if there is none, or a refusal."""
        self._socket.settimeout(ANSWER_S)
        try:
            answer = json.loads(self._answers.readline(MAX_LINE))
        except TimeoutError as error:
            raise AttachError(
                f"Process {self._pid} has not answered within {ANSWER_S:.0f} s.",
                "It may be stopped, or hold the interpreter in C code; try again later.",
            ) from error
        except (OSError, ValueError) as error:
            raise self._is_gone() from error
        problem = answer.get("problem")
        if problem is not None:
            raise AttachError(
                f"Process {self._pid} could not begin to record: {problem}.",
                "The program goes on as it was. Its user must be able to write to the run "
                "directory: choose one with -o.",
            )
        found: dict[str, Any] = answer
        return found

    def _is_gone(self) -> AttachError:
        if is_there(self._pid):
            return AttachError(
                f"Process {self._pid} does not answer memdeep.",
                "It accepts its own user and root; and it may have closed all its files.",
            )
        return AttachError(f"Process {self._pid} has just ended.", "Attach to one that runs.")


def reach(target: Target) -> Line:
    """Return a line to ``target``, by the first way that is open. Raises AttachError."""
    for path in _sockets(target):
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(ANSWER_S)
            connected.connect(path)
            if peer(connected) in (None, target.pid):
                return Line(connected, target.pid)
        except OSError:
            pass
        connected.close()
    if target.python != sys.version_info[:2]:
        raise AttachError(
            f"Process {target.pid} runs on Python {target.version}, and this memdeep on "
            f"{sys.version_info[0]}.{sys.version_info[1]}: only the same version can call into it.",
            f"Attach with a memdeep that is installed for Python {target.version}, or let the "
            "program call memdeep.attachable().",
        )
    put = by_interpreter if target.python >= FIRST_CALLED else rehearsal.rehearsed(target)
    return Line(call(target, put), target.pid)


def _sockets(target: Target) -> list[str]:
    """Return the addresses at which ``target`` may listen."""
    name = f"{target.pid}{attachable.SUFFIX}"
    if not sys.platform.startswith("linux"):
        return [f"{directory}/{name}" for directory in attachable.directories()]
    own = PROC / str(target.pid)
    inodes = set()
    with suppress(OSError):
        for descriptor in os.listdir(own / "fd"):
            with suppress(OSError):
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(own / "fd" / descriptor))
                inodes.update([match[1]] if match else [])
    found = []
    with suppress(OSError):
        for line in (own / "net/unix").read_text("utf-8", "replace").splitlines()[1:]:
            fields = line.split(None, 7)  # the path may have spaces
            if len(fields) == 8 and fields[3] == LISTENING and fields[6] in inodes:
                path = fields[7]
                if os.path.basename(path) == name:
                    found += [path, f"{own}/root{path}"]  # where it sees another tree of files
    return found


def _encoded(order: dict[str, Any]) -> bytes:
    return (json.dumps(order) + "\n").encode("ascii")
