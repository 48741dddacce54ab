"""The order of a capture's memory records, and the places of the checkpoints among them.

Knows neither memray's reader nor any stack.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence

from memdeep.frozen import frozen
from memdeep.heap.markers import FIRST_FLAG, SECOND_FLAG, is_flagged
from memdeep.heap.parts import Part
from memdeep.model import Sample, Stretch


@frozen
class MemoryRecord:
    """One reading of memory; ``time_ms`` is since the epoch."""

    time_ms: int
    rss_bytes: int
    heap_bytes: int


class CheckpointAxis:
    """The checkpoints of one capture, placed among its memory records.

    Checkpoints are numbered as in the whole run. Window ``w`` lies between the memory records
    ``w - 1`` and ``w``. ``marked`` is the number of checkpoints that have a marker among the
    records, ``seen`` that of those and of the cuts that have a record after them. The capture began
    at ``start_ms``.
    """

    def __init__(self, records: Sequence[MemoryRecord], part: Part, start_ms: int) -> None:
        self.last = part.last
        self._first_marked = max(1, part.first)
        self._records = records
        self._places: list[int] = []
        self.marked = 0
        cuts = deque(part.cuts)
        for index, record in enumerate(records):
            is_marker = is_flagged(record.rss_bytes, FIRST_FLAG)
            if is_flagged(record.rss_bytes, SECOND_FLAG):
                continue
            while (
                cuts
                and cuts[0].after <= self.marked
                and (is_marker or start_ms + cuts[0].time_ms <= record.time_ms)
            ):
                cuts.popleft()
                self._places.append(index)
            # Without the other record of a marker, the capture is cut off between the two.
            if is_marker and index < len(records) - 1:
                self._places.append(index)
                self.marked += 1
        self.seen = len(self._places)
        del self._places[part.markers :]
        # memray gives no memory record after the last allocation.
        missing = part.markers - len(self._places)
        self._places.extend([len(records)] * missing)

    def checkpoint_after(self, record: int) -> int:
        """Find the first checkpoint at or after memory record number ``record``."""
        return bisect_left(self._places, record) + self._first_marked

    def windows(self, stretch: Stretch) -> range:
        """Return the windows that make up ``stretch``."""
        start = stretch.start - self._first_marked
        end = stretch.end - self._first_marked
        first = 0 if start < 0 else self._places[start] + 1
        last = self._places[end] if end < len(self._places) else len(self._records)
        return range(first, last + 1)

    def middle_s(self, window: int, start_ms: int) -> float | None:
        """Return the time of the middle of ``window``; None if no memory record is near."""
        around = self._records[max(0, window - 1) : window + 1]
        if not around:
            return None
        return max(0.0, sum(r.time_ms - start_ms for r in around) / len(around) / 1000)

    def curve(self, peaks: Sequence[int], start_ms: int) -> Iterable[Sample]:
        """Return the heap over time: memray's own readings, and the peaks between them."""
        ordered = []
        for window, record in enumerate(self._records):
            time_s = max(0.0, (record.time_ms - start_ms) / 1000)
            middle_s = self.middle_s(window, start_ms)
            before = self._records[window - 1].heap_bytes if window else 0
            peak = peaks[window] if window < len(peaks) else 0
            if peak > max(before, record.heap_bytes) and middle_s is not None:
                ordered.append(Sample(middle_s, peak))
            if not self._is_marker(record):
                ordered.append(Sample(time_s, record.heap_bytes))
        return sorted(ordered, key=lambda sample: sample.time_s)

    def _is_marker(self, record: MemoryRecord) -> bool:
        flags = (FIRST_FLAG, SECOND_FLAG)
        return any(is_flagged(record.rss_bytes, flag) for flag in flags)
