"""Adds up the stretches of phases by name, in a tree.

Knows neither how phases are found nor which figures are kept of a stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from memdeep.model import Checkpoint, CheckpointKind, PhaseKind


class Sum(Protocol):
    """The figures kept of the stretches of a phase."""

    def add(self, begin: Checkpoint, end: Checkpoint, *, complete: bool) -> None:
        """Take in a stretch, later than those before."""

    def merge(self: S, other: S) -> None:
        """Take in the stretches of ``other``, all later than one's own."""


S = TypeVar("S", bound=Sum)

_SEGMENT = PhaseKind.SEGMENT
_EDGES = {
    CheckpointKind.POINT: "",
    CheckpointKind.BEGIN: "begin of ",
    CheckpointKind.END: "end of ",
}


class Rows(Generic[S]):
    """Phases of one parent, by name and thread; those that overlap are rows of their own.

    The sum of such stretches would count the same bytes twice.
    """

    __slots__ = ("_by_name", "_new_sum")

    def __init__(self, new_sum: Callable[[], S]) -> None:
        self._new_sum = new_sum
        self._by_name: dict[tuple[PhaseKind, str, str | None], list[Row[S]]] = {}

    def __iter__(self) -> Iterator[Row[S]]:
        """Yield the rows in the order of their first start."""
        if not self._by_name:  # as it is within most rows
            return iter(())
        rows = [row for same in self._by_name.values() for row in same]
        return iter(sorted(rows, key=attrgetter("start")))

    def add(
        self, name: str, kind: PhaseKind, ends: tuple[Checkpoint, Checkpoint], *, complete: bool
    ) -> Row[S]:
        """Add a stretch; it begins no earlier than those of its name before. Return its row."""
        begin, end = ends
        thread = None if kind is _SEGMENT else begin.thread
        same = self._by_name.setdefault((kind, name, thread), [])
        for row in same:
            if row.end <= begin.index:
                break
        else:
            row = Row(name, kind, begin.index, 0, self._new_sum(), Rows(self._new_sum))
            same.append(row)
        row.sum.add(begin, end, complete=complete)
        row.end = end.index
        return row

    def add_segment(self, begin: Checkpoint, end: Checkpoint, *, complete: bool = True) -> None:
        """Add the segment between two checkpoints."""
        one, other = _EDGES[begin.kind], _EDGES[end.kind]
        name = f"{one}{begin.label} → {other}{end.label}"
        self.add(name, _SEGMENT, (begin, end), complete=complete)

    def merge(self, others: Rows[S]) -> None:
        """Take over ``others``, which all begin after the end of these, and are used up."""
        if not self._by_name:
            self._by_name.update(others._by_name)
            return
        for key, others_of_name in others._by_name.items():
            same = self._by_name.setdefault(key, [])
            for mine, row in zip(same, others_of_name, strict=False):
                mine.end = max(mine.end, row.end)
                mine.sum.merge(row.sum)
                mine.inside.merge(row.inside)
            same.extend(others_of_name[len(same) :])

    def copy(self) -> Rows[S]:
        """Copy the rows and their sums."""
        rows = Rows(self._new_sum)
        for key, same in self._by_name.items():
            rows._by_name[key] = [row.copy(self._new_sum()) for row in same]
        return rows

    def with_threads_joined(self) -> Rows[S]:
        """Return the rows, those of one name as one row where one thread came after the other.

        Threads that took turns keep rows of their own. These rows are used up.
        """
        rows = self if self._has_single_threads() else Rows(self._new_sum)
        for row in () if rows is self else self:
            same = rows._by_name.setdefault((row.kind, row.name, None), [])
            before = next((other for other in same if other.end <= row.start), None)
            if before is None:
                same.append(row)
            else:
                before.end = row.end
                before.sum.merge(row.sum)
                before.inside.merge(row.inside)
        for row in rows:
            if row.inside._by_name:
                row.inside = row.inside.with_threads_joined()
        return rows

    def _has_single_threads(self) -> bool:
        """Tell if there is nothing to join: one row of each name, none of a thread's."""
        items = self._by_name.items()
        return all(key[2] is None and len(same) == 1 for key, same in items)

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

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Row[S]]]:
        """Yield every row with its depth, each before those inside it."""
        for row in self:
            yield depth, row
            yield from row.inside.walk(depth + 1)


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
        """Copy the row; ``new_sum``, which is empty, becomes its sum."""
        new_sum.merge(self.sum)
        return Row(self.name, self.kind, self.start, self.end, new_sum, self.inside.copy())
