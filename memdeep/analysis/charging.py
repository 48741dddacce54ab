"""Charges what a thread allocates to its own phases, and to those that enclose them.

Knows which phases a segment lies in and which thread each of them belongs to; adds up no bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from memdeep.model import MAIN_THREAD, Origin, PhaseKind, PhaseOutline, StackTree

Around = tuple[int, int, int]  # a phase, and the ends of its part around a segment

# The numbers of threads that never have a phase, of the main thread, and of those with phases that
# are in none at the moment. Each thread with phases has a number behind these.
_OTHERS, _MAIN, _IDLE = 0, 1, 2


class Part(NamedTuple):
    """The part of a stretch in which a phase is charged with a thread without a break.

    ``stretch`` is the checkpoint at which the stretch begins; ``is_whole`` if this is all of it.
    """

    phase: int
    stretch: int
    start: int
    end: int
    is_whole: bool


class Charging:
    """Tells which phases are charged with the bytes that a stack allocates in a segment.

    A thread in a span of its own: all of its own phases around the segment, and those they lie in.
    A thread in none: the phases of the main thread, if that is in a span. Else, if only one other
    thread is in a span, its phases, for a thread that never is in one of its own: it may well work
    for that one. Else the segment of the run.

    ``partial`` are the phases that are not charged with all that was allocated while they were
    open. Without threads, of stacks or of phases, there are none.
    """

    def __init__(self, tree: StackTree, outlines: Sequence[PhaseOutline], checkpoints: int) -> None:
        self._outlines = outlines
        self._checkpoints = checkpoints
        names = {name for outline in outlines for name in outline.threads if name is not None}
        self._numbers = {MAIN_THREAD: _MAIN}
        if has_threads(tree) and names - {MAIN_THREAD}:
            for name in sorted(names - {MAIN_THREAD}):
                self._numbers[name] = len(self._numbers) + _IDLE
        self._tree = tree
        self._of_threads: list[dict[int, list[Around]] | None] = [None] * checkpoints
        self.partial: frozenset[int] = frozenset()
        if len(self._numbers) > 1:
            self._split()
        self._parts: dict[tuple[int, int], list[Part]] = {}
        self._runs: dict[tuple[int, int, int], list[tuple[int, int]]] = {}

    def around(self, node: int, segment: int) -> Sequence[Around]:
        """Return the phases that are charged with what ``node`` allocates in ``segment``.

        Segments are named by the checkpoint that ends them.
        """
        return self._charged(self.threads[node], segment) if self.partial else self._around[segment]

    def parts(self, thread: int, segment: int) -> Sequence[Part]:
        """Return the ``partial`` phases that are charged with what a thread allocates.

        ``thread`` is its number in `threads`.
        """
        found = self._parts.get((thread, segment))
        if found is None:
            found = []
            for place, start, end in self._charged(thread, segment):
                if place in self.partial:
                    run = self._run(thread, place, start, end, segment)
                    found.append(Part(place, start, *run, is_whole=run == (start, end)))
            self._parts[thread, segment] = found
        return found

    def partial_in(self, segment: int) -> Sequence[int]:
        """Return the ``partial`` phases around a segment."""
        if not self.partial:
            return ()
        return [place for place, _, _ in self._around[segment] if place in self.partial]

    def name(self, thread: int) -> str | None:
        """Return the name of a thread by its number in `threads`; None for those without phases."""
        return self._by_number.get(thread)

    @cached_property
    def _by_number(self) -> dict[int, str]:
        return {number: name for name, number in self._numbers.items()}

    @cached_property
    def _around(self) -> list[list[Around]]:
        return phases_around(self._outlines, self._checkpoints)

    @cached_property
    def threads(self) -> Sequence[int]:
        """The number of the thread of each node; 0 for all threads that have no phase."""
        frames = [
            self._numbers.get(frame.function, _OTHERS) if frame.origin is Origin.THREAD else _OTHERS
            for frame in self._tree.frames
        ]
        found = array("I")
        for parent, frame in zip(self._tree.parents, self._tree.frame_ids, strict=True):
            found.append(found[parent] if parent >= 0 else frames[frame])
        return found

    def _charged(self, thread: int, segment: int) -> Sequence[Around]:
        of_threads = self._of_threads[segment]
        if of_threads is None:
            return self._around[segment]
        return of_threads[thread if thread in of_threads else _IDLE]

    def _split(self) -> None:
        """Find the phases of each thread in each segment where threads are not charged alike."""
        partial: set[int] = set()
        for segment, around in enumerate(self._around):
            by_thread: dict[int, set[int]] = {}
            of_run = set()
            for place, start, _ in around:
                if self._is_of_run(place):
                    of_run.add(place)
                else:
                    by_thread.setdefault(self._thread_of(place, start), set()).add(place)
            if not by_thread.keys() - {_MAIN}:
                continue
            charged = {thread: self._enclosing(own) for thread, own in by_thread.items()}
            charged[_IDLE] = charged.setdefault(_MAIN, of_run)
            is_alone = _MAIN not in by_thread and len(by_thread) == 1
            charged[_OTHERS] = charged[min(by_thread) if is_alone else _MAIN]
            self._of_threads[segment] = {
                thread: [item for item in around if item[0] in places]
                for thread, places in charged.items()
            }
            partial.update(
                place
                for place, _, _ in around
                if not all(place in places for places in charged.values())
            )
        self.partial = frozenset(partial)

    def _is_of_run(self, place: int) -> bool:
        outline = self._outlines[place]
        return outline.kind is PhaseKind.SEGMENT and outline.parent is None

    def _thread_of(self, place: int, start: int) -> int:
        outline = self._outlines[place]
        if len(outline.stretches) == 1 or outline.thread is not None:
            name = outline.threads[0]
        else:
            name = self._names[place, start]
        return self._numbers[name or MAIN_THREAD]

    @cached_property
    def _names(self) -> dict[tuple[int, int], str | None]:
        return {
            (place, stretch.start): name
            for place, outline in enumerate(self._outlines)
            for stretch, name in zip(outline.stretches, outline.threads, strict=True)
        }

    def _enclosing(self, places: Iterable[int]) -> set[int]:
        found = set()
        for place in places:
            around: int | None = place
            while around is not None and around not in found:
                found.add(around)
                around = self._outlines[around].parent
        return found

    def _run(self, thread: int, place: int, start: int, end: int, segment: int) -> tuple[int, int]:
        """Return the checkpoints around ``segment`` between which ``place`` is charged."""
        key = (thread, place, start)
        if key not in self._runs:
            runs: list[tuple[int, int]] = []
            for number in range(start + 1, end + 1):
                if any(charged == place for charged, _, _ in self._charged(thread, number)):
                    if runs and runs[-1][1] == number - 1:
                        runs[-1] = (runs[-1][0], number)
                    else:
                        runs.append((number - 1, number))
            self._runs[key] = runs
        return next(run for run in self._runs[key] if run[0] < segment <= run[1])


def has_threads(tree: StackTree) -> bool:
    """Tell if it is known which thread each stack is of."""
    return any(frame.origin is Origin.THREAD for frame in tree.frames)


def phases_around(outlines: Sequence[PhaseOutline], checkpoints: int) -> list[list[Around]]:
    """List for each segment (by the checkpoint that ends it) the stretches that contain it."""
    around: list[list[Around]] = [[] for _ in range(checkpoints)]
    for place, outline in enumerate(outlines):
        for stretch in outline.stretches:
            for segment in stretch.segments:
                around[segment].append((place, stretch.start, stretch.end))
    return around
