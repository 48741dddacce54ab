"""Finds a running process that shall be recorded, and refuses what cannot be, untouched."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from memdeep.errors import EXIT_NO_INPUT, AttachError
from memdeep.frozen import frozen
from memdeep.record import bootstrap, how

PROC = Path("/proc")
# What a CPython has mapped: its library or the interpreter itself, its standard library, modules.
_PYTHON = re.compile(r"python3\.(\d{1,3})|\.cpython-3(\d{1,3})-")


@frozen
class Target:
    """A running Python, as it is seen from outside.

    ``started_s`` is since the epoch, ``python`` its version, as (3, 12). ``user`` and ``group``
    are its numbers, -1 where the system has none.
    """

    pid: int
    started_s: float
    python: tuple[int, int]
    user: int
    group: int

    @property
    def version(self) -> str:
        """The version of its Python in words."""
        return ".".join(map(str, self.python))


class RefusedError(AttachError):
    """The system keeps this user out of a process."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"The system does not let memdeep trace process {pid}.",
            "Attach as root, where it may use ptrace (docker run --cap-add=SYS_PTRACE), or let the "
            "program call memdeep.attachable().",
        )


def find(pid: int) -> Target:
    """Return the process ``pid``. Raises AttachError if it can never be recorded from here."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(pid)
        user = process.uids().effective if hasattr(process, "uids") else -1
        group = process.gids().effective if hasattr(process, "gids") else -1
        words, started_s = _words(process), process.create_time()
    except (psutil.NoSuchProcess, ValueError, OverflowError) as error:
        raise AttachError(
            f"There is no process {pid}.",
            "See which Pythons are running: pgrep -a python",
            EXIT_NO_INPUT,
        ) from error
    except psutil.Error as error:
        raise _of_another(pid, -1) from error
    if pid == os.getpid():
        raise AttachError(
            f"Process {pid} is this very memdeep.",
            "Name the process of the program.",
        )
    own = os.geteuid() if hasattr(os, "geteuid") else user
    if user != own and own != 0:
        raise _of_another(pid, user)
    python = _python(pid, process)
    if python is None:
        raise AttachError(
            f"Process {pid} is no Python program: {' '.join(words[:1]) or process.name()}.",
            f"Name the interpreter itself, which may be a child of it: pgrep -a -P {pid}",
        )
    if _is_elsewhere(pid):
        raise AttachError(
            f"Process {pid} runs in a container, where it has another number.",
            "Run memdeep inside it, or in a container that shares its processes "
            "(docker run --pid=container:NAME).",
        )
    if bootstrap.__file__ in words and how.END in words:
        raise already_recorded(pid)
    return Target(pid, started_s, python, user, group)


def already_recorded(pid: int) -> AttachError:
    """Return the error that the process ``pid`` is being recorded."""
    return AttachError(
        f"Process {pid} is being recorded by memdeep already.",
        "Follow that with `memdeep watch`, or attach when it has ended.",
    )


def exit_status(pid: int) -> int | None:
    """Return how the process ``pid``, nobody's child here, has ended, as `Popen.returncode` has it.

    The kernel tells it of one that ends, or has ended and was not awaited by its parent yet; None
    where nothing was there to read. See field 52 of stat in proc(5).
    """
    with suppress(OSError, IndexError, ValueError):
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        status = int(fields[49])
        if status or fields[0] in (b"Z", b"X"):
            return -(status & 0x7F) if status & 0x7F else status >> 8 & 0xFF
    return None


def is_there(pid: int) -> bool:
    """Tell if the process ``pid`` is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def status(pid: int) -> dict[str, str]:
    """Return the fields of proc_pid_status(5); none where the system does not tell them."""
    found = {}
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            found[name] = value.strip()
    return found


def _of_another(pid: int, user: int) -> AttachError:
    return AttachError(
        f"Process {pid} belongs to another user."
        if user < 0
        else f"Process {pid} belongs to another user, of number {user}.",
        "Run memdeep attach as that user, or as root.",
    )


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.AccessDenied:
        return []


def _python(pid: int, process: psutil.Process) -> tuple[int, int] | None:
    """Return the version of the CPython that a process runs, None if it runs none.

    Raises RefusedError.
    """
    known = ""
    try:
        known = (PROC / str(pid) / "maps").read_text("utf-8", "replace")
    except PermissionError as error:
        raise RefusedError(pid) from error
    except OSError:
        pass
    if not known:
        with suppress(psutil.Error):
            known = process.exe()
    for match in _PYTHON.finditer(known):
        return 3, int(match[1] or match[2])
    return None


def _is_elsewhere(pid: int) -> bool:
    """Tell if the process has another number where it lives: it is in a namespace of its own."""
    numbers = status(pid).get("NSpid", "") if sys.platform.startswith("linux") else ""
    return numbers.split()[-1:] not in ([], [str(pid)])
