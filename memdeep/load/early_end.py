"""Tells whether a trace ended before its time: memray stops by itself when it cannot write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from memdeep.heap.markers import Aligned
from memdeep.rundir import journal
from memdeep.rundir.journal import Event


def problem(
    capture: Path,
    end: int | None,
    points: Mapping[int, Event],
    aligned: Aligned,
    unplaced: Sequence[int],
) -> str | None:
    """The sentence on a trace that ended early; None if it did not.

    ``end`` is the sequence number of the event that ended the trace, None if the program died.
    ``unplaced`` are those of the checkpoints, among ``points``, whose markers the capture has not.
    """
    placed = aligned.sequences
    after = max(placed, default=0)
    late = Counter(points[sequence].thread for sequence in unplaced if sequence > after)
    # A program that is killed may owe the marker of the last checkpoint, of each thread.
    owes_several = max(late.values(), default=0) > 1
    if not owes_several and (end is None or end in aligned.others):
        return None
    where = f"after the checkpoint {points[placed[-1]].label}" if placed else "from the start on"
    return (
        f"{capture.name} ends before the program did, as when memray cannot write: what was "
        f"allocated {where} is not known to the end."
    )


def end_of_run(events: Sequence[Event]) -> int | None:
    """The number of the event that ends the trace where nothing did before."""
    return next((event.sequence for event in events if event.kind == journal.EXIT), None)
