"""Divides the growth of the RSS in a phase into its parts, by the readings of the mappings.

A checkpoint without a reading of its own is held against one near it between which little moved:
that is why none was made. Where the budget did not allow one, the parts are not known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from memdeep.analysis.culprits import ChargedLines
from memdeep.frozen import frozen
from memdeep.model import Checkpoint, Culprit, Heap, Parts, Residency, Stretch
from memdeep.model.sums import sum_of_known

MOVED_BYTES = 4 << 20  # between two readings, where there could have been one in between

Line = tuple[str, int]


@frozen
class _Standing:
    """The figures at a checkpoint; ``alive`` and ``resident`` are of plain heap."""

    alive: int
    resident: int
    file: int
    shared: int
    allocator: int
    unseen: int
    tracer: int


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
        self._lines: dict[int, dict[Line, float]] = {}

    def parts(self, stretches: Sequence[Stretch], heap_delta: int | None) -> Parts | None:
        """Return the parts of the growth in ``stretches``; None where that is not known.

        ``heap_delta`` is the growth of the heap in them, if they were traced.
        """
        ends = [(self.checkpoints[one.start], self.checkpoints[one.end]) for one in stretches]
        rss = sum_of_known([_growth(start.rss_bytes, end.rss_bytes) for start, end in ends])
        if rss is None:
            return None
        if heap_delta is not None and self._readings:
            starts = [self._standing(one.start) for one in stretches]
            stops = [self._standing(one.end) for one in stretches]
            pairs = [
                (start, stop)
                for start, stop in zip(starts, stops, strict=True)
                if start is not None and stop is not None
            ]
            if len(pairs) == len(stretches):
                return _measured(pairs, rss)
        file = sum_of_known(
            [_growth(start.rss_file_bytes, end.rss_file_bytes) for start, end in ends]
        )
        return Parts(heap_delta, file, unknown=rss - (heap_delta or 0) - (file or 0))

    def with_resident(self, culprits: Sequence[Culprit], checkpoint: int) -> tuple[Culprit, ...]:
        """Return ``culprits`` with what of their bytes was resident at ``checkpoint``.

        A line's bytes of one phase share alike in what of all its live bytes was.
        """
        reading = self._near(checkpoint)
        if reading is None:
            return tuple(culprits)
        shares, line = self._resident_shares(reading), self._charged.line
        return tuple(
            replace(one, resident_bytes=round(one.bytes * shares.get(line(one.node), 1.0)))
            if self._heap.tree.process(one.node) == 0
            else one
            for one in culprits
        )

    def _standing(self, checkpoint: int) -> _Standing | None:
        reading = self._near(checkpoint)
        if reading is None:
            return None
        at = reading.checkpoint
        moved = self._moved(at, checkpoint)
        if moved is None:
            return None
        _, mapped, heap = moved
        total = self._heap.at_checkpoints[at] or 0
        total -= sum(one.mapped_bytes for one in (*reading.file, *reading.shared))
        return _Standing(
            alive=total + heap,
            resident=max(0, reading.heap_bytes + heap),
            file=reading.file_bytes + mapped,
            shared=reading.shared_bytes,
            allocator=reading.allocator_bytes,
            unseen=reading.unseen_bytes,
            tracer=reading.tracer_bytes,
        )

    def _near(self, checkpoint: int) -> Residency | None:
        """Return the reading that stands for ``checkpoint``: the one at it, before or after it."""
        place = bisect_left(self._places, checkpoint)
        if place < len(self._places) and self._places[place] == checkpoint:
            return self._readings[place]
        for one in (*self._readings[max(0, place - 1) : place], *self._readings[place : place + 1]):
            moved = self._moved(one.checkpoint, checkpoint)
            if moved is not None and max(map(abs, moved)) < MOVED_BYTES:
                return one
        return None

    def _moved(self, start: int, end: int) -> tuple[int, int, int] | None:
        """Return the growth of the RSS, of its mapped part and of the heap between checkpoints."""
        one, other = self.checkpoints[start], self.checkpoints[end]
        rss = _growth(one.rss_bytes, other.rss_bytes)
        mapped = _growth(one.rss_file_bytes, other.rss_file_bytes)
        heap = _growth(self._heap.at_checkpoints[start], self._heap.at_checkpoints[end])
        return None if rss is None or mapped is None or heap is None else (rss, mapped, heap)

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


def _measured(pairs: Sequence[tuple[_Standing, _Standing]], rss: int) -> Parts:
    def grown(name: str) -> int:
        return sum(getattr(stop, name) - getattr(start, name) for start, stop in pairs)

    resident = grown("resident")
    untouched = min(0, resident - grown("alive"))
    heap = resident - untouched
    others = {name: grown(name) for name in ("file", "shared", "allocator", "unseen", "tracer")}
    unknown = rss - resident - sum(others.values())
    return Parts(heap=heap, untouched=untouched, unknown=unknown, **others)


def _growth(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start
