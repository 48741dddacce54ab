"""Finds the phases of a run from its checkpoints alone: spans, and the segments between them.

Spans come from `phase()` and from pairs of labels, `X_START`/`X_END` and `X_BEFORE`/`X_AFTER`.
Where a stretch of the run, or of a span with checkpoints of its own, is covered by no span, the
segments between consecutive checkpoints stand for it. Phases of one name within one parent are
one phase with many stretches, unless they overlap.

`Outliner` takes one checkpoint after the other, for a run that has ended as for one that goes on.
It keeps no stretches, only a sum of them for each phase; its user says which kind of sum.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

from memdeep.analysis.rows import Row, Rows, S
from memdeep.model import Checkpoint, CheckpointKind, PhaseKind, PhaseOutline, Stretch
from memdeep.rundir import labels

# Spans that may be open at one time: each counts all that happens in it, so that the work grows
# with their number. Of more (deep recursion, thousands of tasks) the first stay.
MAX_OPEN = 50

# The number of a span, or the name and the opening suffix of a pair of labels.
Key = int | tuple[str, str]


@dataclass(slots=True)
class _Segments(Generic[S]):
    """The segments of one span; ``at`` is where its last stop (a point, a span in it) ended."""

    at: Checkpoint
    rows: Rows[S]
    has_points: bool = False

    def stop(self, begin: Checkpoint, end: Checkpoint, *, complete: bool = True) -> None:
        """End the segment before ``begin``; the next one begins at ``end``."""
        if begin.index > self.at.index:
            self.rows.add_segment(self.at, begin, complete=complete)
        if end.index > self.at.index:
            self.at = end

    def point(self, point: Checkpoint) -> None:
        """Stop at a point of the span's own."""
        self.stop(point, point)
        self.has_points = True


@dataclass(eq=False, slots=True)
class _Crossing(Generic[S]):
    """The points since a span is followed by another one: its own as well if it ends first.

    ``rows`` are the segments between them up to the next crossing, those of which follow.
    """

    rows: Rows[S]
    first: Checkpoint | None = None


@dataclass(eq=False, slots=True)
class _Begun:
    """A checkpoint that begins a span, as far as is known."""

    begin: Checkpoint
    key: Key

    @property
    def name(self) -> str:
        """The name of the span; its end may give it another one."""
        return self.begin.label if isinstance(self.key, int) else self.key[0]


@dataclass(eq=False, slots=True)
class _Open(_Begun, Generic[S]):
    """A span that has begun; ``is_waiting`` if it is a label that may turn out to be a point.

    ``crossing`` is None where the span cannot end before the next one.
    """

    is_waiting: bool
    spans: Rows[S]
    segments: _Segments[S]
    crossing: _Crossing[S] | None = None

    def copy(self) -> _Open[S]:
        """Copy the span for the end of a run: there nothing can cross any more."""
        held = self.segments
        segments = _Segments(held.at, held.rows.copy(), held.has_points)
        return _Open(self.begin, self.key, self.is_waiting, self.spans.copy(), segments)


class Outliner(Generic[S]):
    """The phases of a run up to now; `add` every checkpoint but the run's start and end, in order.

    A span's parent is the latest of those that began before it and are still open when it ends;
    so it is known then, and the phases inside it can be added up. A checkpoint costs work in
    proportion to the spans that are open, and memory is taken by names, not by checkpoints.

    One thing depends on the future: a label like ``X_START`` begins a span if its ``X_END`` ever
    comes, else it is a point. ``ends`` knows: it has the end of every span by its begin (indices).
    Without it a label is taken for a span; at the end, what is in it moves to the spans around it
    if it was none. That is exact, unless an older span ends while the label waits: then one has to
    guess. Spans of one thread nest, so the label is a point if its thread ends the older span, else
    a span that overlaps it. The phases are exactly those with ``ends`` if

    * of the labels that wait while an older span ends, those of the thread that ends it never find
      their end, and the others do;
    * no label that stays a point lies within two spans of which the older ends first;
    * never more than `MAX_OPEN` spans and labels are open, or no labels among them.

    Otherwise every span still has its own sum, unless it was crowded out; but it, the spans inside
    it and the segments around it may be told at the wrong place.
    """

    def __init__(
        self, start: Checkpoint, new_sum: Callable[[], S], ends: Mapping[int, int] | None = None
    ) -> None:
        self._new_sum = new_sum
        self._ends = ends
        self._open = [self._opened(start, 0)]  # by their begins; the first one is the run
        self._guessed: list[_Begun] = []  # labels taken for points
        self._crossings: list[_Crossing[S]] = []  # in the order they began
        self._last_point = start
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
        run._open = [span.copy() for span in self._open]
        latest = _latest([*run._open, *self._guessed])
        for label in self._guessed:
            if died and latest[label.key] is label:
                run._add_guessed(label, end, complete=False)
        for place in range(len(run._open) - 1, 0, -1):
            span = run._open[place]
            if span.is_waiting and not (died and latest[span.key] is span):
                run._dissolve(place)
            else:
                run._end(place, end, span.name, complete=False)
        whole = run._open[0]
        whole.segments.stop(end, end)
        whole.spans.merge(whole.segments.rows)
        return whole.spans

    def where(self, thread: str) -> tuple[str, ...]:
        """Return the names of the open spans that ``thread`` began, outermost first."""
        latest = _latest(self._open)
        return tuple(
            span.name
            for span in self._open[1:]
            if span.begin.thread == thread and latest[span.key] is span
        )

    def rows(self) -> Iterator[Rows[S]]:
        """Yield everything that is kept; some rows of segments may turn out to be none."""
        for span in self._open:
            yield span.spans
            yield span.segments.rows
        for crossing in self._crossings:
            yield crossing.rows

    def _is_span(self, point: Checkpoint) -> bool:
        """Tell whether an opening checkpoint may be a span, and whether there is room for it."""
        if self._ends is not None and point.index not in self._ends:
            return False
        if len(self._open) > MAX_OPEN and not self._give_up():
            self.left_out += 1
            return False
        return True

    def _place(self, key: Key, end: Checkpoint) -> int | None:
        """Find the latest open span of ``key`` that may end here."""
        for place in range(len(self._open) - 1, 0, -1):
            begin = self._open[place].begin.index
            if self._open[place].key == key and (
                self._ends is None or self._ends[begin] == end.index
            ):
                return place
        return None

    def _opened(self, begin: Checkpoint, key: Key) -> _Open[S]:
        is_waiting = self._ends is None and not isinstance(key, int)
        segments = _Segments(begin, Rows(self._new_sum))
        return _Open(begin, key, is_waiting, Rows(self._new_sum), segments)

    def _begin(self, point: Checkpoint, key: Key) -> None:
        if isinstance(key, int) and self._ends is None:
            again = self._place(key, point)
            if again is not None:  # of two begins of one span only the second can have an end
                self._dissolve(again)
        self._open.append(self._opened(point, key))
        self._may_cross(len(self._open) - 2)

    def _point(self, point: Checkpoint) -> None:
        place = len(self._crossings)
        while place and self._crossings[place - 1].first is None:
            place -= 1
            self._crossings[place].first = point
        if place:
            self._crossings[place - 1].rows.add_segment(self._last_point, point)
        self._last_point = point
        self._open[-1].segments.point(point)

    def _may_cross(self, place: int) -> None:
        """From here on, keep the points in case that an open span ends before the next one."""
        span = self._open[place]
        self._forget_crossing(span)
        if place == 0 or place + 1 == len(self._open):
            return
        following = self._open[place + 1].begin.index
        if self._ends is None or self._ends[span.begin.index] < self._ends[following]:
            span.crossing = _Crossing(Rows(self._new_sum))
            self._crossings.append(span.crossing)

    def _cross(self, span: _Open[S]) -> None:
        """Give a span, which ends before the next one, the points that lie in that one too."""
        if span.crossing is None or span.crossing.first is None:
            return
        span.segments.point(span.crossing.first)
        for crossing in self._crossings[self._crossings.index(span.crossing) :]:
            span.segments.rows.merge(crossing.rows.copy())
        span.segments.at = self._last_point

    def _forget_crossing(self, span: _Open[S]) -> None:
        if span.crossing is not None:
            place = self._crossings.index(span.crossing)
            del self._crossings[place]
            if place:
                self._crossings[place - 1].rows.merge(span.crossing.rows)
            span.crossing = None

    def _close(self, key: Key, end: Checkpoint) -> None:
        """End the latest span of ``key``; if there is none, or it was guessed, this is a point."""
        place = self._place(key, end)
        begun = [] if place is None else [self._open[place]]
        latest = _latest([*begun, *(label for label in self._guessed if label.key == key)])
        if place is not None and latest[key] is self._open[place]:
            name = end.label if isinstance(key, int) else self._open[place].name
            self._end(place, end, name)
            return
        if latest:
            self._guessed.remove(latest[key])
            self._add_guessed(latest[key], end, complete=True)
        self._point(end)

    def _end(self, place: int, end: Checkpoint, name: str, *, complete: bool = True) -> None:
        span, parent = self._open[place], self._open[place - 1]
        self._guess_after(place, end.thread)
        self._cross(span)
        self._forget_crossing(span)
        span.segments.stop(end, end, complete=complete)
        row = parent.spans.add(name, PhaseKind.SPAN, (span.begin, end), complete=complete)
        row.inside.merge(span.spans)
        if span.segments.has_points:
            row.inside.merge(span.segments.rows)
        parent.segments.stop(span.begin, end)
        del self._open[place]
        self._may_cross(place - 1)

    def _guess_after(self, place: int, thread: str | None) -> None:
        """Take for points the labels right after a span that wait though ``thread`` now ends it."""
        last = place
        while last + 1 < len(self._open) and (
            self._open[last + 1].is_waiting and self._open[last + 1].begin.thread == thread
        ):
            last += 1
        for label in range(last, place, -1):
            self._guessed.append(_Begun(self._open[label].begin, self._open[label].key))
            self._dissolve(label)
        del self._guessed[:-MAX_OPEN]

    def _add_guessed(self, label: _Begun, end: Checkpoint, *, complete: bool) -> None:
        """Count a span that was taken for a point; what was in it stays where it is."""
        around = [span for span in self._open if span.begin.index < label.begin.index]
        ends = (label.begin, end)
        around[-1].spans.add(label.name, PhaseKind.SPAN, ends, complete=complete)

    def _dissolve(self, place: int) -> None:
        """Make an open span a point of the one before it, which takes over what it holds."""
        point, span = self._open.pop(place), self._open[place - 1]
        span.segments.point(point.begin)
        span.segments.rows.merge(point.segments.rows)
        span.segments.at = point.segments.at
        span.spans.merge(point.spans)
        self._forget_crossing(span)
        span.crossing = point.crossing

    def _give_up(self) -> bool:
        """Make room: dissolve a label that waits and has been begun again, or the latest one."""
        waiting = [place for place, span in enumerate(self._open) if span.is_waiting]
        latest = _latest(self._open)
        again = (p for p in waiting if latest[self._open[p].key] is not self._open[p])
        chosen = next(again, waiting[-1] if waiting else None)
        if chosen is not None:
            self._dissolve(chosen)
        return chosen is not None


def _latest(spans: Iterable[_Begun]) -> dict[Key, _Begun]:
    """Return for each key the span that began last."""
    return {span.key: span for span in sorted(spans, key=lambda span: span.begin.index)}


@dataclass(frozen=True, slots=True)
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
    return Outline(_listed(outliner.until(checkpoints[-1], died=died)), outliner.left_out)


class _Stretches(list[Stretch]):
    """Every stretch of a phase."""

    __slots__ = ()

    def add(self, begin: Checkpoint, end: Checkpoint, *, complete: bool) -> None:
        self.append(Stretch(begin.index, end.index, complete))

    def merge(self, other: _Stretches) -> None:
        self.extend(other)


def _ends(checkpoints: Sequence[Checkpoint], *, died: bool) -> dict[int, int]:
    """Find the end of each span, by its begin; a span never closed ends with the run."""
    ends: dict[int, int] = {}
    begun: dict[Key, list[int]] = {}
    for point in checkpoints:
        key, is_opening = _key(point)
        if key is None:
            continue
        begins = begun.setdefault(key, [])
        if is_opening:
            if isinstance(key, int):
                begins.clear()
            begins.append(point.index)
        elif begins:
            ends[begins.pop()] = point.index
    for key, begins in begun.items():
        if begins and (died or isinstance(key, int)):
            ends[begins[-1]] = len(checkpoints) - 1
    return ends


def _key(point: Checkpoint) -> tuple[Key | None, bool]:
    """Return the key of the span that ``point`` may begin or end, and whether it begins it."""
    if point.kind is not CheckpointKind.POINT:
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
    place: int = field(default=0)


def _listed(top: Rows[_Stretches]) -> tuple[PhaseOutline, ...]:
    """List all rows in the order in which a walk through the run, parents first, meets them."""
    todo = [_Listed(row, None, [(one.start,) for one in row.sum]) for row in top]
    found = []
    while todo:
        listed = todo.pop()
        found.append(listed)
        starts = [path[-1] for path in listed.paths]
        for row in listed.row.inside:
            around = (bisect_right(starts, stretch.start) - 1 for stretch in row.sum)
            paths = [
                (*listed.paths[place], stretch.start)
                for place, stretch in zip(around, row.sum, strict=True)
            ]
            todo.append(_Listed(row, listed, paths))
    found.sort(key=lambda listed: listed.paths[0])
    for place, listed in enumerate(found):
        listed.place = place
    return tuple(
        PhaseOutline(
            name=listed.row.name,
            kind=listed.row.kind,
            depth=len(listed.paths[0]) - 1,
            parent=None if listed.parent is None else listed.parent.place,
            stretches=tuple(listed.row.sum),
        )
        for listed in found
    )
