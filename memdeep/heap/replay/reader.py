"""Reads a capture with the replay: one pass, then the figures by checkpoint and by node.

Knows the columns of `Trace`, not how the replay makes them. The replay's segments end at every
marker it meets and at the part's cuts; a segment is named by the next checkpoint at its end or
after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.errors import CaptureError
from memdeep.heap import native_names
from memdeep.heap.damage import HOLED, check_marked, lacks, shortened, up_to_there
from memdeep.heap.native_names import RunSymbols
from memdeep.heap.parts import (
    MARK,
    MAX_PEAKS,
    NATIVE_SHARE,
    HeapPart,
    LostLines,
    Part,
    UnseenFrees,
    raised_to_checkpoints,
)
from memdeep.heap.reader import CaptureFacts
from memdeep.heap.replay.axis import CheckpointAxis
from memdeep.heap.replay.blocks import block_looks
from memdeep.heap.replay.columns import NEVER, packed, unsigned
from memdeep.heap.replay.engine import Earlier, Work, advance, begin, replay
from memdeep.heap.replay.nodes import site_nodes, thread_name
from memdeep.heap.replay.ranges import Question, in_ranges, range_looks
from memdeep.heap.replay.residency import Found, Look, looks, residency
from memdeep.heap.replay.resume import Stop, resumed
from memdeep.heap.replay.saved import write
from memdeep.heap.replay.trace import Cut, NativeFrames, Trace
from memdeep.heap.replay.walked import snapshots
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import (
    Alive,
    LargeAllocation,
    Lifetimes,
    Peak,
    RawFrame,
    Residency,
    Sample,
    Stretch,
)
from memdeep.model import Earlier as EarlierBytes
from memdeep.rundir.mappings import Reading
from memdeep.symbols.store import StoredSymbols

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

# Single allocations: for each segment between checkpoints, and about so many over all of them.
LARGEST = 20
MAX_LARGEST = 20_000

# CPython's functions that create a sub-interpreter, or run code in it, from 3.12 to 3.14. There
# memray has no profile function.
SUB_INTERPRETER_CALLS = frozenset(
    {
        *("Py_NewInterpreterFromConfig", "Py_NewInterpreter", "new_interpreter", "interp_create"),
        *("_run_script", "_run_script_in_interpreter", "_run_in_interpreter", "interp_exec"),
        *("interp_run_string", "interp_run_func", "interp_call", "interp_destroy"),
        *("channel_run_string", "Py_EndInterpreter", "_PyXI_Enter"),
    }
)


class ReplayReader:
    """Reads one capture.

    After `facts`, the pass that it took serves the next `read_part` of a part without cuts too.
    ``changes`` gives, by offset, bytes to read in place of the file's. Without ``names``, native
    frames are named from this machine's files where these can be read. ``readings`` are those of
    the mappings, by checkpoint.
    """

    __slots__ = ("_capture", "_changes", "_names", "_readings", "_trace")

    def __init__(
        self,
        capture: Path,
        changes: Mapping[int, bytes] | None = None,
        names: NativeFrames | None = None,
        readings: Mapping[int, Reading] | None = None,
    ) -> None:
        self._capture = capture
        self._readings = readings or {}
        self._changes = changes or {}
        self._names = names
        self._trace: Trace | None = None

    def facts(self) -> CaptureFacts:
        self._trace = trace = replay(self._capture, lambda step: None, Work(self._changes))
        head, windows = trace.header, trace.windows
        return CaptureFacts(
            command=head.command_line,
            pid=head.pid,
            native=head.native,
            python_allocators=head.python_allocators,
            start_ms=head.start_ms,
            end_ms=head.end_ms if head.is_closed else None,
            rss_curve=tuple(
                Sample(max(0.0, (time_ms - head.start_ms) / 1000), rss)
                for cut, time_ms, rss in zip(windows.cut, windows.time_ms, windows.rss, strict=True)
                if cut not in (Cut.THREAD_MARKER, Cut.END, Cut.EARLIER)
            ),
        )

    def read_part(
        self,
        part: Part,
        groups: Sequence[Sequence[Stretch]],
        builder: StackTreeBuilder,
        start_ms: int,
        on_step: Callable[[str], None],
    ) -> HeapPart:
        on_step("Replaying the trace")
        part, trace, asked = self._replayed(part, on_step)
        ranges, listed = list(range_looks(part)), list(block_looks(part))
        axis = CheckpointAxis(trace, part)
        damage = damage_in(trace, part)
        check_marked(part, axis, damage)
        if damage is not None and part.markers:  # without any, its end is where it can be read to
            part = part.up_to(axis.seen)
            axis = CheckpointAxis(trace, part)
        on_step("Finding the peak of each phase")
        peak_windows = axis.peak_windows(groups)
        heights = trace.windows.peak
        top = _top(trace, axis) if part.owner is not None else None
        tops = [] if top is None else [top]
        segments = _highest_segments(trace, [*peak_windows.values(), *tops])
        on_step("Naming the stacks")
        watched = peak_windows.values() or range(len(heights))
        highest = max((heights[window] for window in watched), default=0)
        hybrid = self._hybrid_stacks(trace, segments, highest)
        names_of_threads = _thread_names(axis, part)
        nodes = site_nodes(trace, builder, hybrid, names_of_threads, part.owner)
        builder.ask(nodes, trace.sites.asked)
        on_step("Adding up what each stack held")
        lifetimes, transients = trace.at_checkpoints(nodes, axis.ends)
        transients = transients.without(builder.recordings())
        at_checkpoints = tuple(lifetimes.heap_at(part.last + 1)[part.first :])
        at_peaks = dict(zip(segments, trace.at_peaks(segments, nodes), strict=True))
        walked, unread = snapshots(trace, listed, part, nodes)
        ended = trace.windows.segment

        def peak(window: int) -> Peak:
            middle_s = axis.middle_s(window, start_ms)
            segment = ended[window]
            return Peak(heights[window], middle_s, at_peaks.get(segment), axis.ends[segment])

        heap = HeapPart(
            part=part,
            at_checkpoints=at_checkpoints,
            lifetimes=lifetimes,
            peaks={place: peak(window) for place, window in peak_windows.items()},
            highest=None if top is None else (axis.ends[ended[top]], peak(top)),
            curve=tuple(axis.curve(start_ms)),
            peak_bytes=max([*heights, *at_checkpoints], default=0),
            transients=transients,
            largest=_largest(trace, axis.ends, nodes, builder),
            damage=damage,
            lost_lines=tuple(_lost_lines(trace, axis.ends, names_of_threads)),
            sub_interpreter_bytes=_bytes_of(
                {nodes[site] for site in _of_sub_interpreters(trace, hybrid)},
                (lifetimes, transients),
            ),
            unseen_frees=UnseenFrees(trace.totals.unseen_frees, trace.totals.unseen_bytes),
            own_peaks=axis.own_peaks(trace, names_of_threads),
            native_nodes=_native_nodes(trace, axis.ends, part),
            residency=_residency(trace, asked, nodes),
            snapshots=walked,
            unread=unread,
            at_moments=_at_moments(trace, axis, part, nodes),
            earlier=_earlier(trace),
            in_ranges=in_ranges(
                [(one, trace.found_at(one)) for one in ranges if one.moment in axis.moments], nodes
            ),
        )
        return raised_to_checkpoints(heap, groups)

    def _replayed(
        self, part: Part, on_step: Callable[[str], None]
    ) -> tuple[Part, Trace, Sequence[Look]]:
        """Replay a part, if `facts` has not done so, with the cuts that its state knows.

        Return with it the looks at the readings in it.
        """
        known, self._trace = self._trace, None
        is_plain = not (part.cuts or part.walked or part.earlier or part.owner)
        if known is not None and is_plain:
            return part, known, looks(part, self._readings)
        engine = begin(self._capture, in_family=part.owner is not None)
        part = resumed(part, engine)
        asked = looks(part, self._readings)
        return part, replay(self._capture, on_step, self._work(part, engine, asked), engine), asked

    def save(self, part: Part, stop: Stop, path: Path) -> int:
        """Save to ``path`` the state of the capture at a ``stop``, and return where that is.

        Raises OSError, or CaptureError where the capture is damaged before it.
        """
        engine = begin(self._capture, in_family=part.owner is not None)
        part = resumed(part, engine, stop.time_ms)
        places = {number: place + 1 for place, number in part.moments.items()}
        for moment in stop.keeping:
            if moment in places:
                engine.keep_at(places[moment])
        work = self._work(part, engine, looks(part, self._readings))
        advance(engine, self._capture, work, stop.offset)
        if damage := engine.totals()["damage"]:
            raise CaptureError(f"{self._capture.name} is damaged: {up_to_there(damage)}.", "")
        for moment in stop.over:
            if moment in places:
                engine.let_go(places[moment])
        write(engine, path)
        return engine.position()

    def _work(self, part: Part, engine: Replay, asked: Sequence[Look]) -> Work:
        """Return what to do with the rest of a part, of which ``engine`` has seen the beginning."""
        questions: list[Question | Earlier] = [Earlier(part.earlier)] if part.earlier else []
        questions += [*asked, *range_looks(part), *block_looks(part)]
        return Work(self._changes, questions, part.cuts[len(engine.cuts_made()) :])

    def _hybrid_stacks(
        self, trace: Trace, segments: Sequence[int], highest_bytes: int
    ) -> Mapping[int, Sequence[RawFrame]]:
        """Name the native frames of the sites that hold most, as far as they can be named."""
        if not trace.header.native:
            return {}
        names = self._names
        if names is None and native_names.is_installed():
            names = RunSymbols(StoredSymbols(), trace.end_s())
        sites = trace.weighty_sites(segments, ceil(NATIVE_SHARE * highest_bytes), NATIVE_SHARE)
        return {} if names is None else names.hybrid_stacks(trace, sites)


def _thread_names(axis: CheckpointAxis, part: Part) -> set[tuple[int, str]]:
    """Return the names of threads that set checkpoints, each with the capture's identifier."""
    found = set()
    for checkpoint, name in enumerate(part.threads):
        if checkpoint in axis.setters and name is not None:
            found.add((axis.setters[checkpoint], name))
    return found


def damage_in(trace: Trace, part: Part) -> str | None:
    """Describe the damage of the capture; None if it is sound, or only torn at its end."""
    head, totals = trace.header, trace.totals
    if totals.damage:
        return up_to_there(totals.damage)
    calls = sum(totals.calls)
    is_cut = part.early_end is None or lacks(part, calls, head.allocations)
    if head.is_closed and totals.truncated and is_cut:
        return shortened(calls, head.allocations)
    return up_to_there(HOLED) if trace.has_hole else None


def _lost_lines(
    trace: Trace, ends: Sequence[int], names: Collection[tuple[int, str]]
) -> Iterator[LostLines]:
    """Find the threads that lost their Python frames, before the last checkpoint."""
    for lost in trace.lost:
        if ends[lost.segment] != NEVER:
            identifier, _ = trace.threads[lost.thread]
            is_main = identifier == trace.header.main_thread
            name = None if is_main else thread_name(trace, lost.thread, names)
            yield LostLines(name, ends[lost.segment], lost.bytes, lost.most_bytes)


def _of_sub_interpreters(trace: Trace, hybrid: Mapping[int, Sequence[RawFrame]]) -> Iterator[int]:
    """Find the sites without Python frames whose native ones are a sub-interpreter's."""
    for site, stack in hybrid.items():
        names = {function for function, _, _ in stack}
        if not trace.sites.node[site] and not names.isdisjoint(SUB_INTERPRETER_CALLS):
            yield site


def _bytes_of(nodes: AbstractSet[int], all_rows: Iterable[Lifetimes]) -> int:
    """Add up what the stacks of ``nodes`` allocated."""
    if not nodes:
        return 0
    return sum(life.bytes for rows in all_rows for life in rows if life.node in nodes)


def _highest_segments(trace: Trace, windows: Iterable[int]) -> list[int]:
    """Return the segments of the highest peaks, ascending: their stacks are kept."""
    heights, segments = trace.windows.peak, trace.windows.segment
    ranked = sorted(set(windows), key=heights.__getitem__, reverse=True)[:MAX_PEAKS]
    return sorted({segments[window] for window in ranked})


def _top(trace: Trace, axis: CheckpointAxis) -> int | None:
    """Return the window of the highest heap that ends at a checkpoint; None if none is high."""
    heights, segments = trace.windows.peak, trace.windows.segment
    known = (window for window in range(len(heights)) if axis.ends[segments[window]] != NEVER)
    top = max(known, key=heights.__getitem__, default=None)
    return None if top is None or not heights[top] else top


def _native_nodes(trace: Trace, ends: Sequence[int], part: Part) -> tuple[int, ...]:
    """Return the nodes of the tracker's tree of native stacks at each checkpoint of ``part``."""
    at_ends: dict[int, int] = {}
    for end, nodes in zip(ends, trace.native_nodes(), strict=True):
        at_ends[end] = max(nodes, at_ends.get(end, 0))
    known = accumulate((at_ends.get(k, 0) for k in range(part.first, part.last + 1)), max)
    return tuple(known)


def _residency(trace: Trace, asked: Sequence[Look], nodes: Sequence[int]) -> tuple[Residency, ...]:
    """Join the readings with what was alive at each: at the start, with what was there before."""
    is_known = bool(trace.totals.earlier_sites)
    found = [
        (look, trace.found_at(look) if look.checkpoint or is_known else Found(())) for look in asked
    ]
    return residency([(look, one) for look, one in found if one is not None], nodes)


def _earlier(trace: Trace) -> EarlierBytes:
    totals = trace.totals
    if not totals.earlier_sites:
        return EarlierBytes(unknown_frees=totals.unknown_frees)
    return EarlierBytes(totals.earlier_blocks, totals.earlier_bytes, totals.unknown_frees)


def _at_moments(
    trace: Trace, axis: CheckpointAxis, part: Part, nodes: Sequence[int]
) -> dict[int, Alive]:
    """Return what was alive at each moment: at the end of the segment that it ends."""
    moments = {
        one: segment
        for one, segment in axis.moments.items()
        if one > MARK and one not in part.asked
    }
    if not moments:
        return {}
    by_segment, _ = trace.at_checkpoints(nodes, range(1, len(axis.ends) + 1))
    return {moment: by_segment.alive_at(segment + 1) for moment, segment in moments.items()}


def _largest(
    trace: Trace, ends: Sequence[int], nodes: Sequence[int], builder: StackTreeBuilder
) -> tuple[LargeAllocation, ...]:
    """Return the largest of each segment: the program's own first, then by size."""
    from memdeep.heap.replay._replay import ranked

    rows, is_own = trace.largest, builder.recordings()
    ended = [ends[birth] for birth in rows.born]
    groups = len(set(ended) - {NEVER})
    most = min(LARGEST, 1 + MAX_LARGEST // max(1, groups))
    last = bytes([is_own[nodes[site]] for site in rows.site])
    found = []
    for place in unsigned(ranked(packed(ended, "I"), last, packed(rows.bytes, "q"), most)):
        if ended[place] != NEVER:
            death = rows.died[place]
            died = None if death == NEVER or ends[death] == NEVER else ends[death]
            node = nodes[rows.site[place]]
            found.append(LargeAllocation(node, ended[place], died, rows.bytes[place]))
    return tuple(found)
