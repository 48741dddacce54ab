"""Finds, from the journal and the captures, which stretches of a run were traced.

Within a capture the order of the markers is the program's order; a checkpoint whose marker never
reached it (the program died in between) comes after the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memdeep import journal
from memdeep.capture import checkpoints, early_end, markers
from memdeep.capture.engines import reason_for_memray
from memdeep.capture.header import CaptureHeader, read_header
from memdeep.capture.markers import MarkerFigures
from memdeep.capture.parts import Part
from memdeep.errors import OutputError
from memdeep.journal import Event
from memdeep.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of the journal (sequence numbers) in which a trace was running."""

    number: int
    from_start: bool
    begin: int
    end: int | None


def align_parts(
    run_dir: RunDirectory, events: Sequence[Event], start_ms: int
) -> tuple[list[Event], tuple[Part, ...], list[str]]:
    """Align all captures of a run: its checkpoints in program order, the parts, the problems.

    ``start_ms`` is when the program started, since the epoch. Raises CaptureError or OutputError.
    """
    problems: list[str] = []
    points = {event.sequence: event for event in events if event.kind in checkpoints.KINDS}
    left = sorted(points)
    ordered: list[Event] = []
    parts: list[Part] = []
    for window in _windows(events, has_capture=run_dir.capture().exists()):
        before, inside, left = _cut(left, window)
        ordered.extend(points[sequence] for sequence in before)
        first = 0 if window.from_start else len(ordered) + 1
        capture = run_dir.capture(window.number)
        figures = _Figures({n: points[n] for n in inside}, start_ms, read_header(capture))
        placed = _align(capture, run_dir.markers(window.number), figures)
        unplaced = sorted(set(inside) - set(placed))
        ordered.extend(points[sequence] for sequence in [*placed, *unplaced])
        last = len(points) + 1 if window.end is None else len(ordered)
        count = len(inside)
        end = early_end.end_of_run(events) if window.end is None else window.end
        problem = early_end.problem(capture, end, points, placed, unplaced)
        if problem is not None:
            problems.append(problem)
            last, count = len(ordered) - len(unplaced), len(placed)
        if last >= first:
            parts.append(Part(capture, first, last, count, frozenset(placed)))
    ordered.extend(points[sequence] for sequence in left)
    return ordered, tuple(parts), problems


def _align(capture: Path, places: Path, figures: _Figures) -> Sequence[int]:
    """Align a capture; returns the sequence numbers of its checkpoints in stream order.

    Where it may not be written to, the replay finds the markers as they are.
    """
    try:
        return markers.align(capture, places, figures)
    except OutputError:
        if reason_for_memray(capture) is not None:
            raise
        found = markers.sequences(capture, places)
        return [sequence for sequence in found if figures(sequence) is not None]


class _Figures:
    """Gives, for a sequence number within a capture, what to write in its marker's place."""

    def __init__(self, points: Mapping[int, Event], start_ms: int, header: CaptureHeader) -> None:
        self._points = points
        self._offset_ms = start_ms - (header.start_ms or 0)

    def __call__(self, sequence: int) -> MarkerFigures | None:
        event = self._points.get(sequence)
        if event is None:
            return None
        time_ms = self._offset_ms + event.time_us // 1000
        return MarkerFigures(event.rss_bytes or 0, max(0, time_ms))


def _windows(events: Sequence[Event], *, has_capture: bool) -> list[_Window]:
    windows: list[_Window] = []
    for event in events:
        if event.kind == journal.TRACE:
            from_start = event.note == journal.FROM_START
            windows.append(_Window(len(windows) + 1, from_start, event.sequence, None))
        elif event.kind == journal.UNTRACE and windows:
            windows[-1] = replace(windows[-1], end=event.sequence)
    if not windows and has_capture:  # the line was lost: then it was all of the run
        return [_Window(1, from_start=True, begin=0, end=None)]
    # A trace that could not be started ends at once, and has no capture.
    return [window for window in windows if window.end != window.begin + 1]


def _cut(sequences: Sequence[int], window: _Window) -> tuple[list[int], list[int], list[int]]:
    """``sequences`` before, within and after ``window``."""
    end = float("inf") if window.end is None else window.end
    before = [sequence for sequence in sequences if sequence < window.begin]
    inside = [sequence for sequence in sequences if window.begin < sequence < end]
    after = [sequence for sequence in sequences if sequence > end]
    return before, inside, after
