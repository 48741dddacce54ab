"""Encodes the processes of a report, and chooses those that are listed where there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from memdeep.analysis.workers import phase_that_started
from memdeep.frozen import asdict, replace
from memdeep.model import GroupShare, Process, Report
from memdeep.report.json.records import Encoded, Json, rounded

MAX_LISTED = 1000
TRACERS = ("memray", "tracemalloc")


class Processes:
    """The processes that are listed, and their places in the list."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._known: Sequence[Process] = report.run.processes or (
            Process(0, how=None, group=0),  # of a bare capture none was seen from outside
        )
        self._listed = _listed(report, self._known)
        self._places = {process: place for place, process in enumerate(self._listed)}
        self._groups: dict[int, int] = {}
        for place, process in enumerate(self._listed):
            group = self._known[process].group
            if group is not None:
                self._groups.setdefault(group, place)

    @property
    def left_out(self) -> int:
        """The number of processes that are not listed."""
        return len(self._known) - len(self._listed)

    def place(self, process: int | None) -> int | None:
        """Return the index in the list of ``process``, or of the nearest listed one above it."""
        while process is not None and process not in self._places:
            process = self._known[process].parent
        return None if process is None else self._places[process]

    def listed(self, processes: Iterable[int]) -> list[int]:
        """Return the indices in the list of those of ``processes`` that are in it."""
        return [self._places[one] for one in processes if one in self._places]

    def share(self, share: GroupShare) -> GroupShare:
        """Return ``share`` with the indices in the list."""
        return replace(
            share,
            group=self._groups[share.group],
            processes=tuple(self.listed(share.processes)),
        )

    def encoded(
        self,
        stack_of: Mapping[int, int],
        phase_of: Mapping[int, int | None],
        split_of: Mapping[int, Encoded],
    ) -> Iterator[Json]:
        """Yield the fields of the program, then of the others that are listed.

        ``stack_of`` is the index of the stack that started a process, ``phase_of`` that of the
        phase in which it began, ``split_of`` are the lines of the pages it has split off.
        """
        split_bytes = {one.process: one.bytes for one in self._report.split_off}
        report = self._report
        run, end = report.run, report.run.exit
        yield {
            **self._process(0, stack_of, phase_of),
            "pid": next((point.pid for point in run.checkpoints if point.pid is not None), None),
            "how": self._how(),
            "exit": None if end is None else end.code,
            "signal": None if end is None else end.signal,
            "verdict": None if end is None else end.verdict,
            "start_s": 0.0,
            "end_s": None if end is None else rounded(run.duration_s),
            "traced": run.mode.backend in TRACERS and not run.mode.others_only,
            "peak_heap_bytes": report.heap.of_program.peak_bytes,
        }
        for process in self._listed[1:]:
            yield {
                **self._process(process, stack_of, phase_of),
                "split_off_bytes": split_bytes.get(process),
                "split_off": split_of.get(process),
            }

    def _how(self) -> str | None:
        """Return how the program came to be recorded, None if that is not known."""
        run = self._report.run
        if run.attached:
            return "attach"
        return None if run.exit is None and not run.processes else "run"

    def origins(self) -> Iterator[tuple[int, Process, int | None]]:
        """Yield each listed process whose start was seen, and the phase in which it began."""
        for place in self._listed:
            process = self._known[place]
            if process.started_by:
                phase = phase_that_started(self._report.run, self._report.phases, process)
                yield place, process, phase

    def _process(
        self, place: int, stack_of: Mapping[int, int], phase_of: Mapping[int, int | None]
    ) -> Json:
        process = self._known[place]
        return {
            "pid": process.pid,
            "parent": self.place(process.parent),
            "how": process.how,
            "command": process.command,
            "start_s": rounded(process.start_s),
            "end_s": rounded(process.end_s),
            "exit": process.exit,
            "signal": process.signal,
            "verdict": process.verdict,
            "ended_by_program": process.ended_by_program,
            "started_by": {"stack": stack_of[place], "phase": phase_of[place]}
            if place in stack_of
            else None,
            "traced": process.is_traced,
            "run": process.directory,
            "group": None if process.group is None else self._groups[process.group],
            "worker": None if process.worker is None else asdict(process.worker),
            "peak_rss_bytes": process.peak_rss_bytes,
            "peak_pss_bytes": process.peak_pss_bytes,
            "peak_uss_bytes": process.peak_uss_bytes,
            "peak_heap_bytes": self._heaps.get(place),
            "split_off_bytes": None,
            "split_off": None,
        }

    @cached_property
    def _heaps(self) -> Mapping[int, int]:
        return {heap.process: heap.peak_bytes for heap in self._report.heap.processes}


class Alone:
    """Stands for `Processes` in what one process recorded of itself; ``process`` is its place."""

    def __init__(self, process: int) -> None:
        self.process = process

    def place(self, _process: int | None) -> int:
        """Return its own place: all is of this process."""
        return self.process

    def share(self, share: GroupShare) -> GroupShare:
        """Return ``share`` as it is: of others it knows nothing."""
        return share


def _listed(report: Report, known: Sequence[Process]) -> Sequence[int]:
    """Choose the processes to list, in order: all of them, or those that are named and the largest.

    Named are those that were recorded, whose stacks there are, and those of findings and phases.
    """
    if len(known) <= MAX_LISTED:
        return range(len(known))
    named = {0}
    named.update(place for place, process in enumerate(known) if process.is_traced)
    for finding in report.findings:
        named.update(finding.processes)
    for shares in (phase.workers for phase in report.phases):
        named.update(place for share in shares for place in share.processes)
    by_size = sorted(range(len(known)), key=lambda place: -_size(known[place]))
    rest = [place for place in by_size if place not in named]
    return sorted([*named, *rest[: max(0, MAX_LISTED - len(named))]])


def _size(process: Process) -> int:
    return process.peak_pss_bytes or process.peak_rss_bytes or 0
