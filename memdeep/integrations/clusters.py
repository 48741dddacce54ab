"""Sums up the phases of many workers: a row for each name, over all that have it.

Knows no framework: workers are processes of one run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace

from memdeep.errors import CaptureError
from memdeep.frozen import frozen
from memdeep.loading.journal import read_journal
from memdeep.model import DETACHED
from memdeep.results import Phase, Process, Result
from memdeep.rundir import births, workers
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there, write_atomically
from memdeep.rundir.meta import SeenProcess, decode_meta, encode_meta
from memdeep.rundir.workers import Worker, encode_worker
from memdeep.text import units

RUNNING, COMPLETED = "running", "completed"
NANNY, KERNEL, LOST = "nanny", "kernel", "lost"
MAX_BIRTHS = 1 << 28  # bytes of that file
SPAN = "span"  # kind of the phases that a worker entered: the others are sums of these
Place = tuple[str | None, int | None, str]


@frozen
class HeldLine:
    """A source line, and the bytes that phases retained of what it allocated.

    ``resident`` is what of them was in use, None unless that is known of all.
    """

    filename: str | None
    lineno: int | None
    function: str
    bytes: int
    resident: int | None = None

    @property
    def weight(self) -> int:
        """The bytes in use, or those that may be."""
        return self.bytes if self.resident is None else self.resident


@frozen
class Prefix:
    """The tasks of one name over all workers, or a phase within them: ``path`` is "outer/inner".

    ``tasks`` are numbers by the name of the worker. ``retained`` was alive at the end of the task
    that allocated it, summed over tasks. What is not known of any worker is None. ``lines`` come
    largest first.
    """

    path: str
    tasks: Mapping[str, int]
    retained: int | None = None
    allocations: int | None = None
    lines: tuple[HeldLine, ...] = ()

    @property
    def resident(self) -> int | None:
        """The bytes of the lines that were in use, None unless that is known of all."""
        known = [line.resident for line in self.lines if line.resident is not None]
        return sum(known) if known and len(known) == len(self.lines) else None

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
    """A worker, with the highest figures of its process; what is not known is None.

    ``end`` is RUNNING, as that of most when the recording ends, COMPLETED, NANNY, KERNEL, or LOST:
    how it ended is not known then.
    ``ended_bytes`` is the RSS for which its nanny ended it.
    """

    name: str
    address: str
    pid: int | None
    threads: int
    limit: int | None
    peak_rss: int | None
    peak_heap: int | None
    end: str
    ended_bytes: int | None = None
    phases: tuple[Phase, ...] = field(default=(), repr=False)


def workers_of(result: Result, run_dir: RunDirectory) -> tuple[ClusterWorker, ...]:
    """Return the processes of a run that are workers, in the order in which they began."""
    places = (run_dir, *run_dir.children())  # it may be a worker itself
    facts = {worker.pid: (child, worker) for child, worker in read_workers(places)}
    return tuple(
        _worker(process, *facts[process.pid])
        for process in result.processes
        if process.pid in facts and process.is_traced
    )


def read_workers(places: Iterable[RunDirectory]) -> list[tuple[RunDirectory, Worker]]:
    """Return the workers with their directories, of those that are one and can be read."""
    found = []
    for child in places:
        with suppress(CaptureError):
            content = read_if_there(child.worker, workers.MAX_BYTES)
            worker = None if content is None else workers.decode_worker(content)
            if worker is not None:
                found.append((child, worker))
    return found


def tell_ends(
    run_dir: RunDirectory, nanny_kills: Mapping[int, int], others: Iterable[str] = ()
) -> None:
    """Add to a run that has ended how workers did that did not complete.

    ``nanny_kills`` has the RSS for which a nanny has ended a worker, by its number; ``others`` are
    sentences to add too. Raises CaptureError or OutputError.
    """
    meta = decode_meta(run_dir.meta.read_bytes(), run_dir.meta)
    end_ns = meta.spawned_ns + 1e9 * (meta.duration_s or math.inf)
    verdicts = {one.pid: one.verdict for one in meta.processes}
    lines, _ = births.decode(read_if_there(run_dir.births, MAX_BIRTHS) or b"")
    for line in lines:
        if isinstance(line, births.Ended):
            verdicts[line.pid] = DETACHED if line.monotonic_ns > end_ns else "completed"
    notes = [*others]
    for child, worker in read_workers(run_dir.children()):
        if worker.pid in nanny_kills:
            worker = replace(worker, ended_bytes=nanny_kills[worker.pid])
            write_atomically(child.worker, encode_worker(worker))
        end = _end_of(worker, verdicts.get(worker.pid))
        if end in (NANNY, KERNEL, LOST):
            notes.append(_told(worker, end))
    processes = _with_outlived(meta.processes, verdicts)
    told = replace(meta, notes=(*meta.notes, *notes), processes=processes)
    write_atomically(run_dir.meta, encode_meta(told))


def _with_outlived(
    processes: Iterable[SeenProcess], verdicts: Mapping[int, str | None]
) -> tuple[SeenProcess, ...]:
    """Return the processes that were seen, with those told that outlived the run.

    Those of other hosts were not seen from here.
    """
    outlived = {pid for pid, verdict in verdicts.items() if verdict == DETACHED}
    seen = {one.pid: one for one in processes}
    return tuple(
        replace(seen.get(pid, SeenProcess(pid, None, None, None)), verdict=DETACHED)
        if pid in outlived
        else seen[pid]
        for pid in {**seen, **dict.fromkeys(outlived)}
    )


def _end_of(worker: Worker, verdict: str | None) -> str:
    if worker.ended_bytes is not None:
        return NANNY
    ends = {"completed": COMPLETED, DETACHED: RUNNING, "oom-killed": KERNEL}
    return ends.get(verdict or "", LOST)


def _told(worker: Worker, end: str) -> str:
    """Return the sentence on the end of a worker, in English; `text.translation` knows it."""
    name, pid, ended = worker.name, worker.pid, units.size(worker.ended_bytes)
    if end == KERNEL:
        return f"Worker {name} (process {pid}) was killed by the kernel for want of memory."
    if end == LOST:
        return (
            f"Worker {name} (process {pid}) was lost; how it ended is not known. What it had "
            "recorded by then is here."
        )
    if not worker.limit_bytes:
        return f"Worker {name} (process {pid}) was ended by its nanny at {ended}."
    share = units.percent((worker.ended_bytes or 0) / worker.limit_bytes)
    limit = units.size(worker.limit_bytes)
    return (
        f"Worker {name} (process {pid}) was ended by its nanny at {ended}, {share} of its limit "
        f"of {limit}."
    )


def prefixes_of(members: Iterable[ClusterWorker]) -> tuple[Prefix, ...]:
    """Return the rows over all workers, what retained most in use first."""
    by_path: dict[str, list[tuple[str, Phase]]] = {}
    for worker in members:
        for phase in worker.phases:
            if phase.kind == SPAN:
                by_path.setdefault(phase.path, []).append((worker.name, phase))
    rows = [_row(path, phases) for path, phases in by_path.items()]
    return tuple(sorted(rows, key=lambda row: (-_weight(row), row.path)))


def _weight(row: Prefix) -> int:
    return (row.retained or 0) if row.resident is None else row.resident


def _worker(process: Process, own: RunDirectory, facts: Worker) -> ClusterWorker:
    return ClusterWorker(
        name=facts.name,
        address=facts.address,
        pid=process.pid,
        threads=facts.threads,
        limit=facts.limit_bytes,
        peak_rss=process.peak_rss or _highest_rss(own),
        peak_heap=process.peak_heap,
        end=_end_of(facts, process.verdict),
        ended_bytes=facts.ended_bytes,
        phases=tuple(process.phases),
    )


def _highest_rss(own: RunDirectory) -> int | None:
    """Return the highest RSS at the checkpoints of a worker that nobody has seen from outside."""
    try:
        events = read_journal(own.journal).events
    except CaptureError:
        return None
    return max((one.rss_bytes for one in events if one.rss_bytes is not None), default=None)


def _row(path: str, phases: Sequence[tuple[str, Phase]]) -> Prefix:
    tasks: Counter[str] = Counter()
    lines: Counter[Place] = Counter()
    resident: dict[Place, int | None] = {}
    for name, phase in phases:
        tasks[name] += phase.repeats
        for line in phase.culprits:
            place = line.filename, line.lineno, line.function
            lines[place] += line.bytes
            before, now = resident.get(place, 0), line.resident_bytes
            resident[place] = None if before is None or now is None else before + now
    held = [HeldLine(*place, size, resident[place]) for place, size in lines.items()]
    return Prefix(
        path=path,
        tasks=dict(tasks),
        retained=_sum(phase.retained for _, phase in phases),
        allocations=_sum(phase.allocations for _, phase in phases),
        lines=tuple(sorted(held, key=lambda line: -line.weight)),
    )


def _sum(figures: Iterable[int | None]) -> int | None:
    """Return the sum of those that are known; None if none is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
