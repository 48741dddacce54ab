"""Finds the phases of a run from its checkpoints alone: spans, and the segments between them.

Spans come from `phase()` and from pairs of labels, `X_START`/`X_END` and `X_BEFORE`/`X_AFTER`.
Where a stretch of the run, or of a span with checkpoints of its own, is covered by no span, the
segments between consecutive checkpoints stand for it. Phases of one name within one parent are
one phase with many stretches, unless they overlap or threads took turns in them.

Spans nest within one strand: a thread, or a task of an event loop. `Outliner` says what encloses
a strand. It takes one checkpoint after the other, for a run that has ended as for one that goes on.
It keeps no stretches, only a sum of them for each phase; its user says which kind of sum.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic

from memdeep.analysis.lanes import Begun, Key, Lane, Open
from memdeep.analysis.rows import Row, Rows, S
from memdeep.frozen import frozen, replace
from memdeep.model import MAIN_THREAD, Checkpoint, CheckpointKind, PhaseKind, PhaseOutline, Stretch
from memdeep.rundir import labels

# Spans that may be open at one time: each counts all that happens in it, so that the work grows
# with their number. Of more (deep recursion, thousands of tasks) the first stay.
MAX_OPEN = 50
MAX_THREADS = 10_000  # that are remembered as begun within a span of the main thread, or not

_POINT, _SPAN = CheckpointKind.POINT, PhaseKind.SPAN  # to get a member of an enum takes its time

Strand = tuple[str, int | None]  # the name of a thread; the number of its task, or None


class Outliner(Generic[S]):
    """The phases of a run up to now; `add` every checkpoint but the run's start and end, in order.

    A span lies in the latest of the spans of its own strand that began before it and are still
    open when it ends; so that is known then, and the phases inside it can be added up. If its
    strand has none, it lies in the innermost span that is open around it of

    * the strand that started its task, where the program told it: from the span named there on;
    * its thread outside of tasks;
    * the main thread outside of tasks, if the main thread was in a span when the thread's first
      span began: such a thread works for the main thread. Others stand beside it.

    If there is none, it lies in the run. Spans of two threads, or of two tasks, that only happen to
    overlap thus never lie in one another. A point lies in the innermost span of its own strand,
    else of its thread, else of the main thread.

    A checkpoint costs work in proportion to the spans that are open, and memory is taken by names,
    not by checkpoints.

    One thing depends on the future: a label like ``X_START`` begins a span if its ``X_END`` ever
    comes, else it is a point. ``ends`` knows: it has the end of every span by its begin (indices).
    Without it a label is taken for a span; at the end, what is in it moves to the spans around it
    if it was none. That is exact, unless an older span ends while the label waits: then one has to
    guess. Spans of one thread nest, so the label is a point if its thread ends the older span, else
    a span that overlaps it. The phases are exactly those with ``ends`` if

    * of the labels that wait while an older span ends, those of the thread that ends it never find
      their end, and the others do;
    * no label that stays a point lies within two spans of which the older ends first;
    * only the main thread has spans, or every label like ``X_START`` finds its end;
    * never more than `MAX_OPEN` spans and labels are open, or no labels among them.

    Otherwise every span still has its own sum, unless it was crowded out; but it, the spans inside
    it and the segments around it may be told at the wrong place.
    """

    def __init__(
        self, start: Checkpoint, new_sum: Callable[[], S], ends: Mapping[int, int] | None = None
    ) -> None:
        self._new_sum = new_sum
        self._ends = ends
        self._start = start
        self._main = Lane(start, new_sum, ends, None)
        self._lanes: dict[Strand, Lane[S]] = {(MAIN_THREAD, None): self._main}
        self._works_for_main: dict[str, bool] = {}
        self.left_out = 0  # spans that are none because too many others were open

    def add(self, point: Checkpoint) -> None:
        """Take in the next checkpoint."""
        key, is_opening = _key(point)
        if key is None:
            self._point(point)
        elif not is_opening:
            self._close(key, point)
        elif self._is_span(point):
            self._begin(point, key)
        else:
            self._point(point)

    def until(self, end: Checkpoint, *, died: bool) -> Rows[S]:
        """Return the phases of the run if it ended here; it may go on all the same.

        Open spans end here, incomplete. A label that waits is a span only if the program
        ``died``, and only the latest of its name.
        """
        run = Outliner(end, self._new_sum, self._ends)
        run._works_for_main = dict(self._works_for_main)
        for strand, lane in self._lanes.items():
            run._lanes[strand] = lane.copy(run._above(strand))
        run._main = run._lanes[MAIN_THREAD, None]
        return run.ended(end, died=died)

    def ended(self, end: Checkpoint, *, died: bool) -> Rows[S]:
        """Return the phases as `until` does, of a run that ends here: this one is used up."""
        for lane in self._lanes.values():
            lane.cross_no_more()
        self._end_all(end, died=died)
        whole = self._main.outermost
        whole.segments.stop(end, end)
        whole.spans.merge(whole.segments.rows)
        return whole.spans.with_threads_joined()

    def where(self, thread: str) -> tuple[Begun, ...]:
        """Return the open spans that ``thread`` began, outermost first."""
        spans = [
            span
            for (name, _), lane in self._lanes.items()
            if name == thread
            for span in lane.spans
            if lane.latest_by_key()[span.key] is span
        ]
        return tuple(sorted(spans, key=lambda span: span.begin.index))

    def rows(self) -> Iterator[Rows[S]]:
        """Yield everything that is kept; some rows of segments may turn out to be none."""
        for lane in self._lanes.values():
            yield from lane.rows()

    def _end_all(self, end: Checkpoint, *, died: bool) -> None:
        """End every open span at the end of the run; what encloses it has begun earlier."""
        left = []
        for lane in self._lanes.values():
            latest = lane.latest_by_key()
            for span in lane.spans:
                is_span = not span.is_waiting or (died and latest[span.key] is span)
                left.append((lane, span, is_span))
            if died:
                lane.end_all_guessed(end)
        left.sort(key=lambda item: item[1].begin.index, reverse=True)
        for lane, span, is_span in left:
            if is_span:
                self._cover(end)
                lane.end(span, end, span.name, complete=False)
            else:
                lane.dissolve(span)

    def _is_span(self, point: Checkpoint) -> bool:
        """Tell whether an opening checkpoint may be a span, and whether there is room for it."""
        if self._ends is not None and point.index not in self._ends:
            return False
        if self._count() >= MAX_OPEN and not self._give_up():
            self.left_out += 1
            return False
        return True

    def _cover(self, end: Checkpoint) -> None:
        """Leave no segment of the run up to the end of a span: since one began, some are open."""
        segments = self._main.outermost.segments
        if end.index > segments.at.index:
            segments.at = end

    def _count(self) -> int:
        return sum([lane.depth for lane in self._lanes.values()])

    def _begin(self, point: Checkpoint, key: Key) -> None:
        if isinstance(key, int) and self._ends is None:
            for lane in self._lanes.values():
                again = lane.find(key, point)
                if again is not None:  # of two begins of one span only the second can have an end
                    lane.dissolve(again)
        strand = _strand(point)
        if strand not in self._lanes:
            self._lanes[strand] = Lane(self._start, self._new_sum, self._ends, self._above(strand))
        if strand[0] != MAIN_THREAD and strand[0] not in self._works_for_main:
            self._works_for_main[strand[0]] = bool(self._main.spans)
            if len(self._works_for_main) > MAX_THREADS:
                del self._works_for_main[next(iter(self._works_for_main))]
        self._lanes[strand].begin(point, key)
        if self._count() == 1:  # nothing else covers the run up to here
            self._main.outermost.segments.stop(point, point)

    def _above(self, strand: Strand) -> Callable[[Begun], tuple[Open[S], bool]]:
        """Return what finds the span of another strand that a span of ``strand`` lies in."""
        thread, task = strand

        def above(begun: Begun) -> tuple[Open[S], bool]:
            begin = begun.begin
            if task is not None:
                around = self._named(begin.task_span, begin) or self._base(thread, begin)
                if around is not None:
                    return around, around.begin.thread == begin.thread
            around = self._main.innermost(begin)
            if around is not self._main.outermost and thread == MAIN_THREAD:
                return around, True
            if around is not self._main.outermost and self._works_for_main.get(thread, False):
                return around, False
            return self._main.outermost, True

        return above

    def _named(self, span: int | None, begin: Checkpoint) -> Open[S] | None:
        """Return the open span of this number that began before ``begin``."""
        for lane in self._lanes.values():
            for around in lane.spans:
                if around.key == span and around.begin.index < begin.index:
                    return around
        return None

    def _base(self, thread: str, begin: Checkpoint) -> Open[S] | None:
        """Return the innermost span of ``thread`` outside of tasks that began before ``begin``."""
        lane = self._lanes.get((thread, None))
        around = None if lane is None else lane.innermost(begin)
        return None if lane is None or around is lane.outermost else around

    def _point(self, point: Checkpoint) -> None:
        thread, task = strand = _strand(point)
        lane = self._lanes.get(strand)
        if (lane is None or not lane.depth) and task is not None:
            lane = self._lanes.get((thread, None))
        if lane is None or not lane.depth:
            lane = self._main
        lane.point(point)

    def _close(self, key: Key, end: Checkpoint) -> None:
        """End the latest span of ``key``, of its own strand if that has one.

        If there is none, or it was guessed to be a point, this is a point.
        """
        own = self._lanes.get(_strand(end))
        begun = None if own is None else own.latest(key, end)
        lane = own
        if begun is None:
            found = [(other.latest(key, end), other) for other in self._lanes.values()]
            known = [(begun, other) for begun, other in found if begun is not None]
            begun, lane = max(known, key=lambda item: item[0].begin.index, default=(None, None))
        if lane is None or begun is None:
            self._point(end)
        elif isinstance(begun, Open):
            self._cover(end)
            lane.end(begun, end, end.label if isinstance(key, int) else begun.name)
        else:
            lane.end_guessed(begun, end)
            self._point(end)
        if len(self._lanes) > 1:
            for strand in [strand for strand, lane in self._lanes.items() if lane.is_idle]:
                if self._lanes[strand] is not self._main:
                    del self._lanes[strand]

    def _give_up(self) -> bool:
        """Make room: dissolve a label that waits and has been begun again, or the latest one."""
        waiting = [
            (lane, span) for lane in self._lanes.values() for span in lane.spans if span.is_waiting
        ]
        waiting.sort(key=lambda item: item[1].begin.index)
        again = (
            (lane, span) for lane, span in waiting if lane.latest_by_key()[span.key] is not span
        )
        lane, span = next(again, waiting[-1] if waiting else (None, None))
        if lane is not None and span is not None:
            lane.dissolve(span)
        return lane is not None


def _strand(point: Checkpoint) -> Strand:
    """Return the strand that set ``point``; without a name it is the main thread."""
    return point.thread or MAIN_THREAD, point.task


@frozen
class Outline:
    """The phases of a run, parents before children, otherwise in order of start.

    ``left_out`` spans are no phases, because too many others were open when they began.
    """

    phases: tuple[PhaseOutline, ...]
    left_out: int


def outline(checkpoints: Sequence[Checkpoint], *, died: bool) -> Outline:
    """Find the phases of a run that has ended.

    ``checkpoints`` begin with the run's start and end with its end. ``died`` says that the
    program did not end by itself: then a span that was opened and never closed reaches to the end
    and is incomplete.
    """
    ends = _ends(checkpoints, died=died)
    outliner = Outliner(checkpoints[0], _Stretches, ends)
    for point in checkpoints[1:-1]:
        outliner.add(point)
    rows = outliner.ended(checkpoints[-1], died=died)
    found = _listed(rows, _beside_spans(rows, checkpoints), checkpoints)
    return Outline(with_overlaps(found, by_thread=True), outliner.left_out)


class _Stretches(list[Stretch]):
    """Every stretch of a phase."""

    __slots__ = ()

    def add(self, begin: Checkpoint, end: Checkpoint, *, complete: bool) -> None:
        self.append(Stretch(begin.index, end.index, complete))

    def merge(self, other: _Stretches) -> None:
        self.extend(other)


def _ends(checkpoints: Sequence[Checkpoint], *, died: bool) -> dict[int, int]:
    """Find the end of each span, by its begin; a span never closed ends with the run.

    An end belongs to the latest begin of its own strand, or else of any other.
    """
    ends: dict[int, int] = {}
    begun: dict[Key, list[Checkpoint]] = {}
    for point in checkpoints:
        key, is_opening = _key(point)
        if key is None:
            continue
        begins = begun.setdefault(key, [])
        if is_opening:
            if isinstance(key, int):
                begins.clear()
            begins.append(point)
        elif begins:
            own = [begin for begin in begins if _strand(begin) == _strand(point)]
            begin = own[-1] if own else begins[-1]
            begins.remove(begin)
            ends[begin.index] = point.index
    for key, begins in begun.items():
        if died or isinstance(key, int):
            latest = {_strand(begin): begin.index for begin in begins}
            ends.update(dict.fromkeys(latest.values(), len(checkpoints) - 1))
    return ends


def _key(point: Checkpoint) -> tuple[Key | None, bool]:
    """Return the key of the span that ``point`` may begin or end, and whether it begins it."""
    if point.kind is not _POINT:
        return point.span, point.kind is CheckpointKind.BEGIN
    stem, suffix = labels.split(point.label)
    if suffix in labels.PAIRS:
        return (stem, suffix), True
    return ((stem, labels.OPENED_BY[suffix]) if suffix else None), False


@dataclass(slots=True)
class _Listed:
    """A row; ``paths`` has for each stretch the starts of those around it and its own."""

    row: Row[_Stretches]
    parent: _Listed | None
    paths: list[tuple[int, ...]]
    is_beside_spans: bool = False
    place: int = 0


def _beside_spans(top: Rows[_Stretches], checkpoints: Sequence[Checkpoint]) -> Rows[_Stretches]:
    """Return the segments in which only other threads than the main thread are in a span.

    What the main thread allocates there is charged to them. They are not part of the run's
    sequence of phases: the spans beside them are.
    """
    beside = Rows(_Stretches)
    if not any(row.kind is _SPAN for row in top):
        return beside
    last = len(checkpoints) - 1
    is_covered = bytearray(last + 1)
    for row in top:
        for one in row.sum:
            if row.kind is PhaseKind.SEGMENT or _strand(checkpoints[one.start])[0] == MAIN_THREAD:
                is_covered[one.start + 1 : one.end + 1] = bytes([1]) * (one.end - one.start)
    begin = 0
    for end in range(1, last + 1):
        if is_covered[end]:
            begin = end
        elif end == last or is_covered[end + 1]:
            beside.add_segment(checkpoints[begin], checkpoints[end])
    return beside


def with_overlaps(outlines: Sequence[PhaseOutline], *, by_thread: bool) -> tuple[PhaseOutline, ...]:
    """Mark the spans, of one thread or of all, that overlap without lying in one another."""
    spans = [
        (stretch.start, stretch.end, place, thread)
        for place, outline in enumerate(outlines)
        if outline.kind is _SPAN
        for stretch, thread in zip_longest(outline.stretches, outline.threads)
    ]
    spans.sort(key=lambda span: span[:3])
    overlapping: set[int] = set()
    open_spans: list[tuple[int, int, str | None]] = []
    for start, end, place, thread in spans:
        open_spans = [span for span in open_spans if span[0] > start]
        around = set(_around(outlines, place)) if open_spans else set()
        for _, other, its_thread in open_spans:
            if not (by_thread and its_thread != thread) and other not in around:
                overlapping.update((place, other))
        open_spans.append((end, place, thread))
    return tuple(
        replace(outline, overlaps=True) if place in overlapping else outline
        for place, outline in enumerate(outlines)
    )


def _around(outlines: Sequence[PhaseOutline], place: int) -> Iterator[int]:
    """Yield the phases that a phase lies in, innermost first."""
    parent = outlines[place].parent
    while parent is not None:
        yield parent
        parent = outlines[parent].parent


def _listed(
    top: Rows[_Stretches], beside: Rows[_Stretches], checkpoints: Sequence[Checkpoint]
) -> tuple[PhaseOutline, ...]:
    """List all rows in the order in which a walk through the run, parents first, meets them."""
    todo = [
        _Listed(row, None, [(one.start,) for one in row.sum], is_beside)
        for rows, is_beside in ((top, False), (beside, True))
        for row in rows
    ]
    found = []
    while todo:
        listed = todo.pop()
        found.append(listed)
        inside = list(listed.row.inside)
        starts = [path[-1] for path in listed.paths] if inside else []
        for row in inside:
            around = (bisect_right(starts, stretch.start) - 1 for stretch in row.sum)
            paths = [
                (*listed.paths[place], stretch.start)
                for place, stretch in zip(around, row.sum, strict=True)
            ]
            todo.append(_Listed(row, listed, paths))
    found.sort(key=lambda listed: listed.paths[0])
    for place, listed in enumerate(found):
        listed.place = place
    is_known = any(point.thread is not None for point in checkpoints)
    outlines = []
    for listed in found:
        row, depth = listed.row, len(listed.paths[0]) - 1
        parent = None if listed.parent is None else listed.parent.place
        threads = _threads(listed, checkpoints) if is_known else ()
        outlines.append(PhaseOutline(row.name, row.kind, depth, parent, tuple(row.sum), threads))
    return tuple(outlines)


def _threads(listed: _Listed, checkpoints: Sequence[Checkpoint]) -> tuple[str | None, ...]:
    """Return the thread of each stretch; that of a segment is the one of the span it fills."""
    if listed.row.kind is _SPAN:
        return tuple(_strand(checkpoints[path[-1]])[0] for path in listed.paths)
    if listed.parent is None:
        return (MAIN_THREAD if listed.is_beside_spans else None,) * len(listed.paths)
    return tuple(_strand(checkpoints[path[-2]])[0] for path in listed.paths)
