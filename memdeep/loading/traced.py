"""Finds, from the journal and the captures, which stretches of a run were traced.

A capture that cannot be read, or is of another run, is left out with a sentence on it.

Within a capture the order of the markers is the program's order; a checkpoint whose marker never
reached it (the program died in between) comes after the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen, replace
from memdeep.heap import markers
from memdeep.heap.header import CaptureHeader, read_header
from memdeep.heap.markers import Alignment, MarkerFigures
from memdeep.heap.parts import Part, Walked
from memdeep.heap.replay import engine, saved
from memdeep.loading import checkpoints, consistency
from memdeep.rundir import graph, journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event


@frozen
class _Window:
    """A stretch of the journal (sequence numbers) in which a trace was running.

    It began at ``time_us`` since the start of the run.
    """

    number: int
    from_start: bool
    begin: int
    end: int | None
    time_us: int


@frozen
class Traced:
    """The checkpoints of a run in program order, and its captures.

    ``alignments`` are the markers of each capture, by its number. ``in_flight`` is the number of
    events that threads had begun and not written when the recording ended; ``beyond`` that of those
    that are marked after the last line of the journal, whose end is lost.
    """

    ordered: list[Event]
    parts: tuple[Part, ...] = ()
    problems: tuple[str, ...] = ()
    alignments: Mapping[int, Alignment] = field(default_factory=dict)
    in_flight: int = 0
    beyond: int = 0


def align_parts(
    run_dir: RunDirectory, events: Sequence[Event], start: Event, *, is_over: bool = False
) -> Traced:
    """Align all captures with the checkpoints of the run that began with ``start``.

    If it ``is_over``, no marker can have been written since ``events`` were read.
    """
    points = {event.sequence: event for event in events if event.kind in checkpoints.KINDS}
    left = sorted(points)
    ordered: list[Event] = []
    parts: list[Part] = []
    problems: list[str] = []
    alignments: dict[int, Alignment] = {}
    in_flight = 0
    for window in _windows(events, has_capture=run_dir.capture().exists()):
        before, inside, left = _cut(left, window)
        ordered.extend(points[sequence] for sequence in before)
        first = 0 if window.from_start else len(ordered) + 1
        try:
            alignment = _align(run_dir, window, {n: points[n] for n in inside}, start)
        except CaptureError as error:
            problems.append(lost(error))
            ordered.extend(points[sequence] for sequence in inside)
            continue
        alignments[window.number] = alignment
        in_flight = _in_flight(events, window, alignment)
        placed = alignment.sequences
        unplaced = sorted(set(inside) - set(placed))
        ordered.extend(points[sequence] for sequence in [*placed, *unplaced])
        last = len(points) + 1 if window.end is None else len(ordered)
        count = len(inside)
        capture = run_dir.capture(window.number)
        end = consistency.end_of_run(events) if window.end is None else window.end
        early = consistency.problem(capture, end, points, alignment, unplaced)
        if early is not None:
            last, count = len(ordered) - len(unplaced), len(placed)
        if last >= first:
            parts.append(Part(capture, first, last, count, frozenset(placed), early))
        elif early is not None:
            problems.append(early)
    ordered.extend(points[sequence] for sequence in left)
    beyond = _beyond(events, alignments.values()) if is_over else 0
    if beyond:
        problems.append(
            f"The end of the journal is lost: {beyond:,} of the events that are marked in the "
            "trace come after its last line."
        )
    return Traced(ordered, tuple(parts), tuple(problems), alignments, in_flight, beyond)


def _in_flight(events: Sequence[Event], window: _Window, alignment: Alignment) -> int:
    """Count the events that have neither a line nor a marker as the recording ended before.

    That happens where a program goes on and its threads set checkpoints: each owes one at most. If
    there are more, or no end was written, something else has happened to them.
    """
    if window.end is not None or consistency.end_of_run(events) is None:
        return 0
    numbers = {event.sequence for event in events} | {*alignment.sequences, *alignment.others}
    inside = [number for number in numbers if number > window.begin]
    absent = max(inside, default=window.begin) - window.begin - len(inside)
    return absent if absent <= len({event.thread_id for event in events}) else 0


def _beyond(events: Sequence[Event], alignments: Iterable[Alignment]) -> int:
    """Count the markers in the captures that come after the last event of the journal."""
    last = max((event.sequence for event in events), default=0)
    return sum(number > last for one in alignments for number in one.others)


def find_walked(run_dir: RunDirectory, places: Mapping[int, int]) -> dict[int, Walked]:
    """Return, by checkpoint, how to read the objects there; nothing is read yet.

    ``places`` has the checkpoint of each sequence number. The start of the program has no marker
    in a capture.
    """
    found = {}
    for path in run_dir.graphs():
        sequence = graph.sequence_of(path)
        if sequence and sequence in places and path.is_file():
            found[places[sequence]] = Walked(sequence, partial(graph.read, path))
    return found


def lost(error: CaptureError) -> str:
    """Return the sentence on an ``error`` that costs a run its heap, or a part of it."""
    return f"{error.message} The heap is not known where it would tell."


def _align(
    run_dir: RunDirectory, window: _Window, points: Mapping[int, Event], start: Event
) -> Alignment:
    """Align the capture of ``window`` with its checkpoints. Raises CaptureError."""
    capture = run_dir.capture(window.number)
    header = read_header(capture)
    consistency.check_capture(capture, header, start, window.time_us)
    figures = _Figures(points, start.epoch_ns // 1_000_000, header)
    covered = saved.covered_bytes(capture) if engine.is_built() else 0
    return markers.align(capture, run_dir.markers(window.number), figures, covered)


class _Figures:
    """Gives the figures of a checkpoint within a capture, by its sequence number."""

    def __init__(self, points: Mapping[int, Event], start_ms: int, header: CaptureHeader) -> None:
        self._points = points
        self._start_ms = start_ms
        self._header = header

    def __call__(self, sequence: int) -> MarkerFigures | None:
        event = self._points.get(sequence)
        if event is None:
            return None
        return figures_of(event, self._start_ms, self._header)


def figures_of(event: Event, start_ms: int, header: CaptureHeader) -> MarkerFigures:
    """Return the figures of a checkpoint of the run that began at ``start_ms`` in a capture."""
    time_ms = start_ms - (header.start_ms or 0) + event.time_us // 1000
    return MarkerFigures(event.rss_bytes or 0, max(0, time_ms))


def _windows(events: Sequence[Event], *, has_capture: bool) -> list[_Window]:
    windows: list[_Window] = []
    for event in events:
        if event.kind == journal.TRACE:
            from_start = event.note == journal.FROM_START
            number = len(windows) + 1
            windows.append(_Window(number, from_start, event.sequence, None, event.time_us))
        elif event.kind == journal.UNTRACE and windows:
            windows[-1] = replace(windows[-1], end=event.sequence)
    if not windows and has_capture:  # the line was lost: then it was all of the run
        return [_Window(1, from_start=True, begin=0, end=None, time_us=0)]
    # A trace that could not be started ends at once, and has no capture.
    return [window for window in windows if window.end != window.begin + 1]


def _cut(sequences: Sequence[int], window: _Window) -> tuple[list[int], list[int], list[int]]:
    """Divide ``sequences`` into those before, within and after ``window``."""
    end = float("inf") if window.end is None else window.end
    before = [sequence for sequence in sequences if sequence < window.begin]
    inside = [sequence for sequence in sequences if window.begin < sequence < end]
    after = [sequence for sequence in sequences if sequence > end]
    return before, inside, after
