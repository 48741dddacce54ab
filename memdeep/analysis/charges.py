"""Adds up what one line kept in many phases, before anything is too small to be told.

A loop with a checkpoint in each round, or with a phase for each day, would otherwise be many small
findings, or none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from memdeep.analysis.alike import MIN_ALIKE, alike, numbered, of_any_names
from memdeep.analysis.culprits import ChargedLines
from memdeep.frozen import field, frozen
from memdeep.model import Lifetime, Phase, PhaseKind
from memdeep.rundir import labels

MAX_SHARE = 0.5  # of the bytes of a line in several phases; with more, the one phase is named
MANY = 8  # phases of any names, or as many patterns: a few steps are told one by one
MAX_SHARE_OF_MANY = 0.25  # of the bytes of a line in these: what they have in common is little
WITHIN = " › "  # between the patterns of phases that nest

ByHome = Mapping[int, Sequence[Lifetime]]  # the innermost phase, and what was allocated in it


@frozen
class Charge:
    """Bytes that one phase kept, or several phases of one pattern; ``end`` is when they were alive.

    ``places`` are the phases, ``end`` is the checkpoint that ends the last of them. ``pattern`` is
    that of their names and of those around them; "" where there is none.
    """

    places: tuple[int, ...]
    pattern: str
    end: int
    lifetimes: list[Lifetime] = field(default_factory=list)


def charges(
    phases: Sequence[Phase], kept: ByHome, lines: ChargedLines, first_calls: Sequence[int]
) -> list[Charge]:
    """Charge ``kept``, which holds what was alive at the end of each phase, line by line.

    Phases alike are added up, and so are those within phases alike: the epochs of all folds; of any
    names, if they are many or have like phases inside, as those of each symbol. The segments of a
    span are added up in the span. Where one phase has more than half of the bytes
    of a line, it is named alone, and so on with the rest. What lies within a call of a function
    that calls itself lies in the first one, which ``first_calls`` has for each phase.
    """
    nested = _Nested(phases, first_calls)
    by_line: dict[tuple[str, int], dict[int, list[Lifetime]]] = {}
    for home, lifetimes in kept.items():
        for life in lifetimes:
            by_line.setdefault(lines.line(life.node), {}).setdefault(home, []).append(life)
    found: dict[tuple[int, ...], Charge] = {}
    for by_home in by_line.values():
        for places, pattern, homes in _split(nested, None, by_home):
            if places not in found:
                found[places] = Charge(places, pattern, max(phases[p].end for p in places))
            charge = found[places]
            charge.lifetimes.extend(
                life for home in homes for life in by_home[home] if outlives(life, charge.end)
            )
    return list(found.values())


def judged_at(phases: Sequence[Phase]) -> list[int]:
    """Return the checkpoint at which what a phase kept is judged: its end.

    Where tasks of one thread overlap, each is charged with what others allocate, too: so it is that
    at which none of them is open any more.
    """
    ends = [phase.end for phase in phases]
    tasks = [place for place, phase in enumerate(phases) if phase.outline.overlaps]
    until = -1
    together: list[list[int]] = []
    for place in sorted(tasks, key=lambda place: phases[place].start):
        if phases[place].start >= until:
            together.append([])
        together[-1].append(place)
        until = max(until, ends[place])
    for places in together:
        last = max(ends[place] for place in places)
        for place in places:
            ends[place] = last
    return ends


def outlives(life: Lifetime, end: int) -> bool:
    """Tell whether bytes born before checkpoint ``end`` are alive there."""
    return life.died is None or life.died > end


class _Nested:
    """The phases, each with those around it: of calls that call themselves the first alone."""

    def __init__(self, phases: Sequence[Phase], first_calls: Sequence[int]) -> None:
        self.outlines = [phase.outline for phase in phases]
        self._first_calls = first_calls
        self._paths: dict[int, tuple[int, ...]] = {}

    def path(self, place: int | None) -> tuple[int, ...]:
        """Return the phases around one, outermost first, and itself; none around the run."""
        if place is None:
            return ()
        chain = []
        at: int | None = place
        while at is not None and at not in self._paths:
            chain.append(at)
            parent = self.outlines[at].parent
            at = None if parent is None else self._first_calls[parent]
        found = () if at is None else self._paths[at]
        for one in reversed(chain):
            self._paths[one] = found = (*found, one)
        return found


_Part = tuple[tuple[int, ...], str, Sequence[int]]  # the phases charged, their pattern, the homes


def _split(nested: _Nested, around: int | None, by_home: ByHome) -> Iterator[_Part]:
    """Divide the bytes of one line within ``around`` among its parts, and among theirs."""
    inside: dict[int, dict[int, Sequence[Lifetime]]] = {}
    depth = len(nested.path(around))
    for home, lifetimes in by_home.items():
        if home == around:
            yield (home,), "", (home,)
        else:
            inside.setdefault(nested.path(home)[depth], {})[home] = lifetimes
    outlines = {place: nested.outlines[place] for place in inside}
    groups = alike(outlines)
    if around is not None:
        segments = tuple(p for p, one in outlines.items() if one.kind is PhaseKind.SEGMENT)
        groups = [("", segments), *((pattern, places) for pattern, places in groups if pattern)]
    like: list[_Group] = []
    for pattern, together in groups:
        even = _none_leads({place: _size((place,), inside) for place in together})
        if pattern and even:
            like.append((pattern, tuple(sorted(even))))
        elif even and len(even) == len(together):
            homes = [home for place in together for home in inside.pop(place)]
            yield (together if around is None else (around,)), "", homes
    for pattern, places in _joined(nested, like, inside, depth):
        homes = [home for place in places for home in inside.pop(place)]
        yield *_innermost(nested, places, pattern, homes), homes
    for place, within in inside.items():
        yield from _split(nested, place, within)


_Group = tuple[str, tuple[int, ...]]  # a pattern, and phases
_Key = TypeVar("_Key", bound=Hashable)


def _joined(
    nested: _Nested, like: Sequence[_Group], inside: Mapping[int, ByHome], depth: int
) -> list[_Group]:
    """Make one group of several patterns, of phases with like phases inside, or of many."""
    grouped = {place for _, places in like for place in places}
    by_insides: dict[frozenset[str], list[_Group]] = {}
    for place in inside:
        outline = nested.outlines[place]
        is_span = outline.kind is PhaseKind.SPAN and not labels.is_cell(outline.name)
        if place not in grouped and is_span:
            names = _insides(nested, inside[place], depth)
            by_insides.setdefault(names, []).append((outline.name, (place,)))
    others = by_insides.pop(frozenset(), [])
    found: list[_Group] = []
    for groups in (list(like), *by_insides.values()):
        one, rest = _as_one(groups, inside, MIN_ALIKE, MAX_SHARE)
        found += one
        others += rest
    one, rest = _as_one(others, inside, MANY, MAX_SHARE_OF_MANY)
    return [*found, *one, *(group for group in rest if len(group[1]) > 1)]


def _as_one(
    groups: Sequence[_Group], inside: Mapping[int, ByHome], least: int, most: float
) -> tuple[list[_Group], list[_Group]]:
    """Join ``groups``, without those that lead, if ``least`` are left; return the others too."""
    even = set(_none_leads({group: _size(group[1], inside) for group in groups}, most))
    if len(even) < least:
        return [], list(groups)
    joined = [group for group in groups if group in even]
    places = sorted(place for _, members in joined for place in members)
    pattern = of_any_names([name for name, _ in joined])
    return [(pattern, tuple(places))], [group for group in groups if group not in even]


def _insides(nested: _Nested, homes: ByHome, depth: int) -> frozenset[str]:
    """Return the patterns of the phases within one that ``homes`` lie in; none for itself."""
    paths = [nested.path(home) for home in homes]
    inner = [nested.outlines[path[depth + 1]] for path in paths if len(path) > depth + 1]
    if len(inner) < len(paths) or any(one.kind is PhaseKind.SEGMENT for one in inner):
        return frozenset()
    return frozenset(numbered(one.name) for one in inner)


def _size(places: Sequence[int], inside: Mapping[int, ByHome]) -> int:
    """Add up the bytes of a line that lie within ``places``."""
    return sum(life.bytes for place in places for lives in inside[place].values() for life in lives)


def _none_leads(sizes: Mapping[_Key, int], most: float = MAX_SHARE) -> list[_Key]:
    """Return the keys without each that has more than ``most`` of what it and the rest have."""
    left = sorted(sizes, key=lambda key: sizes[key])
    total = sum(sizes.values())
    while left and sizes[left[-1]] > most * total:
        total -= sizes[left.pop()]
    return left


def _innermost(
    nested: _Nested, places: tuple[int, ...], pattern: str, homes: Sequence[int]
) -> tuple[tuple[int, ...], str]:
    """Find the innermost phases of one pattern, within ``places``, that contain all ``homes``.

    Segments count for the span that they are in.
    """
    while True:
        level = len(nested.path(places[0]))
        paths = list(map(nested.path, homes))
        inner = {path[level] if len(path) > level else None for path in paths}
        spans = {
            place: nested.outlines[place]
            for place in sorted(place for place in inner if place is not None)
            if nested.outlines[place].kind is PhaseKind.SPAN
        }
        groups = alike(spans)
        if len(spans) < len(inner) or len(groups) != 1 or len(groups[0][1]) < len(spans):
            return places, pattern
        places = groups[0][1]
        pattern += WITHIN + groups[0][0]
