"""Tells whether the files of a run directory are of one run, or were put together from several.

All of them name a process and a time; these are compared with the first line of the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.heap.header import CaptureHeader
from memdeep.heap.markers import Alignment
from memdeep.rundir import births, journal
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta
from memdeep.rundir.samples import ProcessSample

MAX_START_S = 600  # from starting Python to the journal's first line: imports over a slow network
MAX_CLOCK_STEP_MS = 60_000  # the clock may be set while the tracker starts


def check_capture(capture: Path, header: CaptureHeader, start: Event, time_us: int) -> None:
    """Raise CaptureError if ``capture`` is not of the run that began with ``start``.

    The journal says that it was traced from ``time_us`` on.
    """
    expected_ms = start.epoch_ns // 1_000_000 + time_us // 1000
    own_pid = None if start.pid is None else start.pid % births.HOSTS
    is_other_process = None not in (header.pid, own_pid) and header.pid != own_pid
    is_other_time = (
        header.start_ms is not None and abs(header.start_ms - expected_ms) > MAX_CLOCK_STEP_MS
    )
    if is_other_process or is_other_time:
        raise CaptureError(
            f"{capture} was recorded in another run than the journal beside it.",
            "Put the capture and the journal of one run together.",
        )


def is_of_run(meta: Meta, start: Event) -> bool:
    """Tell whether `meta.json` is of the run that began with ``start``."""
    after_s = (start.monotonic_ns - meta.spawned_ns) / 1e9
    pids = {process.pid for process in meta.processes}
    return 0 <= after_s <= MAX_START_S and (not pids or start.pid in pids)


def are_of_run(samples: Sequence[ProcessSample], start: Event) -> bool:
    """Tell whether `samples` are of the run that began with ``start``."""
    return not samples or any(sample.pid == start.pid for sample in samples)


def problem(
    capture: Path,
    end: int | None,
    points: Mapping[int, Event],
    alignment: Alignment,
    unplaced: Sequence[int],
) -> str | None:
    """Return the sentence on a trace that ended early; None if it did not.

    ``end`` is the sequence number of the event that ended the trace, None if the program died.
    ``unplaced`` are the numbers of checkpoints, among ``points``, without a marker in the capture.
    """
    placed = alignment.sequences
    after = max(placed, default=0)
    late = Counter(points[sequence].thread for sequence in unplaced if sequence > after)
    # A program that is killed may owe the marker of the last checkpoint, of each thread.
    owes_several = max(late.values(), default=0) > 1
    if not owes_several and (end is None or end in alignment.others):
        return None
    where = f"after the checkpoint {points[placed[-1]].label}" if placed else "from the start on"
    return (
        f"{capture.name} ends before the program did, as when memray cannot write: what was "
        f"allocated {where} is not known to the end."
    )


def end_of_run(events: Sequence[Event]) -> int | None:
    """Return the number of the event at the end of the program; None if it was killed."""
    return next((event.sequence for event in events if event.kind == journal.EXIT), None)
