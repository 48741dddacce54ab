"""Destinations of a monitor's lines: a file or stderr, written at once. Knows no format."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Log(Protocol):
        """Destination of whole lines."""

        def write(self, text: str) -> None:
            """Append ``text``, which ends with a line end. Raises OSError or ValueError."""

        def close(self) -> None:
            """Close the file; nothing is written afterwards."""


def open_log(path: str | os.PathLike[str] | None, max_bytes: int, backup_count: int) -> Log:
    """Open the log at ``path``; None means stderr.

    It rotates if both ``max_bytes`` and ``backup_count`` are more than zero. Raises OSError.
    """
    if path is None:
        return StderrLog()
    absolute = os.path.abspath(path)  # the program may change its directory
    os.makedirs(os.path.dirname(absolute), exist_ok=True)
    if max_bytes > 0 and backup_count > 0:
        # `logging` is 1.5 MB that a program without rotation is spared.
        from memdeep.monitoring.rotating_log import RotatingLog

        return RotatingLog(absolute, max_bytes, backup_count)
    return AppendingLog(absolute)


class StderrLog:
    """The program's stderr."""

    __slots__ = ()

    def write(self, text: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()

    def close(self) -> None:
        pass


class NoLog:
    """Log that drops its lines, in place of one that could not be opened."""

    __slots__ = ()

    def write(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class AppendingLog:
    """File that each write appends to in one piece, so that nothing is lost with the process."""

    __slots__ = ("_fd", "_identity", "_path", "_torn")

    def __init__(self, path: str) -> None:
        self._path = path
        self._torn = False
        self._open()

    def write(self, text: str) -> None:
        self._check()
        rest = text.encode("utf-8", "backslashreplace")
        if self._torn:
            rest = b"\n" + rest
        whole = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        finally:
            # A full disk may have taken half a line; the next one shall not continue it.
            self._torn = bool(rest) and (self._torn or len(rest) < whole)

    def close(self) -> None:
        try:
            if self._is_ours():
                os.close(self._fd)
        except OSError:
            pass

    def _check(self) -> None:
        # A program that closes all descriptors may have been given our number for a file of its
        # own; and somebody may have removed the log.
        try:
            if self._is_ours():
                return
        except OSError:
            pass
        self._open()

    def _is_ours(self) -> bool:
        status = os.fstat(self._fd)
        return (status.st_dev, status.st_ino) == self._identity and status.st_nlink > 0

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o666)
        status = os.fstat(self._fd)
        self._identity = (status.st_dev, status.st_ino)
