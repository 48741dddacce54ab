"""The rows of the table of phases, those of like names folded, each row beneath the one around it.

Where there is room for a few rows only, it chooses the most telling ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from memdeep.frozen import frozen
from memdeep.model import Pattern, Phase


@frozen
class Row:
    """A phase, or a pattern of phases: ``place`` is its index among its kind.

    ``parent`` is the index of the row around it, or None.
    """

    phase: Phase
    place: int
    is_pattern: bool
    depth: int
    parent: int | None
    phases: int = 1  # of which it is the sum
    times: int = 1  # that they ran, in whatever thread


def rows(phases: Sequence[Phase], patterns: Sequence[Pattern]) -> tuple[Row, ...]:
    """Return the rows in the order of their starts, none for what a pattern has folded."""
    return tuple(_Table(phases, patterns).rows())


def most_telling(rows: Sequence[Row], most: int) -> tuple[int, ...]:
    """Choose at most ``most`` rows that moved most memory, each with those around it.

    Return their indices in order.
    """
    chosen: set[int] = set()
    ranked = sorted(range(len(rows)), key=lambda place: rows[place].phase.moved_bytes, reverse=True)
    for place in ranked:
        line = [place]
        while (parent := rows[line[-1]].parent) is not None:
            line.append(parent)
        if len(chosen.union(line)) <= most:
            chosen.update(line)
    return tuple(sorted(chosen))


class _Table:
    def __init__(self, phases: Sequence[Phase], patterns: Sequence[Pattern]) -> None:
        self._phases = phases
        self._patterns = patterns
        self._inside: dict[int | None, list[int]] = {}
        for place, phase in enumerate(phases):
            self._inside.setdefault(phase.outline.parent, []).append(place)
        self._of_parent: dict[int | None, list[int]] = {}
        self._within: dict[int, list[int]] = {}
        for number, pattern in enumerate(patterns):
            if pattern.within is None:
                self._of_parent.setdefault(pattern.phase.outline.parent, []).append(number)
            else:
                self._within.setdefault(pattern.within, []).append(number)

    def rows(self) -> list[Row]:
        """Go through the tree of phases from the outermost ones, a row before those inside it."""
        made: list[Row] = []
        open_rows = list(self._beneath((None,), self._of_parent.get(None, ()), None, 0))[::-1]
        while open_rows:
            row = open_rows.pop()
            number = len(made)
            made.append(row)
            if row.is_pattern:
                inside = self._beneath(
                    self._patterns[row.place].members,
                    self._within.get(row.place, ()),
                    number,
                    row.depth + 1,
                )
            else:
                folded = self._of_parent.get(row.place, ())
                inside = self._beneath((row.place,), folded, number, row.depth + 1)
            open_rows.extend(list(inside)[::-1])
        return made

    def _beneath(
        self,
        parents: Iterable[int | None],
        folded: Sequence[int],
        around: int | None,
        depth: int,
    ) -> Iterator[Row]:
        """Yield the rows for what is inside ``parents``; ``folded`` are the patterns in there."""
        hidden = {place for number in folded for place in self._patterns[number].members}
        first: list[tuple[int, int, bool]] = [
            (self._patterns[number].members[0], number, True) for number in folded
        ]
        first += [
            (place, place, False)
            for parent in parents
            for place in self._inside.get(parent, ())
            if place not in hidden
        ]
        for _, place, is_pattern in sorted(first):
            phase = self._patterns[place].phase if is_pattern else self._phases[place]
            members = self._patterns[place].members if is_pattern else (place,)
            times = sum(self._phases[member].repeats for member in members)
            yield Row(phase, place, is_pattern, depth, around, len(members), times)
