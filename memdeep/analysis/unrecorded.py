"""Finds the processes that used memory and of whose allocations nothing is known.

Another program than Python, or one beyond the number to be recorded, was seen from outside only: by
its proportional set size (PSS) over time. One that was forked has in that a share of what its
parent held before, which is no more in use for it: there what it has to itself counts (USS).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import PurePath

from memdeep.analysis.workers import lived, size_at
from memdeep.frozen import frozen
from memdeep.model import Finding, FindingKind, Phase, Process, Run, Sample

MAX_PROGRAMS = 3
LARGE = 0.1  # of the largest one: the programs to name; a … stands for others
NEARLY = 0.98  # of the most in any phase: an inner phase has it as well


@frozen
class _Curve:
    """The memory of several processes together: ``sizes[k]`` from ``times_s[k]`` on."""

    times_s: Sequence[float]
    sizes: Sequence[int]

    def at(self, time_s: float) -> int:
        place = bisect_right(self.times_s, time_s)
        return self.sizes[place - 1] if place else 0

    def highest(self, start_s: float, end_s: float) -> tuple[int, float]:
        """Return the most between two moments, both included, and when it was."""
        first, last = bisect_left(self.times_s, start_s), bisect_right(self.times_s, end_s)
        within = zip(self.sizes[first:last], self.times_s[first:last], strict=True)
        return max([(self.at(start_s), start_s), *within], key=lambda one: one[0])


def unrecorded(run: Run, phases: Sequence[Phase]) -> list[Finding]:
    """Find for the processes that one line started the phase in which they took most memory.

    Those are left out of which the line has others recorded: these tell the line that took it.
    """
    found = []
    for members in _groups(run.processes):
        curve = _curve([run.processes[place] for place in members])
        rises = [_rise(run, phase, curve) for phase in phases]
        most = max([rise for rise, _ in rises], default=0)
        if most > 0:
            fitting = [place for place, (rise, _) in enumerate(rises) if rise >= NEARLY * most]
            phase = max(fitting, key=lambda place: (phases[place].outline.depth, -place))
            rise, time_s = rises[phase]
            alive = [place for place in members if size_at(run.processes[place], time_s)]
            found.append(_finding(run, phase, rise, alive))
    return found


def _groups(processes: Sequence[Process]) -> Iterator[Sequence[int]]:
    """Yield the processes that were not recorded, with those that they started, by their line."""
    recorded = {(one.group, _program(one)) for one in processes if one.is_traced}
    groups: dict[int, list[int]] = {}
    above: dict[int, int] = {}
    for place, process in enumerate(processes):
        if not place or not process.curve or process.is_traced:
            continue
        group = place if process.group is None else process.group
        parent = process.parent
        above[place] = group if parent is None else above.get(parent, group)
        if (process.group, _program(process)) not in recorded:
            groups.setdefault(above[place], []).append(place)
    yield from groups.values()


def _program(process: Process) -> str:
    """Return the name of the program of a process; empty if its command is not known."""
    words = (process.command or "").split()
    return PurePath(words[0]).name if words else ""


def _curve(members: Sequence[Process]) -> _Curve:
    """Add up the memory of ``members``, each of which has at any moment its last reading."""
    changes: list[tuple[float, int]] = []
    for process in members:
        start_s, end_s = lived(process)
        size = 0
        for sample in _readings(process):
            if sample.time_s <= end_s:
                changes.append((max(start_s, sample.time_s), sample.bytes - size))
                size = sample.bytes
        if end_s < math.inf:
            changes.append((math.nextafter(end_s, math.inf), -size))
    changes.sort(key=lambda change: change[0])
    sizes = list(accumulate(change for _, change in changes))
    # Of several changes at one moment the last one tells.
    last = [
        place
        for place, (time_s, _) in enumerate(changes)
        if place + 1 == len(changes) or changes[place + 1][0] > time_s
    ]
    return _Curve([changes[place][0] for place in last], [sizes[place] for place in last])


def _rise(run: Run, phase: Phase, curve: _Curve) -> tuple[int, float]:
    """Return how far the curve rose in a phase above where it was when that began, and when."""
    times = [
        (run.checkpoints[stretch.start].time_s, run.checkpoints[stretch.end].time_s)
        for stretch in phase.outline.stretches
    ]
    rises = []
    for start_s, end_s in times:
        size, time_s = curve.highest(start_s, end_s)
        rises.append((size - curve.at(start_s), time_s))
    return max(rises, default=(0, 0.0))


def _readings(process: Process) -> Sequence[Sample]:
    return process.own_curve or process.curve


def _highest(process: Process) -> int:
    return max(sample.bytes for sample in _readings(process))


def _finding(run: Run, phase: int, size: int, members: Sequence[int]) -> Finding:
    by_size = sorted((run.processes[place] for place in members), key=_highest, reverse=True)
    large = [one for one in by_size if _highest(one) >= LARGE * _highest(by_size[0])]
    names = [*dict.fromkeys(filter(None, map(_program, large)))][:MAX_PROGRAMS]
    is_all = {*filter(None, map(_program, by_size))} <= {*names}
    peak_bytes = max(size, run.peak_pss_bytes or 0)
    return Finding(
        kind=FindingKind.UNRECORDED,
        phase=phase,
        phases=(phase,),
        bytes=size,
        share=size / peak_bytes,
        culprit=None,
        advice=None,
        evidence={"programs": ", ".join(names if is_all else [*names, "…"])},
        resident_bytes=size,
        processes=tuple(members),
    )
