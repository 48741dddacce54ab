"""Records this process from now on, as often as one likes.

Whatever a recording takes is gone when it has ended: files, threads, functions in others' places.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import FrameType

import psutil

from memdeep.errors import CaptureError, OutputError, RecordingError
from memdeep.frozen import frozen, replace
from memdeep.inprocess import watcher
from memdeep.inprocess.run import Run
from memdeep.inprocess.watcher import Watcher
from memdeep.record.how import (
    ALL,
    MEMRAY,
    MOST_CHILDREN,
    RSS,
    SAMPLE_INTERVAL_S,
    TRACEMALLOC,
    HowToRecord,
)
from memdeep.record.program import WhatToRun
from memdeep.record.recorder import say
from memdeep.record.session import Session
from memdeep.record.tree import rank
from memdeep.report.options import DEFAULTS as REPORT_DEFAULTS
from memdeep.report.options import ReportOptions
from memdeep.run.facts import begun, tracer_version
from memdeep.run.identity import identify
from memdeep.run.own_code import OwnCode, outermost_package
from memdeep.rundir import directory
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.meta import Meta, decode_meta, encode_meta

KEEP_FREE_BYTES = 1 << 30
MAX_STEM = 80
DEFAULTS = HowToRecord(
    backend=MEMRAY,
    native=True,
    trace_python_allocators=False,
    sample_interval=SAMPLE_INTERVAL_S,
    redact_args=False,
    values=True,
    mark_stdout=(),
    mark_call=(),
    mark_line=(),
    mark_every=0.0,
    focus=(),
    start_at="",
    stop_at="",
    children=ALL,
    most_children=MOST_CHILDREN,
    holders=False,
    holders_at=(),
    holders_most=0,
)


@frozen
class Options:
    """How to record, and where: the run directory, or None for one by the name and the time.

    The sizes are as in `RunOptions`; ``report`` is for the report that the run makes.
    With ``others_only`` this process itself is not traced, but processes that join its run are.
    """

    how: HowToRecord = DEFAULTS
    path: Path | None = None
    name: str = "program"
    force: bool = False
    report: ReportOptions = REPORT_DEFAULTS
    warning_bytes: int | None = None
    critical_bytes: int | None = None
    keep_free_bytes: int = KEEP_FREE_BYTES
    max_capture_bytes: int | None = None
    others_only: bool = False


class Recording:
    """Recording of this process, which begins when the object is made; ``run`` is what comes of it.

    ``caller`` is the frame of the program that begins it: its file is the program's own.
    """

    _has_ended = False

    def __init__(self, options: Options, caller: FrameType | None = None) -> None:
        """Raises RecordingError or OutputError."""
        how = options.how
        _refuse(how.backend)
        run_dir = _directory(options)
        self._pid = os.getpid()
        self._run_dir = run_dir
        facts = _meta(options, caller)
        self._meta = replace(facts, others_only=options.others_only)
        write_atomically(run_dir.meta, encode_meta(self._meta))
        self._watcher: Watcher | None = None
        with suppress(OSError):  # without it the RSS is known at the checkpoints only
            self._watcher = watcher.start(
                run_dir, options.max_capture_bytes, options.keep_free_bytes
            )
        orders = -1 if self._watcher is None else self._watcher.socket
        path = str(run_dir.path.absolute())
        backend = RSS if options.others_only else how.backend
        self._session = Session(how.but(run_dir=path, orders=orders, backend=backend))
        self._session.start()
        self.run = Run(options.name, run_dir.path, options.report)
        atexit.register(self.stop)

    @property
    def session(self) -> Session:
        """The recording within the process, for whoever records a stretch apart from it."""
        return self._session

    def stop(self, error: BaseException | None = None) -> None:
        """End the recording, if it has not ended; ``error`` is what has left the recorded code.

        In a forked child, end what is recorded of that.
        """
        if self._has_ended:
            return
        self._has_ended = True
        atexit.unregister(self.stop)
        if error is not None and _is_plain_end(error):
            error = None
        if os.getpid() != self._pid:
            self._session.stop(error, waits=False)
            return
        duration_s = (time.monotonic_ns() - self._meta.spawned_ns) / 1e9
        # Without it the watcher has not begun yet, and there is nothing to wait for.
        is_late = self._session.stop(error, waits=self._run_dir.samples.exists())
        if self._watcher is not None:
            if is_late:  # and may write over what is written below
                self._watcher.kill()
            self._watcher.forget()
            with suppress(OSError):  # it was too short for a reading
                self._run_dir.samples.touch(mode=0o600)
        ended = replace(self._seen(), duration_s=duration_s, exit_code=0, verdict="completed")
        with suppress(OSError):
            self._run_dir.orders.unlink(missing_ok=True)
        try:
            write_atomically(self._run_dir.meta, encode_meta(ended))
        except OutputError as problem:
            say(f"{problem.message} How the recording ended is not in the report.")
        self.run.end()

    def _seen(self) -> Meta:
        """Return the facts with those that the watcher has added."""
        try:
            return decode_meta(self._run_dir.meta.read_bytes(), self._run_dir.meta)
        except (OSError, CaptureError):
            return self._meta


def _is_plain_end(error: BaseException) -> bool:
    """Tell if this is no failure: a generator that is closed, a program that ends in order."""
    return isinstance(error, GeneratorExit) or (
        isinstance(error, SystemExit) and error.code in (None, 0)
    )


def _refuse(backend: str) -> None:
    """Raise RecordingError if somebody else traces this process."""
    if backend == MEMRAY:
        from memdeep.record.tracker import is_tracking

        if is_tracking():
            raise RecordingError(
                "memray is tracking this process already, and there can be but one tracker.",
                "End that one first, or report on its capture: memdeep report FILE.",
            )
    if backend == TRACEMALLOC:
        import tracemalloc

        if tracemalloc.is_tracing():
            raise RecordingError(
                "tracemalloc is tracing this process already, and would not after a recording.",
                "End that first: tracemalloc.stop().",
            )


def _directory(options: Options) -> RunDirectory:
    if options.path is not None:
        return directory.create(directory.of_rank(options.path, rank()), force=options.force)
    stem = re.sub(r"[^\w.-]+", "-", options.name).strip("-.")[:MAX_STEM] or "recording"
    return directory.create_default(stem, datetime.now(), rank())


def _meta(options: Options, caller: FrameType | None) -> Meta:
    """Return the facts of a recording that ``caller`` begins."""
    file = "" if caller is None else caller.f_code.co_filename
    is_file = os.path.isfile(file)
    own = OwnCode((outermost_package(os.path.abspath(file)),)) if is_file else OwnCode()
    kind, target = (WhatToRun.SCRIPT, file) if is_file else (WhatToRun.CODE, "")
    return replace(
        begun(options.how, sys.orig_argv[1:], options.name, own),
        memray=tracer_version(options.how),
        warning_bytes=options.warning_bytes,
        critical_bytes=options.critical_bytes,
        identity=identify(WhatToRun(kind, target, ()), ()),
        earlier_s=max(0.0, time.time() - psutil.Process().create_time()),
    )
