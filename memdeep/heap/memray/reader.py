"""Reads a capture's allocations with memray's own reader.

It serves where the replay cannot (`heap.choice` says when), and the replay is tested against it.

memray numbers its memory records (its API calls them snapshots) in stream order. An interval of an
allocation record says before which memory record bytes were allocated and freed: they are alive at
those in between. The checkpoints are among the memory records, so their heap, and the growth of
every stack between two of them, follow exactly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from memray import AllocatorType, FileReader
from memray._memray import TemporalAllocationRecord, set_log_level

from memdeep.frozen import field, frozen
from memdeep.heap.damage import check_marked
from memdeep.heap.header import is_closed
from memdeep.heap.lists import LifetimeList, lifetimes_of
from memdeep.heap.memray.axis import CheckpointAxis, MemoryRecord
from memdeep.heap.memray.confined import Confinement
from memdeep.heap.memray.damage import damage_in, read_confined
from memdeep.heap.parts import MAX_PEAKS, NATIVE_SHARE, HeapPart, Part, raised_to_checkpoints
from memdeep.heap.reader import CaptureFacts
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import Asked, Peak, RawFrame, Sample, Stretch
from memdeep.model.alive import AliveStacks
from memdeep.model.sums import Tally, stacks_of

ALL_RECORDS = 2**31 - 1  # memray thins its memory records to 10,000 unless told otherwise

ERRORS = 40  # the level of memray's log that says where its reader gave up

StackKey = tuple[int, int, int]


@frozen
class MemrayReader:
    """Reads one capture; ``changes`` gives, by offset, bytes to read in place of the file's."""

    capture: Path
    changes: Mapping[int, bytes] = field(default_factory=dict)

    def facts(self) -> CaptureFacts:
        return read_confined(
            self.capture, self.changes, lambda path, _: _facts(path), lambda _: None
        )

    def read_part(
        self,
        part: Part,
        groups: Sequence[Sequence[Stretch]],
        builder: StackTreeBuilder,
        start_ms: int,
        on_step: Callable[[str], None],
    ) -> HeapPart:
        on_step("Reading the trace")
        part = part.without_moments()
        trace = read_confined(
            self.capture,
            self.changes,
            lambda path, inside: _read(path, part, groups, inside),
            on_step,
        )
        check_marked(part, trace.axis, trace.damage)
        return raised_to_checkpoints(_heap_part(trace, builder, start_ms), groups)


def _facts(capture: Path) -> CaptureFacts:
    with open_capture(capture) as reader:
        metadata = reader.metadata
        start_ms = _milliseconds(metadata.start_time)
        end_ms = _milliseconds(metadata.end_time)
        closed = is_closed(start_ms, end_ms, metadata.total_allocations)
        curve = [
            Sample(max(0.0, (snapshot.time - start_ms) / 1000), snapshot.rss)
            for snapshot in reader.get_memory_snapshots()
        ]
    return CaptureFacts(
        command=metadata.command_line,
        pid=metadata.pid,
        native=metadata.has_native_traces,
        python_allocators=metadata.trace_python_allocators,
        start_ms=start_ms,
        end_ms=end_ms if closed else None,
        rss_curve=tuple(curve),
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def open_capture(capture: Path) -> FileReader:
    set_log_level(ERRORS)
    return FileReader(capture, max_memory_records=ALL_RECORDS)


def _heap_part(trace: _Trace, builder: StackTreeBuilder, start_ms: int) -> HeapPart:
    part, axis, in_window = trace.part, trace.axis, trace.in_window
    nodes = {key: builder.add(*names) for key, names in trace.names.items()}
    builder.ask(nodes.values(), map(trace.asked.__getitem__, nodes))
    lifetimes = _lifetimes(trace.lifetimes, nodes)
    at_checkpoints = tuple(lifetimes.heap_at(part.last + 1)[part.first :])
    peaks = {
        place: Peak(
            bytes=in_window[window],
            time_s=axis.middle_s(window, start_ms),
            stacks=_alive(trace.at_peaks[window], nodes) if window in trace.at_peaks else None,
            checkpoint=axis.checkpoint_after(window),
        )
        for place, window in trace.peak_windows.items()
    }
    return HeapPart(
        part=part,
        at_checkpoints=at_checkpoints,
        lifetimes=lifetimes,
        peaks=peaks,
        curve=tuple(axis.curve(in_window, start_ms)),
        peak_bytes=max([*in_window, *at_checkpoints], default=0),
        damage=trace.damage,
    )


@frozen
class _Trace:
    """The figures taken from memray's reader; ``names`` are the frames of each stack.

    ``asked`` are the `Asked` of each stack.

    ``part`` ends where the capture is found to be damaged; ``damage`` says how.
    """

    part: Part
    axis: CheckpointAxis
    in_window: list[int]
    peak_windows: dict[int, int]
    lifetimes: dict[StackKey, Tally[tuple[int, int | None]]]
    at_peaks: dict[int, Tally[StackKey]]
    names: dict[StackKey, tuple[list[RawFrame], list[RawFrame] | None]]
    asked: dict[StackKey, int]
    damage: str | None


def _read(
    capture: Path, part: Part, groups: Sequence[Sequence[Stretch]], inside: Confinement
) -> _Trace:
    with open_capture(capture) as reader:
        metadata = reader.metadata
        records = [MemoryRecord(*record) for record in reader.get_memory_snapshots()]
        capture_ms = _milliseconds(metadata.start_time)
        axis = CheckpointAxis(records, part, capture_ms)
        damage = damage_in(part, axis.marked, metadata.total_allocations, inside.said())
        if damage is not None and part.markers:  # without any, its end is where it can be read to
            part = part.up_to(axis.seen)
            axis = CheckpointAxis(records, part, capture_ms)
        inside.step("Following every allocation to its end")
        stacks = _read_lifetimes(reader.get_temporal_allocation_records(merge_threads=True), axis)
        inside.step("Finding the peak of each phase")
        windows, in_window = reader.get_temporal_high_water_mark_allocation_records(
            merge_threads=True
        )
        peak_windows = _peak_windows(groups, part, axis, in_window)
        ranked = sorted(set(peak_windows.values()), key=in_window.__getitem__, reverse=True)
        at_peaks = _read_peaks(windows, ranked[:MAX_PEAKS], stacks)
        inside.step("Naming the stacks")
        names = _names(stacks, at_peaks, metadata.has_native_traces)
    return _Trace(
        part=part,
        axis=axis,
        in_window=list(in_window),
        peak_windows=peak_windows,
        lifetimes={key: stack.lifetimes for key, stack in stacks.items() if stack.lifetimes},
        at_peaks=at_peaks,
        names=names,
        asked={key: stacks[key].asked for key in names},
        damage=damage,
    )


class _Stack:
    """One call stack of the capture, and the bytes it held between checkpoints."""

    __slots__ = ("asked", "lifetimes", "record")

    def __init__(self, record: TemporalAllocationRecord) -> None:
        self.record = record
        self.asked = 0  # of `Asked`
        self.lifetimes: Tally[tuple[int, int | None]] = Tally()


def key_of(record: TemporalAllocationRecord) -> StackKey:
    return record.stack_id, record.native_stack_id, record.native_segment_generation


def asked_by(allocator: int) -> Asked:
    """Return the family of one of memray's allocators."""
    if allocator == AllocatorType.MMAP:
        return Asked.MMAP
    return Asked.PYMALLOC if allocator < AllocatorType.FREE else Asked.MALLOC


def _read_lifetimes(
    records: Iterable[TemporalAllocationRecord], axis: CheckpointAxis
) -> dict[StackKey, _Stack]:
    stacks: dict[StackKey, _Stack] = {}
    for record in records:
        stack = stacks.get(key_of(record))
        if stack is None:
            stack = stacks[key_of(record)] = _Stack(record)
        stack.asked |= asked_by(record.allocator)
        for interval in record.intervals:
            born = axis.checkpoint_after(interval.allocated_before_snapshot)
            freed = interval.deallocated_before_snapshot
            died = None if freed is None else axis.checkpoint_after(freed)
            if died is not None and died > axis.last:
                died = None  # freed after the last checkpoint that this trace knows of
            if died != born and born <= axis.last:
                stack.lifetimes.add((born, died), interval.n_bytes, interval.n_allocations)
    return stacks


def _peak_windows(
    groups: Sequence[Sequence[Stretch]], part: Part, axis: CheckpointAxis, in_window: Sequence[int]
) -> dict[int, int]:
    """Find, for each group with a stretch in ``part``, the window with the highest heap."""
    # memray opens no window for memory records that no allocation follows: the last one is theirs.
    last = len(in_window) - 1
    highest = {}
    for place, stretches in enumerate(groups):
        windows = {
            min(window, last)
            for stretch in stretches
            if part.holds(stretch)
            for window in axis.windows(stretch)
        }
        if windows and in_window:
            highest[place] = max(windows, key=in_window.__getitem__)
    return highest


def _read_peaks(
    records: Iterable[TemporalAllocationRecord],
    wanted: Iterable[int],
    stacks: dict[StackKey, _Stack],
) -> dict[int, Tally[StackKey]]:
    """Read, for each wanted window, the bytes of each stack at the peak.

    memray 1.20 may report stale bytes here for a stack whose count of allocations came back to
    its value at an earlier peak (seen: 1 KB in 16 MB); the height of the peak itself is right.
    """
    windows = sorted(wanted)
    at_peaks: dict[int, Tally[StackKey]] = {window: Tally() for window in windows}
    for record in records:
        key = key_of(record)
        stacks.setdefault(key, _Stack(record)).asked |= asked_by(record.allocator)
        for interval in record.intervals:
            ended = interval.deallocated_before_snapshot
            first = bisect_left(windows, interval.allocated_before_snapshot)
            last = len(windows) if ended is None else bisect_left(windows, ended)
            for window in windows[first:last]:
                at_peaks[window].add(key, interval.n_bytes, interval.n_allocations)
    return at_peaks


def _names(
    stacks: dict[StackKey, _Stack], at_peaks: dict[int, Tally[StackKey]], native: bool
) -> dict[StackKey, tuple[list[RawFrame], list[RawFrame] | None]]:
    """Name the Python frames of each stack seen at a checkpoint or a peak, and the native ones."""
    largest: dict[StackKey, int] = {}
    for key, stack in stacks.items():
        if stack.lifetimes:
            largest[key] = max(held for held, _ in stack.lifetimes.values())
    for figures in at_peaks.values():
        for key, (held, _) in figures.items():
            largest[key] = max(held, largest.get(key, 0))
    threshold = NATIVE_SHARE * max(
        (figures.total_bytes() for figures in at_peaks.values()), default=0
    )
    names = {}
    for key, held in largest.items():
        record = stacks[key].record
        with_native = native and held >= threshold
        names[key] = (
            record.stack_trace(),
            record.hybrid_stack_trace() if with_native else None,
        )
    return names


def _lifetimes(
    lifetimes: dict[StackKey, Tally[tuple[int, int | None]]], nodes: dict[StackKey, int]
) -> LifetimeList:
    tally: Tally[tuple[int, int, int | None]] = Tally()
    for key, of_stack in lifetimes.items():
        for (born, died), (held, count) in of_stack.items():
            tally.add((nodes[key], born, died), held, count)
    return lifetimes_of(tally)


def _alive(at_peak: Tally[StackKey], nodes: dict[StackKey, int]) -> AliveStacks:
    tally: Tally[int] = Tally()
    for key, (held, count) in at_peak.items():
        tally.add(nodes[key], held, count)
    return AliveStacks(tuple(stack for stack in stacks_of(tally) if stack.bytes))
