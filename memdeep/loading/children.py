"""Finds the captures of the processes that a program started, and places them in its run.

Each is read between the checkpoints of the program: what a process set itself is told in a report
of its own.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen, replace
from memdeep.heap import markers
from memdeep.heap.choice import reader_of, reason_for_memray
from memdeep.heap.family import ChildHeap, Moment
from memdeep.heap.header import read_header
from memdeep.heap.native_names import RunSymbols
from memdeep.heap.parts import Asked, HeapPart, Part, TimeCut
from memdeep.heap.reader import CaptureReader
from memdeep.heap.replay import saved
from memdeep.heap.stacks import Owner, StackTreeBuilder
from memdeep.loading.consistency import MAX_CLOCK_STEP_MS
from memdeep.loading.ends import events_of
from memdeep.loading.split import Question
from memdeep.model import DETACHED, Process
from memdeep.record.how import MOMENT_MS
from memdeep.rundir import births, journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event

MAX_PROBLEMS = 20  # of each kind
NEAREST_MS = MOMENT_MS // 2  # a cut is made at the next record of the time: so at the nearest


@frozen
class Axis:
    """The times of the program's run that captures are cut at.

    ``start`` is the start of the program, ``times_s`` are those of its checkpoints. ``questions``
    are for the captures of single processes, by index. ``problems`` are those that the program has
    told.
    """

    start: Event
    times_s: Sequence[float]
    moments: Sequence[Moment]
    questions: Mapping[int, Sequence[Question]] = field(default_factory=dict)
    problems: Collection[str] = ()


@frozen
class Child:
    """The capture of a process (its index in the run), as a part of the program's run.

    ``start_ms`` is the start of the program by the clock of the process, since the epoch. ``ended``
    is the checkpoint that ends the segment in which the process ended, at ``end_s``; None if it was
    alive at the last one: then it is read up to ``until_s``.
    """

    process: int
    part: Part
    reader: CaptureReader
    start_ms: int
    ended: int | None
    end_s: float | None
    until_s: float = math.inf

    def read(self, builder: StackTreeBuilder, on_step: Callable[[str], None]) -> ChildHeap:
        """Read its heap between the checkpoints of the program. Raises CaptureError."""
        part = self.reader.read_part(self.part, (), builder, self.start_ms, on_step)
        return ChildHeap(up_to(part, self.until_s), self.process, self.ended, self.end_s)


def find_children(
    run_dir: RunDirectory,
    processes: Sequence[Process],
    axis: Axis,
    names: RunSymbols | None,
) -> tuple[tuple[Child, ...], list[str]]:
    """Return the captures of ``processes``, and the sentences on those that cannot be read.

    ``names`` are those of native frames that were stored with the run.
    """
    found, problems = [], []
    own_problems: Counter[str] = Counter()
    for place, process in enumerate(processes):
        if process.directory is None:
            continue
        of_process = RunDirectory(run_dir.path / process.directory)
        events = events_of(of_process, process.pid)
        own = [event.label for event in events if event.kind == journal.PROBLEM]
        own_problems.update(own)
        if own and not any(event.kind == journal.TRACE for event in events):
            continue  # nothing was traced: it says why itself
        try:
            owner = Owner(place, f"{process.how} {process.pid}")
            child = _child(of_process, owner, process, axis, events, names)
            _check_end(of_process, events)
            found.append(child)
        except CaptureError as error:
            problems.append(not_known(error.message, process.pid))
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        problems = [
            *problems[:MAX_PROBLEMS],
            f"The heap of {more:,} more processes is not known either.",
        ]
    for sentence, count in own_problems.most_common(MAX_PROBLEMS):
        where = "a process" if count == 1 else f"{count:,} processes"
        if sentence not in axis.problems:
            problems.append(f"In {where} that the program started: {sentence}")
    return tuple(found), problems


def not_known(reason: str, pid: int) -> str:
    """Return the sentence on a process whose capture cannot be read."""
    return f"{reason} The heap of process {pid} is not known."


def _child(
    run_dir: RunDirectory,
    owner: Owner,
    process: Process,
    axis: Axis,
    events: Sequence[Event],
    names: RunSymbols | None,
) -> Child:
    """Place the capture of ``process`` between the checkpoints. Raises CaptureError."""
    start = _start(events, axis.start)
    start_ms = (start.epoch_ns - start.monotonic_ns + axis.start.monotonic_ns) // 1_000_000
    capture = run_dir.capture()
    header = read_header(capture)
    if header.pid not in (None, process.pid % births.HOSTS):
        raise CaptureError(
            f"{capture} was recorded in another process than the one it lies with.",
            "Put the files of one run together.",
        )
    born_ms = start_ms + 1000 * (process.start_s or 0.0)
    if header.start_ms is not None and abs(header.start_ms - born_ms) > MAX_CLOCK_STEP_MS:
        raise CaptureError(
            f"{capture} was recorded at another time than that of its process.",
            "Put the files of one run together.",
        )
    born_s = process.start_s or 0.0
    first, last, ended = _lived(process, axis.times_s)
    if process.pid == axis.start.pid and last == len(axis.times_s) - 1:
        ended = None  # it took the place of the program: what it held, it held to the run's end
    end_s = math.inf if ended is None or process.end_s is None else process.end_s
    ends = [
        ((segment, True), axis.times_s[segment], None)
        for segment in range(first, last + (ended is None))  # what outlived the run is cut there
    ]
    questions = axis.questions.get(owner.process, ())
    inner = [
        ((moment.segment, False), moment.time_s, moment.number)
        for moment in (*axis.moments, *(moment for moment, _ in questions))
        if first <= moment.segment <= last and born_s <= moment.time_s <= end_s
    ]
    since_ms = start_ms - (start_ms if header.start_ms is None else header.start_ms)
    known = [event for event in events if event.kind in journal.CHECKPOINTS]
    known.sort(key=lambda event: event.time_us)
    own_s = (start.monotonic_ns - axis.start.monotonic_ns) / 1e9
    set_s = [own_s + event.time_us / 1e6 for event in known]

    def cut(time_s: float, moment: int | None) -> TimeCut:
        later = bisect_right(set_s, time_s)
        before = known[later].sequence if later < len(known) else None
        return TimeCut(round(since_ms + 1000 * time_s) - NEAREST_MS, 0, moment, before)

    cuts = tuple(cut(time_s, number) for _, time_s, number in sorted([*ends, *inner]))
    return Child(
        process=owner.process,
        part=Part(capture, first, last, len(cuts), cuts=cuts, owner=owner, asked=_asked(questions)),
        reader=reader_of(capture, reason_for_memray(capture), {}, names),
        start_ms=start_ms,
        ended=ended,
        end_s=None if ended is None else process.end_s,
        until_s=math.inf if ended is not None else axis.times_s[-1],
    )


def _lived(process: Process, times_s: Sequence[float]) -> tuple[int, int, int | None]:
    """Return the segments in which a process was born and died, and where it ended, if it did.

    Segments are named by the checkpoint that ends them. A process of which nothing tells how long
    it lived did not end.
    """
    last = len(times_s) - 1
    born_s = process.start_s or 0.0
    first = min(max(1, bisect_right(times_s, born_s)), last)
    if process.verdict == DETACHED or process.end_s is None:
        return first, last, None
    if process.end_s >= times_s[-1]:
        return first, last, None
    ended = max(first, bisect_left(times_s, process.end_s))
    return first, ended, ended


def _start(events: Sequence[Event], start: Event) -> Event:
    """Find the start of a process in its journal, or else take that of the program.

    All processes of one machine share a clock that only goes forward.
    """
    return next((event for event in events if event.kind == journal.START), start)


def _check_end(run_dir: RunDirectory, events: Sequence[Event]) -> None:
    """Raise CaptureError if the capture ends before the event at which the trace ended."""
    kinds = (journal.EXIT, journal.UNTRACE)
    ends = [event for event in events if event.kind in kinds]
    capture = run_dir.capture()
    if ends and all(
        ends[0].sequence != sequence
        for _, sequence in markers.find(capture, run_dir.markers(), saved.covered_bytes(capture))
    ):
        raise CaptureError(
            f"{capture} ends before its process did, as when memray cannot write.",
            "Free some space on the disk of the run directory.",
        )


def with_cuts(
    part: Part,
    start_ms: int,
    moments: Sequence[Moment],
    questions: Sequence[Question] = (),
    until_s: float | None = None,
) -> Part:
    """Return a part of the program's own with cuts at those of ``moments`` that lie in it.

    So at those of ``questions``. If it lasts to the end of the run, it is cut at ``until_s`` too.
    """
    inner = [moment for moment in moments if part.first <= moment.segment <= part.last]
    inner += [moment for moment, _ in questions if part.first < moment.segment <= part.last]
    header = read_header(part.capture)
    since_ms = start_ms - (start_ms if header.start_ms is None else header.start_ms)

    def cut(time_s: float, after: int, moment: int | None = None) -> TimeCut:
        return TimeCut(round(since_ms + 1000 * time_s) - NEAREST_MS, after, moment)

    cuts = [
        cut(
            moment.time_s,
            min(part.markers, moment.segment - max(1, part.first)),
            moment.number,
        )
        for moment in sorted(inner, key=lambda one: (one.segment, one.time_s))
    ]
    if until_s is not None and part.last == len(part.threads) - 1:
        cuts.append(cut(until_s, part.markers))
    if not cuts:
        return part
    markers = part.markers + len(cuts)
    return replace(part, cuts=tuple(cuts), markers=markers, asked=_asked(questions))


def _asked(questions: Sequence[Question]) -> dict[int, Asked]:
    return {moment.number: asked for moment, asked in questions}


def up_to(heap: HeapPart, end_s: float) -> HeapPart:
    """Return ``heap`` without what was read of it after ``end_s``: a cut is a checkpoint's only."""
    curve = tuple(sample for sample in heap.curve if sample.time_s <= end_s)
    if len(curve) == len(heap.curve):
        return heap
    known = [*(sample.bytes for sample in curve), *heap.at_checkpoints]
    peaks = [peak.bytes for peak in heap.peaks.values()]
    highest = heap.highest
    if highest is not None and (highest[1].time_s is None or highest[1].time_s > end_s):
        highest = None
    size = max([*known, *peaks], default=0)
    return replace(heap, curve=curve, peak_bytes=size, highest=highest)
