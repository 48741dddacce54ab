"""Records a program that runs already, until somebody has seen enough, or it has ended.

The program records itself (`memdeep.record.attached`); here it is told when to begin and to end,
and watched meanwhile, as any that records itself.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType
from typing import Any

from memdeep.errors import AttachError, OutputError
from memdeep.frozen import frozen, replace
from memdeep.model import DETACHED, Identity
from memdeep.model.statement import Statement, state
from memdeep.record.how import HowToRecord
from memdeep.record.program import WhatToRun
from memdeep.run.attend import end_of
from memdeep.run.facts import begun
from memdeep.run.own_code import OwnCode, own_code
from memdeep.run.progress import Progress
from memdeep.run.target import Target, exit_status, is_there
from memdeep.run.verdict import judge
from memdeep.run.watching import Recorded, Seen, watch
from memdeep.run.ways_in import Line
from memdeep.rundir import journal, labels
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.meta import Meta, encode_meta
from memdeep.rundir.tail import Tail

MOST_S = 0.25  # to look for the end of a phase, at each look at the program
ENDS_S, LOOK_S = 5.0, 0.001  # a program that ends itself has still something to do


@frozen
class Until:
    """When to detach: after so many seconds, at so many bytes, when a phase of a name has ended.

    None of them is set where somebody will say so. A name may have * and ?.
    """

    seconds: float | None = None
    size_bytes: int | None = None
    phase: str | None = None


@frozen
class AttachOptions:
    """How to record a running program, for how long, and what its captures may take of the disk."""

    how: HowToRecord
    until: Until
    max_capture_bytes: int | None
    keep_free_bytes: int


@frozen
class Running:
    """A running program that can be recorded: the line to it, and what it tells of itself."""

    target: Target
    line: Line
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """A name for its runs."""
        main = self.facts.get("main")
        return (Path(main).stem if main else "") or f"process-{self.target.pid}"


def attach(
    program: Running,
    run_dir: RunDirectory,
    options: AttachOptions,
    on_progress: Callable[[Progress], None],
) -> None:
    """Record ``program`` into ``run_dir`` until it is time to detach, or it has ended.

    Interrupts and the end of the terminal detach. Raises AttachError, before anything is recorded,
    OutputError or CaptureError.
    """
    target, line = program.target, program.line
    how = options.how.but(run_dir=str(run_dir.path.absolute()))
    _give(run_dir, target)
    write_atomically(run_dir.meta, encode_meta(_meta(program, how)))
    ours, theirs = socket.socketpair()
    with _told_to_stop() as stop:
        try:
            with theirs:
                line.record(how.to_words(), theirs.fileno())
        except AttachError:
            ours.close()
            raise
        most_bytes, free_bytes = options.max_capture_bytes, options.keep_free_bytes
        recorded = Recorded(run_dir, target.pid, most_bytes, free_bytes, ours.detach())
        onlooker = _Attachment(program, run_dir, options.until, stop, on_progress)
        watch(recorded, onlooker)
        onlooker.close()
        if onlooker.reason is not None:
            line.await_detached()
    with suppress(OSError):
        run_dir.orders.unlink(missing_ok=True)


class _Stop:
    """Notes that somebody wants an end; the second time it is one at once."""

    def __init__(self) -> None:
        self.is_wanted = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.is_wanted:
            raise KeyboardInterrupt
        self.is_wanted = True


@contextmanager
def _told_to_stop() -> Iterator[_Stop]:
    stop = _Stop()
    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Attachment:
    """Looks for the moment to detach, and tells how it ended; ``reason`` is why it was detached."""

    def __init__(
        self,
        program: Running,
        run_dir: RunDirectory,
        until: Until,
        stop: _Stop,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._program = program
        self._until = until
        self._stop = stop
        self._on_progress = on_progress
        self._events = Tail(run_dir.journal)
        self._pid = program.target.pid
        self._status: int | None = None
        self.reason: Statement | None = None

    def progress(self, progress: Progress) -> None:
        if self.reason is not None:
            return
        self._on_progress(progress)
        self.reason = self._wanted(progress)
        if self.reason is not None:
            self._program.line.ask_to_detach()

    def over(self) -> None:
        if self.reason is None:  # the parent of the program may be quick to ask for its status
            self._status = exit_status(self._pid)

    def ended(self, meta: Meta, seen: Seen) -> Meta:
        if self.reason is not None and seen.is_there:
            return replace(
                meta,
                duration_s=_since(meta),
                verdict=DETACHED,
                evidence=(self.reason,),
                processes=tuple(
                    replace(one, verdict=DETACHED) if one.pid == self._pid else one
                    for one in meta.processes
                ),
            )
        if seen.is_there and seen.witnesses.replaced_by is not None:  # it took all along
            return replace(
                meta,
                duration_s=_since(meta),
                verdict=DETACHED,
                evidence=(seen.witnesses.replaced_by,),
            )
        status = self._status
        until_s = time.monotonic() + ENDS_S
        while status is None and time.monotonic() < until_s:
            was_there = is_there(self._pid)
            status = exit_status(self._pid)
            if not was_there:
                break
            time.sleep(LOOK_S)
        end = (
            end_of(seen.witnesses, seen.last_s) if status is None else judge(status, seen.witnesses)
        )
        if end is None:  # nobody but its parent knows
            return replace(meta, duration_s=max(_since(meta) if seen.is_there else 0, seen.last_s))
        return replace(
            meta,
            duration_s=max(_since(meta) if seen.is_there else 0.0, seen.last_s),
            exit_code=end.exit_code,
            signal=end.signal,
            verdict=end.verdict,
            evidence=end.evidence,
        )

    def close(self) -> None:
        self._events.close()

    def _wanted(self, progress: Progress) -> Statement | None:
        """Say why it is time to detach; None if it is not."""
        until = self._until
        phase = None if until.phase is None else self._ended_phase(until.phase)
        if self._stop.is_wanted:
            return state("exit.detached_by_hand")
        if phase is not None:
            return state("exit.detached_at_phase", name=phase)
        if until.size_bytes is not None and progress.size_bytes >= until.size_bytes:
            return state(
                "exit.detached_at_size",
                size_bytes=progress.size_bytes,
                measure="PSS" if progress.is_pss else "RSS",
                limit_bytes=until.size_bytes,
            )
        if until.seconds is not None and progress.elapsed_s >= until.seconds:
            return state("exit.detached_after", duration_s=until.seconds)
        return None

    def _ended_phase(self, wanted: str) -> str | None:
        """Return the name of a phase that has ended since the last look, if it is the one."""
        until_s = time.monotonic() + MOST_S  # many threads end phases faster than they are read
        while time.monotonic() < until_s and (content := self._events.next_lines()):
            for event in journal.decode(content)[0]:
                stem, suffix = labels.split(event.label)
                name = stem if suffix in labels.OPENED_BY else event.label
                ends = event.kind == journal.END or (
                    event.kind == journal.POINT and (suffix not in labels.PAIRS)
                )
                if ends and fnmatchcase(name, wanted):
                    return name
        return None


def _since(meta: Meta) -> float:
    return (time.monotonic_ns() - meta.spawned_ns) / 1e9


def _give(run_dir: RunDirectory, target: Target) -> None:
    """Give the run directory to the user of the program, who shall write into it, if it is root's.

    Raises OutputError.
    """
    if target.user in (-1, os.geteuid()):
        return
    try:
        for path in (run_dir.path, run_dir.journal):
            os.chown(path, target.user, target.group)
    except OSError as error:
        raise OutputError(
            f"{run_dir.path} cannot be given to the user of process {target.pid}: "
            f"{error.strerror or error}.",
            "Choose a directory that this user may write to, with -o.",
        ) from error


def _meta(program: Running, how: HowToRecord) -> Meta:
    """Return the facts of a recording that begins now."""
    told = program.facts
    main, cwd = str(told.get("main") or ""), told.get("cwd")
    is_file = os.path.isfile(main)
    own = own_code(WhatToRun(WhatToRun.SCRIPT, main, ())) if is_file else OwnCode()
    facts = begun(how, told["command"][1:], program.name, own)
    return replace(
        facts,
        python=told["python"],
        memray=told["memray"] or None,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        stdlib_paths=tuple(told["stdlib"]),
        library_paths=tuple(sorted({*told["library"], *filter(None, [own.launcher])})),
        package=told["package"],
        directories=(cwd,) if cwd else (),
        identity=Identity(
            cwd=cwd,
            root=os.path.dirname(os.path.realpath(main)) if is_file else cwd,
            main=os.path.basename(main) if is_file else None,
            platform=told["platform"],
            libc=None,
            hash_seed=None,
        ),
        earlier_s=max(0.0, time.time() - program.target.started_s),
        attached=True,
    )
