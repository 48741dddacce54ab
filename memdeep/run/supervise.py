"""Starts the program, watches it from outside and waits for it: the parent's whole part in a run.

The program keeps the terminal, the standard streams and the environment to itself; signals sent
to us alone are passed on to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TextIO

from memdeep import observation
from memdeep.observation import Meta, ProcessSample
from memdeep.record import bootstrap
from memdeep.record.spec import RecordSpec
from memdeep.run import death
from memdeep.run.monitor_log import MonitorLog
from memdeep.run.program import Program
from memdeep.run.sampling import TreeSampler
from memdeep.rundir import RunDirectory, write_atomically, write_error

MAX_INTERVAL_MS = 50
FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to record: the flags of `memdeep run`; ``marks`` are words of `record.marks`."""

    backend: str = RecordSpec.MEMRAY
    native: bool = True
    python_allocators: bool = False
    interval_ms: int = MAX_INTERVAL_MS
    warning_bytes: int | None = None
    critical_bytes: int | None = None
    marks: tuple[str, ...] = ()
    focus: tuple[str, ...] = ()
    start_at: str = ""
    stop_at: str = ""
    redact_args: bool = False

    @property
    def traced_only(self) -> tuple[str, ...]:
        """What tracing is limited to, in the words of the command line."""
        limits = [f"--focus {pattern}" for pattern in self.focus]
        limits += [f"--start-at {self.start_at}"] if self.start_at else []
        limits += [f"--stop-at {self.stop_at}"] if self.stop_at else []
        return tuple(limits)


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is to tell of a running program: seconds so far, RSS of the whole tree now.

    ``label`` is that of the last checkpoint it has set.
    """

    elapsed_s: float
    rss_bytes: int
    label: str | None = None


def run(
    program: Program,
    run_dir: RunDirectory,
    options: RunOptions,
    on_progress: Callable[[Progress], None],
) -> int:
    """Run ``program`` to its end; returns its exit status as a shell gives it (128+n by signal).

    Writes everything but the reports into ``run_dir``. Raises OutputError if that fails.
    """
    meta = _meta(program, options)
    write_atomically(run_dir.meta, observation.encode_meta(meta))
    counters = death.read_oom_counters()
    with _open_samples(run_dir) as samples:
        child = subprocess.Popen(_command(program, run_dir, options), close_fds=False)
        sampler = TreeSampler(child.pid, meta.spawned_ns)
        log = MonitorLog(run_dir, options.warning_bytes, options.critical_bytes)

        def on_tick(progress: Progress) -> None:
            log.update(progress.rss_bytes, progress.elapsed_s)
            on_progress(replace(progress, label=log.last_label))

        with _forwarding_signals(child):
            _watch(child, sampler, samples, options.interval_ms / 1000, on_tick)
        on_tick(Progress((time.monotonic_ns() - meta.spawned_ns) / 1e9, 0))
        log.close()
    end = death.judge(child.returncode, counters, death.read_oom_counters())
    meta = observation.ended(
        meta,
        duration_s=(time.monotonic_ns() - meta.spawned_ns) / 1e9,
        exit_code=end.exit_code,
        signal=end.signal,
        verdict=end.verdict,
        evidence=end.evidence,
        processes=sampler.seen(end.exit_code),
    )
    write_atomically(run_dir.meta, observation.encode_meta(meta))
    return end.shell_status


def _open_samples(run_dir: RunDirectory) -> TextIO:
    try:
        return open(run_dir.samples, "w", encoding="ascii")
    except OSError as error:
        raise write_error(run_dir.samples, error) from error


def _meta(program: Program, options: RunOptions) -> Meta:
    paths = sysconfig.get_paths()
    return Meta(
        command=program.command,
        name=program.name,
        backend=options.backend,
        native=options.native and options.backend == RecordSpec.MEMRAY,
        python_allocators=options.python_allocators and options.backend == RecordSpec.MEMRAY,
        focus=options.traced_only,
        python=".".join(str(part) for part in sys.version_info[:3]),
        memray=version("memray") if options.backend == RecordSpec.MEMRAY else None,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        spawned_ns=time.monotonic_ns(),
        interval_ms=options.interval_ms,
        stdlib_paths=tuple(sorted({paths["stdlib"], paths["platstdlib"]})),
        library_paths=tuple(sorted({paths["purelib"], paths["platlib"]})),
        warning_bytes=options.warning_bytes,
        critical_bytes=options.critical_bytes,
        redact_args=options.redact_args,
    )


def _command(program: Program, run_dir: RunDirectory, options: RunOptions) -> list[str]:
    spec = RecordSpec(
        run_dir=str(run_dir.path.absolute()),
        backend=options.backend,
        native=options.native,
        python_allocators=options.python_allocators,
        interval_ms=options.interval_ms,
        marks=list(options.marks),
        focus=list(options.focus),
        start_at=options.start_at,
        stop_at=options.stop_at,
        hides_arguments=options.redact_args,
        kind=program.kind,
        target=program.target,
        arguments=list(program.arguments),
    )
    return [sys.executable, str(Path(bootstrap.__file__)), *spec.to_arguments()]


def _watch(
    child: subprocess.Popen[bytes],
    sampler: TreeSampler,
    samples: TextIO,
    interval_s: float,
    on_progress: Callable[[Progress], None],
) -> None:
    ended = threading.Event()

    def wait() -> None:
        child.wait()
        ended.set()

    threading.Thread(target=wait, name="memdeep-wait", daemon=True).start()
    writable = _write(samples, observation.SAMPLES_TITLE)
    while not ended.wait(interval_s):
        processes = sampler.sample()
        writable = writable and _write(samples, "".join(map(observation.encode_sample, processes)))
        on_progress(_progress(processes))


def _progress(processes: list[ProcessSample]) -> Progress:
    time_ms = processes[0].time_ms if processes else 0
    return Progress(time_ms / 1000, sum(sample.rss_bytes for sample in processes))


def _write(samples: TextIO, text: str) -> bool:
    """Append to ``samples`` at once; False when that fails: the program must not suffer for it."""
    try:
        samples.write(text)
        samples.flush()
    except OSError:
        return False
    return True


@contextmanager
def _forwarding_signals(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass on to ``child`` the signals that reach only us."""

    def forward(number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground():
            return  # typed at the terminal: the program has got it as well
        with suppress(ProcessLookupError):
            child.send_signal(number)

    numbers = [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)]
    previous = {
        number: signal.signal(number, forward)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether a terminal would send its signals to our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
