"""Makes the checkpoints of a run from the events of its journal."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.frozen import replace
from memdeep.model import Checkpoint, CheckpointKind, Sample
from memdeep.rundir import journal, labels
from memdeep.rundir.journal import Event

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
    last_seen: Sample | None,
) -> tuple[Checkpoint, ...]:
    """Join ``ordered`` events with the start and the end of the run, as first and last checkpoint.

    ``end`` is the event written when the program ended by itself; otherwise it ended at ``end_s``,
    with the RSS of ``last_seen``, or of its last checkpoint where that is younger.
    """
    pid = start.pid if start else None
    points = [
        Checkpoint(
            index=0,
            label=labels.RUN_START,
            kind=CheckpointKind.POINT,
            time_s=0.0,
            rss_bytes=start.rss_bytes if start else None,
            rss_file_bytes=start.rss_file_bytes if start else None,
            pid=pid,
        )
    ]
    newest: Event | None = None
    for event in ordered:
        # A thread may lose the GIL between its reading and its marker: another one's is newer then.
        if newest is None or event.time_us >= newest.time_us:
            newest = event
        points.append(
            Checkpoint(
                len(points),
                event.label,
                KINDS[event.kind],
                event.time_us / 1e6,
                newest.rss_bytes,
                event.note,
                event.thread,
                pid,
                event.span,
                newest.rss_file_bytes,
                event.task,
                event.task_span,
            )
        )
    last_s = max(point.time_s for point in points)
    is_seen = last_seen is not None and last_seen.time_s >= points[-1].time_s
    rss_bytes, rss_file_bytes = points[-1].rss_bytes, points[-1].rss_file_bytes
    if end is not None:
        rss_bytes, rss_file_bytes = end.rss_bytes, end.rss_file_bytes
    elif last_seen is not None and (is_seen or rss_bytes is None):
        rss_bytes, rss_file_bytes = last_seen.bytes, last_seen.file_bytes
    points.append(
        Checkpoint(
            index=len(points),
            label=labels.RUN_END,
            kind=CheckpointKind.POINT,
            time_s=end.time_us / 1e6 if end else max(end_s, last_s),
            rss_bytes=rss_bytes,
            rss_file_bytes=rss_file_bytes,
            pid=pid,
        )
    )
    return tuple(points)


def without_rss_at_end(points: tuple[Checkpoint, ...]) -> tuple[Checkpoint, ...]:
    """Return ``points`` with the RSS at the end unknown: it was that of another program."""
    return (*points[:-1], replace(points[-1], rss_bytes=None, rss_file_bytes=None))
