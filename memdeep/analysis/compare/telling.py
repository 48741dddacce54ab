"""Chooses what is worth telling of a comparison: the phases that differ most, with their lines."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.analysis.noise import tolerance
from memdeep.frozen import frozen
from memdeep.model.comparison import Comparison, Figure, LineChange, Match, PhaseChange

MOST = 0.8  # of a difference: a phase within that has so much of it is told instead
EXPLAINED = 0.5  # of a difference: a line that has so much of it explains it
# The figures that tell of a phase that it differs, the better one first.
FIGURES = (Figure.GROWTH, Figure.RISE, Figure.RSS_GROWTH)


@frozen
class Telling:
    """A phase (its index in the comparison) that differs in a figure, and by how much.

    ``line`` is the line that has most of it, if one has half of it.
    """

    phase: int
    figure: Figure
    delta: float
    line: LineChange | None


def telling(comparison: Comparison) -> tuple[Telling, ...]:
    """Return the phases that differ, those with a line that explains it first, then by size.

    Of phases within one another the innermost one with most of the difference stands for all.
    """
    found: dict[int, Telling] = {}
    for place, change in enumerate(comparison.phases):
        one = _of_phase(comparison, place, change)
        if one is not None:
            found[place] = one
    hidden = set()
    for place, one in found.items():
        above = comparison.phases[place].parent
        while above is not None:
            around = found.get(above)
            if around is not None and _has_most(one, around):
                hidden.add(above)
            above = comparison.phases[above].parent
    told = [one for place, one in found.items() if place not in hidden]
    return tuple(sorted(told, key=lambda one: (one.line is None, -abs(one.delta), one.phase)))


def difference(change: PhaseChange, figure: Figure, *, is_deep: bool) -> float | None:
    """Return by how much a phase differs in a figure; 0 within the noise, None if not known.

    A phase that is on one side only has nothing on the other.
    """
    known = change.figures.get(figure)
    if known is None:
        return None
    if known.delta is not None:
        return 0 if known.is_alike else known.delta
    if change.match not in (Match.ADDED, Match.REMOVED):
        return None
    value = (known.after or known.before)[0]
    if abs(value) <= tolerance(figure, is_deep=is_deep).of(0, value):
        return 0
    return value if known.after else -value


def shown_lines(change: PhaseChange, figure: Figure) -> Sequence[LineChange]:
    """Return the lines behind the difference of a figure, those within the noise left out.

    So are those of which it is not known how much they would have held.
    """
    lines = change.peak_lines if figure is Figure.RISE else change.lines
    return [line for line in lines if not line.bytes.is_alike and not line.bytes.is_unproven]


def _of_phase(comparison: Comparison, place: int, change: PhaseChange) -> Telling | None:
    for figure in FIGURES:
        delta = difference(change, figure, is_deep=comparison.is_deep)
        if delta is None and figure is not Figure.RSS_GROWTH:
            continue
        if figure is Figure.RSS_GROWTH and Figure.GROWTH in change.figures:
            break
        if delta and not is_wrapping(comparison.phases, change, figure):
            return Telling(place, figure, delta, _line(change, figure, delta))
    return None


def is_wrapping(phases: Sequence[PhaseChange], change: PhaseChange, figure: Figure) -> bool:
    """Tell if a phase on one side only lies in one that is alike: then only its marks are new."""
    if change.match not in (Match.ADDED, Match.REMOVED):
        return False
    above = change.parent
    while above is not None:
        known = phases[above].figures.get(figure)
        if known is not None and known.is_known:
            return known.is_alike
        above = phases[above].parent
    return False


def _has_most(one: Telling, around: Telling) -> bool:
    """Tell if ``one`` has most of the difference of the phase around it."""
    is_same_way = (one.delta > 0) == (around.delta > 0)
    return is_same_way and abs(one.delta) >= MOST * abs(around.delta)


def _line(change: PhaseChange, figure: Figure, delta: float) -> LineChange | None:
    for line in shown_lines(change, figure):
        of_line = line.bytes.delta or 0
        if (of_line > 0) == (delta > 0):
            return line if abs(of_line) >= EXPLAINED * abs(delta) else None
    return None
