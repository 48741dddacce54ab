"""Draws the live line at the bottom of a terminal while the program runs and is reported on.

The program shares the terminal. So the last row is taken out of the scrolling region (DECSTBM, as
apt does for its progress bar) and drawn there with the cursor saved and restored: the program's
own output scrolls above it untouched.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TextIO

from memdeep.run.progress import Progress
from memdeep.text import units
from memdeep.text.safe import plain

BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_CELLS = 20
SPARKLINE_PERIOD_S = 0.5
REDRAW_S = 0.2
MIN_ROWS = 3
LOW_RATIO = 0.5  # of the limit


class StatusLine:
    """Draws phase, time, RSS and a sparkline on ``stream``; nothing at all unless a terminal.

    Use as a context manager: leaving it gives the row back.
    """

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._history: deque[int] = deque(maxlen=SPARKLINE_CELLS)
        self._drawn_s = float("-inf")
        self._noted_s = float("-inf")
        self._size: os.terminal_size | None = None
        self._is_on = not quiet and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._size is not None:
            rows = self._size.lines
            self._write(f"\x1b7\x1b[r\x1b[{rows};1H\x1b[2K\x1b8")
            self._size = None

    def update(self, progress: Progress) -> None:
        """Show ``progress``; cheap to call often."""
        now_s = time.monotonic()
        if not self._is_on or now_s - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = now_s
        if now_s - self._noted_s >= SPARKLINE_PERIOD_S:
            self._noted_s = now_s
            self._history.append(progress.size_bytes)
        self._draw(status_text(progress, self._history))

    def _draw(self, text: str) -> None:
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return
        if size.lines < MIN_ROWS:
            return
        parts = []
        if size != self._size:
            # One line up first, so that the row taken is not one the program has written on.
            parts.append(f"\n\x1b7\x1b[1;{size.lines - 1}r\x1b8\x1b[1A")
            self._size = size
        from rich.cells import set_cell_size  # only here: a program does not wait for it

        row = set_cell_size(text, size.columns - 1)
        parts.append(f"\x1b7\x1b[{size.lines};1H\x1b[2K{row}\x1b8")
        self._write("".join(parts))

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, UnicodeEncodeError):
            self._is_on = False


def status_text(progress: Progress, history: deque[int]) -> str:
    """Compose the line: sparkline, RSS or PSS, time, the last checkpoint."""
    left = ""
    if progress.left_bytes is not None and progress.limit_bytes is not None:
        # Far from the limit it tells nothing, and on a whole system others share what is left.
        is_near = progress.left_bytes <= progress.limit_bytes * LOW_RATIO
        left = f" · {units.size(max(0, progress.left_bytes))} left" if is_near else ""
    measure = "PSS" if progress.is_pss else "RSS"
    figures = (
        f"memdeep {sparkline(history)} {measure} {units.size(progress.size_bytes)}{left} · "
        f"{units.duration(progress.elapsed_s)}"
    )
    return figures if progress.label is None else f"{figures} · {plain(progress.label)}"


def sparkline(history: deque[int]) -> str:
    """Draw the last readings as bars, from zero to the highest."""
    top = max(history, default=0) or 1
    return "".join(BARS[min(len(BARS) - 1, value * len(BARS) // top)] for value in history)
