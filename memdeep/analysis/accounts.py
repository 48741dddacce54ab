"""Adds up what each stack did in each phase, with all stacks: for those who want every byte.

Follows the same rules as the figures of the phases, so that sums over stacks are those figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from memdeep.analysis.charging import Charging
from memdeep.analysis.death import is_unfinished
from memdeep.analysis.outline import outline
from memdeep.model import Lifetime, Peak, Phase, PhaseOutline, Report
from memdeep.model.sums import Tally

OUTSIDE = -1  # the place of bytes that no phase with a known heap is charged with
UNKNOWN_STACK = -1  # the node of bytes at a peak whose stacks are not known


class Metric(Enum):
    """An amount of bytes that a phase has.

    KEPT: allocated in it and alive when its last repeat ended. RETAINED: alive when that very
    repeat ended. FREED: there before a repeat began and freed in it. ALLOCATED: all that was
    allocated. PEAK: alive when its heap was highest.
    """

    KEPT = "kept"
    RETAINED = "retained"
    FREED = "freed"
    PEAK = "peak"
    ALLOCATED = "allocated"

    __hash__ = object.__hash__

    def of(self, phase: Phase) -> int | None:
        """Return the figure of ``phase``; None where it is not known."""
        heap = phase.heap
        if heap is None:
            return None
        if self is Metric.KEPT:
            return heap.kept_bytes
        if self is Metric.RETAINED:
            return heap.retained_bytes
        if self is Metric.FREED:
            return heap.freed_bytes
        return heap.peak.bytes if self is Metric.PEAK else heap.allocated_bytes


class Charged(NamedTuple):
    """The phases (indices, outermost first) that one lifetime counts for, by what it is there.

    ``retained`` and ``kept`` are among ``allocated``.
    """

    allocated: tuple[int, ...]
    retained: tuple[int, ...]
    kept: tuple[int, ...]
    freed: tuple[int, ...]

    def of(self, metric: Metric) -> tuple[int, ...]:
        """Return the phases whose ``metric`` it is part of; those of a peak are not told here."""
        if metric is Metric.KEPT:
            return self.kept
        if metric is Metric.RETAINED:
            return self.retained
        return self.freed if metric is Metric.FREED else self.allocated


class Accounts:
    """What each stack did in each phase of a report; phases without a known heap have nothing."""

    def __init__(self, report: Report) -> None:
        self._report = report
        heap, checkpoints = report.heap, len(report.run.checkpoints)
        outlines, self._places = _outlines(report)
        self._last_ends = [one.stretches[-1].end for one in outlines]
        self._charging = Charging(heap.tree, outlines, checkpoints)
        self._known: dict[tuple[int, int, int | None], Charged] = {}

    @property
    def knows_allocated(self) -> bool:
        """Tell if what was allocated and freed between two checkpoints was seen."""
        return self._report.heap.transients is not None

    def lifetimes(self) -> Iterator[tuple[Lifetime, Charged]]:
        """Yield all bytes of the run, and the phases that they count for."""
        threads, known = self._threads, self._known
        heap = self._report.heap
        for lifetimes in (heap.lifetimes, heap.transients or ()):
            for life in lifetimes:
                node, born, died, _, _ = life
                thread = threads[node] if threads else 0
                charged = known.get((thread, born, died))
                if charged is None:
                    charged = known[thread, born, died] = self._charged(node, thread, born, died)
                yield life, charged

    def sums(self, *metrics: Metric) -> Mapping[Metric, Mapping[int, Tally[int]]]:
        """Return for each metric and phase the bytes and allocations of each stack (its node).

        Phases that have none are missing. What was allocated `OUTSIDE` of all phases is there, too.
        """
        found: dict[Metric, dict[int, Tally[int]]] = {metric: {} for metric in metrics}
        if Metric.PEAK in found:
            for place, phase in enumerate(self._report.phases):
                if phase.heap is not None and phase.heap.peak.bytes:
                    found[Metric.PEAK][place] = at_peak(phase.heap.peak)
        flows = [metric for metric in metrics if metric is not Metric.PEAK]
        for life, charged in self.lifetimes() if flows else ():
            for metric in flows:
                places = charged.of(metric)
                if not places and metric is Metric.ALLOCATED:
                    places = (OUTSIDE,)
                for place in places:
                    if place not in found[metric]:
                        found[metric][place] = Tally()
                    found[metric][place].add(life.node, life.bytes, life.allocations)
        return found

    @cached_property
    def _threads(self) -> Sequence[int]:
        """The number of the thread of each node; nothing where all are charged alike."""
        return self._charging.threads if self._charging.partial else ()

    def _charged(self, node: int, thread: int, born: int, died: int | None) -> Charged:
        allocated, retained, kept, freed = [], [], [], []
        for place, _, end in self._around(node, thread, born):
            phase = self._places[place]
            if phase is None:
                continue
            allocated.append(phase)
            if died is None or died > end:
                retained.append(phase)
            # What is freed in the very segment of its birth is never alive at a checkpoint.
            if died is None or died > self._last_ends[place]:
                kept.append(phase)
        if died is not None and died != born:
            for place, start, _ in self._around(node, thread, died):
                phase = self._places[place]
                if phase is not None and born <= start:
                    freed.append(phase)
        return Charged(*(tuple(sorted(one)) for one in (allocated, retained, kept, freed)))

    def _around(self, node: int, thread: int, segment: int) -> Iterator[tuple[int, int, int]]:
        """Yield the phases charged with a segment, and the ends of the stretch of each around it.

        Of one that is not charged with all threads' bytes, the ends of what it is charged with.
        """
        charging = self._charging
        for around in charging.around(node, segment):
            if around[0] not in charging.partial:
                yield around
        if charging.partial:
            for part in charging.parts(thread, segment):
                yield part.phase, part.start, part.end


def at_peak(peak: Peak) -> Tally[int]:
    """Return what each stack held at a peak; what is not known of it has no stack.

    Where the stacks were read at another moment and hold more, the largest are cut to the height.
    """
    tally: Tally[int] = Tally()
    for stack in peak.stacks or ():
        tally.add(stack.node, stack.bytes, stack.allocations)
    rest = peak.bytes - tally.total_bytes()
    if rest > 0:
        tally.add(UNKNOWN_STACK, rest, 0)
    for node in sorted(tally, key=lambda node: (-tally[node][0], node)):
        if rest >= 0:
            break
        cut = min(-rest, tally[node][0])
        tally.add(node, -cut, 0)
        rest += cut
    return tally


def highest_peak(report: Report) -> Peak | None:
    """Return the highest heap of the run with its stacks; None if these are not known."""
    of_phases = [phase.peak for phase in report.phases]
    # Those of the heap are of gaps without a row, too.
    for peak in (*report.heap.peaks, *of_phases):
        if peak is not None and peak.bytes == report.heap.peak_bytes and peak.stacks is not None:
            return peak
    return None


def _outlines(report: Report) -> tuple[Sequence[PhaseOutline], Sequence[int | None]]:
    """Find all phases again, those without a row included, and the index in the report of each.

    None for those that have no row or no known heap. Which thread's bytes a phase is charged with
    may depend on phases that have no row.
    """
    run, phases = report.run, report.phases
    died = is_unfinished(run) and len(run.checkpoints) > 2
    places = {
        (phase.outline.kind, phase.name, phase.outline.stretches): place
        for place, phase in enumerate(phases)
    }
    outlines = outline(run.checkpoints, died=died).phases
    found = [places.get((one.kind, one.name, one.stretches)) for one in outlines]
    if len({*found} - {None}) < len(phases):  # a report that was not made of these checkpoints
        outlines, found = tuple(phase.outline for phase in phases), list(range(len(phases)))
    return outlines, [
        place if place is not None and phases[place].heap is not None else None for place in found
    ]
