"""Starts the program, watches it from outside and waits for its end: the parent's part in a run.

The program keeps the terminal, the standard streams and the environment to itself; signals sent
to memdeep alone are passed on to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from memdeep.errors import EXIT_NOT_STARTED, CaptureError, OutputError, ProgramError
from memdeep.frozen import frozen, replace
from memdeep.model import DETACHED, Identity
from memdeep.model.statement import Statement
from memdeep.record import bootstrap
from memdeep.record.program import WhatToRun
from memdeep.run import cgroup, interpreter, limits
from memdeep.run.capacity import Capacity
from memdeep.run.facts import begun, limit_facts, tracer_version
from memdeep.run.identity import GitQuestion, identify
from memdeep.run.limits import GROUP, PSS, RSS, Headroom
from memdeep.run.options import RunOptions
from memdeep.run.own_code import own_code, working_directory
from memdeep.run.own_limit import OwnLimit
from memdeep.run.progress import Progress
from memdeep.run.signals import forwarding_signals
from memdeep.run.verdict import (
    Ending,
    GroupWitness,
    KernelLog,
    Witnesses,
    judge,
    read_oom_counters,
)
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically, write_error
from memdeep.rundir.meta import Meta, SeenProcess, encode_meta

if TYPE_CHECKING:
    from memdeep.run.following import Following
    from memdeep.run.sampling import TreeReading, TreeSampler, TreeSize

MAX_DIRECTORIES = 16  # a program that goes through all of a disk is not followed


def run(
    program: WhatToRun,
    run_dir: RunDirectory,
    options: RunOptions,
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
    meanwhile: Callable[[], None],
) -> int:
    """Run ``program`` to its end; return its exit status as a shell gives it (128+n by signal).

    Writes everything but the reports into ``run_dir``. ``on_note`` gets each sentence that the
    user should read while the program runs. ``meanwhile`` is called when the program has ended and
    the process that has followed its captures has not. Raises OutputError if the directory cannot
    be written to, or ProgramError if the system refuses memdeep a file or a process; the program
    has not started then.
    """
    job = _Job(program, run_dir, options, identify(program, options.interpreter), meanwhile)
    with Bounds(options.memory_limit_bytes) as bounds:
        meta = _meta(job, bounds)
        write_atomically(run_dir.meta, encode_meta(meta))
        for note in bounds.notes:
            on_note(note)
        meta, end = _supervise(job, meta, bounds, on_progress, on_note)
    try:
        write_atomically(run_dir.meta, encode_meta(meta))
    except OutputError as error:
        # The program has run; its exit status is what the caller waits for.
        on_note(f"{error.message} How the program ended is not in the report.")
    _end_live(run_dir, end.verdict)
    return end.shell_status


def _end_live(run_dir: RunDirectory, verdict: str) -> None:
    from memdeep.rundir import live

    with suppress(CaptureError, OutputError):  # it is for who watches, and they may read meta.json
        live.end(run_dir.live, verdict)


@frozen
class _Job:
    """The program to run, how to record it, and the directory for the recording."""

    program: WhatToRun
    run_dir: RunDirectory
    options: RunOptions
    identity: Identity
    meanwhile: Callable[[], None]


class Bounds:
    """Limits on the memory of one program, and the kernel's counters of kills, before and after it.

    ``limit`` is the tightest in force; ``notes`` tell the user where that is not the limit asked
    for. Use as a context manager around the program's life: a cgroup made for it is removed after.
    """

    def __init__(self, own_limit_bytes: int | None) -> None:
        self._own = OwnLimit(own_limit_bytes)
        self._group = cgroup.own() if self._own.group is None else self._own.group
        self.limit = limits.in_force(self._group, self._own.limit)
        self.notes = () if self._own.note is None else (self._own.note,)
        self._headroom = None if self.limit is None else Headroom(self.limit)
        self._before = read_oom_counters(self._group)
        self._kills, self._looked_s = self._before.cgroup or 0, 0.0
        self._rises: list[tuple[float, float]] = []
        self._kernel_log = KernelLog()

    def __enter__(self) -> Bounds:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._kernel_log.close()
        self._own.close()

    def around_start(self) -> AbstractContextManager[None]:
        """Yield in the program's own cgroup, so that it holds from the program's first page on."""
        return self._own.around_start()

    def apply(self, pid: int) -> None:
        """Put the limit on the program that has just been started, where it has no own cgroup."""
        self._own.apply(pid)

    def look(self, time_s: float) -> None:
        """Note whether the kernel has killed a process of the cgroup since the last look."""
        kills = None if self._group is None else self._group.oom_kills()
        if kills is not None and kills > self._kills:
            self._kills = kills
            self._rises.append((self._looked_s, time_s))
        self._looked_s = time_s

    def left_bytes(
        self, time_s: float, size: TreeSize | None, address_space_bytes: int
    ) -> int | None:
        """Note a reading; return the bytes left of the limit, None where that is not known."""
        headroom = self._headroom
        if headroom is None:
            return None
        group = self._own.group if headroom.limit == self._own.limit else None
        held = None if group is None else group.memory()
        if headroom.limit.of_address_space:
            headroom.note(time_s, address_space_bytes)
        elif held is not None:
            headroom.note(time_s, held.used_bytes, GROUP)
        elif size is not None:
            headroom.note(time_s, size.bytes, size.measure)
        return headroom.left_bytes

    def witnesses(
        self,
        sampler: TreeSampler,
        deeds: Sequence[Statement] = (),
        passed_on: Sequence[str] = (),
    ) -> Witnesses:
        """Gather the facts to judge the program's end by; call it once the program has ended.

        ``deeds`` are what memdeep did to it, ``passed_on`` the signals that reached it through us.
        """
        log, headroom = self._kernel_log.killed(), self._headroom
        return Witnesses(
            pid=sampler.root_pid,
            before=self._before,
            after=read_oom_counters(self._group),
            kernel_log=log,
            headroom=None if headroom is None else headroom.statement(),
            highest=None if headroom is None else headroom.highest(),
            is_near_limit=headroom is not None and headroom.is_near(),
            deeds=tuple(deeds),
            passed_on=tuple(passed_on),
            replaced_by=sampler.replaced_by,
            descendants=tuple(one for one in sampler.seen(None) if one.pid != sampler.root_pid),
            group=self._group_witness(),
        )

    def _group_witness(self) -> GroupWitness | None:
        if self._group is None:
            return None
        name = f"/{self._group.path.name}"
        return GroupWitness(
            is_own=self._group == self._own.group,
            killed=frozenset(
                pid for pid, group in self._kernel_log.groups.items() if group.endswith(name)
            ),
            rises=tuple(self._rises),
        )


def _supervise(
    job: _Job,
    meta: Meta,
    bounds: Bounds,
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
) -> tuple[Meta, Ending]:
    """Start the program and watch it to its end; return ``meta`` completed, and the ending."""
    run_dir, options = job.run_dir, job.options
    with ExitStack() as until_end:
        with _refusing():
            capacity = Capacity(
                run_dir, options.max_capture_bytes, options.keep_free_bytes, on_note
            )
            capacity.look(0.0)
            forwarder = until_end.enter_context(forwarding_signals())
            samples = until_end.enter_context(open_samples(run_dir))
            if options.dumps_stacks:
                run_dir.stacks.touch(mode=0o600)
            with bounds.around_start(), capacity.inherited() as orders:
                command = _command(job, orders)
                child = subprocess.Popen(command, close_fds=False, env=interpreter.environment())
        bounds.apply(child.pid)
        forwarder.pass_to(child)
        # Here and not above: they take a while to import, and the program has begun meanwhile.
        from memdeep.run import sampling
        from memdeep.run.guard import Guard
        from memdeep.run.looks import Looks
        from memdeep.run.monitor_log import MonitorLog

        meta = replace(meta, memray=tracer_version(options.how))
        with suppress(OutputError):  # at the end it is written once more
            write_atomically(run_dir.meta, encode_meta(meta))
        git = until_end.enter_context(GitQuestion(job.identity))
        sampler = sampling.TreeSampler(child.pid, meta.spawned_ns, run_dir.births)
        until_end.callback(sampler.close)
        none = sampling.TreeSize(0, RSS)
        known = none  # the last that was read
        directories = dict.fromkeys(meta.directories)
        log = MonitorLog(run_dir, options.warning_bytes, options.critical_bytes)
        looks = Looks(run_dir.journal, capacity.order) if options.how.wants_holders else None
        guard = Guard(child, run_dir.stacks, options.critical_bytes, options.kill_bytes, looks)
        following = _following(run_dir, options)

        def sample() -> TreeReading:
            return sampler.sample(guard.next_bytes)

        def on_tick(reading: TreeReading) -> None:
            nonlocal known
            processes, size = reading.processes, reading.size
            known = size or (known if processes else none)
            time_s = processes[0].time_ms / 1000 if processes else _seconds_since(meta.spawned_ns)
            left_bytes = None
            if processes:
                if len(directories) < MAX_DIRECTORIES:
                    directories[working_directory(child.pid) or ""] = None
                guard.check(size, time_s)
                left_bytes = bounds.left_bytes(time_s, size, sampler.address_space_bytes)
            bounds.look(time_s)
            forwarder.listen()
            capacity.look(time_s)
            if following is not None and processes:
                following.look(time_s)
            log.update(known.bytes, time_s)
            limit_bytes = None if bounds.limit is None else bounds.limit.bytes
            on_progress(
                Progress(
                    time_s,
                    known.bytes,
                    log.last_label,
                    limit_bytes,
                    left_bytes,
                    is_pss=known.measure == PSS,
                )
            )

        _watch(child, sample, samples, options.how.sample_interval, on_tick)
        duration_s = _seconds_since(meta.spawned_ns)
        max_rss_bytes = _max_rss()
        if following is not None:
            following.end()
        if guard.has_ended_it:
            sampler.kill_rest()
        on_tick(sampling.TreeReading())
        log.close()
        guard.close()
        revision = git.answer()
    capacity.close()
    end = judge(child.returncode, bounds.witnesses(sampler, guard.evidence, forwarder.passed_on))
    outlived = sampler.outlived()
    told = () if following is None else following.wait(job.meanwhile)
    ended = replace(
        meta,
        duration_s=duration_s,
        exit_code=end.exit_code,
        signal=end.signal,
        verdict=end.verdict,
        evidence=end.evidence,
        processes=tuple(_judged(one, end, outlived) for one in sampler.seen(end.exit_code)),
        directories=tuple(filter(None, directories)),
        notes=(
            *meta.notes,
            *told,
            *filter(None, [capacity.problem, sampler.problem, looks.problem if looks else None]),
        ),
        peak_pss_bytes=sampler.peak_pss_bytes,
        max_rss_bytes=max_rss_bytes,
        identity=replace(job.identity, commit=revision.commit, is_dirty=revision.is_dirty),
    )
    return ended, end


def _following(run_dir: RunDirectory, options: RunOptions) -> Following | None:
    """Return what follows the captures of the run, if that is wanted."""
    if not options.follows:
        return None
    from memdeep.run.following import Following

    return Following(
        run_dir,
        options.given_back_above_bytes,
        last_s=options.last_s,
        with_source=options.source is not False,
    )


def _judged(process: SeenProcess, end: Ending, outlived: frozenset[int]) -> SeenProcess:
    """Return a process with what is known of its end from outside."""
    if process.pid in end.oom_killed:
        return replace(process, signal="SIGKILL", verdict="oom-killed")
    return replace(process, verdict=DETACHED) if process.pid in outlived else process


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn an OSError during start-up into ProgramError: the program has not started yet."""
    try:
        yield
    except OSError as error:
        raise ProgramError(
            f"The program was not started: {error.strerror or error}.",
            "memdeep needs about ten open files and two processes beside it; see `ulimit -a`.",
            EXIT_NOT_STARTED,
        ) from error


def _max_rss() -> int | None:
    """Return the highest RSS that any child of this process has had, of those that have ended.

    The kernel notes it (getrusage(2)): in KiB, but on macOS in bytes. Until its exec a child has
    the memory of this process (`VmHWM` in proc_pid_status(5)): None where it was not more.
    """
    import resource

    from memdeep.run.target import status

    unit = 1 if sys.platform == "darwin" else 1024
    highest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    own = int(status(os.getpid()).get("VmHWM", "0").split()[0])
    return unit * highest if highest > own else None


def _seconds_since(start_ns: int) -> float:
    return (time.monotonic_ns() - start_ns) / 1e9


def open_samples(run_dir: RunDirectory) -> TextIO:
    """Open the file of the samples, to write them. Raises OutputError."""
    try:
        return open(run_dir.samples, "w", encoding="ascii")
    except OSError as error:
        raise write_error(run_dir.samples, error) from error


def _meta(job: _Job, bounds: Bounds) -> Meta:
    program, options = job.program, job.options
    limit, own = bounds.limit, own_code(program)
    return replace(
        begun(options.how, program.command, program.name, own),
        warning_bytes=options.warning_bytes,
        critical_bytes=options.critical_bytes,
        **limit_facts(limit),
        notes=bounds.notes,
        leaves_out=options.leaves_out,
        identity=job.identity,
    )


def _command(job: _Job, orders: int) -> list[str]:
    """Return the words that start the program under the recorder; see `record.bootstrap`.

    ``orders`` is the descriptor it reads orders from.
    """
    program, options = job.program, job.options
    how = options.how.but(
        run_dir=str(job.run_dir.path.absolute()), dumps_stacks=options.dumps_stacks, orders=orders
    )
    start = str(Path(bootstrap.__file__))
    return [sys.executable, *options.interpreter, start, *how.to_words(), *program.to_words()]


def _watch(
    child: subprocess.Popen[bytes],
    sample: Callable[[], TreeReading],
    samples: TextIO,
    interval_s: float,
    on_tick: Callable[[TreeReading], None],
) -> None:
    """Sample the processes at once, and every ``interval_s`` until the program has ended."""
    from memdeep.rundir.samples import SAMPLES_TITLE, encode_sample

    ended = threading.Event()

    def wait() -> None:
        child.wait()
        ended.set()

    threading.Thread(target=wait, name="memdeep-wait", daemon=True).start()
    writable = _write(samples, SAMPLES_TITLE)
    while True:
        reading = sample()
        writable = writable and _write(samples, "".join(map(encode_sample, reading.processes)))
        on_tick(reading)
        if ended.wait(interval_s):
            return


def _write(samples: TextIO, text: str) -> bool:
    """Append to ``samples`` at once; return False if that fails, as a run goes on without it."""
    try:
        samples.write(text)
        samples.flush()
    except OSError:
        return False
    return True
