"""Tells what of the bytes of a stack was really in use: resident, and neither a file nor shared.

It was measured at a few checkpoints only. Between two readings nothing large has changed, so the
last one before a moment holds for it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from memdeep.analysis.earlier import earlier_nodes
from memdeep.frozen import replace
from memdeep.model import (
    MAIN_THREAD,
    Asked,
    Heap,
    Lifetime,
    Lifetimes,
    Origin,
    Residency,
    Run,
    StackBytes,
    StackTree,
)
from memdeep.model.sums import by_stack

WORTH_READING_BYTES = 4 << 20  # while the RSS moved by less, no reading was worth it

MIN_COPIED_BYTES = 1 << 20
COPIED_BYTES, COPIED_SHARE = 16 << 20, 0.1  # of a mapping: either is more than a reservation has

# What these modules map is never a process's own; what is its own they ask malloc for.
_MAPPERS = (
    "/multiprocessing/shared_memory.py",
    "/numpy/_core/memmap.py",
    "/numpy/core/memmap.py",
)


def settled(heap: Heap, run: Run) -> Heap:
    """Return ``heap`` whose readings say nothing of bytes that may be newer than they are.

    A thread reads the mappings and sets the marker then; another one may allocate between the two,
    and have set a checkpoint itself. What it allocates is alive at the marker, and was not there to
    be resident. Or it is about to write what it allocated before: of other threads' bytes only
    those that are not resident at the next reading either say anything. The thread that records
    for an attachment is none of the program's. Nor do they say anything of what may have come into
    use since, where there was no time for another reading.
    """
    return _with_rises(_without_others(heap, run), run)


def _with_rises(heap: Heap, run: Run) -> Heap:
    """Note by how much, and until when, the RSS has risen beyond the heap since each reading."""
    ends = [*(reading.checkpoint for reading in heap.residency[1:]), len(run.checkpoints)]
    at_heap = heap.of_program.at_checkpoints
    readings = []
    for reading, end in zip(heap.residency, ends, strict=False):
        start = reading.checkpoint
        points = run.checkpoints[start : end + 1]
        rss_growth = partial(_growth, [point.rss_bytes for point in points])
        mapped_growth = partial(_growth, [point.rss_file_bytes for point in points])
        heap_growth = partial(_growth, at_heap[start : end + 1])
        risen: list[tuple[int, int]] = []
        since: list[tuple[int, int, int]] = []
        most, before, grown = WORTH_READING_BYTES - 1, (0, 0), (0, 0)
        for at in range(1, len(points)):
            more = rss_growth(at) - max(0, heap_growth(at))
            now = mapped_growth(at), more
            if now != before:
                grown = (grown[0] + max(0, now[0] - before[0]), grown[1] + max(0, more - before[1]))
                before = now
                since.append((start + at, *grown))
            if more > most and start + at < end:
                most = more
                risen.append((start + at, more))
        readings.append(replace(reading, risen=tuple(risen), since=tuple(since)))
    return replace(heap, residency=tuple(readings))


def _growth(sizes: Sequence[int | None], at: int) -> int:
    """Return the growth from the first of ``sizes``; 0 where it is not known."""
    first, there = sizes[0], sizes[at]
    return 0 if first is None or there is None else there - first


def _without_others(heap: Heap, run: Run) -> Heap:
    """Return ``heap`` whose readings say nothing of what other threads may be writing."""
    thread_of = cache(partial(_thread, heap.tree))
    others = [_of_others(thread_of, run, reading) for reading in heap.residency]
    if not any(others):
        return heap
    latest = [0.0, *accumulate((point.time_s for point in run.checkpoints[1:]), max)]
    ends = [reading.checkpoint for reading in heap.residency]
    firsts = [bisect_left(latest, run.checkpoints[end].time_s, 1, end) for end in ends]
    soonest = [*accumulate(reversed(firsts), min)][::-1]  # of a reading and all after it
    unsettled = [dict.fromkeys(nodes, 0) for nodes in others]
    of_others = {node for nodes in others for node in nodes}
    for life in heap.lifetimes.without(heap.tree.all_but(of_others)):
        begin = bisect_left(ends, life.born)
        stop = len(ends) if life.died is None else bisect_left(ends, life.died)
        # Alive at the readings from `begin` on; soon freed after the last of them.
        places = {stop - 1} if begin < stop < len(ends) else set()
        until = min(stop, bisect_right(soonest, life.born))
        places.update(at for at in range(begin, until) if firsts[at] <= life.born)
        for at in places:
            if life.node in unsettled[at]:
                unsettled[at][life.node] += life.bytes
    after = [*heap.residency[1:], None]
    readings = [
        _without(reading, sizes, later) if sizes else reading
        for reading, later, sizes in zip(heap.residency, after, unsettled, strict=True)
    ]
    return replace(heap, residency=tuple(readings))


def _of_others(thread_of: Callable[[int], str], run: Run, reading: Residency) -> list[int]:
    """Return the stacks that are not resident, of other threads than the one that has read."""
    point = run.checkpoints[reading.checkpoint]
    is_outside = run.attached and point.index == len(run.checkpoints) - 1
    setter = None if is_outside else point.thread or MAIN_THREAD
    nodes = [stack.node for stack in reading.untouched]
    return [node for node in nodes if thread_of(node) != setter]


def _thread(tree: StackTree, node: int) -> str:
    frame = tree.outermost(node)
    return frame.function if frame.origin is Origin.THREAD else MAIN_THREAD


def _without(
    reading: Residency, unsettled: Mapping[int, int], later: Residency | None
) -> Residency:
    """Return a reading of which these bytes are resident, and of their stacks all that is later."""
    still = None if later is None else {stack.node: stack.bytes for stack in later.untouched}
    untouched, set_aside = [], []
    for stack in reading.untouched:
        size = stack.bytes
        if stack.node in unsettled:
            size = max(0, size - unsettled[stack.node])
            size = size if still is None else min(size, still.get(stack.node, 0))
        untouched.append(stack._replace(bytes=size))
        set_aside.append(stack._replace(bytes=stack.bytes - size))
    return replace(
        reading,
        heap_bytes=reading.heap_bytes + sum(stack.bytes for stack in set_aside),
        untouched=tuple(stack for stack in untouched if stack.bytes),
        unsettled=(*reading.unsettled, *(stack for stack in set_aside if stack.bytes)),
    )


def _without_doubted(residency: Residency, doubted: frozenset[int]) -> Residency:
    """Return a reading of which the stacks ``doubted`` may be resident."""
    sizes = {stack.node: stack.bytes for stack in residency.untouched if stack.node in doubted}
    return _without(residency, sizes, None) if sizes else residency


class Reading:
    """A reading of the mappings by node: what was alive, not resident, and mapped there.

    ``idle`` is what of a stack's bytes was not in use: not resident, or pages of a file, of which
    the program has no copy of its own. ``most_idle`` is what may have been.
    """

    def __init__(self, residency: Residency, lifetimes: Lifetimes) -> None:
        self.checkpoint = residency.checkpoint
        self.untouched = {stack.node: stack.bytes for stack in residency.untouched}
        self.file = {mapped.node: mapped for mapped in residency.file}
        self.shared = {mapped.node: mapped for mapped in residency.shared}
        self.idle = dict(self.untouched)
        for mapped in residency.file:
            self.idle[mapped.node] = self.idle.get(mapped.node, 0) + mapped.mapped_bytes
        self.most_idle = dict(self.idle)
        for stack in residency.unsettled:
            self.most_idle[stack.node] = self.most_idle.get(stack.node, 0) + stack.bytes
        self._since = residency.since
        self._lifetimes = lifetimes

    def parts_between(self, start: int, end: int) -> tuple[float | None, float | None]:
        """Return the parts of the growth until the next reading that lie between two checkpoints.

        One is of files and shared memory. They are None where the RSS did not grow.
        """
        total = self._since[-1] if self._since else (0, 0, 0)
        sizes = []
        for checkpoint in (start, end):
            place = bisect_right(self._since, checkpoint, key=itemgetter(0)) - 1
            sizes.append(self._since[place] if place >= 0 else (0, 0, 0))
        mapped, other = (
            (sizes[1][column] - sizes[0][column]) / total[column] if total[column] else None
            for column in (1, 2)
        )
        return mapped, other

    @cached_property
    def alive(self) -> Mapping[int, int]:
        """The bytes that were alive there."""
        return self._lifetimes.alive_at(self.checkpoint).by_node()


class Change(NamedTuple):
    """Two readings, and the part that counts of what changed between them.

    ``mapped_part`` is that of files and shared memory. ``before`` is None at the start of the run.
    """

    before: Reading | None
    after: Reading
    mapped_part: float
    other_part: float


class ResidentHeap:
    """The readings of a run, by moment."""

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._by_place: dict[int, Reading] = {}
        self._readings: dict[tuple[int, frozenset[int]], Reading] = {}
        self._earlier = earlier_nodes(heap.tree)
        self._at = [reading.checkpoint for reading in heap.residency]

    def last(self, checkpoint: int) -> Reading | None:
        """Return the last reading up to ``checkpoint``; None if there is none.

        Without what may have come into use between the two.
        """
        place = bisect_right(self._at, checkpoint) - 1
        if place < 0:
            return None
        residency = self._heap.residency[place]
        key = place, residency.doubted(checkpoint)
        if key not in self._readings:
            self._readings[key] = Reading(_without_doubted(residency, key[1]), self._heap.lifetimes)
        return self._readings[key]

    def changes(self, start: int, end: int) -> Iterator[Change]:
        """Yield what changed in a stretch, from reading to reading.

        The readings in it tell all that changed between the first and the last of them. Of what
        changed between two of which one, or both, lie outside, a part counts.
        """
        first, last = bisect_left(self._at, start), bisect_right(self._at, end) - 1
        if first < last:
            yield Change(self._reading(first), self._reading(last), 1.0, 1.0)
        for place in sorted({first, last + 1}):
            before = self._reading(place - 1) if place else None
            if place == len(self._at) or (before is None and end < self._at[place]):
                continue
            after = self._reading(place)
            begin = start if before is None else max(start, before.checkpoint)
            stop = min(end, after.checkpoint)
            if begin < stop:
                parts = (None, None) if before is None else before.parts_between(begin, stop)
                usual = 1.0 if after.checkpoint <= end else 0.0
                mapped, other = (usual if part is None else part for part in parts)
                if mapped or other:
                    yield Change(before, after, mapped, other)

    def next_to(self, checkpoint: int) -> list[Reading]:
        """Return the reading at a checkpoint; else those before and after it, if there are."""
        after = bisect_left(self._at, checkpoint)
        if after < len(self._at) and self._at[after] == checkpoint:
            return [self._reading(after)]
        return [self._reading(at) for at in (after - 1, after) if 0 <= at < len(self._at)]

    def _reading(self, place: int) -> Reading:
        if place not in self._by_place:
            residency = self._heap.residency[place]
            self._by_place[place] = Reading(residency, self._heap.lifetimes)
        return self._by_place[place]

    def alive_at_both(self, first: Reading, second: Reading) -> Mapping[int, int]:
        """Return the bytes of each stack that were alive at both readings."""
        both = by_stack(
            life
            for life in self._heap.lifetimes
            if life.is_alive_at(first.checkpoint) and life.is_alive_at(second.checkpoint)
        )
        return {stack.node: stack.bytes for stack in both}

    @property
    def mapping_nodes(self) -> frozenset[int]:
        """The stacks that map files or shared memory, which the trace counts as heap.

        Not those of whose pages the process has copies of its own, since it wrote to them.
        """
        return self._mappings[0]

    def is_mapping(self, life: Lifetime, end: int) -> bool:
        """Tell whether bytes map a file or shared memory, and are hardly copied at ``end``."""
        mapping, copied = self._mappings
        if life.node not in copied:
            return life.node in mapping
        idle = self.untouched_bytes([life], end, with_files=True)
        return idle is not None and not _is_copied(life.bytes, life.bytes - idle)

    @cached_property
    def _mappings(self) -> tuple[frozenset[int], frozenset[int]]:
        """The stacks that map, and those of whose mappings much is copied at some reading."""
        found, copied = set(), set()
        for place, residency in enumerate(self._heap.residency):
            if residency.file or residency.shared:
                alive = self._reading(place).alive
                for mapped in (*residency.file, *residency.shared):
                    size = alive.get(mapped.node, 0)
                    if _is_copied(size, size - mapped.mapped_bytes):
                        copied.add(mapped.node)
                    elif 2 * mapped.mapped_bytes > size:
                        found.add(mapped.node)
        of_others = _mapping_in_others(self._heap.tree, found)
        return frozenset((found - copied) | of_others), frozenset(copied)

    def untouched_bytes(
        self, lifetimes: Iterable[Lifetime], checkpoint: int, *, with_files: bool = False
    ) -> int | None:
        """Return how many bytes of ``lifetimes``, alive at ``checkpoint``, are not resident then.

        ``with_files`` those that are pages of a file count as well. Return None if no reading
        tells: there is none since they were allocated.
        """
        reading = self.last(checkpoint)
        if reading is None:
            return None
        known = by_stack(life for life in lifetimes if life.born <= reading.checkpoint)
        if not any(stack.bytes for stack in known):
            return None
        column = reading.idle if with_files else reading.untouched
        return sum(self._part(reading, stack, column) for stack in known)

    def in_use(self, stacks: Iterable[StackBytes], checkpoint: int) -> Sequence[StackBytes]:
        """Return ``stacks`` with what was resident at the last reading, without mappings of files.

        What was there before the attach is left out: no line of the program is known of it. What
        was not alive at that reading counts whole.
        """
        reading = self.last(checkpoint)
        left_out = self.mapping_nodes | self._earlier
        kept = [stack for stack in stacks if stack.node not in left_out]
        if reading is None:
            return kept
        return [
            stack._replace(bytes=stack.bytes - self._part(reading, stack, reading.idle))
            for stack in kept
        ]

    def in_use_before(self, stacks: Iterable[StackBytes], checkpoint: int) -> Sequence[StackBytes]:
        """Return `in_use` of a moment before ``checkpoint``: what is freed by then was not yet."""
        there = self.in_use(stacks, checkpoint)
        last, before = self.last(checkpoint), self.last(checkpoint - 1)
        if last is None or before is None or not before.idle:
            return there
        freed = [stack for stack in there if not last.alive.get(stack.node)]
        was = {one.node: one for one in self.in_use(freed, checkpoint - 1)}
        return [was.get(stack.node, stack) for stack in there]

    @staticmethod
    def _part(reading: Reading, stack: StackBytes, column: Mapping[int, int]) -> int:
        """Return the part of a stack that ``column`` has of all that it had alive then.

        Of what it had beyond that, as at a peak before, nothing is known.
        """
        size = column.get(stack.node, 0)
        alive = reading.alive.get(stack.node, 0) if size else 0
        return min(stack.bytes, alive) * min(size, alive) // alive if alive else 0


def _is_copied(size: int, own: int) -> bool:
    """Tell whether much of a mapping is the process's own: copies of pages that it wrote to."""
    return own >= max(MIN_COPIED_BYTES, min(COPIED_BYTES, COPIED_SHARE * size))


def _mapping_in_others(tree: StackTree, own: Iterable[int]) -> set[int]:
    """Return the stacks by which other processes map what the program maps by those of ``own``.

    Their mappings are not read: it is known only of modules that map nothing else.
    """
    files = {frame.filename for node in own for frame in tree.stack(node)}
    mappers = {name for name in files if name.endswith(_MAPPERS)}
    through = tree.nodes_through(lambda frame: frame.filename in mappers) if mappers else None
    if through is None or not tree.asked:
        return set()
    mapped = (node for node, flags in enumerate(tree.asked) if flags & Asked.MMAP)
    return {node for node in mapped if through[node] and tree.process(node)}
