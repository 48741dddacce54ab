"""Loads a recording: all that is known of a run, and the way to its heap once phases are known.

A run directory gives the checkpoints and what the parent saw; a plain memray capture is a run
with nothing but a start and an end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from memdeep import journal, observation
from memdeep.capture import checkpoints, markers
from memdeep.capture.header import read_header
from memdeep.capture.markers import MarkerFigures
from memdeep.capture.origins import Origins
from memdeep.capture.reader import read_facts, read_heap
from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.model import (
    Checkpoint,
    CheckpointKind,
    Exit,
    Heap,
    Mode,
    Process,
    Run,
    Sample,
    Stretch,
)
from memdeep.observation import Meta, ProcessSample
from memdeep.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class Recording:
    """A run, and what is needed to read its heap from the capture."""

    run: Run
    capture: Path
    markers: int
    start_ms: int
    origins: Origins

    def heap(self, groups: Sequence[Sequence[Stretch]], on_step: Callable[[str], None]) -> Heap:
        """The heap, with a peak for each group of stretches. Raises CaptureError."""
        return read_heap(self.capture, self.markers, groups, self.origins, self.start_ms, on_step)


def load_run(run_dir: RunDirectory) -> Recording:
    """Load a run directory, aligning its capture if that was not done. Raises CaptureError."""
    meta = observation.decode_meta(_read(run_dir.meta), run_dir.meta)
    events, damaged = journal.decode(_read(run_dir.journal))
    start = next((event for event in events if event.kind == journal.START), None)
    end = next((event for event in events if event.kind == journal.EXIT), None)
    problems = [event.label for event in events if event.kind == journal.PROBLEM]
    if damaged:
        problems.append(f"{damaged} damaged lines of the journal were left out.")
    if start is None or not run_dir.capture.exists():
        raise CaptureError(
            f"Nothing was traced in {run_dir.path}: the program ended before recording began.",
            "; ".join(problems) or "Run the program without memdeep to see whether it starts.",
            EXIT_NO_INPUT,
        )
    capture_start_ms = read_header(run_dir.capture).start_ms or 0
    start_ms = start.epoch_ns // 1_000_000
    points_by_sequence = {
        event.sequence: event for event in events if event.kind in checkpoints.KINDS
    }

    def figures(sequence: int) -> MarkerFigures | None:
        event = points_by_sequence.get(sequence)
        if event is None:
            return None
        time_ms = start_ms + event.time_us // 1000 - capture_start_ms
        return MarkerFigures(event.rss_bytes or 0, max(0, time_ms))

    order = markers.align(run_dir, figures)
    samples = observation.decode_samples(_read(run_dir.samples).decode("ascii", "replace"))
    offset_s = (start.monotonic_ns - meta.spawned_ns) / 1e9
    points = checkpoints.join(
        start,
        checkpoints.in_stream_order(list(points_by_sequence.values()), order),
        end,
        end_s=max((sample.time_ms for sample in samples), default=0) / 1000 - offset_s,
        end_rss_bytes=next((s.rss_bytes for s in reversed(samples) if s.pid == start.pid), None),
    )
    return Recording(
        run=_run(meta, points, _rss_curve(samples, points, offset_s), problems),
        capture=run_dir.capture,
        markers=len(points) - 2,
        start_ms=start_ms,
        origins=Origins(meta.stdlib_paths, meta.library_paths),
    )


def load_capture(path: Path) -> Recording:
    """Load a plain memray capture, raw or LZ4, as one phase. Raises CaptureError."""
    read_header(path)
    facts = read_facts(path)
    duration_s = (
        max((sample.time_s for sample in facts.rss_curve), default=0.0)
        if facts.end_ms is None
        else (facts.end_ms - facts.start_ms) / 1000
    )
    first, last = facts.rss_curve[:1], facts.rss_curve[-1:]
    points = (
        Checkpoint(
            index=0,
            label=checkpoints.START_LABEL,
            kind=CheckpointKind.POINT,
            time_s=0.0,
            rss_bytes=first[0].bytes if first else None,
            pid=facts.pid,
        ),
        Checkpoint(
            index=1,
            label=checkpoints.END_LABEL,
            kind=CheckpointKind.POINT,
            time_s=duration_s,
            rss_bytes=last[0].bytes if last else None,
            pid=facts.pid,
        ),
    )
    run = Run(
        command=tuple(facts.command.split()),
        name=path.name,
        mode=Mode("memray", facts.native, facts.python_allocators),
        python=None,
        memray=None,
        started=datetime.fromtimestamp(facts.start_ms / 1000, timezone.utc).isoformat(),
        duration_s=duration_s,
        exit=None,
        checkpoints=points,
        rss_curve=facts.rss_curve,
        peak_rss_bytes=max((sample.bytes for sample in facts.rss_curve), default=None),
        problems=()
        if facts.end_ms is not None
        else (
            "The capture was never closed: the program was killed, or the file is cut off. What "
            "is shown is exact up to there.",
        ),
    )
    return Recording(run, path, 0, facts.start_ms, Origins())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CaptureError(
            f"{path} is missing.",
            "The run directory is incomplete; copy all of it.",
            EXIT_NO_INPUT,
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(
            f"Cannot read {path}: {reason}.", "Check its permissions.", EXIT_NO_INPUT
        ) from error


def _rss_curve(
    samples: Sequence[ProcessSample], points: Sequence[Checkpoint], offset_s: float
) -> tuple[Sample, ...]:
    """The size of the whole tree over time; a lone process adds its checkpoints' exact values."""
    trees: defaultdict[int, int] = defaultdict(int)
    for sample in samples:
        trees[sample.time_ms] += sample.rss_bytes
    curve = [
        Sample(time_ms / 1000 - offset_s, rss_bytes)
        for time_ms, rss_bytes in trees.items()
        if time_ms / 1000 >= offset_s
    ]
    if len({sample.pid for sample in samples}) <= 1:
        curve.extend(
            Sample(point.time_s, point.rss_bytes) for point in points if point.rss_bytes is not None
        )
    return tuple(sorted(curve, key=lambda sample: sample.time_s))


def _run(
    meta: Meta,
    points: tuple[Checkpoint, ...],
    rss_curve: tuple[Sample, ...],
    problems: Sequence[str],
) -> Run:
    ended = meta.verdict is not None
    return Run(
        command=meta.command,
        name=meta.name,
        mode=Mode("memray", meta.native, meta.python_allocators),
        python=meta.python,
        memray=meta.memray,
        started=meta.started,
        duration_s=meta.duration_s if ended else points[-1].time_s,
        exit=Exit(meta.exit_code, meta.signal, meta.verdict, meta.evidence)
        if meta.verdict is not None
        else None,
        checkpoints=points,
        rss_curve=rss_curve,
        peak_rss_bytes=max(
            [sample.bytes for sample in rss_curve]
            + [point.rss_bytes for point in points if point.rss_bytes is not None],
            default=None,
        ),
        processes=tuple(
            Process(seen.pid, seen.parent_pid, seen.command, seen.peak_rss_bytes, seen.exit)
            for seen in meta.processes
        ),
        warning_bytes=meta.warning_bytes,
        critical_bytes=meta.critical_bytes,
        problems=tuple(problems),
    )
