"""Adds up what one line kept in many phases, before anything is too small to be told.

A loop with a checkpoint in each round, or with a phase for each day, would otherwise be many small
findings, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from memdeep.analysis.alike import alike
from memdeep.analysis.culprits import ChargedLines
from memdeep.frozen import field, frozen
from memdeep.model import Lifetime, Phase, PhaseKind

MAX_SHARE = 0.5  # of the bytes of a line in several phases; with more, the one phase is named
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

    Phases alike are added up, and so are those within phases alike: the epochs of all folds. The
    segments of a span are added up in the span. Where one phase has more than half of the bytes
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
    for pattern, together in groups:
        places = _none_leads(together, inside)
        if not places or (not pattern and len(places) < len(together)):
            continue
        homes = [home for place in places for home in inside.pop(place)]
        if around is not None and not pattern:
            yield (around,), "", homes
        else:
            yield *_innermost(nested, places, pattern, homes), homes
    for place, within in inside.items():
        yield from _split(nested, place, within)


def _none_leads(places: Sequence[int], inside: Mapping[int, ByHome]) -> tuple[int, ...]:
    """Return ``places`` without each that has more than its share of what it and the rest have."""
    sizes = {p: sum(life.bytes for lives in inside[p].values() for life in lives) for p in places}
    left = sorted(places, key=lambda place: sizes[place])
    total = sum(sizes.values())
    while left and sizes[left[-1]] > MAX_SHARE * total:
        total -= sizes[left.pop()]
    return tuple(sorted(left))


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
