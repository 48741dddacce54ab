"""The checkpoints of one replayed capture, and the windows between them.

A window lies between two cuts: memray's readings of the RSS, the markers, and the times at which
the part is cut. Knows no stack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter

from memdeep.heap.parts import Part
from memdeep.heap.replay.columns import NEVER
from memdeep.heap.replay.trace import Cut, Trace
from memdeep.model import Sample, Stretch

MAX_READINGS = 10_000  # of a curve, of which a page draws 1,500; an hour has 70,000


class CheckpointAxis:
    """The replay's segments and windows, placed among the checkpoints of the run.

    Checkpoints are numbered as in the whole run. A segment of the replay is named by the first
    checkpoint at its end or after it: there its bytes are first seen. ``marked`` is the number of
    checkpoints that have a marker, ``seen`` that of those and of the cuts before the end of the
    capture.

    ``setters`` has the identifier of the thread that set each checkpoint, where it is known.

    ``ends[s]`` is the checkpoint that ends segment s, or `NEVER` after the last checkpoint that
    this capture knows of. ``moments`` has the segment that each moment ends, by its number.
    """

    def __init__(self, trace: Trace, part: Part) -> None:
        self._windows = trace.windows
        self._part = part
        cuts = trace.windows.cut
        kinds, marker_end = (int(Cut.MARKER), int(Cut.THREAD_MARKER)), int(Cut.MARKER_END)
        markers = [n for n, cut in enumerate(cuts) if cut in kinds]
        # What was there before the capture has a segment of its own, which the start ends.
        before = [0] if trace.totals.earlier_sites else []
        self._checkpoints = [*before, max(1, part.first)]
        self.setters: dict[int, int] = {}
        self.moments: dict[int, int] = {}
        moments = part.moments
        met = 0
        for place in markers:
            # It has two records, unless the capture is cut off between them. A thread's name is
            # an event that is no checkpoint, or the repetition of a marker.
            is_seen = cuts[place + 1] == marker_end
            is_counted = is_seen and met < part.markers
            if is_counted and met in moments:
                self.moments[moments[met]] = len(self._checkpoints) - 1
                is_counted = False
            met += is_seen
            setter = trace.setters[len(self._checkpoints)]
            if is_counted and setter:
                self.setters[self._checkpoints[-1]] = setter
            self._checkpoints.append(self._checkpoints[-1] + is_counted)
        self.marked = met - len(part.cuts)
        self.seen = met - trace.totals.late_cuts
        self.ends = tuple(end if end <= part.last else NEVER for end in self._checkpoints)

    def peak_windows(self, groups: Sequence[Sequence[Stretch]]) -> dict[int, int]:
        """Find, for each group with a stretch in the part, the window with the highest heap."""
        heights = self._windows.peak
        highest: dict[int, int] = {}  # by the checkpoint that ends it
        for window, segment in enumerate(self._windows.segment):
            ends = self._checkpoints[segment]
            if ends not in highest or heights[window] > heights[highest[ends]]:
                highest[ends] = window
        chosen = {}
        first, last = self._part.first, self._part.last
        for place, stretches in enumerate(groups):
            if len(stretches) == 1 and stretches[0].end - stretches[0].start == 1:
                # As most are, where there are very many.
                ends = stretches[0].end
                if ends in highest and first < ends <= last:
                    chosen[place] = highest[ends]
                continue
            windows = [
                highest[ends]
                for stretch in stretches
                if self._part.holds(stretch)
                for ends in range(stretch.start + 1, stretch.end + 1)
                if ends in highest
            ]
            if windows:
                one = windows[0] if len(windows) == 1 else max(windows, key=heights.__getitem__)
                chosen[place] = one
        return chosen

    def own_peaks(
        self, trace: Trace, names: Iterable[tuple[int, str]]
    ) -> dict[str, dict[int, int]]:
        """Return the highest heap of threads in each segment in which it changed, by their names.

        A name that several threads have had, and a thread that had several, are left out.
        """
        pairs = set(names)
        identifiers, given = Counter(i for i, _ in pairs), Counter(name for _, name in pairs)
        known = {i: name for i, name in pairs if identifiers[i] == given[name] == 1}
        found: dict[str, dict[int, int]] = {name: {} for name in known.values()}
        rows = trace.own_peaks
        for segment, identifier, size in zip(rows.segment, rows.thread, rows.bytes, strict=True):
            name, end = known.get(identifier), self.ends[segment]
            if name is not None and end != NEVER:
                found[name][end] = max(size, found[name].get(end, 0))
        return found

    def middle_s(self, window: int, start_ms: int) -> float | None:
        """Return the time of the middle of ``window``; None where no cut has a time."""
        times_ms = self._windows.time_ms
        start = max(0, window - 1)
        end = min(window, len(self._windows.cut) - 2)  # when the trace ended is not known
        if end < start:
            return None
        return max(0.0, ((times_ms[start] + times_ms[end]) / 2 - start_ms) / 1000)

    def curve(self, start_ms: int) -> list[Sample]:
        """Return the heap over time: memray's own readings, and the peaks between them."""
        samples = []
        before = 0
        windows, reading, last = self._windows, int(Cut.MEMORY), int(Cut.END)
        for window in _telling(windows.peak):
            cut, time_ms = windows.cut[window], windows.time_ms[window]
            heap, peak = windows.heap[window], windows.peak[window]
            if peak > before and peak > heap and cut != last:
                middle_s = self.middle_s(window, start_ms)
                if middle_s is not None:
                    samples.append(Sample(middle_s, peak))
            if cut == reading:
                samples.append(Sample(max(0.0, (time_ms - start_ms) / 1000), heap))
            before = heap
        return sorted(samples, key=attrgetter("time_s"))


def _telling(heights: Sequence[int]) -> Iterable[int]:
    """Choose the windows of a curve: of very many, the last and the highest of neighbours."""
    size = len(heights) // MAX_READINGS + 1
    if size == 1:
        return range(len(heights))
    chosen: set[int] = set()
    for start in range(0, len(heights), size):
        group = list(heights[start : start + size])
        chosen.update((start + len(group) - 1, start + group.index(max(group))))
    return sorted(chosen)
