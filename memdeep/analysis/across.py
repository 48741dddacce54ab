"""Sums up the phases of one path over many processes: a row for each, whoever has it.

Knows no framework. Processes are added one by one, and what was made of some is merged with what
was made of others, in any order: their reports need not be there together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from memdeep.frozen import replace
from memdeep.model import (
    Across,
    Culprit,
    Finding,
    Frame,
    LineAcross,
    Origin,
    Phase,
    PhaseKind,
    Report,
    Run,
    ShareAcross,
    StackTree,
)
from memdeep.model.sums import Tally, highest, sum_of_known

MIN_PROCESSES = 2  # of fewer, the phases are rows already

Path = tuple[str, ...]
Place = tuple[str, int, str]  # file, line and function of a frame


class Rows:
    """The rows of the processes that were added so far; it can be pickled."""

    def __init__(self) -> None:
        self._members: dict[Path, list[_Member]] = {}
        self._lines: dict[Path, dict[Place, _Line]] = {}

    def add(self, process: int, report: Report) -> None:
        """Add the spans of a process (its index in the run) as its own report has them, once.

        Of a phase whose heap is that of other processes, too, nothing is known of this one alone.
        """
        own: dict[Path, list[tuple[int, Culprit]]] = {}
        for place, path in _paths(report.phases).items():
            phase = report.phases[place]
            self._members.setdefault(path, []).append(_member(process, place, phase))
            found = own.setdefault(path, [])
            if phase.heap is not None and not phase.workers:
                found += [(place, culprit) for culprit in phase.heap.every_line]
        for path, found in own.items():
            self._add_lines(path, process, found, report.heap.tree)

    def merge(self, other: Rows) -> None:
        """Add all that ``other`` has; no process is in both."""
        for path, members in other._members.items():
            self._members.setdefault(path, []).extend(members)
            lines = self._lines.setdefault(path, {})
            for place, line in other._lines[path].items():
                known = lines.get(place)
                lines[place] = line if known is None else known.with_that(line)

    def rows(self) -> tuple[Across, ...]:
        """Return the rows, most bytes in use first."""
        rows = [
            _row(path, members, self._lines[path].values())
            for path, members in self._members.items()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.bytes_in_use, row.path)))

    def _add_lines(
        self,
        path: Path,
        process: int,
        found: Sequence[tuple[int, Culprit]],
        tree: StackTree,
    ) -> None:
        by_place: dict[Place, list[tuple[int, Culprit]]] = {}
        for phase, culprit in found:
            by_place.setdefault(_place(culprit.frame), []).append((phase, culprit))
        lines = self._lines.setdefault(path, {})
        for place, items in by_place.items():
            phase, most = max(items, key=lambda item: (item[1].bytes, -item[0]))
            total = sum(culprit.bytes for _, culprit in items)
            line = _Line(
                frame=most.frame,
                bytes=total,
                allocations=sum(culprit.allocations for _, culprit in items),
                resident_bytes=sum_of_known([culprit.resident_bytes for _, culprit in items]),
                most_bytes=total,
                process=process,
                phase=phase,
            )
            known = lines.get(place)
            line = line if known is None else known.with_that(line)
            if line.process == process:  # its stack is shown
                line = line._replace(stack=tree.stack(most.node), thread=_thread(tree, most.node))
            lines[place] = line


class _Member(NamedTuple):
    """What a row needs of one phase of one process; figures that are not known are None."""

    process: int
    phase: int
    repeats: int
    duration_s: float
    complete: bool
    overlaps: bool
    retained_bytes: int | None
    delta_bytes: int | None
    allocated_bytes: int | None
    freed_bytes: int | None
    allocations: int | None
    rise_bytes: int | None
    peak_bytes: int | None


class _Line(NamedTuple):
    """A line's bytes, and ``most_bytes`` of one process: it holds most of them, in ``phase``."""

    frame: Frame
    bytes: int
    allocations: int
    resident_bytes: int | None
    most_bytes: int
    process: int
    phase: int
    stack: tuple[Frame, ...] = ()
    thread: str | None = None

    def with_that(self, other: _Line) -> _Line:
        """Return both as one; of processes that hold the same, the first is named."""
        most = max(self, other, key=lambda line: (line.most_bytes, -line.process))
        return most._replace(
            bytes=self.bytes + other.bytes,
            allocations=self.allocations + other.allocations,
            resident_bytes=sum_of_known([self.resident_bytes, other.resident_bytes]),
        )


def across(report: Report, rows: Rows) -> tuple[Across, ...]:
    """Return the rows of a run, if several processes have set phases, or one is of a cluster.

    So if the program has put another one in its place, whose phases are no rows of the program.

    ``rows`` has all that have a report of their own. The phases of the program itself are among
    them if it is a worker of that.
    """
    run = report.run
    if is_worker(run, 0):
        rows.add(0, report)
    own = {*report.own_reports, *report.own_left_out}
    is_wanted = len(own) >= MIN_PROCESSES or any(map(run.is_program, own))
    return rows.rows() if is_wanted or any(one.worker for one in run.processes) else ()


def with_their_rows(findings: Iterable[Finding], rows: Sequence[Across]) -> tuple[Finding, ...]:
    """Give each finding on other processes the row in which its line retained most of its bytes.

    Of rows that lie in one another, that is the innermost.
    """
    by_line: dict[tuple[str, int], list[tuple[int, Across]]] = {}
    for row in rows:
        lines: Tally[tuple[str, int]] = Tally()
        for one in row.lines:
            lines.add((one.frame.filename, one.frame.lineno), one.bytes, 0)
        for line, (size, _) in lines.items():
            by_line.setdefault(line, []).append((size, row))
    return tuple(replace(one, row=_row_of(one, by_line)) for one in findings)


def _row_of(
    finding: Finding, by_line: Mapping[tuple[str, int], Sequence[tuple[int, Across]]]
) -> Path:
    if finding.culprit is None or not finding.processes:
        return ()
    found = [
        (len(row.path), size, row.path)
        for size, row in by_line.get(finding.culprit.line, ())
        if 2 * size >= finding.bytes and {*finding.processes} - {0} <= {*row.processes}
    ]
    return max(found)[-1] if found else ()


def is_worker(run: Run, process: int) -> bool:
    """Tell if a process of a run (its index) is a worker of a cluster."""
    return process < len(run.processes) and run.processes[process].worker is not None


def _paths(phases: Sequence[Phase]) -> dict[int, Path]:
    """Return the path of each span, by its index."""
    found: dict[int, Path] = {}
    for place, phase in enumerate(phases):
        if phase.outline.kind is PhaseKind.SPAN:
            around = phase.outline.parent
            above = () if around is None else found[around]
            found[place] = (*above, phase.name)
    return found


def _member(process: int, place: int, phase: Phase) -> _Member:
    heap = None if phase.workers else phase.heap
    return _Member(
        process=process,
        phase=place,
        repeats=phase.repeats,
        duration_s=phase.duration_s,
        complete=phase.complete,
        overlaps=phase.outline.overlaps,
        retained_bytes=None if heap is None else heap.retained_bytes,
        delta_bytes=None if heap is None else heap.delta_bytes,
        allocated_bytes=None if heap is None else heap.allocated_bytes,
        freed_bytes=None if heap is None else heap.gross_freed_bytes,
        allocations=None if heap is None else heap.allocations,
        rise_bytes=None if heap is None else heap.peak.bytes - heap.start_bytes,
        peak_bytes=None if heap is None else phase.highest_bytes,
    )


def _place(frame: Frame) -> Place:
    return frame.filename, frame.lineno, frame.function


def _thread(tree: StackTree, node: int) -> str | None:
    outermost = tree.outermost(node)
    return outermost.function if outermost.origin is Origin.THREAD else None


def _row(path: Path, members: Iterable[_Member], lines: Iterable[_Line]) -> Across:
    members = sorted(members)
    by_process: dict[int, list[_Member]] = {}
    for member in members:
        by_process.setdefault(member.process, []).append(member)
    shares = [_share(process, own) for process, own in by_process.items()]
    held = sorted(
        (
            LineAcross(
                frame=line.frame,
                bytes=line.bytes,
                allocations=line.allocations,
                process=line.process,
                of=(line.process, line.phase),
                resident_bytes=line.resident_bytes,
                stack=line.stack,
                thread=line.thread,
            )
            for line in lines
        ),
        key=lambda line: (-line.bytes_in_use, *_place(line.frame)),
    )
    retained_bytes = sum_of_known([member.retained_bytes for member in members])
    resident_bytes = None
    if retained_bytes is not None and (held or not retained_bytes):
        resident_bytes = sum_of_known([line.resident_bytes for line in held])
    return Across(
        path=path,
        members=tuple((member.process, member.phase) for member in members),
        shares=tuple(sorted(shares, key=_most_first)),
        repeats=sum(member.repeats for member in members),
        duration_s=math.fsum(member.duration_s for member in members),
        complete=all(member.complete for member in members),
        retained_bytes=retained_bytes,
        resident_bytes=resident_bytes,
        delta_bytes=sum_of_known([member.delta_bytes for member in members]),
        allocated_bytes=sum_of_known([member.allocated_bytes for member in members]),
        freed_bytes=sum_of_known([member.freed_bytes for member in members]),
        allocations=sum_of_known([member.allocations for member in members]),
        lines=tuple(held),
        overlaps=any(member.overlaps for member in members),
    )


def _share(process: int, members: Sequence[_Member]) -> ShareAcross:
    return ShareAcross(
        process=process,
        repeats=sum(member.repeats for member in members),
        retained_bytes=sum_of_known([member.retained_bytes for member in members]),
        rise_bytes=highest([member.rise_bytes for member in members]),
        peak_bytes=highest([member.peak_bytes for member in members]),
    )


def _most_first(share: ShareAcross) -> tuple[int, int]:
    return -(share.retained_bytes or 0), share.process
