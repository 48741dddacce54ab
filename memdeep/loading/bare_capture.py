"""Loads a plain memray capture: a run with only a start and an end."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from memdeep.heap.choice import reader_of, reason_for_memray
from memdeep.heap.header import read_header
from memdeep.heap.origins import Origins
from memdeep.heap.parts import Part
from memdeep.loading.run import Recording, capture_files
from memdeep.model import Checkpoint, CheckpointKind, Mode, Run
from memdeep.record.how import MEMRAY
from memdeep.rundir import labels

NEVER_CLOSED = (
    "The capture was never closed: the program was killed, or the file is cut off. What is shown "
    "is exact up to there."
)


def load_capture(path: Path) -> Recording:
    """Load a plain memray capture, raw or LZ4, as one phase. Raises CaptureError."""
    read_header(path)
    reason = reason_for_memray(path)
    reader = reader_of(path, reason)
    facts = reader.facts()
    duration_s = (
        max((sample.time_s for sample in facts.rss_curve), default=0.0)
        if facts.end_ms is None
        else (facts.end_ms - facts.start_ms) / 1000
    )
    first, last = facts.rss_curve[:1], facts.rss_curve[-1:]
    problems = [] if reason is None else [reason]
    if facts.end_ms is None:
        problems.append(NEVER_CLOSED)
    points = (
        Checkpoint(
            index=0,
            label=labels.RUN_START,
            kind=CheckpointKind.POINT,
            time_s=0.0,
            rss_bytes=first[0].bytes if first else None,
            pid=facts.pid,
        ),
        Checkpoint(
            index=1,
            label=labels.RUN_END,
            kind=CheckpointKind.POINT,
            time_s=duration_s,
            rss_bytes=last[0].bytes if last else None,
            pid=facts.pid,
        ),
    )
    run = Run(
        command=tuple(facts.command.split()),
        name=path.name,
        mode=Mode(MEMRAY, facts.native, facts.python_allocators),
        python=None,
        memray=None,
        started=datetime.fromtimestamp(facts.start_ms / 1000, timezone.utc).isoformat(),
        duration_s=duration_s,
        exit=None,
        checkpoints=points,
        rss_curve=facts.rss_curve,
        captures=capture_files([path]),
        peak_rss_bytes=max((sample.bytes for sample in facts.rss_curve), default=None),
        problems=tuple(problems),
    )
    parts = (Part(path, 0, 1, 0),)
    origins = Origins(own_paths=("<string>",) if "-c" in run.command else ())
    return Recording(run, parts, facts.start_ms, origins, readers={path: reader}, is_capture=True)
