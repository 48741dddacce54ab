"""Log that rotates through the standard library's handler; imported only where asked for."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os

from memdeep.record.recorder import say


class RotatingLog:
    """File ``path``, and the full ones before it: ``path.1`` (newest) to ``path.<backup_count>``.

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
    """Handler that counts bytes, raises errors, and keeps writing where it may not rotate."""

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
