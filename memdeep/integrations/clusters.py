"""The workers of a cluster, and how they ended.

Knows no framework: workers are processes of one run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from memdeep import model
from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen, replace
from memdeep.model import DETACHED
from memdeep.results import Phase, Result
from memdeep.rundir import births, workers
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there, write_atomically
from memdeep.rundir.meta import SeenProcess, decode_meta, encode_meta
from memdeep.rundir.workers import Worker, encode_worker
from memdeep.text import units

RUNNING, COMPLETED = "running", "completed"
NANNY, MONITOR, KERNEL, LOST = "nanny", "monitor", "kernel", "lost"
MAX_BIRTHS = 1 << 28  # bytes of that file


@frozen
class ClusterWorker:
    """A worker, with the highest figures of its process; what is not known is None.

    ``end`` is RUNNING, as that of most when the recording ends, COMPLETED, NANNY, KERNEL, MONITOR
    for that of the memory of its node, or LOST: how it ended is not known then.
    ``ended_bytes`` is the RSS at which its nanny or the monitor ended it.
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
    phases: Sequence[Phase] = field(default=(), repr=False)


def workers_of(result: Result) -> tuple[ClusterWorker, ...]:
    """Return the processes of a run that are workers, in the order in which they began."""
    return tuple(
        worker_of(
            process.worker,
            process.verdict,
            pid=process.pid,
            peak_rss=process.peak_rss,
            peak_heap=process.peak_heap,
            phases=process.phases,
        )
        for process in result.processes
        if process.worker is not None and process.is_traced
    )


def worker_of(part: model.Worker, verdict: str | None, **known: Any) -> ClusterWorker:
    """Return the worker that plays a part in a cluster; ``known`` are figures of its process."""
    return ClusterWorker(
        name=part.name,
        address=part.address,
        threads=part.threads,
        limit=part.limit_bytes,
        end=_end_of(part, verdict),
        ended_bytes=part.ended_bytes,
        **known,
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
    run_dir: RunDirectory,
    kills: Mapping[tuple[str, int], int],
    others: Iterable[str] = (),
    *,
    for_others: bool = False,
) -> None:
    """Add to a run that has ended how workers did that did not complete.

    ``kills`` has the RSS at which a nanny has ended a worker, by its address and the number it had
    on its host, or with ``for_others`` the monitor of its node; ``others`` are sentences to add
    too. Raises CaptureError or OutputError.
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
        killed = worker.address, worker.pid % births.HOSTS
        if killed in kills:
            worker = replace(worker, ended_bytes=kills[killed], for_others=for_others)
            write_atomically(child.worker, encode_worker(worker))
        end = _end_of(worker, verdicts.get(worker.pid))
        if end in (NANNY, MONITOR, KERNEL, LOST):
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


def _end_of(worker: Worker | model.Worker, verdict: str | None) -> str:
    """Return how a worker has ended, of its part in the cluster and the verdict on its process."""
    if worker.ended_bytes is not None:
        return MONITOR if worker.for_others else NANNY
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
    if end == MONITOR:
        return (
            f"Worker {name} (process {pid}) was killed at {ended} by the memory monitor of its "
            "node, which was full."
        )
    if not worker.limit_bytes:
        return f"Worker {name} (process {pid}) was ended by its nanny at {ended}."
    share = units.percent((worker.ended_bytes or 0) / worker.limit_bytes)
    limit = units.size(worker.limit_bytes)
    return (
        f"Worker {name} (process {pid}) was ended by its nanny at {ended}, {share} of its limit "
        f"of {limit}."
    )
