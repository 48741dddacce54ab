"""Checkpoints of the backtest: handed to memdeep where it is installed, and logged here too.

The program's own log reads the resident set the same way with and without a tracker, so the two
kinds of run can be compared label by label.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

_BYTES_PER_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """The resident set at one checkpoint; ``edge`` is point, begin or end."""

    label: str
    edge: str
    seconds: float
    rss_bytes: int | None


def checkpoint(label: str, note: str | None = None) -> None:
    """Mark this point of the program."""
    _record(label, "point")
    _track_point(label, note)


@contextmanager
def phase(label: str) -> Iterator[None]:
    """Mark a stretch of the program; a context manager or a decorator."""
    _record(label, "begin")
    try:
        with _track_span(label):
            yield
    finally:
        _record(label, "end")


def write_rss_log(path: Path) -> None:
    """Write the readings taken so far to ``path``, one JSON object a line."""
    lines = [json.dumps(asdict(reading), ensure_ascii=False) for reading in _readings]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rss_report() -> str:
    """The readings taken so far as text, one line each, with the change since the line before."""
    lines = [f"{'seconds':>9} {'RSS MB':>9} {'change':>9}  checkpoint"]
    previous: int | None = None
    for reading in _readings:
        if reading.rss_bytes is None:
            figures = f"{'?':>9} {'?':>9}"
        else:
            change = 0 if previous is None else reading.rss_bytes - previous
            figures = f"{reading.rss_bytes / _BYTES_PER_MB:9.1f} {change / _BYTES_PER_MB:+9.1f}"
        edge = "" if reading.edge == "point" else f" ({reading.edge})"
        lines.append(f"{reading.seconds:9.2f} {figures}  {reading.label}{edge}")
        previous = reading.rss_bytes
    return "\n".join(lines)


def _record(label: str, edge: str) -> None:
    seconds = round(time.perf_counter() - _started, 4)
    _readings.append(Reading(label, edge, seconds, _rss_bytes()))


def _rss_bytes() -> int | None:
    """The resident set of this process, or None where there is no Linux ``/proc``."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


_PointTracker = Callable[[str, str | None], object]
_SpanTracker = Callable[[str], AbstractContextManager[object]]


def _ignore_point(label: str, note: str | None) -> None:
    """Stand in for ``memdeep.checkpoint``."""


def _ignore_span(label: str) -> AbstractContextManager[None]:
    """Stand in for ``memdeep.phase``."""
    return nullcontext()


def _trackers() -> tuple[_PointTracker, _SpanTracker]:
    try:
        from memdeep import checkpoint, phase
    except ImportError:
        return _ignore_point, _ignore_span
    return checkpoint, phase


_track_point, _track_span = _trackers()
_readings: list[Reading] = []
_started = time.perf_counter()
