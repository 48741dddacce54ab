"""Gives the phases their figures: growth, retained and freed bytes, the lines behind them.

Also draws the heap over time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from memdeep.analysis.charging import Charging, has_threads
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.kept import kept_bytes
from memdeep.analysis.outline import with_overlaps
from memdeep.analysis.own_heap import OwnHeap, own_heaps
from memdeep.analysis.parts import Readings
from memdeep.analysis.trend import trend
from memdeep.model import (
    Checkpoint,
    Heap,
    LargeAllocation,
    Moved,
    Parts,
    Peak,
    Phase,
    PhaseHeap,
    PhaseKind,
    PhaseOutline,
    Run,
    Sample,
    Trend,
)
from memdeep.model.sums import sum_of_known

MIN_RSS_GROWTH = 1 << 20  # below one MiB of growth, "explained" would be noise
QUIET_BYTES = 1 << 20
NOISE = 0.05  # by this share the heap may grow more than the RSS and be resident all the same

# The lines of a phase that come after its first one hold at least this share of the run's peak: of
# ten thousand small phases, those below were most of `report.json`.
MIN_CULPRIT_SHARE = 1 / 10_000


def phases(run: Run, heap: Heap, outlines: Sequence[PhaseOutline]) -> tuple[Phase, ...]:
    """Give the phases of ``outlines`` their figures; leave out quiet gaps beside spans.

    A span's own figures include those of the phases inside it. A phase of a thread is charged with
    what `Charging` says; without the threads of stacks, those that overlap are marked.
    """
    if not has_threads(heap.tree):
        outlines = with_overlaps(outlines, by_thread=False)
    all_phases = with_figures(run, heap, outlines)
    span_edges = {
        edge
        for outline in outlines
        if outline.kind is PhaseKind.SPAN
        for stretch in outline.stretches
        for edge in (stretch.start, stretch.end)
    }
    keep = [not _is_quiet_gap(phase, span_edges) for phase in all_phases]
    if all(keep) or not any(keep):
        return tuple(all_phases)
    return _renumbered(all_phases, keep)


def with_figures(run: Run, heap: Heap, outlines: Sequence[PhaseOutline]) -> list[Phase]:
    """Give each of ``outlines`` its figures; ``heap`` has a peak for each of them."""
    charged = ChargedLines(heap.tree)
    charging = Charging(heap.tree, outlines, len(run.checkpoints))
    readings = Readings(run.checkpoints, heap, charged)
    own = own_heaps(heap, outlines, charging)
    figured = []
    for place, account in enumerate(_accounts(heap, outlines, own)):
        outline, peak = outlines[place], heap.peaks[place]
        held = _phase_heap(heap, charged, outline, peak, account)
        figured.append(_phase(run.checkpoints, readings, outline, held, own.get(place)))
    return figured


def _phase(
    checkpoints: Sequence[Checkpoint],
    readings: Readings,
    outline: PhaseOutline,
    heap: PhaseHeap | None,
    own: OwnHeap | None,
) -> Phase:
    ends = [(checkpoints[s.start], checkpoints[s.end]) for s in outline.stretches]
    rss_deltas = tuple(_difference(start.rss_bytes, end.rss_bytes) for start, end in ends)
    rss_delta = sum_of_known(rss_deltas)
    if heap is not None:
        end = outline.stretches[-1].end
        heap = replace(heap, culprits=readings.with_resident(heap.culprits, end))
    # The RSS is that of the process: where others moved memory too, nothing tells whose it is.
    parts = None
    if own is None or not own.is_shared:
        parts = readings.parts(outline.stretches, None if heap is None else heap.delta_bytes)
    return Phase(
        outline=outline,
        duration_s=sum(max(0.0, end.time_s - start.time_s) for start, end in ends),
        rss_start_bytes=ends[0][0].rss_bytes,
        rss_end_bytes=ends[-1][1].rss_bytes,
        rss_delta_bytes=rss_delta,
        rss_deltas_bytes=rss_deltas,
        heap=heap,
        explained_ratio=_explained(parts, rss_delta),
        parts=parts,
        trend=_trend(rss_deltas if heap is None else heap.deltas_bytes),
    )


def _explained(parts: Parts | None, rss_delta: int | None) -> float | None:
    """Return the resident growth of the heap as a share of the RSS's; at most 1 if measured.

    Where it was not, and the heap grew by far more than the RSS, some of it was not touched, or was
    put where memory was free: nothing tells how much.
    """
    if parts is None or parts.heap is None or rss_delta is None or rss_delta < MIN_RSS_GROWTH:
        return None
    if parts.untouched is None:
        ratio = max(0.0, parts.heap / rss_delta)
        return ratio if ratio <= 1 + NOISE else None
    return min(1.0, max(0.0, (parts.heap + parts.untouched) / rss_delta))


def _trend(deltas: Sequence[int | None]) -> Trend | None:
    known = [delta for delta in deltas if delta is not None]
    return trend(known) if len(known) == len(deltas) else None


class _Account(NamedTuple):
    """The heap's movements in one phase.

    Bytes freed in the segment of their birth are in ``passed``, all others in ``kept``. ``passed``
    and ``largest`` are None where they are not known. ``kept_bytes`` is None for a phase without
    repeats, which keeps what it retained.
    """

    kept: Moved
    kept_bytes: int | None
    passed: Moved | None
    largest: Sequence[LargeAllocation] | None
    own: OwnHeap | None = None


def _accounts(
    heap: Heap, outlines: Sequence[PhaseOutline], own: Mapping[int, OwnHeap]
) -> Iterator[_Account]:
    """Yield the account of each phase; ``own`` are the heaps of those that have one."""
    phases = [outline.stretches for outline in outlines]
    kept = heap.lifetimes.moved(phases)
    repeated = [place for place, stretches in enumerate(phases) if len(stretches) > 1]
    at_last_ends = dict(
        zip(repeated, kept_bytes(heap, [phases[place] for place in repeated]), strict=True)
    )
    passed: Sequence[Moved | None] = [None] * len(phases)
    if heap.transients is not None:
        # Of these only sums are asked: without their stacks there are few.
        passed = heap.transients.charged_to([0] * len(heap.tree.parents)).moved(phases)
    by_birth: dict[int, list[LargeAllocation]] = {}
    for one in heap.largest or ():
        by_birth.setdefault(one.born, []).append(one)
    for place, (stretches, own_kept, own_passed) in enumerate(
        zip(phases, kept, passed, strict=True)
    ):
        if place in own:
            yield _own_account(heap, own[place])
            continue
        largest = [
            one
            for stretch in stretches
            for segment in stretch.segments
            for one in by_birth.get(segment, ())
        ]
        own_largest = None if heap.largest is None else largest
        yield _Account(own_kept, at_last_ends.get(place), own_passed, own_largest)


def _own_account(heap: Heap, own: OwnHeap) -> _Account:
    moved = own.moved
    return _Account(
        kept=moved,
        kept_bytes=own.kept_bytes,
        # Bytes freed in the segment of their birth are in ``moved`` already, if they are known.
        passed=None if heap.transients is None else Moved(moved.freed, moved.freed, 0, 0),
        largest=None if heap.largest is None else own.largest,
        own=own,
    )


def _phase_heap(
    heap: Heap,
    charged: ChargedLines,
    outline: PhaseOutline,
    peak: Peak | None,
    account: _Account,
) -> PhaseHeap | None:
    """Work out the heap's figures; None if not all of the phase was traced."""
    stretches = outline.stretches
    starts = [heap.at_checkpoints[stretch.start] for stretch in stretches]
    ends = [heap.at_checkpoints[stretch.end] for stretch in stretches]
    deltas = [_difference(start, end) for start, end in zip(starts, ends, strict=True)]
    start, end, delta = starts[0], ends[-1], sum_of_known(deltas)
    if peak is None or start is None or end is None or delta is None:
        return None
    if not all(map(heap.is_traced, stretches)):
        return None
    kept, passed, highest = account.kept, account.passed, None
    if account.own is not None:
        delta = sum(account.own.deltas.values())
        deltas = list(account.own.deltas.values())
        if account.own.is_shared:
            start, end = account.own.start_bytes, account.own.end_bytes
            highest, peak = peak, account.own.peak
    retained = kept.retained.by_group(charged.groups)
    freed = kept.freed.by_group(charged.groups)
    retained_bytes = sum(stack.bytes for stack in retained)
    freed_bytes = sum(stack.bytes for stack in freed)
    churn_bytes = allocations = None
    if passed is not None:
        churn_bytes = kept.churn_bytes + passed.churn_bytes
        allocations = kept.churn_allocations + passed.churn_allocations
        allocations += sum(stack.allocations for stack in retained)
    least_bytes = round(MIN_CULPRIT_SHARE * (heap.peak_bytes or 0))
    return PhaseHeap(
        start_bytes=start,
        end_bytes=end,
        delta_bytes=delta,
        deltas_bytes=tuple(delta for delta in deltas if delta is not None),
        retained_bytes=retained_bytes,
        kept_bytes=retained_bytes if account.kept_bytes is None else account.kept_bytes,
        freed_bytes=freed_bytes,
        peak=peak,
        culprits=charged.culprits(retained, retained_bytes, least_bytes),
        peak_culprits=()
        if peak.stacks is None
        else charged.culprits_alive(peak.stacks, peak.bytes, least_bytes),
        freed_culprits=charged.culprits(freed, freed_bytes, least_bytes),
        churn_bytes=churn_bytes,
        allocations=allocations,
        largest=None
        if account.largest is None
        else charged.largest(account.largest, retained_bytes + (churn_bytes or 0)),
        process_peak=highest,
    )


def _difference(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start


def _is_quiet_gap(phase: Phase, span_edges: set[int]) -> bool:
    """Tell whether ``phase`` is a gap beside a span that moved too little for a row of its own."""
    is_beside_span = phase.start in span_edges or phase.end in span_edges
    is_gap = phase.outline.kind is PhaseKind.SEGMENT and is_beside_span
    moved = phase.moved_bytes
    if is_gap and phase.outline.parent is None and phase.outline.thread is not None:
        # The RSS of a segment of the main thread that lies beside spans of others is told there.
        moved = 0
        if phase.heap is not None:
            highest = phase.heap.peak.bytes - phase.heap.start_bytes
            moved = max(abs(phase.heap.delta_bytes), highest if phase.heap.process_peak else 0)
    return is_gap and moved < QUIET_BYTES


def _renumbered(all_phases: Sequence[Phase], keep: Sequence[bool]) -> tuple[Phase, ...]:
    places = {}
    kept: list[Phase] = []
    for place, phase in enumerate(all_phases):
        if keep[place]:
            places[place] = len(kept)
            parent = phase.outline.parent
            moved = None if parent is None else places[parent]
            kept.append(replace(phase, outline=replace(phase.outline, parent=moved)))
    return tuple(kept)


def heap_curve(run: Run, heap: Heap) -> tuple[Sample, ...]:
    """Join the heap's exact figures at the checkpoints with the readings in between, by time."""
    figures = zip(run.checkpoints, heap.at_checkpoints, strict=True)
    at_checkpoints = [Sample(point.time_s, size) for point, size in figures if size is not None]
    return tuple(sorted([*at_checkpoints, *heap.curve], key=lambda sample: sample.time_s))
