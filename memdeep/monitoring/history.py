"""Readings that a monitor keeps for its report, in bounded memory. Knows no format and no clock."""

from __future__ import annotations

import heapq
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

MAX_FIRST = 5_000  # checkpoints kept from the start, and as many from the end
MAX_CROSSINGS = 200
MAX_GROWTHS = 10
MAX_LABEL = 200  # characters kept of a label


class Reading:
    """Resident size at one moment; ``label`` is None for a reading of the background thread."""

    __slots__ = ("label", "rss_bytes", "when")

    def __init__(self, label: str | None, rss_bytes: int | None, when: datetime) -> None:
        self.label = label
        self.rss_bytes = rss_bytes
        self.when = when


class Growth:
    """Growth of the resident size between two checkpoints in succession.

    ``begin`` is None where it is the start of the monitor.
    """

    __slots__ = ("begin", "end", "growth_bytes", "number")

    def __init__(self, begin: str | None, end: str, growth_bytes: int, number: int) -> None:
        self.begin = begin
        self.end = end
        self.growth_bytes = growth_bytes
        self.number = number

    def __lt__(self, other: Growth) -> bool:
        """Order by size, then the later first: the least is dropped first."""
        return (self.growth_bytes, -self.number) < (other.growth_bytes, -other.number)


class Crossing:
    """Reading on another level than the one before it."""

    __slots__ = ("after", "before", "reading")

    def __init__(self, before: str, after: str, reading: Reading) -> None:
        self.before = before
        self.after = after
        self.reading = reading


class History:
    """Readings so far: the first and last checkpoints, the peak, the largest growths."""

    __slots__ = (
        "_growths",
        "_level",
        "_previous",
        "count",
        "crossings",
        "crossings_count",
        "first",
        "last",
        "peak",
        "start",
    )

    def __init__(self, start: Reading, level: str) -> None:
        self.start = start
        self.peak = start
        self.first: list[Reading] = []
        self.last: deque[Reading] = deque(maxlen=MAX_FIRST)
        self.count = 0
        self.crossings: list[Crossing] = []
        self.crossings_count = 0
        self._growths: list[Growth] = []
        self._previous = start
        self._level = level

    def add_checkpoint(self, reading: Reading, level: str) -> None:
        """Add the reading of a checkpoint; ``level`` is that of `log_format.Thresholds`."""
        self.add_reading(reading, level)
        self.count += 1
        (self.first if len(self.first) < MAX_FIRST else self.last).append(reading)
        before_bytes = self._previous.rss_bytes
        if reading.rss_bytes is None:
            return
        if before_bytes is not None and reading.rss_bytes > before_bytes:
            growth_bytes = reading.rss_bytes - before_bytes
            growth = Growth(self._previous.label, reading.label or "", growth_bytes, self.count)
            if len(self._growths) < MAX_GROWTHS:
                heapq.heappush(self._growths, growth)
            else:
                heapq.heappushpop(self._growths, growth)
        self._previous = reading

    def add_reading(self, reading: Reading, level: str) -> None:
        """Add any reading: it may be the peak or cross a threshold."""
        if level != self._level:
            self.crossings_count += 1
            if len(self.crossings) < MAX_CROSSINGS:
                self.crossings.append(Crossing(self._level, level, reading))
            self._level = level
        if reading.rss_bytes is not None:
            if self.start.rss_bytes is None:
                self.start = self._previous = reading
            if self.peak.rss_bytes is None or reading.rss_bytes > self.peak.rss_bytes:
                self.peak = reading

    def largest_growths(self) -> list[Growth]:
        """Return at most ten growths, the largest first."""
        return sorted(self._growths, reverse=True)
