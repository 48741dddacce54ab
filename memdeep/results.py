"""Runs as Python objects, for notebooks and scripts: `memdeep.load`.

All lines and stacks are there, not only those of `report.json`; the figures are the same. Sizes are
bytes, times are seconds since the program started, and what is not known is None.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from memdeep import model, pipeline
from memdeep.errors import NoSuchPhaseError
from memdeep.frozen import frozen
from memdeep.model import Identity, Stretch, Worker
from memdeep.objects import tables
from memdeep.objects.across import Row, row_of
from memdeep.objects.holders import Snapshot, snapshot_of
from memdeep.objects.stacks import Line, Recorded, Stack, metric_of, place_of, quoted, short
from memdeep.report import sentences
from memdeep.report.json.document import kind_of
from memdeep.text import units
from memdeep.text.language import language

if TYPE_CHECKING:
    import pandas
    import pyarrow

Which = Literal["kept", "retained", "freed", "peak", "allocated"]
Table = Literal["phases", "lines", "checkpoints", "holders", "types"]

_ENGLISH = language("en")
_MOST_NAMES = 5  # in an error or a `repr`


def load(path: str | os.PathLike[str]) -> Result:
    """Load the recording at ``path``: a run directory, or a capture of memray.

    Raises a `MemdeepError` whose text says what is wrong with it. Nothing at ``path`` is changed.
    """

    def ignore(_step: str) -> None:
        pass

    return Result(pipeline.analyse(pipeline.load(Path(path), ignore), ignore))


@frozen
class Checkpoint:
    """A moment that the program named, with the RSS and the heap then."""

    index: int
    label: str
    note: str | None
    time: float
    rss: int | None
    heap: int | None
    thread: str | None


@frozen
class Process:
    """A process of the run; the program itself comes first.

    ``parent`` is the index of the process that started it. ``phases`` are those that it set itself,
    by its own time; those of the program are in the result. ``worker`` is its part in a cluster.
    """

    pid: int | None
    command: str | None
    how: str | None
    parent: int | None
    start: float | None
    end: float | None
    exit: int | None
    signal: str | None
    verdict: str | None
    is_traced: bool
    peak_rss: int | None
    peak_pss: int | None
    peak_heap: int | None
    phases: Phases
    worker: Worker | None = None

    def __repr__(self) -> str:
        return f"<Process {self.pid} ({self.how}): peak heap {units.size(self.peak_heap)}>"


@frozen
class Exit:
    """The end of the program; ``evidence`` are the sentences that the verdict rests on."""

    code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[str, ...]


@frozen
class Finding:
    """A cause of memory growth, most important first in the list. See `report.json`.

    ``phase`` is that with the most of the bytes, ``phases`` are all that they are summed over.
    ``row`` has the phases of other processes in which the line retained most of them, if there are.
    """

    kind: str
    title: str
    bytes: int
    resident_bytes: int | None
    share: float
    phase: Phase
    phases: tuple[Phase, ...]
    culprit: Line | None
    advice: str | None
    evidence: Mapping[str, int | float | str]
    row: Row | None = None

    def __repr__(self) -> str:
        return f"<Finding: {short(self.title, 100)}>"


class Phase:
    """A phase: a span that the program named, or the stretch between two checkpoints.

    ``path`` has the names of the phases around it, too: "outer/inner". ``growth`` is that of the
    heap from its start to its end, ``rise`` the height of its ``peak`` above the heap at its start.
    ``kept`` was allocated in it and alive at its end; ``retained`` was alive at the end of the
    repeat that allocated it, which for a phase that is there once is the same.
    """

    def __init__(self, recorded: Recorded, index: int) -> None:
        self._recorded = recorded
        self._phase = phase = recorded.report.phases[index]
        heap = phase.heap
        self.index = index
        self.name = phase.name
        self.path = recorded.path(index)
        self.kind = phase.outline.kind.value
        self.parent = phase.outline.parent
        self.thread = phase.outline.thread
        self.start, self.end = phase.start, phase.end  # indices of checkpoints
        self.repeats = phase.repeats
        self.is_complete = phase.complete
        self.duration = phase.duration_s
        self.rss_growth = phase.rss_delta_bytes
        self.growth = phase.heap_delta_bytes
        self.peak = phase.peak_bytes
        self.rise = None if heap is None else heap.peak.bytes - heap.start_bytes
        self.kept = None if heap is None else heap.kept_bytes
        self.retained = None if heap is None else heap.retained_bytes
        self.freed = None if heap is None else heap.freed_bytes
        self.allocations = None if heap is None else heap.allocations

    @property
    def culprit(self) -> Line | None:
        """The line that made the heap grow most, None if there is none or it is not known."""
        main = self._phase.main_culprit
        return None if main is None else self._recorded.line(main)

    @property
    def culprits(self) -> tuple[Line, ...]:
        """The lines that kept anything, largest first; none if that is not known."""
        return () if self._phase.heap is None else self.lines("kept")

    def lines(self, which: Which = "retained") -> tuple[Line, ...]:
        """Return the lines of all that the phase ``which``, largest first.

        Lines of memdeep itself are left out. Raises `NotKnownError`.
        """
        return self._recorded.lines(self.index, metric_of(which))

    def stacks(self, which: Which = "kept") -> tuple[Stack, ...]:
        """Return the stacks of all that the phase ``which``, largest first.

        "kept" and "retained" are as the figures of these names; "freed" was there before the phase
        began and was freed in it; "peak" was alive when its heap was highest; "allocated" is all
        that was. They add up to the figure. Raises `NotKnownError` if the heap was not recorded.
        """
        return self._recorded.stacks(self.index, metric_of(which))

    def __repr__(self) -> str:
        culprit = self.culprit
        line = "" if culprit is None else f", {place_of(culprit.filename, culprit.lineno)}"
        figures = f"heap {units.signed_size(self.growth)}, peak {units.size(self.peak)}"
        return f"<Phase {short(self.name)}: {figures}{line}>"


class Phases(Sequence[Phase]):
    """Phases in order of their start: by index, or by name or path."""

    def __init__(self, load: Callable[[], Recorded | None]) -> None:
        self._load = load  # called when somebody asks for one of them

    @cached_property
    def _all(self) -> tuple[Phase, ...]:
        recorded = self._load()
        number = 0 if recorded is None else len(recorded.report.phases)
        return tuple(Phase(recorded, index) for index in range(number) if recorded)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Phase]:
        return iter(self._all)

    @overload
    def __getitem__(self, key: int | str) -> Phase: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[Phase, ...]: ...

    def __getitem__(self, key: int | str | slice) -> Phase | tuple[Phase, ...]:
        """Return a phase by its index, its name, or its path, which may lack outer names.

        Raises NoSuchPhaseError, which is a KeyError, if there is none or more than one.
        """
        if not isinstance(key, str):
            return self._all[key]
        named = [one for one in self._all if key in (one.name, one.path)]
        found = named or [one for one in self._all if one.path.endswith(f"/{key}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise NoSuchPhaseError(
                f"There are {len(found):,} phases named {quoted(key)}: {_places(found)}.",
                "Give the path of one, or its index.",
            )
        raise NoSuchPhaseError(
            f"There is no phase named {quoted(key)}.", self._near(key) or "See `list(phases)`."
        )

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):
            return any(key in (one.name, one.path) for one in self._all)
        return key in self._all

    def __repr__(self) -> str:
        names = [short(one.name) for one in self._all[:_MOST_NAMES]]
        more = [] if len(self._all) <= _MOST_NAMES else ["…"]
        return f"<{units.count(len(self._all), 'phase')}: {', '.join(names + more)}>"

    def _near(self, key: str) -> str:
        names = {name: None for one in self._all for name in (one.name, one.path)}
        near = difflib.get_close_matches(key, names, _MOST_NAMES)
        near += [name for name in names if key.casefold() in name.casefold() and name not in near]
        named = [quoted(name) for name in (near or [*names])[:_MOST_NAMES]]
        return f"Near that: {', '.join(named)}." if near else f"There are {', '.join(named)}."


class Result:
    """A run with its figures, phases, findings and processes.

    ``growth`` is that of the heap from the start of the program to its end, ``rise`` the height of
    its ``peak`` above the start, ``peak_rss`` the highest RSS of all processes.
    """

    def __init__(self, report: model.Report) -> None:
        self._recorded = recorded = Recorded(report)
        run, at = report.run, report.heap.at_checkpoints
        whole = Stretch(0, len(run.checkpoints) - 1)
        start, end = at[0], at[-1]
        is_known = report.heap.is_traced(whole) and start is not None and end is not None
        self._is_known = is_known
        self.name = run.name
        self.command = run.command
        self.identity: Identity | None = run.identity
        self.python, self.memray = run.python, run.memray
        self.backend = run.mode.backend
        self.started, self.duration = run.started, run.duration_s
        self.growth = (end or 0) - (start or 0) if is_known else None
        self.peak = report.heap.peak_bytes
        self.rise = self.peak - (start or 0) if is_known and self.peak is not None else None
        self.peak_rss, self.peak_pss = run.peak_rss_bytes, run.peak_pss_bytes
        self.problems = sentences.problems(report, _ENGLISH)
        self.phases = Phases(lambda: recorded)

    @property
    def exit(self) -> Exit | None:
        """The end of the program; None if it is not known, as while it runs."""
        end = self._recorded.report.run.exit
        if end is None:
            return None
        return Exit(end.code, end.signal, end.verdict, sentences.exit_evidence(end, _ENGLISH))

    @property
    def culprit(self) -> Line | None:
        """The line of the most important finding that has one."""
        return next((one.culprit for one in self.findings if one.culprit is not None), None)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What made memory grow, most important first."""
        return tuple(map(self._finding, self._recorded.report.findings))

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints in the order of the program, from its start to its end."""
        report = self._recorded.report
        return tuple(
            Checkpoint(
                *(point.index, point.label, point.note, point.time_s, point.rss_bytes),
                *(report.heap.at_checkpoints[point.index], point.thread),
            )
            for point in report.run.checkpoints
        )

    @cached_property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """All objects at the checkpoints at which they were looked at; see ``--holders``."""
        report = self._recorded.report
        return tuple(
            snapshot_of(one, report.run.checkpoints[one.checkpoint].label)
            for one in report.snapshots
        )

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The program, and all processes of it that were seen."""
        return tuple(_processes(self._recorded.report, self.phases))

    @cached_property
    def across(self) -> tuple[Row, ...]:
        """Phases of one path over all processes that set any, with most retained in use first.

        There are none where only one process did, unless it is a worker of a cluster. The program
        itself is not among them, unless it is one.
        """
        recorded = self._recorded
        processes = recorded.report.run.processes
        return tuple(row_of(row, processes, recorded.line_across) for row in recorded.report.across)

    def stacks(self, which: Which = "kept") -> tuple[Stack, ...]:
        """Return the stacks of all that the run ``which``, largest first.

        "kept" was alive at the end of the program, "peak" when the heap was highest; "allocated" is
        all that was, "freed" is what of it was not kept. Raises `NotKnownError`.
        """
        return self._recorded.of_run(metric_of(which), is_known=self._is_known)

    def to_pandas(self, table: Table = "phases") -> pandas.DataFrame:
        """Return a table as a DataFrame: the one that `memdeep export` writes as Parquet.

        "lines" has a row for each line of each phase, "types" and "holders" for each type and each
        row of the tree of holders in each of the snapshots.

        Raises MissingLibraryError, which is an ImportError, without pandas.
        """
        made: pandas.DataFrame = tables.to_pandas(self._recorded.report, table)
        return made

    def to_arrow(self, table: Table = "phases") -> pyarrow.Table:
        """Return a table as `to_pandas` does, for Arrow. Raises MissingLibraryError."""
        made: pyarrow.Table = tables.to_arrow(self._recorded.report, table)
        return made

    def __repr__(self) -> str:
        end = "no end known" if self.exit is None else self.exit.verdict
        peaks = f"peak heap {units.size(self.peak)}, peak RSS {units.size(self.peak_rss)}"
        return f"<Result of {short(self.name)}: {end}, {peaks}, {len(self.phases):,} phases>"

    def _finding(self, item: model.Finding) -> Finding:
        report, phases = self._recorded.report, self.phases
        return Finding(
            kind=kind_of(item),
            title=sentences.finding(report, item, _ENGLISH),
            bytes=item.bytes,
            resident_bytes=item.resident_bytes,
            share=item.share,
            phase=phases[item.phase],
            phases=tuple(phases[place] for place in item.phases),
            culprit=None if item.culprit is None else self._recorded.line(item.culprit),
            advice=sentences.advice(item, _ENGLISH) or None,
            evidence=dict(item.evidence),
            row=next((row for row in self.across if row.path == "/".join(item.row)), None),
        )


def _processes(report: model.Report, phases: Phases) -> Iterable[Process]:
    run, end = report.run, report.run.exit
    heaps = {one.process: one.peak_bytes for one in report.heap.processes}
    program = model.Process(0) if not run.processes else run.processes[0]
    pid = next((point.pid for point in run.checkpoints if point.pid is not None), None)
    yield Process(
        pid=pid,
        command=program.command,
        how=None if end is None and not run.processes else "run",
        parent=None,
        start=0.0,
        end=None if end is None else run.duration_s,
        exit=None if end is None else end.code,
        signal=None if end is None else end.signal,
        verdict=None if end is None else end.verdict,
        is_traced=run.mode.backend != "rss" and not run.mode.others_only,
        peak_rss=program.peak_rss_bytes,
        peak_pss=program.peak_pss_bytes,
        peak_heap=report.heap.of_program.peak_bytes,
        phases=phases,
        worker=program.worker,
    )
    for place, one in enumerate(run.processes[1:], 1):
        yield Process(
            pid=one.pid,
            command=one.command,
            how=one.how,
            parent=one.parent,
            start=one.start_s,
            end=one.end_s,
            exit=one.exit,
            signal=one.signal,
            verdict=one.verdict,
            is_traced=one.is_traced,
            peak_rss=one.peak_rss_bytes,
            peak_pss=one.peak_pss_bytes,
            peak_heap=heaps.get(place),
            phases=Phases(partial(_own, report, place)),
            worker=one.worker,
        )


def _own(report: model.Report, process: int) -> Recorded | None:
    """Return what a process recorded of itself, read again if it was not kept."""
    own = report.own_reports.get(process)
    if own is None and process in report.own_left_out:
        own = report.own_left_out[process].load()
    return None if own is None else Recorded(own)


def _places(phases: Sequence[Phase]) -> str:
    shown = [f"{quoted(one.path)} (index {one.index})" for one in phases[:_MOST_NAMES]]
    return ", ".join(shown + ["…"] * (len(phases) > _MOST_NAMES))
