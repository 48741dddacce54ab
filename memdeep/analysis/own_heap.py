"""Adds up the heap of phases that are not charged with all that was allocated while they were open.

Such a phase has a heap of its own: the bytes that the threads allocated it is charged with. Who
freed a byte is not known; it goes from the heap of the thread that allocated it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from memdeep.analysis.charging import Charging, Part
from memdeep.model import (
    Alive,
    Heap,
    LargeAllocation,
    Lifetime,
    Lifetimes,
    Moved,
    Peak,
    PhaseOutline,
    StackBytes,
)
from memdeep.model.alive import AliveStacks, alive_of
from memdeep.model.sums import Tally

MIN_OTHERS_BYTES = 1 << 20
NEAR = 1.05  # of a peak whose stacks are known: they stand for one that is this much higher


@dataclass(slots=True)
class OwnHeap:
    """The heap of one such phase. ``deltas`` has its growth in each stretch, by their starts.

    ``others_bytes`` were allocated or freed while the phase was open and are not its own.
    ``peak`` is the highest of its own heap, where one thread's heap changed at a time and the
    reader knows that thread's peaks; else what is known of it: at the checkpoints, and at the
    moment when the heap of the process was highest.
    """

    outline: PhaseOutline
    peak: Peak
    start_bytes: int = 0
    end_bytes: int = 0
    others_bytes: int = 0
    deltas: dict[int, int] = field(default_factory=dict)
    retained: Tally[int] = field(default_factory=Tally)
    freed: Tally[int] = field(default_factory=Tally)
    kept: Tally[int] = field(default_factory=Tally)
    churn: Tally[None] = field(default_factory=Tally)
    largest: list[LargeAllocation] = field(default_factory=list)

    @property
    def is_shared(self) -> bool:
        """Tell whether others moved so much that figures of the process are not the phase's."""
        return self.others_bytes >= MIN_OTHERS_BYTES

    def moved(self, groups: Sequence[int]) -> Moved:
        """Return what the phase allocated and freed, by groups of nodes."""
        return Moved(
            alive_of(self.retained).by_group(groups),
            alive_of(self.freed).by_group(groups),
            alive_of(self.kept).by_group(groups),
            self.kept.total_bytes(),
            *self.churn.get(None, (0, 0)),
        )


def own_heaps(
    heap: Heap, outlines: Sequence[PhaseOutline], charging: Charging
) -> Mapping[int, OwnHeap]:
    """Return the own heap of each phase that is ``partial``."""
    found = {place: OwnHeap(outlines[place], Peak(0, None, None)) for place in charging.partial}
    if not found:
        return found
    for own in found.values():
        own.deltas = {stretch.start: 0 for stretch in own.outline.stretches}
    for life in heap.lifetimes:
        _add(found, life, charging)
    threads = charging.threads
    for life in _by_thread(heap.transients, charging):
        for part in charging.parts(life.node, life.born):
            found[part.phase].churn.add(None, life.bytes, life.allocations)
    for one in heap.largest or ():
        for part in charging.parts(threads[one.node], one.born):
            found[part.phase].largest.append(one)
    heights = _Heights(heap, charging)
    heights.add_to(found)
    return found


def _add(found: Mapping[int, OwnHeap], life: Lifetime, charging: Charging) -> None:
    thread = charging.threads[life.node]
    for part in charging.parts(thread, life.born):
        own = found[part.phase]
        if life.is_alive_at(part.end):
            own.retained.add(life.node, life.bytes, life.allocations)
            own.deltas[part.stretch] += life.bytes
        else:
            own.churn.add(None, life.bytes, life.allocations)
        if life.is_alive_at(own.outline.stretches[-1].end):
            own.kept.add(life.node, life.bytes, life.allocations)
    if life.died is None:
        return
    for part in charging.parts(thread, life.died):
        if life.born <= part.start:
            own = found[part.phase]
            own.freed.add(life.node, life.bytes, life.allocations)
            own.deltas[part.stretch] -= life.bytes


def _by_thread(lifetimes: Lifetimes | None, charging: Charging) -> Iterable[Lifetime]:
    """Return lifetimes with the number of their thread for their node."""
    return () if lifetimes is None else lifetimes.charged_to(charging.threads)


class _Heights:
    """The heap that each thread allocated, at each checkpoint; the bytes moved in each segment."""

    def __init__(self, heap: Heap, charging: Charging) -> None:
        self._heap = heap
        self._charging = charging
        points = len(heap.at_checkpoints)
        part_ends = [points] * points
        for part in heap.traced:
            part_ends[part.start + 1 : part.end + 1] = [part.end] * (part.end - part.start)
        self._moved: list[dict[int, int]] = [{} for _ in range(points)]
        self._by_thread: dict[int, array[int]] = {}
        for thread, born, died, size, _ in _by_thread(heap.lifetimes, charging):
            self._move(thread, born, size)
            if died is not None:
                self._move(thread, died, size)
            # Each capture counts from zero: what it left alive is unknown to the next one.
            end = part_ends[born] + 1
            end = end if died is None else min(died, end)
            column = self._by_thread.setdefault(thread, _column(points))
            column[born] += size
            column[min(end, points)] -= size
        for thread, born, _, size, _ in _by_thread(heap.transients, charging):
            self._move(thread, born, size)
            self._by_thread.setdefault(thread, _column(points))
        for thread, changes in self._by_thread.items():
            self._by_thread[thread] = array("q", accumulate(changes))

    def add_to(self, found: Mapping[int, OwnHeap]) -> None:
        """Find the ends and the peak of each phase's heap, and what others moved beside it."""
        highest: dict[int, tuple[int, int, int]] = {}  # bytes, checkpoint, segment
        rises: dict[int, int] = {}  # the highest between two checkpoints
        for segment, moved in enumerate(self._moved):
            places = self._charging.partial_in(segment)
            if not places:
                continue
            heights = {place: [0, 0] for place in places}
            movers: dict[int, list[int]] = {place: [] for place in places}
            others = dict.fromkeys(places, sum(moved.values()))
            for thread, held in self._by_thread.items():
                for part in self._whole(thread, segment):
                    heights[part.phase][0] += held[segment - 1]
                    heights[part.phase][1] += held[segment]
                    if thread in moved:
                        movers[part.phase].append(thread)
            for thread, size in moved.items():
                for part in self._charging.parts(thread, segment):
                    others[part.phase] -= size
            for place in places:
                own, (before, after) = found[place], heights[place]
                own.others_bytes += others[place]
                if segment == own.outline.stretches[0].start + 1:
                    own.start_bytes = before
                if segment == own.outline.stretches[-1].end:
                    own.end_bytes = after
                here = max((before, segment - 1, segment), (after, segment, segment))
                highest[place] = max(highest.get(place, here), here)
                if len(movers[place]) == 1:
                    between = before + self._rise(movers[place][0], segment)
                    rises[place] = max(rises.get(place, 0), between)
        for place, (size, checkpoint, segment) in highest.items():
            peak = self._peak(place, size, checkpoint, segment)
            if rises.get(place, 0) > peak.bytes:
                is_near = rises[place] <= NEAR * peak.bytes
                peak = Peak(rises[place], None, peak.stacks if is_near else None)
            found[place].peak = peak

    def _rise(self, thread: int, segment: int) -> int:
        """Return the height that the heap of a thread reached above its start of a segment."""
        peaks = self._heap.own_peaks.get(self._charging.name(thread) or "", {})
        start = self._by_thread[thread][segment - 1]
        return max(0, peaks.get(segment, start) - start)

    def _peak(self, place: int, size: int, checkpoint: int, segment: int) -> Peak:
        """Choose the higher one of the phase's own heaps at a checkpoint and at the peak."""
        peak = self._heap.peaks[place]
        if peak is None or peak.stacks is None:
            return Peak(size, None, None)
        at_peak = self._own(peak.stacks, place, segment)
        held = sum(stack.bytes for stack in at_peak)
        if held > size:
            return Peak(held, peak.time_s, AliveStacks(at_peak))
        alive = self._heap.lifetimes.alive_at(checkpoint)
        return Peak(size, None, AliveStacks(self._own(alive, place, segment)))

    def _own(self, alive: Alive, place: int, segment: int) -> tuple[StackBytes, ...]:
        """Return those of the stacks that the phase is charged with in a segment."""
        threads = self._charging.threads
        is_own = {
            thread: any(part.phase == place for part in self._whole(thread, segment))
            for thread in set(threads)
        }
        return tuple(stack for stack in alive if is_own[threads[stack.node]])

    def _whole(self, thread: int, segment: int) -> Iterable[Part]:
        """Return the parts of a thread that go on from the start of a stretch to its end."""
        return (part for part in self._charging.parts(thread, segment) if part.is_whole)

    def _move(self, thread: int, segment: int, size: int) -> None:
        moved = self._moved[segment]
        moved[thread] = moved.get(thread, 0) + size


def _column(points: int) -> array[int]:
    return array("q", bytes(8 * (points + 1)))
