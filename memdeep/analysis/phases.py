"""Gives the phases their figures: growth, retained and freed bytes, the lines behind them.

Also draws the heap over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from operator import attrgetter

from memdeep.analysis.charging import Charging, has_threads
from memdeep.analysis.culprits import ChargedLines, Line
from memdeep.analysis.outline import with_overlaps
from memdeep.analysis.own_heap import OwnHeap, own_heaps
from memdeep.analysis.parts import Readings
from memdeep.analysis.trend import MIN_REPEATS, trend
from memdeep.analysis.workers import Workers
from memdeep.frozen import frozen, replace
from memdeep.model import (
    Checkpoint,
    Culprit,
    GroupShare,
    Heap,
    LargeAllocation,
    Lifetimes,
    Moved,
    Parts,
    Peak,
    Phase,
    PhaseHeap,
    PhaseKind,
    PhaseOutline,
    Run,
    Sample,
    Stretch,
    Trend,
)
from memdeep.model.sums import sum_of_known

MIN_RSS_GROWTH = 1 << 20  # below one MiB of growth, "explained" would be noise
QUIET_BYTES = 1 << 20
_bytes, _allocations = attrgetter("bytes"), attrgetter("allocations")
_SPAN = PhaseKind.SPAN  # to get a member of an enum takes its time
NOISE = 0.05  # by this share the heap may grow more than the RSS and be resident all the same

# The lines of a phase that come after its first one hold at least this share of the run's peak: of
# ten thousand small phases, those below were most of `report.json`.
MIN_CULPRIT_SHARE = 1 / 10_000


def phases(figures: Figures, outlines: Sequence[PhaseOutline]) -> tuple[Phase, ...]:
    """Give the phases of ``outlines`` their figures; leave out quiet gaps beside spans.

    A span's own figures include those of the phases inside it. A phase of a thread is charged with
    what `Charging` says; without the threads of stacks, those that overlap are marked.
    """
    heap, checkpoints = figures.heap, figures.checkpoints
    if not has_threads(heap.tree):
        outlines = with_overlaps(outlines, by_thread=False)
    own = own_heaps(heap, outlines, Charging(heap.tree, outlines, len(checkpoints)))
    keep = _telling(checkpoints, heap, outlines, own)
    new_places = {place: number for number, place in enumerate(keep)}
    figured = figures.of(
        [_beneath(outlines[place], new_places) for place in keep],
        [heap.peaks[place] for place in keep],
        {new_places[place]: one for place, one in own.items() if place in new_places},
    )
    if heap.own is None:
        return figured
    peaks = [heap.own.peaks[place] for place in keep]
    return tuple(map(_with_program_peak, figured, peaks))


def _with_program_peak(phase: Phase, peak: Peak | None) -> Phase:
    if phase.heap is None:
        return phase
    return replace(phase, heap=replace(phase.heap, program_peak=peak))


class Figures:
    """Works out the figures of phases; holds what those of all phases of a run rest on.

    With ``every_line``, the spans have all lines that retained anything.
    """

    def __init__(self, run: Run, heap: Heap, *, every_line: bool = False) -> None:
        self._every_line = every_line
        self.checkpoints = run.checkpoints
        self.heap = heap
        self._lines = ChargedLines(heap.tree)
        self._readings = Readings(run.checkpoints, heap.of_program, self._lines)
        self._workers = Workers(run, heap)
        self._passed = None if heap.transients is None else _Passed(heap, heap.transients)
        self._least_bytes = round(MIN_CULPRIT_SHARE * (heap.peak_bytes or 0))
        self._largest: dict[int, list[LargeAllocation]] = {}  # by birth
        for one in heap.largest or ():
            self._largest.setdefault(one.born, []).append(one)

    def of(
        self,
        outlines: Sequence[PhaseOutline],
        peaks: Sequence[Peak | None],
        own: Mapping[int, OwnHeap],
    ) -> tuple[Phase, ...]:
        """Give each of ``outlines`` its figures; ``peaks`` has a peak of the process for each.

        ``own`` has the heaps of those that are not charged with all that was allocated meanwhile.
        """
        stretches = [outline.stretches for outline in outlines]
        all_moved = self.heap.lifetimes.moved(stretches, self._lines.groups)
        by_process = self._workers.moved(stretches)
        figured = []
        for place, (outline, peak, moved) in enumerate(
            zip(outlines, peaks, all_moved, strict=True)
        ):
            its_own = own.get(place)
            height = _height(self.heap, outline, peak, its_own)
            heap = None
            if height is not None:
                heap = self._phase_heap(outline, height, moved, its_own)
            shares: tuple[GroupShare, ...] = ()
            # Which phase of which thread a process belongs to is not known.
            of_workers = by_process[place]
            if heap is not None and its_own is None and of_workers is not None:
                shares = self._workers.shares(of_workers, heap.peak)
            phase = _phase(self._readings, outline, heap, its_own, shares)
            grown = self._workers.pss_delta(outline.stretches)
            if grown is not None:
                phase = _with_pss(phase, grown, self._workers.lent_delta(outline.stretches))
            figured.append(phase)
        return tuple(figured)

    def _largest_in(self, stretches: Sequence[Stretch]) -> list[LargeAllocation]:
        known = self._largest
        if len(stretches) == 1 and stretches[0].end - stretches[0].start == 1:
            return known.get(stretches[0].end, [])
        return [
            one
            for stretch in stretches
            for segment in range(stretch.start + 1, stretch.end + 1)
            if segment in known
            for one in known[segment]
        ]

    def _phase_heap(
        self, outline: PhaseOutline, height: _Height, moved: Moved, own: OwnHeap | None
    ) -> PhaseHeap:
        lines, peak = self._lines, height.peak
        if own is not None:
            moved = own.moved(lines.groups)
        retained_bytes = sum(map(_bytes, moved.retained))
        freed_bytes = sum(map(_bytes, moved.freed))
        churn_bytes = allocations = largest = None
        if self._passed is not None:
            # All that passed is in an own heap already.
            size, count = (0, 0) if own is not None else self._passed.within(outline.stretches)
            churn_bytes = moved.churn_bytes + size
            allocations = moved.churn_allocations + count
            allocations += sum(map(_allocations, moved.retained))
        if self.heap.largest is not None:
            singles = own.largest if own is not None else self._largest_in(outline.stretches)
            largest = lines.largest(singles, retained_bytes + (churn_bytes or 0))
        least_bytes = self._least_bytes
        shares = None
        if moved.retained:
            shares = self._readings.resident_shares(outline.stretches[-1].end)
        culprits = lines.culprits(moved.kept, moved.kept_bytes, least_bytes, shares)
        main_line = self._main_line(moved)
        if len(outline.stretches) > 1:
            culprits = _with_retained(lines, culprits, moved, main_line)
        every_line: tuple[Culprit, ...] = ()
        if self._every_line and outline.kind is _SPAN:
            every_line = lines.culprits(moved.retained, retained_bytes, 0, shares, None)
        at_peak: tuple[Culprit, ...] = ()
        if peak.stacks is not None:
            at_peak = lines.culprits_alive(peak.stacks, peak.bytes, least_bytes)
        return PhaseHeap(
            height.start,
            height.end,
            height.delta,
            height.deltas,
            retained_bytes,
            moved.kept_bytes,
            freed_bytes,
            peak,
            culprits,
            at_peak,
            lines.culprits(moved.freed, freed_bytes, least_bytes),
            churn_bytes,
            allocations,
            largest,
            height.process_peak,
            main_line,
            every_line,
        )

    def _main_line(self, moved: Moved) -> Line | None:
        """Return the line that made the heap grow most; None for that which kept most.

        What it retained counts, less what was freed of what it had allocated before: a line that
        replaces what it made makes nothing grow. Trifles do not count.
        """
        if not moved.freed or not moved.retained:  # as in most phases, where there are very many
            return None
        freed = self._lines.by_line(moved.freed)
        grown = {
            line: stack.bytes - (freed[line].bytes if line in freed else 0)
            for line, stack in self._lines.by_line(moved.retained).items()
        }
        most = max(grown.values(), default=0)
        if most < max(1, self._least_bytes):
            return None
        return min(line for line, size in grown.items() if size == most)


def _with_retained(
    lines: ChargedLines, culprits: Sequence[Culprit], moved: Moved, main_line: Line | None
) -> tuple[Culprit, ...]:
    """Add to each line what it retained; the main line is among them though it kept nothing."""
    retained = lines.by_line(moved.retained)
    found = [replace(one, retained_bytes=retained[one.line].bytes) for one in culprits]
    if main_line is not None and all(one.line != main_line for one in found):
        node, size, _ = retained[main_line]
        found.append(Culprit(lines.frame(node), node, 0, 0, 0.0, retained_bytes=size))
    return tuple(found)


def _phase(
    readings: Readings,
    outline: PhaseOutline,
    heap: PhaseHeap | None,
    own: OwnHeap | None,
    workers: tuple[GroupShare, ...],
) -> Phase:
    checkpoints = readings.checkpoints
    stretches = outline.stretches
    first, last = checkpoints[stretches[0].start], checkpoints[stretches[-1].end]
    if len(stretches) == 1:  # as most are, where there are very many
        rss_delta = _difference(first.rss_bytes, last.rss_bytes)
        rss_deltas: tuple[int | None, ...] = (rss_delta,)
        duration_s = max(0.0, last.time_s - first.time_s)
    else:
        ends = [(checkpoints[one.start], checkpoints[one.end]) for one in stretches]
        rss_deltas = tuple([_difference(start.rss_bytes, end.rss_bytes) for start, end in ends])
        rss_delta = sum_of_known(rss_deltas)
        duration_s = sum([max(0.0, end.time_s - start.time_s) for start, end in ends])
    # The RSS is that of the process: where others moved memory too, nothing tells whose it is. Nor
    # do its movements in stretches of several threads add up where these were open at one time.
    parts = None
    if own is None or not (own.is_shared or _overlap(stretches)):
        of_program = None if heap is None else heap.delta_bytes
        if of_program is not None and workers:
            of_program -= sum([share.delta_bytes for share in workers])
        parts = readings.parts(stretches, rss_delta, of_program)
    return Phase(
        outline,
        duration_s,
        first.rss_bytes,
        last.rss_bytes,
        rss_delta,
        rss_deltas,
        heap,
        _explained(parts, rss_delta),
        _trend(rss_deltas if heap is None else heap.deltas_bytes),
        parts,
        workers,
    )


def _overlap(stretches: Sequence[Stretch]) -> bool:
    """Tell if some of ``stretches``, which are in the order of their starts, overlap."""
    return any(later.start < earlier.end for earlier, later in pairwise(stretches))


def _with_pss(phase: Phase, grown: int, lent: int) -> Phase:
    """Add the growth of the PSS of all processes but the program; ``explained`` counts it too.

    All but what was ``lent``: pages that the program had before, and that its processes share now.
    """
    added = grown - lent
    ratio, parts, rss_delta = phase.explained_ratio, phase.parts, phase.rss_delta_bytes
    if parts is not None and parts.resident_heap is not None and rss_delta is not None:
        of_workers = min(added, sum(share.delta_bytes for share in phase.workers))
        total, ratio = rss_delta + added, None
        if total >= MIN_RSS_GROWTH:
            ratio = min(1.0, max(0.0, (parts.resident_heap + of_workers) / total))
    return replace(
        phase, workers_pss_delta_bytes=grown, workers_added_bytes=added, explained_ratio=ratio
    )


def _rss_delta(checkpoints: Sequence[Checkpoint], outline: PhaseOutline) -> int | None:
    return sum_of_known(
        [
            _difference(checkpoints[one.start].rss_bytes, checkpoints[one.end].rss_bytes)
            for one in outline.stretches
        ]
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
        return min(1.0, ratio) if ratio <= 1 + NOISE else None
    return min(1.0, max(0.0, (parts.heap + parts.untouched) / rss_delta))


def _trend(deltas: Sequence[int | None]) -> Trend | None:
    if len(deltas) < MIN_REPEATS:
        return None
    known = [delta for delta in deltas if delta is not None]
    return trend(known) if len(known) == len(deltas) else None


class _Passed:
    """Bytes and allocations freed in the segment of their birth, summed up to each checkpoint."""

    def __init__(self, heap: Heap, transients: Lifetimes) -> None:
        sizes = [0] * len(heap.at_checkpoints)
        counts = [0] * len(sizes)
        for _, born, _, size, count in transients.charged_to([0] * len(heap.tree.parents)):
            sizes[born] += size
            counts[born] += count
        self._sizes, self._counts = list(accumulate(sizes)), list(accumulate(counts))

    def within(self, stretches: Sequence[Stretch]) -> tuple[int, int]:
        sizes, counts = self._sizes, self._counts
        size = count = 0
        for one in stretches:
            start, end = one.start, one.end
            size += sizes[end] - sizes[start]
            count += counts[end] - counts[start]
        return size, count


@frozen
class _Height:
    """The heap of one phase at its start and its end, its growth in each stretch, and its peak.

    ``process_peak`` is the highest heap of the process where ``peak`` is that of a thread's.
    """

    start: int
    end: int
    deltas: tuple[int, ...]
    peak: Peak
    process_peak: Peak | None = None

    @property
    def delta(self) -> int:
        return sum(self.deltas)


def _height(
    heap: Heap, outline: PhaseOutline, peak: Peak | None, own: OwnHeap | None
) -> _Height | None:
    """Find the height of the heap in a phase; None if not all of it was traced."""
    stretches, at = outline.stretches, heap.at_checkpoints
    start, end = at[stretches[0].start], at[stretches[-1].end]
    if peak is None or start is None or end is None:
        return None
    if not all(map(heap.is_traced, stretches)):
        return None
    if len(stretches) == 1:  # as most are, where there are very many
        known: tuple[int, ...] = (end - start,)
    else:
        deltas = [_difference(at[stretch.start], at[stretch.end]) for stretch in stretches]
        known = tuple([delta for delta in deltas if delta is not None])
        if len(known) < len(deltas):
            return None
    if own is None:
        return _Height(start, end, known, peak)
    known = tuple(own.deltas.values())
    if not own.is_shared:
        return _Height(start, end, known, peak)
    start, end, highest = own.start_bytes, own.end_bytes, own.peak
    if len(known) == 1:
        # What a thread had while the phase was charged with a part of it is in the growth only.
        start = max(start, end - known[0])
        end = start + known[0]
    if highest.bytes < max(start, end):
        highest = Peak(max(start, end), None, None)
    return _Height(start, end, known, highest, peak)


def _difference(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start


def _telling(
    checkpoints: Sequence[Checkpoint],
    heap: Heap,
    outlines: Sequence[PhaseOutline],
    own: Mapping[int, OwnHeap],
) -> Sequence[int]:
    """Return the phases that get a row: all but the gaps beside a span that moved too little.

    Where all are such gaps, all of them do.
    """
    edges = {
        edge
        for outline in outlines
        if outline.kind is _SPAN
        for stretch in outline.stretches
        for edge in (stretch.start, stretch.end)
    }

    def is_quiet_gap(place: int) -> bool:
        outline = outlines[place]
        if outline.kind is _SPAN:
            return False
        if outline.stretches[0].start not in edges and outline.stretches[-1].end not in edges:
            return False
        height = _height(heap, outline, heap.peaks[place], own.get(place))
        is_beside_others = outline.parent is None and outline.thread is not None
        moved = 0
        if not is_beside_others:
            moved = abs(_rss_delta(checkpoints, outline) or 0)
        if height is not None:
            moved = max(moved, abs(height.delta))
            if not is_beside_others or height.process_peak is not None:
                moved = max(moved, height.peak.bytes - height.start)
        return moved < QUIET_BYTES

    telling = [place for place in range(len(outlines)) if not is_quiet_gap(place)]
    return telling or range(len(outlines))


def _beneath(outline: PhaseOutline, new_places: Mapping[int, int]) -> PhaseOutline:
    """Return ``outline`` with the new place of its parent, which is a span: those all stay."""
    if outline.parent is None or new_places[outline.parent] == outline.parent:
        return outline
    return replace(outline, parent=new_places[outline.parent])


def heap_curve(run: Run, heap: Heap) -> tuple[Sample, ...]:
    """Join the heap's exact figures at the checkpoints with the readings in between, by time."""
    figures = zip(run.checkpoints, heap.at_checkpoints, strict=True)
    at_checkpoints = [Sample(point.time_s, size) for point, size in figures if size is not None]
    return tuple(sorted([*at_checkpoints, *heap.curve], key=lambda sample: sample.time_s))
