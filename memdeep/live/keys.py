"""Reads single keys from a terminal, and gives the terminal back as it was."""

from __future__ import annotations

import os
import select
import sys
import time
from types import TracebackType

UP, DOWN = "up", "down"
_ESCAPE = b"\x1b"
_NAMED = {b"\x1b[A": UP, b"\x1b[B": DOWN, b"\x1bOA": UP, b"\x1bOB": DOWN, b"k": UP, b"j": DOWN}
_REST_S = 0.05  # in which the rest of a key's sequence comes


class Keys:
    """The keys that are typed on standard input; none where that is no terminal.

    Use as a context manager: within it, keys are given at once and not shown. Ctrl-C stays what it
    is.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self._before: list[object] | None = None

    def __enter__(self) -> Keys:
        try:
            import termios
            import tty

            file = sys.stdin.fileno()
            self._before = termios.tcgetattr(file)
            tty.setcbreak(file, termios.TCSADRAIN)
            self._file = file
        except (ImportError, OSError, ValueError, AttributeError, termios.error):
            self._file = None  # no terminal, or none that can be read by keys
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None and self._before is not None:
            import termios

            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]

    def next(self, wait_s: float) -> str | None:
        """Wait for a key, so long at most; return its letter, `UP` or `DOWN`. None for others."""
        if self._file is None:
            time.sleep(wait_s)
            return None
        if not select.select([self._file], [], [], wait_s)[0]:
            return None
        typed = os.read(self._file, 1)
        if not typed:  # the terminal is gone; its hang-up ends us
            self._file = None
            return None
        if typed == _ESCAPE:
            while select.select([self._file], [], [], _REST_S)[0] and len(typed) < 3:
                typed += os.read(self._file, 1)
        return _NAMED.get(typed) or (typed.decode("ascii", "replace").lower() or None)
