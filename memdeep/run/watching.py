"""Watches a process that records itself, from another one, until either says that it is over.

What is seen goes into the run directory: readings of the memory, and at the end the facts.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Protocol

from memdeep.frozen import frozen, replace
from memdeep.run.capacity import Capacity
from memdeep.run.facts import limit_facts
from memdeep.run.identity import GitQuestion
from memdeep.run.limits import PSS
from memdeep.run.monitor_log import MonitorLog
from memdeep.run.own_code import working_directory
from memdeep.run.progress import Progress
from memdeep.run.sampling import TreeReading, TreeSampler
from memdeep.run.supervise import MAX_DIRECTORIES, Bounds, open_samples
from memdeep.run.verdict import Witnesses, judge
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.meta import Meta, SeenProcess, encode_meta, read_meta
from memdeep.rundir.runs import held
from memdeep.rundir.samples import SAMPLES_TITLE, encode_sample

GIT_WAIT_S = 0.05  # for what git has not said by then; the process is waiting


@frozen
class Recorded:
    """The process ``pid``, which records into ``run_dir``; sizes are bytes, None for no limit.

    ``socket`` is a descriptor: the process shuts down its end of it when its recording is over,
    and gets orders to stop tracing through it.
    """

    run_dir: RunDirectory
    pid: int
    max_capture_bytes: int | None
    keep_free_bytes: int
    socket: int


@frozen
class Seen:
    """The end of what was watched: the process is still there, or was last seen at ``last_s``."""

    is_there: bool
    last_s: float
    witnesses: Witnesses


class Onlooker(Protocol):
    """Is told what is seen, while it is watched."""

    def progress(self, progress: Progress) -> None:
        """Take a reading, made while the recording goes on."""

    def over(self) -> None:
        """The recording is over, or the process: called at once."""

    def ended(self, meta: Meta, seen: Seen) -> Meta:
        """Return the facts, as they are then, with how it ended."""


def watch(recorded: Recorded, onlooker: Onlooker) -> None:
    """Watch until the recording is over, or the process; then write what was seen to `meta.json`.

    Closes the socket. Raises CaptureError or OutputError.
    """
    run_dir, pid, socket = recorded.run_dir, recorded.pid, recorded.socket
    meta = read_meta(run_dir)
    identity = meta.identity
    assert identity is not None
    sampler = TreeSampler(pid, meta.spawned_ns, run_dir.births, is_older=True)
    capacity = Capacity(
        run_dir,
        recorded.max_capture_bytes,
        recorded.keep_free_bytes,
        lambda note: None,
        to_program=socket,
    )
    log = MonitorLog(run_dir, meta.warning_bytes, meta.critical_bytes)
    directories = dict.fromkeys(meta.directories)
    last_s = 0.0
    with (
        open_samples(run_dir) as samples,
        held(run_dir),
        Bounds(None) as bounds,
        GitQuestion(identity) as git,
    ):
        samples.write(SAMPLES_TITLE)
        is_told = False
        while True:
            reading = sampler.sample()
            is_there = any(one.pid == pid for one in reading.processes)
            if not is_there:
                break
            last_s = reading.processes[0].time_ms / 1000
            with suppress(OSError):
                samples.write("".join(map(encode_sample, reading.processes)))
                samples.flush()
            if len(directories) < MAX_DIRECTORIES:
                directories[working_directory(pid) or ""] = None
            capacity.look(last_s)
            log.update(reading.size.bytes if reading.size else 0, last_s)
            bounds.look(last_s)
            left_bytes = bounds.left_bytes(last_s, reading.size, sampler.address_space_bytes)
            if is_told:
                break
            onlooker.progress(_progress(reading, last_s, log.last_label, bounds, left_bytes))
            is_told = is_over(socket, meta.interval_ms / 1000)
            if is_told:
                onlooker.over()
        log.close()
        sampler.close()
        bounds.look(last_s)
        seen = Seen(is_there, last_s, bounds.witnesses(sampler))
        revision = git.answer(GIT_WAIT_S)
        # Once more: where the machine is busy, the recording may have ended without waiting for us.
        meta = read_meta(run_dir)
        meta = replace(
            meta,
            **limit_facts(bounds.limit),
            processes=judged(sampler.seen(None), seen.witnesses),
            directories=tuple(filter(None, directories)),
            notes=(*meta.notes, *filter(None, [capacity.problem, sampler.problem])),
            peak_pss_bytes=sampler.peak_pss_bytes,
            identity=replace(identity, commit=revision.commit, is_dirty=revision.is_dirty),
        )
        write_atomically(run_dir.meta, encode_meta(onlooker.ended(meta, seen)))
    capacity.close()


def is_over(socket: int, wait_s: float) -> bool:
    """Tell if the recording has ended, or the process with it, within ``wait_s``."""
    return bool(select.select([socket], [], [], wait_s)[0])


def _progress(
    reading: TreeReading, time_s: float, label: str | None, bounds: Bounds, left: int | None
) -> Progress:
    size = reading.size
    size_bytes = sum(one.rss_bytes for one in reading.processes) if size is None else size.bytes
    limit_bytes = None if bounds.limit is None else bounds.limit.bytes
    is_pss = size is not None and size.measure == PSS
    return Progress(time_s, size_bytes, label, limit_bytes, left, is_pss=is_pss)


def judged(processes: tuple[SeenProcess, ...], witnesses: Witnesses) -> tuple[SeenProcess, ...]:
    """Return the processes that were seen, with those told that the kernel killed."""
    killed = judge(0, witnesses).oom_killed
    return tuple(
        replace(one, signal="SIGKILL", verdict="oom-killed") if one.pid in killed else one
        for one in processes
    )
