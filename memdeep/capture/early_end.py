"""Tells whether a trace ended before its time: memray stops by itself when it cannot write."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from memdeep import journal
from memdeep.capture.markers import THREAD_RECORD
from memdeep.journal import Event
from memdeep.record.recorder import MARKER_DIGITS, MARKER_PREFIX


def problem(
    capture: Path,
    end: int | None,
    points: Mapping[int, Event],
    placed: Sequence[int],
    unplaced: Sequence[int],
) -> str | None:
    """The sentence on a trace that ended early; None if it did not.

    ``end`` is the sequence number of the event that ended the trace, None if the program died.
    ``placed`` and ``unplaced`` are those of the checkpoints, among ``points``, whose markers the
    capture has and has not.
    """
    after = max(placed, default=0)
    late = Counter(points[sequence].thread for sequence in unplaced if sequence > after)
    # A program that is killed may owe the marker of the last checkpoint, of each thread.
    owes_several = max(late.values(), default=0) > 1
    if not owes_several and (end is None or _holds(capture, end)):
        return None
    where = f"after the checkpoint {points[placed[-1]].label}" if placed else "from the start on"
    return (
        f"{capture.name} ends before the program did, as when memray cannot write: what was "
        f"allocated {where} is not known to the end."
    )


def end_of_run(events: Sequence[Event]) -> int | None:
    """The number of the event that ends the trace where nothing did before."""
    return next((event.sequence for event in events if event.kind == journal.EXIT), None)


def _holds(capture: Path, sequence: int) -> bool:
    """Whether the capture has the marker of an event that is no checkpoint.

    Such a marker stays as it was recorded. It is searched for from the end, where it must be.
    """
    name = f"{MARKER_PREFIX}{sequence:0{MARKER_DIGITS}}".encode()
    with open(capture, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.rfind(bytes([THREAD_RECORD]) + name + b"\x00") >= 0
