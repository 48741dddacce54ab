"""Finds the phases of one run again in that of an edited program, by place, name and lines."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from memdeep.analysis.compare.lines import LineMatch
from memdeep.model import Frame, Phase, PhaseKind, Report
from memdeep.model.comparison import Match

MIN_LIKENESS = 0.6  # of names
SURE_LIKENESS = 0.75  # of names whose phases share no line
MAX_NAME = 200  # characters of a name that are looked at for its likeness
MAX_PAIRS = 10_000  # of phases of one parent that are held against one another
NEAR = 3  # else each against so many others in its place

Key = Callable[["Place"], Hashable]


class PhasePair(NamedTuple):
    """A phase on both sides (indices); one of them is None for what is on one side only."""

    before: int | None
    after: int | None
    match: Match


class Place(NamedTuple):
    """A phase of one side: its number among all, and what it is known by."""

    number: int
    kind: PhaseKind
    name: str
    parent: int | None
    top: int | None  # the key of the line that kept, or held, most; None if it was edited
    lines: frozenset[int]
    start: str
    end: str


def match_phases(before: Report, after: Report, lines: LineMatch) -> tuple[PhasePair, ...]:
    """Match the phases of two runs; those that are gone come last.

    Siblings go by name, in order. What is left goes by name wherever it is, then by a like name or
    the same top line within one parent, segments by a label that they begin or end with. Phases
    within what was matched go with it.
    """
    matching = _Matching(_places(before, lines, lines.before), _places(after, lines, lines.after))
    matching.descend(None, None)
    matching.settle()
    return matching.result()


def _places(report: Report, lines: LineMatch, key: Callable[[Frame], int]) -> Sequence[Place]:
    checkpoints = report.run.checkpoints
    found = []
    for index, phase in enumerate(report.phases):
        outline = phase.outline
        kept, high = _line_keys(phase, key)
        top = next(iter([*kept, *high]), None)
        is_edited = top is not None and lines.match(top) is Match.EDITED
        found.append(
            Place(
                index,
                outline.kind,
                outline.name,
                outline.parent,
                None if is_edited else top,
                frozenset([*kept, *high]),
                checkpoints[phase.start].label,
                checkpoints[phase.end].label,
            )
        )
    return found


def _line_keys(phase: Phase, key: Callable[[Frame], int]) -> tuple[list[int], list[int]]:
    if phase.heap is None:
        return [], []
    lists = phase.heap.culprits, phase.heap.peak_culprits
    kept, high = ([key(culprit.frame) for culprit in culprits] for culprits in lists)
    return kept, high


class _Matching:
    """Phases that are matched, and those that are left on both sides."""

    def __init__(self, before: Sequence[Place], after: Sequence[Place]) -> None:
        self._sides = before, after
        self._left = [{place.number: place for place in side} for side in self._sides]
        self._to_after: dict[int | None, int] = {}
        self._to_before: dict[int | None, int] = {}
        self._how: dict[int, Match] = {}  # by index after
        self._children: list[dict[int | None, list[Place]]] = [{}, {}]
        for side, children in zip(self._sides, self._children, strict=True):
            for place in side:
                children.setdefault(place.parent, []).append(place)

    def descend(self, old: int | None, new: int | None) -> None:
        """Match the phases within two that are the same: by name, in order."""
        sides = [
            [one for one in children.get(parent, ()) if one.number in left]
            for parent, children, left in zip((old, new), self._children, self._left, strict=True)
        ]
        for one, other in _in_order(*sides):
            self._take(one, other, Match.SAME)

    def settle(self) -> None:
        """Match what is left, what lies in the matched before what lies deeper."""
        self._settle_tops()
        while self._by_key([[*left.values()] for left in self._left], _named):
            self._settle_tops()

    def _settle_tops(self) -> None:
        while self._by_key(self._tops(), _named_in_place, _named) or self._renamed():
            pass

    def result(self) -> tuple[PhasePair, ...]:
        """Return the pairs in the order of the phases after, then those that are gone."""
        gone = [PhasePair(place.number, None, Match.REMOVED) for place in self._left[0].values()]
        found = [
            PhasePair(
                self._to_before.get(place.number),
                place.number,
                self._how.get(place.number, Match.ADDED),
            )
            for place in self._sides[1]
        ]
        return (*found, *gone)

    def _take(self, old: Place, new: Place, match: Match) -> None:
        del self._left[0][old.number], self._left[1][new.number]
        self._to_after[old.number], self._to_before[new.number] = new.number, old.number
        self._how[new.number] = match
        self.descend(old.number, new.number)

    def _tops(self) -> list[list[Place]]:
        """Return what is left and not within something that is left, on both sides."""
        known = self._to_after, self._to_before
        return [
            [place for place in left.values() if place.parent is None or place.parent in matched]
            for left, matched in zip(self._left, known, strict=True)
        ]

    def _by_key(self, sides: list[list[Place]], *keys: Key) -> bool:
        """Match what has the same key, in order; tell if anything was."""
        has_found = False
        for key in keys:
            groups = [
                _grouped([one for one in places if one.number in left], key, parents)
                for places, left, parents in zip(
                    sides, self._left, (self._to_after, None), strict=True
                )
            ]
            for one, olds in groups[0].items():
                for old, new in zip(olds, groups[1].get(one, ()), strict=False):
                    if old.number in self._left[0] and new.number in self._left[1]:
                        is_segment = old.name != new.name
                        self._take(old, new, Match.RENAMED if is_segment else Match.MOVED)
                        has_found = True
        return has_found

    def _renamed(self) -> bool:
        """Match what was renamed in its place; tell if anything was."""
        names = [{(one.kind, one.name) for one in left.values()} for left in self._left]
        both = names[0] & names[1]  # these were moved
        groups = [
            _grouped(
                [one for one in tops if (one.kind, one.name) not in both],
                lambda one: (one.parent, one.kind),
                parents,
            )
            for tops, parents in zip(self._tops(), (self._to_after, None), strict=True)
        ]
        has_found = False
        for group, olds in groups[0].items():
            news = groups[1].get(group)
            if news is None:
                continue
            if olds[0].kind is PhaseKind.SEGMENT:
                keys = (_begun_with_top, _ended_with_top, _begun, _ended)
                has_found = self._by_key([olds, news], *keys) or has_found
                continue
            for old, new in self._rated(olds, news):
                if old.number in self._left[0] and new.number in self._left[1]:
                    self._take(old, new, Match.RENAMED)
                    has_found = True
        return has_found

    def _rated(self, olds: Sequence[Place], news: Sequence[Place]) -> Iterable[tuple[Place, Place]]:
        """Return the pairs of spans of one parent that may be the same, the likeliest first."""
        # What lies between spans holds what the last one kept, and is none that it may be.
        siblings = [
            Counter(one.top for one in children[places[0].parent] if one.kind is places[0].kind)
            for children, places in zip(self._children, (olds, news), strict=True)
        ]
        rated = []
        for place, old in enumerate(olds):
            for other in _candidates(place, len(olds), len(news)):
                new = news[other]
                alike = likeness(old.name, new.name)
                has_same_top = old.top is not None and old.top == new.top
                is_telling = has_same_top and siblings[0][old.top] == siblings[1][new.top] == 1
                within = self._shared_within(old, new)
                shares = not old.lines or not new.lines or bool(old.lines & new.lines)
                if (
                    is_telling
                    or within > 0.5
                    or alike >= (MIN_LIKENESS if shares else SURE_LIKENESS)
                ):
                    score = alike + has_same_top + within
                    rated.append((-score, abs(place - other), min(place, other), old, new))
        return [(old, new) for *_, old, new in sorted(rated, key=lambda one: one[:3])]

    def _shared_within(self, old: Place, new: Place) -> float:
        """Return the share of names that the spans within two have in common."""
        inside = [
            {one.name for one in children.get(place.number, ()) if one.kind is PhaseKind.SPAN}
            for children, place in zip(self._children, (old, new), strict=True)
        ]
        return len(inside[0] & inside[1]) / max(1, len(inside[0] | inside[1]))


def _named(place: Place) -> Hashable:
    return place.kind, place.name


def _named_in_place(place: Place) -> Hashable:
    return place.kind, place.name, place.parent


def _begun(place: Place) -> Hashable:
    return place.start


def _ended(place: Place) -> Hashable:
    return place.end


def _begun_with_top(place: Place) -> Hashable:
    return None if place.top is None else (place.start, place.top)


def _ended_with_top(place: Place) -> Hashable:
    return None if place.top is None else (place.end, place.top)


def _grouped(
    places: Iterable[Place], key: Key, parents: Mapping[int | None, int] | None
) -> Mapping[Hashable, list[Place]]:
    """Group places by ``key``; those before with the parent that they have after."""
    found: dict[Hashable, list[Place]] = {}
    for place in places:
        known = place
        if parents is not None and place.parent is not None:
            known = place._replace(parent=parents.get(place.parent, -1))
        one = key(known)
        if one is not None:
            found.setdefault(one, []).append(place)
    return found


def _in_order(olds: Sequence[Place], news: Sequence[Place]) -> list[tuple[Place, Place]]:
    """Pair the longest common part of two sequences of siblings, by kind and name.

    Where very many share a name, the first is held against the first only, and so on.
    """
    groups = [_grouped(side, _named, None) for side in (olds, news)]
    shared = groups[0].keys() & groups[1].keys()
    work = sum(len(groups[0][key]) * len(groups[1][key]) for key in shared)
    ranks = {one.number: rank for rank, one in enumerate(news)}
    counts: Counter[Hashable] = Counter()
    found = []
    for old in olds:
        key = _named(old)
        same = groups[1].get(key, [])
        if work > MAX_PAIRS:
            same = same[counts[key] : counts[key] + 1]
            counts[key] += 1
        found += [(old, new) for new in reversed(same)]
    rising = longest_rising([ranks[new.number] for _, new in found])
    return [found[place] for place in rising]


def _candidates(place: int, olds: int, news: int) -> range:
    """Return the places that are held against ``place``: all, or of very many those near it."""
    if olds * news <= MAX_PAIRS:
        return range(news)
    middle = place * news // olds
    return range(max(0, middle - NEAR), min(news, middle + NEAR + 1))


def likeness(one: str, other: str) -> float:
    """Return the likeness of two names from 0 to 1, the same whichever comes first."""
    first, second = sorted((one[:MAX_NAME], other[:MAX_NAME]))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.real_quick_ratio() < MIN_LIKENESS or matcher.quick_ratio() < MIN_LIKENESS:
        return 0.0
    return matcher.ratio()


def longest_rising(numbers: Sequence[int]) -> list[int]:
    """Return the places of a longest part of ``numbers`` in which each is above the one before."""
    ends: list[int] = []  # the least number that a rising part of each length ends with
    places: list[int] = []
    before = [-1] * len(numbers)
    for place, number in enumerate(numbers):
        length = bisect_left(ends, number)
        before[place] = places[length - 1] if length else -1
        ends[length : length + 1] = [number]
        places[length : length + 1] = [place]
    found = []
    place = places[-1] if places else -1
    while place >= 0:
        found.append(place)
        place = before[place]
    return found[::-1]
