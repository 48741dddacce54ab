"""Divides what a phase allocated among the processes of the run.

Processes that one line started in one way are a group: of a pool with eight workers nobody wants
eight rows.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property

from memdeep.model import (
    DETACHED,
    GroupShare,
    Heap,
    Moved,
    Peak,
    Phase,
    Process,
    Run,
    Sample,
    StackBytes,
    Stretch,
)


class Workers:
    """The processes that the program of a run started, by what their stacks hold."""

    def __init__(self, run: Run, heap: Heap) -> None:
        self._run = run
        self._heap = heap

    @cached_property
    def _of_nodes(self) -> Sequence[int]:
        return self._heap.tree.processes

    def moved(self, phases: Sequence[Sequence[Stretch]]) -> Sequence[Moved | None]:
        """Return what each phase moved, by process; None where there is only the program."""
        if not self._heap.processes:
            return [None] * len(phases)
        return list(self._heap.lifetimes.moved(phases, self._of_nodes))

    def shares(self, moved: Moved | None, peak: Peak) -> tuple[GroupShare, ...]:
        """Return the part of each group in what a phase kept and freed, and in its peak."""
        if moved is None:
            return ()
        kept, freed = self._by_process(moved.retained), self._by_process(moved.freed)
        high = {} if peak.stacks is None else self._by_process(peak.stacks)
        groups: dict[int, list[int]] = {}
        for process in sorted({*kept, *freed, *high} - {0}):
            groups.setdefault(self._group(process), []).append(process)
        shares = [
            GroupShare(
                group=group,
                processes=tuple(members),
                delta_bytes=sum(kept.get(one, 0) - freed.get(one, 0) for one in members),
                kept_bytes=sum(kept.get(one, 0) for one in members),
                peak_bytes=sum(high.get(one, 0) for one in members),
            )
            for group, members in groups.items()
        ]
        return tuple(sorted(shares, key=lambda share: -max(share.kept_bytes, share.peak_bytes)))

    def pss_delta(self, stretches: Sequence[Stretch]) -> int | None:
        """Return the growth of the PSS of all processes but the program; None if it was not read.

        It was read from outside, at other moments than those of the checkpoints: the last reading
        before each stands for it.
        """
        sizes = self._pss
        return None if sizes is None else sum([sizes[s.end] - sizes[s.start] for s in stretches])

    def lent_delta(self, stretches: Sequence[Stretch]) -> int:
        """Return how much more of the program's RSS is shared: a part of it is in others' PSS.

        So much of the growth of their PSS is no growth of the memory of all.
        """
        sizes = self._lent
        return sum([sizes[s.end] - sizes[s.start] for s in stretches]) if sizes else 0

    @cached_property
    def _lent(self) -> Sequence[int]:
        """What the program shares at each checkpoint, by the last reading; empty if nothing.

        It is no more than the PSS of the others: some may have ended since then.
        """
        curve, sizes = self._run.lent_curve, self._pss
        if not curve or sizes is None:
            return ()
        times = [point.time_s for point in self._run.checkpoints]
        return [min(_last(curve, at), size) for at, size in zip(times, sizes, strict=True)]

    @cached_property
    def _pss(self) -> Sequence[int] | None:
        """The PSS of all processes but the program at each checkpoint; None if it was not read."""
        others = [process for process in self._run.processes[1:] if process.curve]
        if not others:
            return None
        times = [point.time_s for point in self._run.checkpoints]
        return [sum(size_at(process, time_s) for process in others) for time_s in times]

    def _by_process(self, stacks: Iterable[StackBytes]) -> dict[int, int]:
        found: dict[int, int] = {}
        for stack in stacks:
            process = self._of_nodes[stack.node]
            found[process] = found.get(process, 0) + stack.bytes
        return found

    def _group(self, process: int) -> int:
        group = self._run.processes[process].group
        return process if group is None else group


def phase_that_started(run: Run, phases: Sequence[Phase], process: Process) -> int | None:
    """Find the innermost phase that a process was asked for in, of the thread that did if known.

    Of a pool that began before, it says only which phase was open when its worker did.
    """
    begun_s = process.start_s if process.asked_s is None else process.asked_s
    if begun_s is None:
        return None
    times = [point.time_s for point in run.checkpoints]
    segment = min(max(1, bisect_left(times, begun_s)), len(times) - 1)
    around = [
        (place, phase)
        for place, phase in enumerate(phases)
        if any(segment in stretch.segments for stretch in phase.outline.stretches)
    ]
    own = [item for item in around if process.thread in item[1].outline.threads]
    return (
        max((phase.outline.depth, place) for place, phase in own or around)[1] if around else None
    )


def processes_of(heap: Heap, stacks: Iterable[StackBytes]) -> tuple[int, ...]:
    """Return the processes that hold ``stacks``; none if it is the program alone."""
    if not heap.processes:
        return ()
    found = sorted({heap.tree.process(stack.node) for stack in stacks})
    return () if found == [0] else tuple(found)


def lived(process: Process) -> tuple[float, float]:
    """Return when a process began and ended; it has no end where that is not known."""
    end_s = math.inf
    if process.end_s is not None and process.verdict != DETACHED:
        end_s = process.end_s
    return process.start_s or 0.0, end_s


def size_at(process: Process, time_s: float) -> int:
    """Return the last reading of a process before a moment; 0 without one, and after its end.

    What is read after a checkpoint may have come of it.
    """
    start_s, end_s = lived(process)
    if not start_s <= time_s <= end_s:
        return 0
    return _last(process.curve, time_s)


def _last(curve: Sequence[Sample], time_s: float) -> int:
    """Return the last reading before a moment; 0 without one."""
    place = bisect_right(curve, time_s, key=_time_s)
    return curve[place - 1].bytes if place else 0


def _time_s(sample: Sample) -> float:
    return sample.time_s
