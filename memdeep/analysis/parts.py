"""Divides the growth of the RSS in a phase into its parts, by the readings of the mappings.

A checkpoint without a reading of its own is held against one near it between which little moved:
that is why none was made. Where the budget did not allow one, the parts are not known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from memdeep.analysis.culprits import ChargedLines, Line
from memdeep.model import Checkpoint, Heap, Parts, Residency, Stretch
from memdeep.model.sums import Tally, sum_of_known

MOVED_BYTES = 4 << 20  # between two readings, where there could have been one in between


# The figures at a checkpoint: the bytes of plain heap that are alive, and those of them that are
# resident; the bytes of file, shared, allocator, unseen and tracer. Not a NamedTuple: there is one
# for each checkpoint.
_Standing = tuple[int, int, int, int, int, int, int]
# The place of the reading that stands for a checkpoint, and the figures there; None if not known.
_Near = tuple[int | None, _Standing | None]


class Readings:
    """The readings of a run, by checkpoint."""

    def __init__(
        self, checkpoints: Sequence[Checkpoint], heap: Heap, charged: ChargedLines
    ) -> None:
        self._charged = charged
        self.checkpoints = checkpoints
        self._heap = heap
        self._readings = sorted(heap.residency, key=lambda one: one.checkpoint)
        self._places = [one.checkpoint for one in self._readings]
        self._standings = [self._at(one) for one in self._readings]
        self._lines: dict[int, dict[Line, float]] = {}
        self._known: dict[int, _Near] = {}

    def parts(
        self, stretches: Sequence[Stretch], rss_delta: int | None, heap_delta: int | None
    ) -> Parts | None:
        """Return the parts of the growth in ``stretches``; None where that is not known.

        ``rss_delta`` is the growth of the RSS in them, ``heap_delta`` that of the heap, if they
        were traced.
        """
        if rss_delta is None:
            return None
        if heap_delta is not None and self._readings:
            known = self._ends(stretches)
            if known is not None:
                return _measured(known, rss_delta)
        file = sum_of_known(
            [
                _growth(
                    self.checkpoints[one.start].rss_file_bytes,
                    self.checkpoints[one.end].rss_file_bytes,
                )
                for one in stretches
            ]
        )
        if heap_delta is not None and heap_delta <= -MOVED_BYTES:
            heap_delta = min(0, heap_delta + sum(map(self._idle_and_freed, stretches)))
        return Parts(heap_delta, file, unknown=rss_delta - (heap_delta or 0) - (file or 0))

    def _idle_and_freed(self, stretch: Stretch) -> int:
        """Return how much of what was freed in ``stretch`` may have been no resident heap before.

        The reading before it tells what was not resident, or mapped a file or shared memory; which
        bytes of a stack were freed is not known.
        """
        place = bisect_right(self._places, stretch.start) - 1
        reading = self._readings[place] if place >= 0 else None
        idle: Tally[int] = Tally()
        for stack in () if reading is None else reading.untouched:
            idle.add(stack.node, stack.bytes, 0)
        for mapped in () if reading is None else (*reading.file, *reading.shared):
            idle.add(mapped.node, mapped.mapped_bytes, 0)
        if not idle:
            return 0
        lifetimes = self._heap.lifetimes
        before = lifetimes.alive_at(stretch.start).by_node()
        after = lifetimes.alive_at(stretch.end).by_node()
        return sum(
            min(size, max(0, before.get(node, 0) - after.get(node, 0)))
            for node, (size, _) in idle.items()
        )

    def resident_shares(self, checkpoint: int) -> Mapping[Line, float] | None:
        """Return the resident share of what each line holds, where that is not all of it.

        A line's bytes of one phase share alike in what of all its live bytes is resident. Return
        None if no reading stands for ``checkpoint``.
        """
        place, _ = self._near(checkpoint)
        return None if place is None else self._resident_shares(self._readings[place])

    def _at(self, reading: Residency) -> _Standing:
        total = self._heap.at_checkpoints[reading.checkpoint] or 0
        return (
            total - sum(one.mapped_bytes for one in (*reading.file, *reading.shared)),
            reading.heap_bytes,
            reading.file_bytes,
            reading.shared_bytes,
            reading.allocator_bytes,
            reading.unseen_bytes,
            reading.tracer_bytes,
        )

    def _ends(self, stretches: Sequence[Stretch]) -> list[tuple[_Standing, _Standing]] | None:
        """Return the figures at both ends of each stretch; None where one is not known."""
        known = []
        for one in stretches:
            _, start = self._near(one.start)
            _, end = self._near(one.end)
            if start is None or end is None:
                return None
            known.append((start, end))
        return known

    def _near(self, checkpoint: int) -> _Near:
        """Return what stands for ``checkpoint``, found once.

        A phase begins where another ends, and a pattern where one of its members does.
        """
        known = self._known.get(checkpoint)
        if known is None:
            known = self._known[checkpoint] = self._find(checkpoint)
        return known

    def _find(self, checkpoint: int) -> _Near:
        """Find the reading at ``checkpoint``, or else the one before or after it if it is near."""
        place = bisect_left(self._places, checkpoint)
        if place < len(self._places) and self._places[place] == checkpoint:
            return self._moved_on(place, self._moved(checkpoint, checkpoint))
        for near in range(max(0, place - 1), min(place + 1, len(self._places))):
            moved = self._moved(self._places[near], checkpoint)
            if moved is not None and _is_little(*moved):
                return self._moved_on(near, moved)
        return None, None

    def _moved_on(self, place: int, moved: tuple[int, int, int] | None) -> _Near:
        """Return a reading with the figures that it has after the heap and the files have grown."""
        if moved is None:
            return place, None
        _, mapped, heap = moved
        alive, resident, file, shared, allocator, unseen, tracer = self._standings[place]
        resident = max(0, resident + heap)
        return place, (alive + heap, resident, file + mapped, shared, allocator, unseen, tracer)

    def _moved(self, start: int, end: int) -> tuple[int, int, int] | None:
        """Return the growth of the RSS, of its mapped part and of the heap between checkpoints."""
        one, other = self.checkpoints[start], self.checkpoints[end]
        before, after = self._heap.at_checkpoints[start], self._heap.at_checkpoints[end]
        if before is None or after is None or one.rss_bytes is None or other.rss_bytes is None:
            return None
        if one.rss_file_bytes is None or other.rss_file_bytes is None:
            return None
        mapped = other.rss_file_bytes - one.rss_file_bytes
        return other.rss_bytes - one.rss_bytes, mapped, after - before

    def _resident_shares(self, reading: Residency) -> dict[Line, float]:
        """Return the resident share of what each line holds, where that is not all of it."""
        known = self._lines.get(reading.checkpoint)
        if known is not None:
            return known
        lacking: dict[Line, int] = {}
        missing = [(one.node, one.bytes) for one in reading.untouched]
        missing += [
            (one.node, one.mapped_bytes - one.bytes) for one in (*reading.file, *reading.shared)
        ]
        for node, size in missing:
            line = self._charged.line(node)
            lacking[line] = lacking.get(line, 0) + size
        alive = dict.fromkeys(lacking, 0)
        stacks = self._heap.lifetimes.alive_at(reading.checkpoint) if lacking else None
        for stack in () if stacks is None else stacks.by_group(self._charged.groups):
            line = self._charged.line(stack.node)
            if line in alive:
                alive[line] += stack.bytes
        shares = {
            line: max(0.0, 1 - size / alive[line]) if alive[line] > 0 else 1.0
            for line, size in lacking.items()
        }
        self._lines[reading.checkpoint] = shares
        return shares


def _measured(ends: Sequence[tuple[_Standing, _Standing]], rss_delta: int) -> Parts:
    """Return the parts of the growth in stretches by the figures at their starts and ends."""
    alive = resident = file = shared = allocator = unseen = tracer = 0
    for start, end in ends:
        alive += end[0] - start[0]
        resident += end[1] - start[1]
        file += end[2] - start[2]
        shared += end[3] - start[3]
        allocator += end[4] - start[4]
        unseen += end[5] - start[5]
        tracer += end[6] - start[6]
    untouched = min(0, resident - alive)
    heap = resident - untouched
    unknown = rss_delta - resident - file - shared - allocator - unseen - tracer
    return Parts(heap, file, shared, allocator, untouched, unseen, tracer, unknown)


def _is_little(rss: int, mapped: int, heap: int) -> bool:
    return abs(rss) < MOVED_BYTES and abs(mapped) < MOVED_BYTES and abs(heap) < MOVED_BYTES


def _growth(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start
