"""Reads a capture's allocations with memray's own reader: the only module here that knows memray.

Everything downstream sees `model.Heap`; another engine need only offer `read_heap`.

memray numbers its memory records ("snapshots") in stream order. An interval of an allocation
record says before which snapshot bytes were allocated and freed: they are alive at the snapshots
in between. The checkpoints are among the snapshots, so their heap, and the growth of every stack
between two of them, follow exactly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from memray import FileReader
from memray._memray import TemporalAllocationRecord

from memdeep.capture.axis import Axis, Snapshot
from memdeep.capture.origins import Origins
from memdeep.capture.stacks import StackTreeBuilder
from memdeep.errors import CaptureError
from memdeep.model import Heap, Lifetime, Peak, Sample, StackBytes, StackTree, Stretch

ALL_RECORDS = 2**31 - 1  # memray thins its memory records to 10,000 unless told otherwise

# Finding the symbols of a native stack is dear. Stacks that never hold this share of the largest
# heap keep their Python frames only.
NATIVE_SHARE = 1 / 2000

# What was alive at a peak is kept for this many peaks, the highest: each costs an entry a stack.
MAX_PEAKS = 200

StackKey = tuple[int, int, int]
Figures = tuple[int, int]  # bytes, allocations


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """What a capture says of its run; ``end_ms`` is None if the program was killed.

    ``rss_curve`` is what memray's own thread read.
    """

    command: str
    pid: int
    native: bool
    python_allocators: bool
    start_ms: int
    end_ms: int | None
    rss_curve: tuple[Sample, ...]


def read_facts(capture: Path) -> CaptureFacts:
    """Read the capture's description. Raises CaptureError if memray cannot read it."""
    with _open(capture) as reader:
        metadata = reader.metadata
        start_ms = _milliseconds(metadata.start_time)
        end_ms = _milliseconds(metadata.end_time)
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
        end_ms=end_ms if end_ms > start_ms else None,
        rss_curve=tuple(curve),
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@contextmanager
def _open(capture: Path) -> Iterator[FileReader]:
    try:
        with FileReader(capture, max_memory_records=ALL_RECORDS) as reader:
            yield reader
    except (OSError, RuntimeError, ValueError) as error:
        raise CaptureError(
            f"{capture} cannot be read: {error}.",
            "The file is damaged beyond what memray's reader can skip; "
            "record again, or copy it again from where it was made.",
        ) from error


def read_heap(
    capture: Path,
    markers: int,
    groups: Sequence[Sequence[Stretch]],
    origins: Origins,
    start_ms: int,
    on_step: Callable[[str], None],
) -> Heap:
    """Read the capture, aligned to ``markers`` checkpoints (besides the run's start and end).

    Peaks are found for each of ``groups``, a sequence of stretches between checkpoints.
    ``start_ms`` (since the epoch) is the zero of times.
    Raises CaptureError if memray cannot read the capture.
    """
    on_step("Reading the trace")
    with _open(capture) as reader:
        snapshots = [Snapshot(*record) for record in reader.get_memory_snapshots()]
        native = reader.metadata.has_native_traces
        on_step("Following every allocation to its end")
        axis = Axis(snapshots, markers)
        stacks = _read_lifetimes(reader.get_temporal_allocation_records(merge_threads=True), axis)
        on_step("Finding the peak of each phase")
        windows, in_window = reader.get_temporal_high_water_mark_allocation_records(
            merge_threads=True
        )
        peak_windows = [_highest(in_window, axis, stretches) for stretches in groups]
        highest = sorted(set(peak_windows), key=in_window.__getitem__, reverse=True)[:MAX_PEAKS]
        at_peaks = _read_peaks(windows, highest, stacks)
        on_step("Naming the stacks")
        nodes, tree = _name_stacks(stacks, at_peaks, native, origins)
    return Heap(
        tree=tree,
        at_checkpoints=_heap_at_checkpoints(stacks.values(), markers + 2),
        lifetimes=_lifetimes(stacks, nodes),
        peaks=tuple(
            Peak(
                bytes=in_window[window],
                time_s=axis.middle_s(window, start_ms),
                stacks=_stack_bytes(at_peaks[window], nodes) if window in at_peaks else None,
            )
            for window in peak_windows
        ),
        curve=tuple(axis.curve(in_window, start_ms)),
        peak_bytes=max(in_window, default=0),
    )


class _Stack:
    """One call stack of the capture, and what it held between checkpoints."""

    __slots__ = ("lifetimes", "record")

    def __init__(self, record: TemporalAllocationRecord) -> None:
        self.record = record
        self.lifetimes: dict[tuple[int, int | None], Figures] = {}


def _key(record: TemporalAllocationRecord) -> StackKey:
    return record.stack_id, record.native_stack_id, record.native_segment_generation


def _read_lifetimes(
    records: Iterable[TemporalAllocationRecord], axis: Axis
) -> dict[StackKey, _Stack]:
    stacks: dict[StackKey, _Stack] = {}
    for record in records:
        stack = stacks.get(_key(record))
        if stack is None:
            stack = stacks[_key(record)] = _Stack(record)
        for interval in record.intervals:
            born = axis.checkpoint_after(interval.allocated_before_snapshot)
            freed = interval.deallocated_before_snapshot
            died = None if freed is None else axis.checkpoint_after(freed)
            if died != born:
                held, count = stack.lifetimes.get((born, died), (0, 0))
                stack.lifetimes[born, died] = (
                    held + interval.n_bytes,
                    count + interval.n_allocations,
                )
    return stacks


def _highest(in_window: Sequence[int], axis: Axis, stretches: Sequence[Stretch]) -> int:
    """The window with the highest heap within ``stretches``."""
    # memray opens no window for snapshots that no allocation follows: the last one is theirs.
    last = len(in_window) - 1
    return max(
        (min(window, last) for stretch in stretches for window in axis.windows(stretch)),
        key=in_window.__getitem__,
    )


def _read_peaks(
    records: Iterable[TemporalAllocationRecord],
    wanted: Iterable[int],
    stacks: dict[StackKey, _Stack],
) -> dict[int, dict[StackKey, Figures]]:
    """For each wanted window, what each stack held at its peak.

    memray 1.20 may report stale bytes here for a stack whose count of allocations came back to
    its value at an earlier peak (seen: 1 KB in 16 MB); the height of the peak itself is right.
    """
    windows = sorted(wanted)
    at_peaks: dict[int, dict[StackKey, Figures]] = {window: {} for window in windows}
    for record in records:
        key = _key(record)
        stacks.setdefault(key, _Stack(record))
        for interval in record.intervals:
            ended = interval.deallocated_before_snapshot
            first = bisect_left(windows, interval.allocated_before_snapshot)
            last = len(windows) if ended is None else bisect_left(windows, ended)
            for window in windows[first:last]:
                held, count = at_peaks[window].get(key, (0, 0))
                at_peaks[window][key] = (
                    held + interval.n_bytes,
                    count + interval.n_allocations,
                )
    return at_peaks


def _name_stacks(
    stacks: dict[StackKey, _Stack],
    at_peaks: dict[int, dict[StackKey, Figures]],
    native: bool,
    origins: Origins,
) -> tuple[dict[StackKey, int], StackTree]:
    """The nodes of all stacks that are seen at a checkpoint or at a peak."""
    largest: dict[StackKey, int] = {}
    for key, stack in stacks.items():
        if stack.lifetimes:
            largest[key] = max(held for held, _ in stack.lifetimes.values())
    for figures in at_peaks.values():
        for key, (held, _) in figures.items():
            largest[key] = max(held, largest.get(key, 0))
    threshold = NATIVE_SHARE * max(
        (sum(held for held, _ in figures.values()) for figures in at_peaks.values()), default=0
    )
    builder = StackTreeBuilder(origins)
    nodes = {}
    for key, held in largest.items():
        record = stacks[key].record
        with_native = native and held >= threshold
        nodes[key] = builder.add(
            record.stack_trace(), record.hybrid_stack_trace() if with_native else None
        )
    return nodes, builder.build()


def _heap_at_checkpoints(stacks: Iterable[_Stack], checkpoints: int) -> tuple[int, ...]:
    changes = [0] * (checkpoints + 1)
    for stack in stacks:
        for (born, died), (held, _) in stack.lifetimes.items():
            changes[born] += held
            if died is not None:
                changes[died] -= held
    return tuple(accumulate(changes[:checkpoints]))


def _lifetimes(stacks: dict[StackKey, _Stack], nodes: dict[StackKey, int]) -> tuple[Lifetime, ...]:
    merged: dict[tuple[int, int, int | None], Figures] = {}
    for key, stack in stacks.items():
        for (born, died), (held, count) in stack.lifetimes.items():
            place = (nodes[key], born, died)
            before = merged.get(place, (0, 0))
            merged[place] = (before[0] + held, before[1] + count)
    return tuple(
        Lifetime(node, born, died, held, count)
        for (node, born, died), (held, count) in merged.items()
    )


def _stack_bytes(
    at_peak: dict[StackKey, Figures], nodes: dict[StackKey, int]
) -> tuple[StackBytes, ...]:
    merged: dict[int, Figures] = {}
    for key, (held, count) in at_peak.items():
        before = merged.get(nodes[key], (0, 0))
        merged[nodes[key]] = (before[0] + held, before[1] + count)
    return tuple(StackBytes(node, held, count) for node, (held, count) in merged.items() if held)
