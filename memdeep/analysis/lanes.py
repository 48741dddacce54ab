"""Follows the open spans of one strand of a program: of a thread, or of one of its tasks.

Knows no other strand: who encloses a strand's outermost spans is asked of its user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic

from memdeep.analysis.rows import Rows, S
from memdeep.model import Checkpoint, PhaseKind

MAX_GUESSED = 50

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
class Begun:
    """A checkpoint that begins a span, as far as is known."""

    begin: Checkpoint
    key: Key

    @property
    def name(self) -> str:
        """The name of the span; its end may give it another one."""
        return self.begin.label if isinstance(self.key, int) else self.key[0]


@dataclass(eq=False, slots=True)
class Open(Begun, Generic[S]):
    """A span that has begun; ``is_waiting`` if it is a label that may turn out to be a point.

    ``crossing`` is None where the span cannot end before the next one.
    """

    is_waiting: bool
    spans: Rows[S]
    segments: _Segments[S]
    crossing: _Crossing[S] | None = None

    def copy(self) -> Open[S]:
        """Copy the span for the end of a run."""
        held = self.segments
        segments = _Segments(held.at, held.rows.copy(), held.has_points)
        return Open(self.begin, self.key, self.is_waiting, self.spans.copy(), segments)


# Returns what encloses a span of a strand, and whether it interrupts the segments there.
Above = Callable[[Begun], tuple[Open[S], bool]]


class Lane(Generic[S]):
    """The open spans of one strand, by their begins; `outermost` stands for what encloses them.

    ``above`` returns the span of another strand that a span of this one lies in, or the run, and
    whether it interrupts the segments there. It is None for the strand of the run itself.
    """

    def __init__(
        self,
        start: Checkpoint,
        new_sum: Callable[[], S],
        ends: Mapping[int, int] | None,
        above: Above[S] | None,
    ) -> None:
        self._new_sum = new_sum
        self._ends = ends
        self._above = above
        self._open = [self._opened(start, 0)]
        self._guessed: list[Begun] = []  # labels taken for points
        self._crossings: list[_Crossing[S]] = []  # in the order they began
        self._last_point = start

    @property
    def outermost(self) -> Open[S]:
        return self._open[0]

    @property
    def spans(self) -> list[Open[S]]:
        """The open spans, the latest last."""
        return self._open[1:]

    @property
    def depth(self) -> int:
        """The number of open spans."""
        return len(self._open) - 1

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is kept of the strand."""
        return len(self._open) == 1 and not self._guessed

    def copy(self, above: Above[S] | None) -> Lane[S]:
        """Copy the strand for the end of a run."""
        lane = Lane(self._open[0].begin, self._new_sum, self._ends, above)
        lane._open = [span.copy() for span in self._open]
        lane._guessed = list(self._guessed)
        return lane

    def cross_no_more(self) -> None:
        """Forget the points kept for spans that may cross: at the end of a run none can."""
        self._crossings.clear()
        for span in self._open:
            span.crossing = None

    def innermost(self, before: Checkpoint) -> Open[S]:
        """Return the latest open span that began before ``before``, or `outermost`."""
        begun = (span for span in reversed(self.spans) if span.begin.index < before.index)
        return next(begun, self.outermost)

    def rows(self) -> Iterator[Rows[S]]:
        """Yield everything that is kept; some rows of segments may turn out to be none."""
        for span in self._open:
            yield span.spans
            yield span.segments.rows
        for crossing in self._crossings:
            yield crossing.rows

    def find(self, key: Key, end: Checkpoint) -> Open[S] | None:
        """Find the latest open span of ``key`` that may end here."""
        for span in reversed(self.spans):
            if span.key == key and (
                self._ends is None or self._ends[span.begin.index] == end.index
            ):
                return span
        return None

    def latest(self, key: Key, end: Checkpoint) -> Begun | None:
        """Find the latest span of ``key`` that may end here, be it open or guessed."""
        begun = self.find(key, end)
        if not self._guessed:
            return begun
        found = [label for label in self._guessed if label.key == key]
        return max([*found, *([begun] if begun else [])], key=_began, default=None)

    def begin(self, point: Checkpoint, key: Key) -> None:
        """Open a span."""
        self._open.append(self._opened(point, key))
        self._may_cross(len(self._open) - 2)

    def point(self, point: Checkpoint) -> None:
        """Take in a point of the innermost span."""
        place = len(self._crossings)
        while place and self._crossings[place - 1].first is None:
            place -= 1
            self._crossings[place].first = point
        if place:
            self._crossings[place - 1].rows.add_segment(self._last_point, point)
        self._last_point = point
        self._open[-1].segments.point(point)

    def end(self, span: Open[S], end: Checkpoint, name: str, *, complete: bool = True) -> None:
        """End an open span, under ``name``."""
        self._guess_after(self._open.index(span), end.thread)
        place = self._open.index(span)
        self._cross(span)
        self._forget_crossing(span)
        span.segments.stop(end, end, complete=complete)
        parent, interrupts = self._around(place, span)
        row = parent.spans.add(name, PhaseKind.SPAN, (span.begin, end), complete=complete)
        row.inside.merge(span.spans)
        if span.segments.has_points:
            row.inside.merge(span.segments.rows)
        if interrupts:
            parent.segments.stop(span.begin, end)
        del self._open[place]
        self._may_cross(place - 1)

    def end_guessed(self, label: Begun, end: Checkpoint, *, complete: bool = True) -> None:
        """Count a span that was taken for a point; what was in it stays where it is."""
        self._guessed.remove(label)
        place = sum(span.begin.index < label.begin.index for span in self.spans)
        parent, _ = self._around(place + 1, label)
        ends = (label.begin, end)
        parent.spans.add(label.name, PhaseKind.SPAN, ends, complete=complete)

    def end_all_guessed(self, end: Checkpoint) -> None:
        """Count, for a program that died, the labels taken for points that are the latest ones."""
        latest = self.latest_by_key()
        for label in list(self._guessed):
            if latest[label.key] is label:
                self.end_guessed(label, end, complete=False)

    def latest_by_key(self) -> dict[Key, Begun]:
        """Return for each key the span that began last."""
        return {span.key: span for span in sorted([*self._open, *self._guessed], key=_began)}

    def dissolve(self, span: Open[S]) -> None:
        """Make an open span a point of the one before it, which takes over what it holds."""
        place = self._open.index(span)
        before, is_own = self._around(place, span)
        del self._open[place]
        before.spans.merge(span.spans)
        if is_own:
            before.segments.point(span.begin)
            before.segments.rows.merge(span.segments.rows)
            if span.segments.at.index > before.segments.at.index:
                before.segments.at = span.segments.at
        self._forget_crossing(self._open[place - 1])
        self._open[place - 1].crossing = span.crossing

    def _around(self, place: int, span: Begun) -> tuple[Open[S], bool]:
        if place == 1 and self._above is not None:
            return self._above(span)
        return self._open[place - 1], True

    def _opened(self, begin: Checkpoint, key: Key) -> Open[S]:
        is_waiting = self._ends is None and not isinstance(key, int)
        segments = _Segments(begin, Rows(self._new_sum))
        return Open(begin, key, is_waiting, Rows(self._new_sum), segments)

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

    def _cross(self, span: Open[S]) -> None:
        """Give a span, which ends before the next one, the points that lie in that one too."""
        if span.crossing is None or span.crossing.first is None:
            return
        span.segments.point(span.crossing.first)
        for crossing in self._crossings[self._crossings.index(span.crossing) :]:
            span.segments.rows.merge(crossing.rows.copy())
        span.segments.at = self._last_point

    def _forget_crossing(self, span: Open[S]) -> None:
        if span.crossing is not None:
            place = self._crossings.index(span.crossing)
            del self._crossings[place]
            if place:
                self._crossings[place - 1].rows.merge(span.crossing.rows)
            span.crossing = None

    def _guess_after(self, place: int, thread: str | None) -> None:
        """Take for points the labels right after a span that wait though ``thread`` now ends it."""
        last = place
        while last + 1 < len(self._open) and (
            self._open[last + 1].is_waiting and self._open[last + 1].begin.thread == thread
        ):
            last += 1
        for label in self._open[last:place:-1]:
            self._guessed.append(Begun(label.begin, label.key))
            self.dissolve(label)
        del self._guessed[:-MAX_GUESSED]


def _began(span: Begun) -> int:
    return span.begin.index
