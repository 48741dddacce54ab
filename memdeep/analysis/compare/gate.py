"""Holds a comparison against limits: by how much a figure may be more than before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from statistics import median

from memdeep.analysis.compare.telling import difference, is_wrapping
from memdeep.frozen import frozen
from memdeep.model.comparison import Change, Comparison, Figure, LineChange, Match, PhaseChange

GATED = (
    *(Figure.PEAK_HEAP, Figure.PEAK_RSS, Figure.GROWTH),
    *(Figure.RISE, Figure.ALLOCATIONS, Figure.LINE),
)
_OF_PHASES = (Figure.GROWTH, Figure.RISE, Figure.ALLOCATIONS)


@frozen
class Limit:
    """The most that a figure may be more than before: a share of it, or an amount.

    Without both, anything beyond the noise is too much; within the noise nothing ever is.
    """

    figure: Figure
    share: float | None = None
    amount: float | None = None


class Outcome(Enum):
    """The outcome of a limit.

    UNKNOWN: a side does not know the figure, or did not complete, and might have had more. COARSE:
    of lines that were not traced exactly.
    """

    WITHIN = "within"
    OVER = "over"
    UNKNOWN = "unknown"
    COARSE = "coarse"


@frozen
class Judgement:
    """The worst of what a limit is about, or what is not known.

    ``phase`` is an index into the comparison's phases, None for the whole run.
    """

    limit: Limit
    outcome: Outcome
    before: float | None = None
    after: float | None = None
    phase: int | None = None
    line: LineChange | None = None


def judge(comparison: Comparison, limits: Sequence[Limit]) -> tuple[Judgement, ...]:
    """Judge each limit: of a figure of phases and lines the worst one counts."""
    return tuple(_judge(comparison, limit) for limit in limits)


def _judge(comparison: Comparison, limit: Limit) -> Judgement:
    if limit.figure is Figure.LINE and not comparison.is_deep:
        return Judgement(limit, Outcome.COARSE)
    found = [*_told(comparison, limit)]
    for outcome in (Outcome.OVER, Outcome.UNKNOWN):
        those = [one for one in found if one.outcome is outcome]
        if those:
            return max(those, key=lambda one: (one.after or 0) - (one.before or 0))
    # A run after that did not complete may have grown later, in what it has not got to.
    is_known = found and not comparison.after.unfinished
    return Judgement(limit, Outcome.WITHIN if is_known else Outcome.UNKNOWN)


def _told(comparison: Comparison, limit: Limit) -> Iterator[Judgement]:
    """Yield a judgement of each thing that a limit is about, where anything is known of it."""
    figure = limit.figure
    if figure is Figure.LINE:
        yield from _of_lines(comparison, limit)
        return
    change = comparison.figures.get(figure)
    if change is not None:
        yield _of_change(limit, change)
    elif figure not in _OF_PHASES:
        yield Judgement(limit, Outcome.UNKNOWN)
    if figure in _OF_PHASES:
        for place, phase in enumerate(comparison.phases):
            yield from _of_phase(comparison, limit, place, phase)


def _of_phase(
    comparison: Comparison, limit: Limit, place: int, phase: PhaseChange
) -> Iterator[Judgement]:
    figure = limit.figure
    change = phase.figures.get(figure)
    if change is None or phase.match is Match.REMOVED:
        return
    if phase.match is not Match.ADDED:
        yield _of_change(limit, change, place)
    elif not is_wrapping(comparison.phases, phase, figure):
        delta = difference(phase, figure, is_deep=comparison.is_deep) or 0
        is_over = delta > 0 and _is_over(limit, 0, delta)
        outcome = Outcome.OVER if is_over else Outcome.WITHIN
        yield Judgement(limit, outcome, 0, median(change.after), place)


def _of_lines(comparison: Comparison, limit: Limit) -> Iterator[Judgement]:
    if not any(Figure.GROWTH in phase.figures for phase in comparison.phases):
        return
    yield Judgement(limit, Outcome.WITHIN)
    lists = [(None, comparison.peak_lines)]
    lists += [(place, phase.lines) for place, phase in enumerate(comparison.phases)]  # type: ignore[misc]
    for place, lines in lists:
        for line in lines:
            found = _of_change(limit, line.bytes, place)
            if found.outcome is Outcome.OVER:
                yield Judgement(limit, Outcome.OVER, found.before, found.after, place, line)


def _of_change(limit: Limit, change: Change, phase: int | None = None) -> Judgement:
    if not change.is_known:
        return Judgement(limit, Outcome.UNKNOWN, phase=phase)
    before, after = median(change.before), median(change.after)
    if limit.figure is Figure.GROWTH:  # a phase that frees less than before does not grow
        before, after = max(0, before), max(0, after)
    is_over = not change.is_alike and after > before and _is_over(limit, before, after)
    outcome = Outcome.OVER if is_over else Outcome.WITHIN
    return Judgement(limit, outcome, before, after, phase)


def _is_over(limit: Limit, before: float, after: float) -> bool:
    if limit.share is not None:
        return after - before > limit.share * max(0, before)
    return limit.amount is None or after - before > limit.amount
