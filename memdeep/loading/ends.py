"""Tells how a process ended, and by what it wrote itself how long it lived.

So of one that nobody saw from outside, as a daemon that has left the tree of the program.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable, Sequence

from memdeep.errors import CaptureError
from memdeep.frozen import replace
from memdeep.heap.choice import reader_of, reason_for_memray
from memdeep.loading.journal import read_journal
from memdeep.model import DETACHED, Process
from memdeep.rundir import journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import ENDING_S, Meta

JUST_NOW_S = 1.0


def with_status(process: Process, status: int) -> Process:
    """Return a process that has ended with a status, or by a signal as a negative number."""
    if status < 0:
        return replace(process, exit=None, signal=_signal_name(-status), verdict="killed")
    verdict = "failed" if status else "completed"
    return replace(process, exit=status, signal=None, verdict=verdict)


def as_program(process: Process, meta: Meta, run_end_s: float) -> Process:
    """Return the last program that took the place of the run's own, with the end of the run."""
    if meta.verdict is None or not math.isfinite(run_end_s):
        return process
    return replace(
        process,
        end_s=run_end_s,
        exit=meta.exit_code,
        signal=meta.signal,
        verdict=meta.verdict,
    )


def successor_s(processes: Sequence[Process], among: Iterable[int]) -> float | None:
    """Return when the first of ``among`` took the place of the program; None if none did."""
    own = (processes[place] for place in among)
    times = [one.start_s or 0.0 for one in own if one.pid == processes[0].pid]
    return min(times, default=None)


def left_s(run_dir: RunDirectory | None, pid: int, start: Event) -> float | None:
    """Return when the process ``pid`` came to its end by its journal; None if that does not tell.

    ``start`` is that of the program, from which times count.
    """
    events = () if run_dir is None else events_of(run_dir, pid)
    ends = [event for event in events if event.kind == journal.EXIT]
    return _last_s(events, ends, start) if ends else None


def by_itself(
    process: Process, run_dir: RunDirectory | None, start: Event, run_end_s: float
) -> Process:
    """Add the end of a process that nobody saw, by what it wrote; that of the run at the latest.

    What looks after the worker of a cluster tells more of its end.
    """
    if run_dir is None:
        return process
    end_s = left_s(run_dir, process.pid, start)
    latest_s = run_end_s
    if end_s is None:
        end_s = _last_sign_s(run_dir, process.pid, start)
    else:
        latest_s += ENDING_S
    if end_s is None or end_s <= latest_s or run_dir.worker.exists():
        known = [one for one in (process.end_s, end_s) if one is not None]
        return replace(process, end_s=max(known, default=None))
    return replace(process, end_s=run_end_s, verdict=DETACHED)


def still_running(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Return the processes of a program that runs; those that were seen just now run, too."""
    seen_s = max((one.end_s for one in processes if one.end_s is not None), default=0.0)
    return tuple(
        replace(one, verdict=DETACHED)
        if one.verdict is None and one.end_s is not None and one.end_s >= seen_s - JUST_NOW_S
        else one
        for one in processes
    )


def _last_sign_s(run_dir: RunDirectory, pid: int, start: Event) -> float | None:
    """Return the time of the last sign of life in what the process ``pid`` wrote; None without any.

    While a process is traced, its capture has a record of the time each few milliseconds. Of one
    that is not traced to its end nothing tells how long it lived.
    """
    events = events_of(run_dir, pid)
    if not events or any(event.kind == journal.UNTRACE for event in events):
        return None
    begun = next(event for event in events if event.kind == journal.START)
    start_ms = (begun.epoch_ns - begun.monotonic_ns + start.monotonic_ns) // 1_000_000
    capture = run_dir.capture()
    try:
        facts = reader_of(capture, reason_for_memray(capture)).facts()
    except CaptureError:
        return None
    begun_s = (facts.start_ms - start_ms) / 1000
    return max(
        [_last_s(events, events, start), *(begun_s + one.time_s for one in facts.rss_curve[-1:])]
    )


def events_of(run_dir: RunDirectory, pid: int) -> Sequence[Event]:
    """Return the events of the journal of the process ``pid``; none if it is another's."""
    try:
        events = read_journal(run_dir.journal).events
    except CaptureError:
        return ()
    starts = [event for event in events if event.kind == journal.START]
    return events if starts and starts[0].pid == pid else ()


def _last_s(events: Iterable[Event], among: Iterable[Event], start: Event) -> float:
    begun_ns = next(one.monotonic_ns for one in events if one.kind == journal.START)
    last_us = max(one.time_us for one in among)
    return max(0.0, (begun_ns + last_us * 1000 - start.monotonic_ns) / 1e9)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
