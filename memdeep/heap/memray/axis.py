"""The order of a capture's memory records, and where the checkpoints lie among them.

memray calls its memory records snapshots. Knows neither its reader nor any stack.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdeep.heap.markers import FIRST_FLAG, SECOND_FLAG, is_flagged
from memdeep.heap.parts import Part
from memdeep.model import Sample, Stretch


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One memory record; ``time_ms`` is since the epoch."""

    time_ms: int
    rss_bytes: int
    heap_bytes: int


class Axis:
    """Where the checkpoints of one capture lie among its snapshots.

    Checkpoints are numbered as in the whole run. Window ``w`` is what lies between snapshots
    ``w - 1`` and ``w``. ``seen`` is the number of checkpoints that have a snapshot.
    """

    def __init__(self, snapshots: Sequence[Snapshot], part: Part) -> None:
        self.last = part.last
        self._first_marked = max(1, part.first)
        self._snapshots = snapshots
        self._places = [
            index for index, s in enumerate(snapshots) if is_flagged(s.rss_bytes, FIRST_FLAG)
        ]
        if self._places[-1:] == [len(snapshots) - 1]:
            self._places.pop()  # the capture is cut off between the two records of a marker
        self.seen = len(self._places)
        del self._places[part.markers :]
        # memray gives no snapshot for a record after the last allocation.
        missing = part.markers - len(self._places)
        self._places.extend([len(snapshots)] * missing)

    def checkpoint_after(self, snapshot: int) -> int:
        """The first checkpoint at or after ``snapshot``: where its bytes are first seen."""
        return bisect_left(self._places, snapshot) + self._first_marked

    def windows(self, stretch: Stretch) -> range:
        """The windows that make up ``stretch``."""
        start = stretch.start - self._first_marked
        end = stretch.end - self._first_marked
        first = 0 if start < 0 else self._places[start] + 1
        last = self._places[end] if end < len(self._places) else len(self._snapshots)
        return range(first, last + 1)

    def middle_s(self, window: int, start_ms: int) -> float | None:
        """When window ``window`` was, give or take half its length."""
        around = self._snapshots[max(0, window - 1) : window + 1]
        if not around:
            return None
        return max(0.0, sum(s.time_ms - start_ms for s in around) / len(around) / 1000)

    def curve(self, peaks: Sequence[int], start_ms: int) -> Iterable[Sample]:
        """The heap over time between the checkpoints: memray's readings, and peaks in between."""
        ordered = []
        for window, snapshot in enumerate(self._snapshots):
            time_s = max(0.0, (snapshot.time_ms - start_ms) / 1000)
            middle_s = self.middle_s(window, start_ms)
            before = self._snapshots[window - 1].heap_bytes if window else 0
            peak = peaks[window] if window < len(peaks) else 0
            if peak > max(before, snapshot.heap_bytes) and middle_s is not None:
                ordered.append(Sample(middle_s, peak))
            if not self._is_marker(snapshot):
                ordered.append(Sample(time_s, snapshot.heap_bytes))
        return sorted(ordered, key=lambda sample: sample.time_s)

    def _is_marker(self, snapshot: Snapshot) -> bool:
        flags = (FIRST_FLAG, SECOND_FLAG)
        return any(is_flagged(snapshot.rss_bytes, flag) for flag in flags)
