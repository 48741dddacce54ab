"""Where a monitor's lines go: appended to a file at once, or to stderr. Knows no format."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import sys

from memdeep.record.recorder import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Log(Protocol):
        """Takes whole lines."""

        def write(self, text: str) -> None:
            """Append ``text``, which ends with a line end. Raises OSError or ValueError."""

        def close(self) -> None:
            """Let go of the file; nothing is written afterwards."""


def open_log(path: str | os.PathLike[str] | None, max_bytes: int, backup_count: int) -> Log:
    """The log at ``path``; None means stderr.

    It rotates if both ``max_bytes`` and ``backup_count`` are more than zero. Raises OSError.
    """
    if path is None:
        return StderrLog()
    absolute = os.path.abspath(path)  # the program may change its directory
    os.makedirs(os.path.dirname(absolute), exist_ok=True)
    if max_bytes > 0 and backup_count > 0:
        # `logging` is 1.5 MB that a program without rotation is spared.

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
    """Takes the lines of a log that could not be opened."""

    __slots__ = ()

    def write(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class AppendingLog:
    """A file that each write appends to in one piece, so that nothing is lost with the process."""

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


class RotatingLog:
    """``path``, and ``path.1`` to ``path.<backup_count>`` behind it; 1 is the newest.

    Each holds at most ``max_bytes``, or a single write that is larger.
    """

    __slots__ = ("_handler",)

    def __init__(self, path: str, max_bytes: int, backup_count: int) -> None:
        self._handler = _Handler(path, maxBytes=max_bytes, backupCount=backup_count)
        self._handler.terminator = ""

    def write(self, text: str) -> None:
        self._handler.handle(logging.makeLogRecord({"msg": text}))

    def close(self) -> None:
        self._handler.close()


class _Handler(logging.handlers.RotatingFileHandler):
    """Counts bytes, raises what goes wrong, and keeps writing where it may not rotate."""

    _rotates = True

    def _open(self) -> io.TextIOWrapper:
        # Nothing is held back: a text that a full disk refused would be tried again at the end.
        raw = io.FileIO(self.baseFilename, "a")
        return io.TextIOWrapper(
            raw,
            encoding="utf-8",
            errors="backslashreplace",
            write_through=True,
        )

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        # The original counts characters; a Chinese one is three bytes.
        if not self._rotates or not os.path.isfile(self.baseFilename):
            return False
        if self.stream is None:
            self.stream = self._open()
        self.stream.seek(0, 2)
        size_bytes = self.stream.tell()
        new_bytes = len(record.getMessage().encode("utf-8", "backslashreplace"))
        return size_bytes > 0 and size_bytes + new_bytes > self.maxBytes

    def doRollover(self) -> None:
        try:
            super().doRollover()
        except OSError as error:
            self._rotates = False
            say(f"the monitor's log does not rotate: {error}")

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # noqa: PLE0704 - called while an exception is handled, to be raised further
