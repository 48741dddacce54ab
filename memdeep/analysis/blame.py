"""The line to blame for a figure that no list of lines of a report is ordered by.

It takes a pass over the heap of the run: ask for what is told, not for every phase.
"""

from __future__ import annotations

from memdeep.analysis.charging import Charging
from memdeep.analysis.culprits import ChargedLines
from memdeep.model import Alive, Culprit, Heap, Report, StackBytes
from memdeep.model.alive import alive_of
from memdeep.model.sums import Tally, stacks_of


def counted_at(heap: Heap, checkpoint: int) -> Alive:
    """Return what was alive at a checkpoint, of what counts in the heap there.

    Each part that was traced counts from nothing: what an earlier one left alive, it does not know.
    """
    started = [part.start for part in heap.traced if part.start <= checkpoint]
    earliest = max(started, default=0)
    if earliest == 0:
        return heap.lifetimes.alive_at(checkpoint)
    held: Tally[int] = Tally()
    for life in heap.lifetimes:
        if life.born > earliest and life.is_alive_at(checkpoint):
            held.add(life.node, life.bytes, life.allocations)
    return alive_of(held)


def line_of_rise(report: Report, place: int) -> Culprit | None:
    """Return the line that held most at the peak of a phase, beyond what it held at the start.

    Where the stacks of the peak are not known, it is the line with the largest single allocation.
    None if neither is known, or no line held more.
    """
    phase = report.phases[place]
    peak = phase.peak
    if phase.heap is None or peak is None:
        return None
    if peak.stacks is None:
        return next(iter(phase.heap.largest or ()), None)
    lines = ChargedLines(report.heap.tree)
    held = counted_at(report.heap, phase.start).by_group(lines.groups)
    at_start = {lines.groups[stack.node]: stack for stack in held}
    risen = []
    for stack in peak.stacks.by_group(lines.groups):
        earlier = at_start.get(lines.groups[stack.node], StackBytes(stack.node, 0, 0))
        more = stack.allocations - earlier.allocations
        risen.append(StackBytes(stack.node, stack.bytes - earlier.bytes, max(0, more)))
    rise = peak.bytes - phase.heap.start_bytes
    return next(iter(lines.culprits(risen, rise, most=1)), None)


def line_of_allocations(report: Report, place: int | None) -> Culprit | None:
    """Return the line that made most allocations in a phase, None for the whole run.

    Its bytes are all that it allocated. There is no line where allocations were not counted.
    """
    heap, outlines = report.heap, [phase.outline for phase in report.phases]
    if heap.transients is None:
        return None
    charging = Charging(heap.tree, outlines, len(report.run.checkpoints))
    segments = None if place is None else outlines[place].segments
    made: Tally[int] = Tally()
    for lives in (heap.lifetimes, heap.transients):
        for life in lives:
            if segments is not None and life.born not in segments:
                continue
            if place in charging.partial:
                parts = charging.parts(charging.threads[life.node], life.born)
                if all(part.phase != place for part in parts):
                    continue
            made.add(life.node, life.bytes, life.allocations)
    lines = ChargedLines(heap.tree)
    all_lines = lines.culprits(stacks_of(made), made.total_bytes(), most=None)
    return max(all_lines, key=lambda one: one.allocations, default=None)
