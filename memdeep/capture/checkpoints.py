"""Joins the journal with the order of the markers: the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep import journal
from memdeep.journal import Event
from memdeep.model import Checkpoint, CheckpointKind
from memdeep.observation import ProcessSample

START_LABEL = "(start)"
END_LABEL = "(end)"

KINDS = {
    journal.POINT: CheckpointKind.POINT,
    journal.BEGIN: CheckpointKind.BEGIN,
    journal.END: CheckpointKind.END,
}


def join(
    start: Event | None,
    ordered: Sequence[Event],
    end: Event | None,
    *,
    end_s: float,
    last_seen: ProcessSample | None,
) -> tuple[Checkpoint, ...]:
    """All checkpoints, with the start and the end of the run as the first and the last.

    ``end`` is the event written when the program ended by itself; otherwise ``end_s`` and
    ``last_seen`` are the last that was seen of it.
    """
    pid = start.pid if start else None
    points = [
        Checkpoint(
            index=0,
            label=START_LABEL,
            kind=CheckpointKind.POINT,
            time_s=0.0,
            rss_bytes=start.rss_bytes if start else None,
            rss_file_bytes=start.rss_file_bytes if start else None,
            pid=pid,
        )
    ]
    for event in ordered:
        points.append(
            Checkpoint(
                index=len(points),
                label=event.label,
                kind=KINDS[event.kind],
                time_s=event.time_us / 1e6,
                rss_bytes=event.rss_bytes,
                rss_file_bytes=event.rss_file_bytes,
                note=event.note,
                thread=event.thread,
                pid=pid,
                span=event.span,
            )
        )
    resident = end or last_seen
    last_s = max(point.time_s for point in points)
    points.append(
        Checkpoint(
            index=len(points),
            label=END_LABEL,
            kind=CheckpointKind.POINT,
            time_s=end.time_us / 1e6 if end else max(end_s, last_s),
            rss_bytes=resident.rss_bytes if resident else None,
            rss_file_bytes=resident.rss_file_bytes if resident else None,
            pid=pid,
        )
    )
    return tuple(points)
