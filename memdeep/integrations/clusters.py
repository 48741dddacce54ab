"""Sums up the phases of many workers: a row for each name, over all that have it.

Knows no framework: workers are processes of one run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field

from memdeep.errors import CaptureError
from memdeep.frozen import frozen
from memdeep.results import Phase, Process, Result
from memdeep.rundir import workers
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.workers import Worker

SPAN = "span"  # kind of the phases that a worker entered: the others are sums of these
Place = tuple[str | None, int | None, str]


@frozen
class HeldLine:
    """A source line, and the bytes that phases retained of what it allocated."""

    filename: str | None
    lineno: int | None
    function: str
    bytes: int


@frozen
class Prefix:
    """The tasks of one name over all workers, or a phase within them: ``path`` is "outer/inner".

    ``tasks`` are numbers by the name of the worker. ``retained`` was alive at the end of the task
    that allocated it, summed over tasks; ``peak`` is the highest heap of a worker in one of them.
    What is not known of any worker is None. ``lines`` come largest first.
    """

    path: str
    tasks: Mapping[str, int]
    retained: int | None = None
    allocations: int | None = None
    peak: int | None = None
    lines: tuple[HeldLine, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def count(self) -> int:
        """The number of tasks on all workers."""
        return sum(self.tasks.values())


@frozen
class ClusterWorker:
    """A worker, with the highest figures of its process; what is not known is None."""

    name: str
    address: str
    pid: int | None
    threads: int
    limit: int | None
    peak_rss: int | None
    peak_heap: int | None
    verdict: str | None
    phases: tuple[Phase, ...] = field(default=(), repr=False)


def workers_of(result: Result, run_dir: RunDirectory) -> tuple[ClusterWorker, ...]:
    """Return the processes of a run that are workers, in the order in which they began."""
    facts = {}
    for child in run_dir.children():
        with suppress(CaptureError):
            content = read_if_there(child.worker, workers.MAX_BYTES)
            worker = None if content is None else workers.decode_worker(content)
            if worker is not None:
                facts[worker.pid] = worker
    return tuple(
        _worker(process, facts[process.pid])
        for process in result.processes
        if process.pid in facts and process.is_traced
    )


def prefixes_of(members: Iterable[ClusterWorker]) -> tuple[Prefix, ...]:
    """Return the rows over all workers, what retained most first."""
    by_path: dict[str, list[tuple[str, Phase]]] = {}
    for worker in members:
        for phase in worker.phases:
            if phase.kind == SPAN:
                by_path.setdefault(phase.path, []).append((worker.name, phase))
    rows = [_row(path, phases) for path, phases in by_path.items()]
    return tuple(sorted(rows, key=lambda row: (-(row.retained or 0), row.path)))


def _worker(process: Process, facts: Worker) -> ClusterWorker:
    return ClusterWorker(
        name=facts.name,
        address=facts.address,
        pid=process.pid,
        threads=facts.threads,
        limit=facts.limit_bytes,
        peak_rss=process.peak_rss,
        peak_heap=process.peak_heap,
        verdict=process.verdict,
        phases=tuple(process.phases),
    )


def _row(path: str, phases: Sequence[tuple[str, Phase]]) -> Prefix:
    tasks: Counter[str] = Counter()
    lines: Counter[Place] = Counter()
    for name, phase in phases:
        tasks[name] += phase.repeats
        for line in phase.culprits:
            lines[line.filename, line.lineno, line.function] += line.bytes
    return Prefix(
        path=path,
        tasks=dict(tasks),
        retained=_sum(phase.retained for _, phase in phases),
        allocations=_sum(phase.allocations for _, phase in phases),
        peak=max((one.peak for _, one in phases if one.peak is not None), default=None),
        lines=tuple(HeldLine(*place, size) for place, size in lines.most_common()),
    )


def _sum(figures: Iterable[int | None]) -> int | None:
    """Return the sum of those that are known; None if none is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
