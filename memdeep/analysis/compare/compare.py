"""Compares two sides, of one run or several: figures, phases, and the lines behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from memdeep.analysis.compare import figures
from memdeep.analysis.compare.cautions import cautions, is_deep
from memdeep.analysis.compare.kept import ByLine, Lines
from memdeep.analysis.compare.lines import LineMatch, match_lines
from memdeep.analysis.compare.phases import PhasePair, match_phases
from memdeep.analysis.compare.unfinished import did_not_complete, fewest_repeats, with_unreached
from memdeep.analysis.phases import QUIET_BYTES
from memdeep.frozen import replace
from memdeep.model import Phase, PhaseKind, Report
from memdeep.model.comparison import (
    Change,
    Comparison,
    Figure,
    LineChange,
    Match,
    PhaseChange,
    Side,
)

Named = Sequence[tuple[str, Report]]


def compare(before: Named, after: Named) -> Comparison:
    """Compare runs by their names and reports; each side has one or more.

    The run with the median peak stands for its side. Every other run of the side is matched to it,
    and gives each figure one more value. Lines are those of the two that stand for their sides.
    """
    sides = _side(before), _side(after)
    deep = is_deep([report for side in sides for report in side.reports])
    match = match_lines(sides[0].report, sides[1].report)
    pairs = match_phases(sides[0].report, sides[1].report, match)
    found = _Phases(sides, match, deep=deep)
    return Comparison(
        before=sides[0],
        after=sides[1],
        is_deep=deep,
        figures=figures.changes(
            *([figures.of_run(report) for report in side.reports] for side in sides),
            least=_least(sides),
            is_deep=deep,
        ),
        phases=found.changes(pairs),
        peak_lines=found.peak_lines(),
        files=match.files,
        cautions=cautions(*sides),
    )


def _side(runs: Named) -> Side:
    names, reports = zip(*runs, strict=True)
    peaks = [(_height(report), place) for place, report in enumerate(reports)]
    chosen = sorted(peaks)[(len(peaks) - 1) // 2][1]
    unfinished = tuple(n for n, report in enumerate(reports) if did_not_complete(report))
    return Side(names, reports, chosen, unfinished)


def _least(sides: tuple[Side, Side]) -> tuple[bool, bool]:
    """Tell of each side if the figures of its runs are the least that they might have been."""
    return bool(sides[0].unfinished), bool(sides[1].unfinished)


def _height(report: Report) -> int:
    return report.heap.peak_bytes or report.run.peak_rss_bytes or 0


class _Node(NamedTuple):
    """A pair in the order and with the parent that it has in the comparison."""

    pair: PhasePair
    parent: int | None
    depth: int


class _Phases:
    """Makes the changes of the phases of two sides."""

    def __init__(self, sides: tuple[Side, Side], match: LineMatch, *, deep: bool) -> None:
        self._sides = sides
        self._match = match
        self._deep = deep
        self._lines = tuple(
            Lines(side.report, key)
            for side, key in zip(sides, (match.before, match.after), strict=True)
        )
        # The phases of every run of a side by the index of the phase that they are.
        found = [_members(side) for side in sides]
        self._members = [_all(*one) for one in zip(sides, found, strict=True)]
        self._repeats = [fewest_repeats(*one) for one in zip(sides, found, strict=True)]

    def changes(self, pairs: Sequence[PhasePair]) -> tuple[PhaseChange, ...]:
        """Return the change of each pair that tells something, with the lines where it differs."""
        told = [pair for pair in with_unreached(self._sides, pairs) if not self._is_quiet(pair)]
        plain = [
            PhaseChange(
                match=node.pair.match,
                before=node.pair.before,
                after=node.pair.after,
                parent=node.parent,
                depth=node.depth,
                figures=self._figures(node.pair),
            )
            for node in in_order(self._phases(0), self._phases(1), told)
        ]
        differing = [place for place, change in enumerate(plain) if _differs(change)]
        kept = self._kept([plain[place] for place in differing])
        for place, lines in zip(differing, kept, strict=True):
            change = plain[place]
            if change.match is not Match.UNREACHED:
                plain[place] = replace(change, lines=lines, peak_lines=self._risen(change))
        return tuple(plain)

    def peak_lines(self) -> tuple[LineChange, ...]:
        """Return the lines that held the heap at the peak of the runs."""
        sides = [lines.at_peak() for lines in self._lines]
        if sides[0] is None or sides[1] is None:
            return ()
        return self._changed(sides[0], sides[1], _least(self._sides))

    def _phases(self, side: int) -> Sequence[Phase]:
        return self._sides[side].report.phases

    def _figures(self, pair: PhasePair) -> Mapping[Figure, Change]:
        known = [
            [] if place is None else [figures.of_phase(phase) for phase in members[place]]
            for members, place in zip(self._members, pair[:2], strict=True)
        ]
        return figures.changes(*known, least=self._least(pair[:2]), is_deep=self._deep)

    def _least(self, places: Sequence[int | None]) -> tuple[bool, bool]:
        """Tell of each side if it cut the phase off, or did it less often than the other."""
        found = []
        for side, (place, other) in enumerate(zip(places, reversed(places), strict=True)):
            repeats = self._repeats[side]
            if repeats is None or place is None or other is None:
                found.append(False)
                continue
            phase = self._phases(1 - side)[other]
            found.append(repeats[place] < max(1, phase.repeats))
        return found[0], found[1]

    def _is_quiet(self, pair: PhasePair) -> bool:
        """Tell if a pair is a gap on one side only: its like may be too quiet on the other."""
        if pair.before is not None and pair.after is not None:
            return False
        side, place = (0, pair.before) if pair.after is None else (1, pair.after)
        phase = self._phases(side)[place or 0]
        known = figures.of_phase(phase)
        return phase.outline.kind is PhaseKind.SEGMENT and not any(
            abs(value) > QUIET_BYTES + change.noise
            for figure in (Figure.GROWTH, Figure.RISE, Figure.RSS_GROWTH)
            if (value := known[figure]) is not None
            for change in [figures.change(figure, (0,), (value,), is_deep=self._deep)]
        )

    def _kept(self, told: Sequence[PhaseChange]) -> Iterable[tuple[LineChange, ...]]:
        """Yield the lines that kept bytes in each of ``told``."""
        sides: list[Sequence[ByLine]] = []
        for side, lines in enumerate(self._lines):
            places = [(change.before, change.after)[side] for change in told]
            known = {place for place in places if place is not None}
            traced = sorted(place for place in known if self._phases(side)[place].heap is not None)
            by_place = dict(zip(traced, lines.kept(traced), strict=True))
            sides.append([by_place.get(-1 if one is None else one, {}) for one in places])
        found = []
        for change, old, new in zip(told, *sides, strict=True):
            # What the phase kept where it was cut off, it might have given back.
            is_cut = any(self._least((change.before, change.after)))
            found.append(self._changed(old, new, (is_cut, is_cut)))
        return found

    def _risen(self, change: PhaseChange) -> tuple[LineChange, ...]:
        """Return the lines behind the rise of a phase, where that is what differs."""
        rise = change.figures.get(Figure.RISE)
        if change.before is None or change.after is None or rise is None or rise.is_alike:
            return ()
        sides = self._lines[0].risen(change.before), self._lines[1].risen(change.after)
        if sides[0] is None or sides[1] is None:
            return ()
        return self._changed(sides[0], sides[1], self._least((change.before, change.after)))

    def _changed(
        self, before: ByLine, after: ByLine, least: tuple[bool, bool]
    ) -> tuple[LineChange, ...]:
        """Return the lines of both sides, the largest change first, then the largest.

        ``least`` tells of each side if its run did not get to the end of what is compared.

        A line whose code belongs to several functions, as to a comprehension's, is told once.
        """
        keys: dict[object, list[int]] = {}
        for key in dict.fromkeys((*before, *after)):
            place = tuple(
                line and (line.path, line.frame.lineno) for line in self._match.lines[key]
            )
            keys.setdefault(place, []).append(key)
        found = []
        for same in keys.values():
            sizes = [sum(side.get(key, 0) for key in same) for side in (before, after)]
            key = max(same, key=lambda key: max(before.get(key, 0), after.get(key, 0)))
            change = figures.change(Figure.LINE, (sizes[0],), (sizes[1],), is_deep=self._deep)
            match = self._match.match(key)
            if any(least):
                change = replace(change, least=least)
                if change.is_unproven and match in (Match.ADDED, Match.REMOVED):
                    match = Match.UNREACHED
            line = LineChange(match, *self._match.lines[key], change)
            found.append((-abs(sizes[1] - sizes[0]), -max(sizes), _name(line), line))
        return tuple(line for *_, line in sorted(found, key=lambda one: one[:3]))


def _name(change: LineChange) -> tuple[str, int, str]:
    line = change.after or change.before
    return ("", 0, "") if line is None else (line.path, line.frame.lineno, line.frame.function)


def _differs(change: PhaseChange) -> bool:
    """Tell if the growth or the rise of a phase that is on either side differs."""
    known = [change.figures.get(figure) for figure in (Figure.GROWTH, Figure.RISE)]
    return any(one is not None and not one.is_alike for one in known)


def _members(side: Side) -> Sequence[Mapping[int, int]]:
    """Return for each run of a side, by a phase of the one that stands for it, what it is there."""
    found: list[Mapping[int, int]] = []
    for place, report in enumerate(side.reports):
        if place == side.chosen:
            found.append({number: number for number in range(len(report.phases))})
            continue
        pairs = match_phases(side.report, report, match_lines(side.report, report))
        found.append({old: new for old, new, _ in pairs if old is not None and new is not None})
    return found


def _all(side: Side, members: Sequence[Mapping[int, int]]) -> Sequence[Sequence[Phase]]:
    """Return the phases of all runs of a side, by that of the run which stands for it."""
    found: list[list[Phase]] = [[] for _ in side.report.phases]
    for report, places in zip(side.reports, members, strict=True):
        for place, here in places.items():
            found[place].append(report.phases[here])
    return found


def in_order(
    before: Sequence[Phase], after: Sequence[Phase], pairs: Sequence[PhasePair]
) -> list[_Node]:
    """Order pairs as the phases after are, those that are gone where they were."""
    by_side = [{pair[side]: pair for pair in pairs if pair[side] is not None} for side in (0, 1)]
    above: dict[PhasePair, PhasePair | None] = {}
    for pair in pairs:
        side, place = (1, pair.after) if pair.after is not None else (0, pair.before)
        parent = (before, after)[side][place or 0].outline.parent
        above[pair] = by_side[side].get(parent) if parent is not None else None
    inside: dict[PhasePair | None, list[PhasePair]] = {}
    for pair in pairs:
        if pair.after is not None:
            inside.setdefault(above[pair], []).append(pair)
    first: dict[PhasePair | None, list[PhasePair]] = {}  # those gone, first within a parent
    behind: dict[PhasePair | None, list[PhasePair]] = {}  # or by what they came after
    siblings: dict[int | None, list[PhasePair]] = {}
    places: dict[PhasePair, list[PhasePair]] = {}  # where each that is gone stands
    for number, phase in enumerate(before):
        here = by_side[0].get(number)
        if here is None:
            continue
        earlier_ones = siblings.setdefault(phase.outline.parent, [])
        if here.after is None:
            here_in = above[here]
            earlier = next((one for one in reversed(earlier_ones) if above[one] == here_in), None)
            if earlier is None:
                places[here] = first.setdefault(here_in, [])
            else:
                places[here] = places.get(earlier) or behind.setdefault(earlier, [])
            places[here].append(here)
        earlier_ones.append(here)
    found: list[_Node] = []

    def emit(pair: PhasePair, parent: int | None, depth: int) -> None:
        place = len(found)
        found.append(_Node(pair, parent, depth))
        emit_all([*first.get(pair, ()), *inside.get(pair, ())], place, depth + 1)
        emit_all(behind.get(pair, ()), parent, depth)

    def emit_all(some: Iterable[PhasePair], parent: int | None, depth: int) -> None:
        for pair in some:
            emit(pair, parent, depth)

    emit_all([*first.get(None, ()), *inside.get(None, ())], None, 0)
    return found
