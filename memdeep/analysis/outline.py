"""Finds the phases of a run from its checkpoints alone: spans, and the segments between them.

Spans come from `phase()` and from pairs of labels, `X_START`/`X_END` and `X_BEFORE`/`X_AFTER`.
Where a stretch of the run, or of a span with checkpoints of its own, is covered by no span, the
segments between consecutive checkpoints stand for it. Phases of one name within one parent are
one phase with many stretches, unless they overlap.

`Outliner` takes one checkpoint after the other, for a run that has ended as for one that goes on.
It keeps no stretches, only a sum of them for each phase; the kind of sum is its user's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from memdeep.model import Checkpoint, CheckpointKind, PhaseKind, PhaseOutline, Stretch
from memdeep.rundir import labels

# Spans that may be open at one time: each counts all that happens in it, so that the work grows
# with their number. Of more (deep recursion, thousands of tasks) the first stay.
MAX_OPEN = 50

# The number of a span, or the name and the opening suffix of a pair of labels.
Key = int | tuple[str, str]


class Sum(Protocol):
    """What is kept of the stretches of a phase."""

    def add(self, begin: Checkpoint, end: Checkpoint, *, complete: bool) -> None:
        """Take in a stretch, later than those before."""

    def merge(self: S, other: S) -> None:
        """Take in the stretches of ``other``, all later than one's own."""


S = TypeVar("S", bound=Sum)


class Rows(Generic[S]):
    """Phases of one parent, by name; those of one name that overlap are rows of their own.

    The sum of such stretches would count the same bytes twice.
    """

    __slots__ = ("_by_name", "_new_sum")

    def __init__(self, new_sum: Callable[[], S]) -> None:
        self._new_sum = new_sum
        self._by_name: dict[tuple[PhaseKind, str], list[Row[S]]] = {}

    def __iter__(self) -> Iterator[Row[S]]:
        """All rows, in the order of their first start."""
        rows = [row for same in self._by_name.values() for row in same]
        return iter(sorted(rows, key=lambda row: row.start))

    def add(
        self, name: str, kind: PhaseKind, ends: tuple[Checkpoint, Checkpoint], *, complete: bool
    ) -> Row[S]:
        """Add a stretch; it begins no earlier than those of its name before. Return its row."""
        begin, end = ends
        same = self._by_name.setdefault((kind, name), [])
        row = next((row for row in same if row.end <= begin.index), None)
        if row is None:
            row = Row(name, kind, begin.index, 0, self._new_sum(), Rows(self._new_sum))
            same.append(row)
        row.sum.add(begin, end, complete=complete)
        row.end = end.index
        return row

    def merge(self, others: Rows[S]) -> None:
        """Take over ``others``, which all begin after the end of these."""
        for key, others_of_name in others._by_name.items():
            same = self._by_name.setdefault(key, [])
            for mine, row in zip(same, others_of_name, strict=False):
                mine.end = max(mine.end, row.end)
                mine.sum.merge(row.sum)
                mine.inside.merge(row.inside)
            same.extend(others_of_name[len(same) :])

    def copy(self) -> Rows[S]:
        """The same rows, with sums of their own."""
        rows = Rows(self._new_sum)
        for key, same in self._by_name.items():
            rows._by_name[key] = [row.copy(self._new_sum()) for row in same]
        return rows

    def keep(self, kept: Callable[[Row[S]], bool]) -> int:
        """Drop all rows but those ``kept`` and those around them. Return how many were dropped."""
        dropped = 0
        for key, same in list(self._by_name.items()):
            dropped += sum(row.inside.keep(kept) for row in same)
            self._by_name[key] = [row for row in same if row.inside._by_name or kept(row)]
            dropped += len(same) - len(self._by_name[key])
            if not self._by_name[key]:
                del self._by_name[key]
        return dropped

    def all(self) -> Iterator[Row[S]]:
        """These rows and those inside them, in no particular order."""
        for same in self._by_name.values():
            for row in same:
                yield row
                yield from row.inside.all()


@dataclass(slots=True)
class Row(Generic[S]):
    """A phase within its parent, from its first ``start`` to its last ``end`` (checkpoints)."""

    name: str
    kind: PhaseKind
    start: int
    end: int
    sum: S
    inside: Rows[S]

    def copy(self, new_sum: S) -> Row[S]:
        """The same row with ``new_sum``, which is empty, for its sum."""
        new_sum.merge(self.sum)
        return Row(self.name, self.kind, self.start, self.end, new_sum, self.inside.copy())


@dataclass(slots=True)
class _Segments(Generic[S]):
    """The segments of one span; ``at`` is where its last stop (a point, a span in it) ended."""

    at: Checkpoint
    rows: Rows[S]
    has_points: bool = False

    def stop(self, begin: Checkpoint, end: Checkpoint, *, complete: bool = True) -> None:
        """End the segment before ``begin``; the next one begins at ``end``."""
        if begin.index > self.at.index:
            name = f"{_edge(self.at)} → {_edge(begin)}"
            self.rows.add(name, PhaseKind.SEGMENT, (self.at, begin), complete=complete)
        if end.index > self.at.index:
            self.at = end

    def point(self, point: Checkpoint) -> None:
        """Stop at a point of the span's own."""
        self.stop(point, point)
        self.has_points = True

    def go_on(self, later: _Segments[S]) -> None:
        """Take over the segments that follow."""
        self.rows.merge(later.rows)
        self.at = later.at
        self.has_points |= later.has_points


@dataclass(slots=True)
class _Open(Generic[S]):
    """A span that has begun.

    ``crossing`` goes on where ``segments`` were when the next open span began: the points within
    that one are this one's own as well if this one ends first. It is None where it cannot.

    ``is_waiting`` says that this is a label which may turn out to be a mere point. With
    ``is_handed_over`` the spans around it have been told what it held, and that it is a point.
    """

    begin: Checkpoint
    key: Key
    is_waiting: bool
    spans: Rows[S]
    segments: _Segments[S]
    crossing: _Segments[S] | None = None
    is_handed_over: bool = False

    @property
    def name(self) -> str:
        """The name as far as the begin tells it."""
        return self.begin.label if isinstance(self.key, int) else self.key[0]

    def copy(self) -> _Open[S]:
        """The same at the end of a run: nothing can cross any more."""
        held = self.segments
        segments = _Segments(held.at, held.rows.copy(), held.has_points)
        spans, is_told = self.spans.copy(), self.is_handed_over
        return _Open(self.begin, self.key, self.is_waiting, spans, segments, None, is_told)


class Outliner(Generic[S]):
    """The phases of a run up to now; `add` every checkpoint but the run's start and end, in order.

    A span's parent is the latest of those that began before it and are still open when it ends;
    so it is known then, and the phases inside it can be added up. A checkpoint costs work in
    proportion to the spans that are open, and memory is taken by names, not by checkpoints.

    One thing depends on the future: a label like ``X_START`` begins a span if its ``X_END`` ever
    comes, else it is a point. ``ends`` knows: it has the end of every span by its begin (indices).
    Without it a label is taken for a span until the end, and then, what it holds is moved to the
    spans around it. That is exact unless an older span ends while the label waits. Then one has to
    guess: spans of one thread nest, so the label is a point if its thread has ended that span, else
    a span that overlaps it. The phases are exactly those with ``ends`` if

    * of the labels that wait while an older span ends, those of the thread that ends it never find
      their end, and the others do;
    * no label that stays a point lies within two spans of which the older ends first;
    * no more than `MAX_OPEN` spans and labels are ever open.

    Otherwise every span that does end still has its own sum, unless it was crowded out; but what is
    between may hang at the wrong parent.
    """

    def __init__(
        self, start: Checkpoint, new_sum: Callable[[], S], ends: Mapping[int, int] | None = None
    ) -> None:
        self._new_sum = new_sum
        self._ends = ends
        self._open = [self._opened(start, 0)]  # by their begins; the first one is the run
        self.left_out = 0  # spans that are none because too many others were open

    def add(self, point: Checkpoint) -> None:
        """Take in the next checkpoint."""
        key, is_opening = _key(point)
        if key is not None and is_opening and self._is_span(point):
            self._begin(point, key)
            return
        place = None if key is None or is_opening else self._place(key, point)
        if place is None:
            self._point(point)
            return
        name = point.label if isinstance(key, int) else self._open[place].name
        self._end(place, point, name)

    def until(self, end: Checkpoint, *, died: bool) -> Rows[S]:
        """The phases of a run that ends here; it may go on all the same.

        What is open ends here, incomplete. A label that waits is a span only if the program
        ``died``, and only the latest of its name.
        """
        run = Outliner(end, self._new_sum, self._ends)
        run._open = [span.copy() for span in self._open]
        latest = {span.key: span for span in run._open}
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
        """The names of the open spans that ``thread`` began, outermost first."""
        latest = {span.key: span for span in self._open}
        return tuple(
            span.name
            for span in self._open[1:]
            if span.begin.thread == thread and latest[span.key] is span
        )

    def rows(self) -> Iterator[Rows[S]]:
        """All rows that are kept, of each open span those inside it."""
        for span in self._open:
            yield span.spans
            yield span.segments.rows
            if span.crossing is not None:
                yield span.crossing.rows

    def _is_span(self, point: Checkpoint) -> bool:
        """Tell whether an opening checkpoint may be a span, and whether there is room for it."""
        if self._ends is not None and point.index not in self._ends:
            return False
        if len(self._open) > MAX_OPEN and not self._give_up():
            self.left_out += 1
            return False
        return True

    def _place(self, key: Key, end: Checkpoint) -> int | None:
        """Find the latest span of ``key`` that is open, if it is the one to end here."""
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

    def _may_cross(self, place: int) -> None:
        """From here on, note what an open span has of its own if it ends before the next one."""
        span = self._open[place]
        span.crossing = None
        if place == 0 or place + 1 == len(self._open):
            return
        following = self._open[place + 1].begin.index
        if self._ends is None or self._ends[span.begin.index] < self._ends[following]:
            span.crossing = _Segments(span.segments.at, Rows(self._new_sum))

    def _point(self, point: Checkpoint) -> None:
        for span in self._open:
            if span.crossing is not None:
                span.crossing.point(point)
        self._open[-1].segments.point(point)

    def _end(self, place: int, end: Checkpoint, name: str, *, complete: bool = True) -> None:
        span, parent = self._open[place], self._open[place - 1]
        guessed = self._waiting_after(place, end.thread)
        for label in reversed(guessed):
            self._hand_over(label)
        if span.crossing is not None:
            span.segments.go_on(span.crossing)
        span.segments.stop(end, end, complete=complete)
        row = parent.spans.add(name, PhaseKind.SPAN, (span.begin, end), complete=complete)
        row.inside.merge(span.spans)
        if span.segments.has_points:
            row.inside.merge(span.segments.rows)
        parent.segments.stop(span.begin, end)
        del self._open[place]
        for label in range(place, place + len(guessed)):
            self._open[label].segments.at = end
            self._may_cross(label)
        self._may_cross(place - 1)

    def _waiting_after(self, place: int, thread: str | None) -> range:
        """The places of the labels right after a span that wait though ``thread`` now ends it."""
        last = place + 1
        while last < len(self._open) and (
            self._open[last].is_waiting and self._open[last].begin.thread == thread
        ):
            last += 1
        return range(place + 1, last)

    def _hand_over(self, place: int) -> None:
        """Give what a label holds to the span before it, in which it is a point."""
        label, span = self._open[place], self._open[place - 1]
        if not label.is_handed_over:
            span.segments.point(label.begin)
        span.spans.merge(label.spans)
        span.segments.go_on(label.segments)
        span.crossing = label.crossing
        empty = self._opened(label.begin, label.key)
        empty.is_handed_over = True
        self._open[place] = empty

    def _dissolve(self, place: int) -> None:
        """Make an open span a point, as its end will not come."""
        self._hand_over(place)
        del self._open[place]

    def _give_up(self) -> bool:
        """Make room: dissolve a label that waits and has been begun again, or the latest one."""
        waiting = [place for place, span in enumerate(self._open) if span.is_waiting]
        latest = {self._open[place].key: place for place in waiting}
        again = (place for place in waiting if latest[self._open[place].key] != place)
        chosen = next(again, waiting[-1] if waiting else None)
        if chosen is not None:
            self._dissolve(chosen)
        return chosen is not None


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
    """The end of each span, by its begin; those that are never closed end with the run."""
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
    """The key of the span that ``point`` may begin or end, None if neither; and if it begins it."""
    if point.kind is not CheckpointKind.POINT:
        return point.span, point.kind is CheckpointKind.BEGIN
    stem, suffix = labels.split(point.label)
    if suffix in labels.PAIRS:
        return (stem, suffix), True
    return ((stem, labels.OPENED_BY[suffix]) if suffix else None), False


def _edge(point: Checkpoint) -> str:
    if point.kind is CheckpointKind.BEGIN:
        return f"begin of {point.label}"
    if point.kind is CheckpointKind.END:
        return f"end of {point.label}"
    return point.label


@dataclass(slots=True)
class _Listed:
    """A row; ``paths`` has for each stretch the starts of those around it and its own."""

    row: Row[_Stretches]
    parent: _Listed | None
    paths: list[tuple[int, ...]]
    place: int = field(default=0)


def _listed(top: Rows[_Stretches]) -> tuple[PhaseOutline, ...]:
    """All rows in the order in which a walk through the run, parents first, meets them."""
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
