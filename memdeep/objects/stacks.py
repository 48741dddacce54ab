"""The stacks and lines of a report for those who load it, and what is worked out on demand.

Every stack and every line is here: no list is cut. Knows no name of a phase and no table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property

from memdeep import model
from memdeep.analysis import accounts
from memdeep.analysis.accounts import Accounts, Metric
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.holders import LineHolders
from memdeep.analysis.parts import Readings
from memdeep.errors import NotKnownError
from memdeep.frozen import frozen, replace
from memdeep.model import Origin
from memdeep.model.alive import alive_of
from memdeep.model.paths import path_of, roots_of
from memdeep.model.sums import Tally
from memdeep.objects.holders import Holders, holders_of
from memdeep.text import units
from memdeep.text.safe import plain

_LONGEST = 40  # characters of a name in a `repr`


@frozen
class Frame:
    """A call in a stack. ``path`` is the same on every machine: see `report.json`.

    ``origin`` is one of "user", "library", "stdlib", "native" and "memdeep".
    """

    function: str
    filename: str | None
    path: str | None
    lineno: int | None
    origin: str

    def __repr__(self) -> str:
        return f"<{place_of(self.filename, self.lineno)} in {short(self.function)}>"


@frozen
class Stack:
    """A stack, outermost call first, with the bytes and allocations that it stands for.

    One without frames stands for what is known to be there, but not from which stack.
    """

    frames: tuple[Frame, ...]
    bytes: int
    allocations: int
    thread: str | None
    process: int

    def __repr__(self) -> str:
        depth = units.count(len(self.frames), "frame")
        inner = f", {self.frames[-1]!r}" if self.frames else ""
        return f"<Stack of {depth}: {units.size(self.bytes)}{inner}>"


@frozen
class Line:
    """A source line with the bytes that it, or what it called, allocated.

    ``share`` is its part of the phase's total. ``stack`` is the largest one that reached it.
    ``holders`` says what the bytes are and who holds them, where the run has recorded it.
    """

    filename: str | None
    path: str | None
    lineno: int | None
    function: str
    source: str | None
    bytes: int
    allocations: int
    share: float
    resident_bytes: int | None
    stack: tuple[Frame, ...]
    thread: str | None
    process: int
    holders: Holders | None = None

    def __repr__(self) -> str:
        place = f"{place_of(self.filename, self.lineno)} in {short(self.function)}"
        return f"<Line {place}: {units.size(self.bytes)}, {units.percent(self.share)}>"


class Recorded:
    """A report, and what is worked out from its heap when that is asked for."""

    def __init__(self, report: model.Report) -> None:
        self.report = report
        self._sums: dict[Metric, Mapping[int, Tally[int]]] = {}
        self._frames: dict[model.Frame, Frame] = {}
        self._roots = roots_of(report)

    def path(self, index: int) -> str:
        """Return the names of the phases around a phase, and its own."""
        names: list[str] = []
        around: int | None = index
        while around is not None:
            names.append(self.report.phases[around].name)
            around = self.report.phases[around].outline.parent
        return "/".join(reversed(names))

    def stacks(self, index: int, metric: Metric) -> tuple[Stack, ...]:
        """Return the stacks of a phase, largest first. Raises NotKnownError."""
        return self._as_stacks(self._sum(index, metric))

    def of_run(self, metric: Metric, *, is_known: bool) -> tuple[Stack, ...]:
        """Return the stacks of the whole run, largest first. Raises NotKnownError."""
        heap = self.report.heap
        found: Tally[int] = Tally()
        peak = accounts.highest_peak(self.report)
        if metric is Metric.PEAK and peak is not None:
            return self._as_stacks(accounts.at_peak(peak))
        is_gross = metric in (Metric.ALLOCATED, Metric.FREED)
        if not is_known or metric is Metric.PEAK or (is_gross and heap.transients is None):
            raise self._not_known("run", metric)
        for life in [*heap.lifetimes, *((heap.transients or ()) if is_gross else ())]:
            is_kept = life.died is None
            if metric is Metric.ALLOCATED or is_kept is not (metric is Metric.FREED):
                found.add(life.node, life.bytes, life.allocations)
        return self._as_stacks(found)

    def lines(self, index: int, metric: Metric) -> tuple[Line, ...]:
        """Return the lines of a phase, largest first. Raises NotKnownError."""
        phase = self.report.phases[index]
        tally = self._sum(index, metric)
        total = metric.of(phase) or 0
        tally.pop(accounts.UNKNOWN_STACK, None)
        grouped = alive_of(tally).by_group(self._charged.groups)
        shares = None
        if metric in (Metric.KEPT, Metric.RETAINED) and grouped:
            shares = self._readings.resident_shares(phase.end)
        holders = self._holders.at_most if metric is Metric.PEAK else self._holders.at_end
        found = self._charged.culprits(grouped, total, 0, shares, None)
        if self.report.snapshots and metric in (Metric.KEPT, Metric.RETAINED, Metric.PEAK):
            found = tuple([replace(one, holders=holders(one.line, phase)) for one in found])
        return tuple(map(self.line, found))

    def line(self, culprit: model.Culprit) -> Line:
        """Return a culprit as users see it."""
        held = None if culprit.holders is None else holders_of(culprit.holders)
        stack, origin = self._stack(culprit.node), self._outermost(culprit.node)
        return self._line(culprit, culprit.share, stack, origin, held)

    def line_across(self, line: model.LineAcross, total: int | None) -> Line:
        """Return a line of several processes as users see it; ``total`` is of all such lines."""
        share = line.bytes / total if total else 0.0
        stack = tuple(map(self._frame, line.stack))
        return self._line(line, share, stack, (line.thread, line.process))

    def _line(
        self,
        of: model.Culprit | model.LineAcross,
        share: float,
        stack: tuple[Frame, ...],
        origin: tuple[str | None, int],
        holders: Holders | None = None,
    ) -> Line:
        """Return a line as users see it; ``origin`` is the thread and the process of ``stack``."""
        frame = self._frame(of.frame)
        thread, process = origin
        return Line(
            filename=frame.filename,
            path=frame.path,
            lineno=frame.lineno,
            function=frame.function,
            source=self.report.source(of.frame),
            bytes=of.bytes,
            allocations=of.allocations,
            share=share,
            resident_bytes=of.resident_bytes,
            stack=stack,
            thread=thread,
            process=process,
            holders=holders,
        )

    @cached_property
    def _holders(self) -> LineHolders:
        return LineHolders(self.report.heap)

    @cached_property
    def _accounts(self) -> Accounts:
        return Accounts(self.report)

    @cached_property
    def _charged(self) -> ChargedLines:
        return ChargedLines(self.report.heap.tree)

    @cached_property
    def _readings(self) -> Readings:
        heap = self.report.heap.of_program
        return Readings(self.report.run.checkpoints, heap, self._charged)

    def _sum(self, index: int, metric: Metric) -> Tally[int]:
        phase = self.report.phases[index]
        if metric.of(phase) is None:
            raise self._not_known(f"phase {quoted(phase.name)}", metric)
        if metric not in self._sums:
            self._sums[metric] = self._accounts.sums(metric)[metric]
        return Tally(self._sums[metric].get(index, {}))

    def _as_stacks(self, tally: Tally[int]) -> tuple[Stack, ...]:
        found = sorted(tally.items(), key=lambda item: (-item[1][0], item[0]))
        return tuple(
            Stack(self._stack(node), size, allocations, *self._outermost(node))
            for node, (size, allocations) in found
        )

    def _stack(self, node: int) -> tuple[Frame, ...]:
        return tuple(map(self._frame, self.report.heap.tree.stack(node)))

    def _frame(self, frame: model.Frame) -> Frame:
        known = self._frames.get(frame)
        if known is None:
            origin = Origin.USER if frame.origin is Origin.TOOL else frame.origin
            known = self._frames[frame] = Frame(
                function=frame.function,
                filename=frame.filename or None,
                path=path_of(frame, self._roots),
                lineno=frame.lineno or None,
                origin=origin.value,
            )
        return known

    def _outermost(self, node: int) -> tuple[str | None, int]:
        """Return the thread and the process of a stack."""
        if node < 0:
            return None, 0
        frame = self.report.heap.tree.outermost(node)
        if frame.origin is not Origin.THREAD:
            return None, 0
        process = frame.lineno
        # The name of a thread of another process has the process before it.
        return frame.function.split(" ", 2)[-1] if process else frame.function, process

    def _not_known(self, of: str, metric: Metric) -> NotKnownError:
        backend = self.report.run.mode.backend
        return NotKnownError(
            f"What the {of} {metric.value} is not known by stack: not all of it was traced.",
            f"The run was recorded with --backend {backend}; see `.problems` and `.phases`.",
        )


def metric_of(which: str) -> Metric:
    """Return the metric of this name. Raises NotKnownError."""
    for metric in Metric:
        if metric.value == which:
            return metric
    known = ", ".join(f'"{metric.value}"' for metric in Metric)
    raise NotKnownError(f"{which!r} is none of {known}.", "Give one of these.")


def place_of(filename: str | None, lineno: int | None) -> str:
    """Return the name of a file with a line."""
    name = short(os.path.basename(filename or "") or units.UNKNOWN)
    return name if lineno is None else f"{name}:{lineno}"


def quoted(name: str) -> str:
    """Return ``name`` in quotes, made short and plain."""
    return f'"{short(name, 100)}"'


def short(name: str, longest: int = _LONGEST) -> str:
    """Return ``name`` on one line, cut to ``longest`` characters."""
    return plain(name if len(name) <= longest else f"{name[: longest - 1]}…")
