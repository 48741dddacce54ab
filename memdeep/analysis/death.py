"""Describes the end of a program that did not complete: its phase, its heap, its last growth."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.analysis.culprits import ChargedLines
from memdeep.model import (
    DETACHED,
    RUNNING,
    Checkpoint,
    CheckpointKind,
    Death,
    Heap,
    LastGrowth,
    Phase,
    PhaseKind,
    Run,
    Stretch,
)
from memdeep.model.sums import Tally, stacks_of

MIN_GROWTH_BYTES = 1 << 20
MIN_SHARE_OF_PEAK = 0.02


def is_unfinished(run: Run) -> bool:
    """Tell whether the program did not complete, or not yet; an unknown end counts as one."""
    return run.exit is None or run.exit.verdict not in ("completed", DETACHED)


def did_die(run: Run) -> bool:
    """Tell whether the program came to an end, and did not complete.

    One that was attached to, and whose end nobody has seen, may have gone on.
    """
    if run.exit is None:
        return not run.attached
    return is_unfinished(run) and run.exit.verdict != RUNNING


def death(run: Run, heap: Heap, phases: Sequence[Phase]) -> Death | None:
    """Describe the death of a program; None if it completed.

    Its heap is that of the last checkpoint of the run, ``(end)``; after a signal that is the last
    allocation that reached the trace. Where it is not known, the last known one stands for it. Of a
    program that another one replaced it is what it held then.
    """
    if not did_die(run):
        return None
    if run.was_replaced and heap.own is not None:
        heap = heap.own
    points = run.checkpoints
    end = points[-1]
    unwound = _unwound_from(points)
    moment = end.index if unwound is None else unwound
    last = points[moment - 1]
    known = [place for place, size in enumerate(heap.at_checkpoints) if size is not None]
    known_at = known[-1] if known else None
    heap_bytes = None if known_at is None else heap.at_checkpoints[known_at]
    charged = ChargedLines(heap.tree)
    return Death(
        phases=_phases(points, phases, unwound),
        last_checkpoint=last.index or None,
        since_s=max(0.0, end.time_s - last.time_s),
        rss_bytes=end.rss_bytes,
        heap_bytes=heap_bytes,
        culprits=()
        if known_at is None
        else charged.culprits_alive(heap.lifetimes.alive_at(known_at), heap_bytes or 0),
        last_growth=_last_growth(run, heap, charged, phases, moment),
        known_at=known_at,
    )


def _phases(
    points: Sequence[Checkpoint], phases: Sequence[Phase], unwound: int | None
) -> tuple[int, ...]:
    """Find the innermost phases the program died in.

    They reach to the end of the run, unless an exception ended the program: that closed them on
    its way out, from the checkpoint ``unwound`` on.
    """
    last = points[-1].index
    if unwound is None:
        found = [place for place, phase in enumerate(phases) if phase.end == last]
    else:
        found = [
            place
            for place, phase in enumerate(phases)
            if phase.outline.kind is PhaseKind.SPAN and unwound <= phase.end < last
        ]
    around = {parent for place in found for parent in _parents(phases, place)}
    return tuple(place for place in found if place not in around)


def _unwound_from(points: Sequence[Checkpoint]) -> int | None:
    """Find the first of the last ends in a row that an exception closed; None if it closed none."""
    first = None
    for point in reversed(points[1:-1]):
        if point.kind is not CheckpointKind.END or point.note is None:
            break
        first = point.index
    return first


def _last_growth(
    run: Run, heap: Heap, charged: ChargedLines, phases: Sequence[Phase], moment: int
) -> LastGrowth | None:
    """Find the last segment up to ``moment`` that grew the heap, or the RSS if not traced.

    After ``moment`` Python itself allocates: to show the traceback, with all that it imports.
    """
    points = run.checkpoints
    least_bytes = max(MIN_GROWTH_BYTES, round(MIN_SHARE_OF_PEAK * (heap.peak_bytes or 0)))
    for end in range(moment, 0, -1):
        stretch = Stretch(end - 1, end, complete=end < len(points) - 1)
        heap_bytes = None
        if heap.is_traced(stretch):
            heap_bytes = _grown(heap.at_checkpoints[end - 1], heap.at_checkpoints[end])
        rss_bytes = _grown(points[end - 1].rss_bytes, points[end].rss_bytes)
        grown = rss_bytes if heap_bytes is None else heap_bytes
        if grown is not None and grown >= least_bytes:
            break
    else:
        return None
    still_alive: Tally[int] = Tally()
    if heap_bytes is not None:
        for life in heap.lifetimes:
            if life.born == end and life.is_alive_at(len(points) - 1):
                still_alive.add(life.node, life.bytes, life.allocations)
    return LastGrowth(
        stretch=stretch,
        phase=_innermost(phases, stretch),
        heap_bytes=heap_bytes,
        rss_bytes=rss_bytes,
        culprits=charged.culprits(stacks_of(still_alive), still_alive.total_bytes()),
    )


def _grown(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start


def _innermost(phases: Sequence[Phase], stretch: Stretch) -> int | None:
    containing = [
        place
        for place, phase in enumerate(phases)
        if any(
            part.start <= stretch.start and stretch.end <= part.end
            for part in phase.outline.stretches
        )
    ]
    return max(containing, key=lambda place: phases[place].outline.depth, default=None)


def _parents(phases: Sequence[Phase], place: int) -> list[int]:
    """List the phases around the phase ``place``, innermost first."""
    found = []
    parent = phases[place].outline.parent
    while parent is not None:
        found.append(parent)
        parent = phases[parent].outline.parent
    return found
