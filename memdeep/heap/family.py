"""Joins the heaps of the processes of a run: one heap between the checkpoints of the program.

The capture of each process is read between the program's checkpoints (`parts.TimeCut`). What a
process held is gone when it ends. Between two checkpoints the heap of all is known at moments only:
those at which the processes held most, as seen from outside. It was never less than what one of
them held by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from memdeep.frozen import frozen, replace
from memdeep.heap.parts import MAX_PEAKS, HeapPart, Part
from memdeep.heap.replay.lifetimes import ended, joined
from memdeep.model import (
    Alive,
    Heap,
    LargeAllocation,
    Lifetimes,
    Peak,
    ProcessHeap,
    Run,
    Sample,
    Stretch,
)
from memdeep.model.alive import alive_of
from memdeep.model.sums import Tally


@frozen
class Moment:
    """A moment within the segment ``segment``, at ``time_s``; ``number`` tells it from others."""

    number: int
    segment: int
    time_s: float


@frozen
class ChildHeap:
    """The heap of a process that the program started, between the program's checkpoints.

    ``ended`` is the checkpoint that ends the segment in which it ended; None if it was alive at the
    last one. ``end_s`` is when that was.
    """

    part: HeapPart
    process: int
    ended: int | None
    end_s: float | None


def of_starter(
    run: Run, groups: Sequence[Sequence[Stretch]], moments: Sequence[Moment]
) -> Iterator[HeapPart]:
    """Yield nothing, as a part, for a program that is not traced while its processes are."""
    if not run.mode.others_only:
        return
    none, checkpoints = alive_of(Tally()), len(run.checkpoints)
    yield HeapPart(
        part=Part(Path(), 0, checkpoints - 1, checkpoints - 2),
        at_checkpoints=(0,) * checkpoints,
        lifetimes=joined([]),
        peaks={place: Peak(0, None, none) for place in range(len(groups))},
        curve=(),
        peak_bytes=0,
        transients=joined([]),
        largest=(),
        at_moments={moment.number: none for moment in moments},
    )


def join_family(
    own: Heap,
    at_moments: Mapping[int, Alive],
    children: Sequence[ChildHeap],
    groups: Sequence[Sequence[Stretch]],
    moments: Sequence[Moment],
    replaced_s: float | None = None,
) -> Heap:
    """Join the heap of the program with those of ``children``; it keeps its own beside.

    ``at_moments`` is what the program held at each of ``moments``. If one of the children has taken
    its place, at ``replaced_s``, it holds nothing from then on.
    """
    if not children:
        return own
    alone = own
    if replaced_s is not None:
        own = _until(own, replaced_s)
        later = {moment.number for moment in moments if moment.time_s >= replaced_s}
        none = alive_of(Tally())
        at_moments = {one: none if one in later else at_moments[one] for one in at_moments}
    lifetimes: list[Lifetimes] = [own.lifetimes]
    passed: list[Lifetimes | None] = [own.transients]
    largest: list[LargeAllocation] | None = None if own.largest is None else list(own.largest)
    at_checkpoints = list(own.at_checkpoints)
    for child in children:
        kept, gone = child.part.lifetimes, child.part.transients
        if child.ended is not None:
            kept, gone = ended(kept, gone, child.ended)
        lifetimes.append(kept)
        passed.append(gone)
        if largest is not None:
            largest += child.part.largest or ()
        for checkpoint, size in enumerate(kept.heap_at(len(at_checkpoints))):
            known = at_checkpoints[checkpoint]
            at_checkpoints[checkpoint] = None if known is None else known + size
    known_passed = [one for one in passed if one is not None]
    highest = _by_segment([*_of_all(at_moments, children, moments), *_own_peaks(children)])
    together = joined(lifetimes)
    standing = _Standing(together, at_checkpoints)
    curve = summed([own.curve, *(_curve(child) for child in children)])
    return replace(
        own,
        lifetimes=together,
        transients=joined(known_passed) if len(known_passed) == len(passed) else None,
        largest=None if largest is None else tuple(largest),
        at_checkpoints=tuple(at_checkpoints),
        peaks=tuple(
            _peak(own.peaks[place], stretches, standing, highest)
            for place, stretches in enumerate(groups)
        ),
        curve=curve,
        peak_bytes=max(
            [own.peak_bytes or 0, *(peak.bytes for peak in highest.values())]
            + [size for size in at_checkpoints if size is not None]
        ),
        own=alone,
        processes=tuple(
            ProcessHeap(child.process, child.part.peak_bytes, _curve(child)) for child in children
        ),
    )


def _until(own: Heap, replaced_s: float) -> Heap:
    """Return the heap of a program that another one replaced in the last segment."""
    last = len(own.at_checkpoints) - 1
    kept, passed = ended(own.lifetimes, own.transients, last)
    known = own.at_checkpoints[last]
    return replace(
        own,
        lifetimes=kept,
        transients=passed,
        at_checkpoints=(*own.at_checkpoints[:last], None if known is None else 0),
        curve=(
            *(sample for sample in own.curve if sample.time_s < replaced_s),
            Sample(replaced_s, 0),
        ),
    )


def _of_all(
    at_moments: Mapping[int, Alive], children: Sequence[ChildHeap], moments: Sequence[Moment]
) -> Iterator[tuple[int, Peak]]:
    """Add up what all processes held at each moment at which the program's heap is known.

    Yields the segment beside it.
    """
    for moment in moments:
        if moment.number not in at_moments:
            continue
        tally: Tally[int] = Tally()
        alive = [child.part.at_moments.get(moment.number) for child in children]
        for stacks in (at_moments[moment.number], *filter(None, alive)):
            for stack in stacks:
                tally.add(stack.node, stack.bytes, stack.allocations)
        at = moment.segment
        yield at, Peak(tally.total_bytes(), moment.time_s, alive_of(tally), at)


def _own_peaks(children: Sequence[ChildHeap]) -> Iterator[tuple[int, Peak]]:
    """Yield what each process held by itself when that was most, as far as it is known."""
    for child in children:
        if child.part.highest is not None:
            yield child.part.highest


def _by_segment(found: Iterable[tuple[int, Peak]]) -> dict[int, Peak]:
    """Return the highest of each segment."""
    highest: dict[int, Peak] = {}
    for segment, peak in found:
        if segment not in highest or peak.bytes > highest[segment].bytes:
            highest[segment] = peak
    return highest


class _Standing:
    """The heap of all processes at the checkpoints, as peaks."""

    def __init__(self, lifetimes: Lifetimes, at_checkpoints: Sequence[int | None]) -> None:
        self._lifetimes = lifetimes
        self._at_checkpoints = at_checkpoints
        self._found: dict[int, Peak] = {}

    def highest(self, stretches: Sequence[Stretch]) -> Peak:
        """Return the highest heap at a checkpoint of ``stretches``."""
        edges = (edge for one in stretches for edge in range(one.start, one.end + 1))
        edge = max(edges, key=lambda one: self._at_checkpoints[one] or 0)
        if edge not in self._found:
            stacks = self._lifetimes.alive_at(edge) if len(self._found) < MAX_PEAKS else None
            self._found[edge] = Peak(self._at_checkpoints[edge] or 0, None, stacks, edge)
        return self._found[edge]


def _peak(
    own: Peak | None,
    stretches: Sequence[Stretch],
    standing: _Standing,
    highest: Mapping[int, Peak],
) -> Peak | None:
    """Return the highest heap that is known in a phase: the program's own peak at the least."""
    if own is None:
        return None
    best = own
    for stretch in stretches:
        segments: Iterable[int] = stretch.segments
        if len(stretch.segments) > len(highest):
            segments = (segment for segment in highest if segment in stretch.segments)
        for segment in segments:
            if segment in highest and highest[segment].bytes > best.bytes:
                best = highest[segment]
    at_checkpoint = standing.highest(stretches)
    return best if best.bytes >= at_checkpoint.bytes else at_checkpoint


def _curve(child: ChildHeap) -> tuple[Sample, ...]:
    """Return the heap of a process over time, with nothing left when it has ended."""
    if child.end_s is None or not child.part.curve:
        return child.part.curve
    end_s = max(child.end_s, child.part.curve[-1].time_s)
    return (*child.part.curve, Sample(end_s, 0))


def summed(curves: Iterable[Sequence[Sample]]) -> tuple[Sample, ...]:
    """Add up curves that each keep their last figure until the next one."""
    changes: defaultdict[float, int] = defaultdict(int)
    for curve in curves:
        before = 0
        for sample in curve:
            changes[sample.time_s] += sample.bytes - before
            before = sample.bytes
    found, size = [], 0
    for time_s in sorted(changes):
        size += changes[time_s]
        found.append(Sample(time_s, size))
    return tuple(found)
