"""Finds what became of bytes: alive at the end, or freed in which phase."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from memdeep.analysis.charging import Charging
from memdeep.model import Fate, Heap, Lifetime, Phase, PhaseKind, Stretch

MAX_PHASES = 3


def alive_and_freed(
    lifetimes: Iterable[Lifetime], heap: Heap, phases: Sequence[Phase], charging: Charging
) -> Fate:
    """Add up the bytes of ``lifetimes`` that stayed, and those freed by phase (at most three).

    Who freed them is not known: of phases of several threads it is the one that was charged with
    what their own thread did then. What was alive when the tracing paused has stayed as far as it
    is known.
    """
    alive = 0
    freed: dict[int | None, int] = {}
    for life in lifetimes:
        if life.died is None or not heap.is_traced(Stretch(life.died - 1, life.died)):
            alive += life.bytes
        else:
            place = innermost(charging.around(life.node, life.died), phases)
            freed[place] = freed.get(place, 0) + life.bytes
    ranked = sorted(freed.items(), key=lambda item: item[1], reverse=True)
    return Fate(alive, tuple(ranked[:MAX_PHASES]))


def outlived_bytes(lifetimes: Iterable[Lifetime], phase: Phase) -> int:
    """Add up what outlived the repeat of ``phase`` that allocated it, and not the last one."""
    ends = sorted(stretch.end for stretch in phase.outline.stretches)
    segments = phase.outline.segments
    return sum(
        life.bytes
        for life in lifetimes
        if life.died is not None
        and life.born in segments
        and ends[bisect_left(ends, life.born)] < life.died <= ends[-1]
    )


def innermost(stretches: Iterable[tuple[int, int, int]], phases: Sequence[Phase]) -> int | None:
    """Return the deepest phase of the ``stretches`` around a segment; None if there is none."""
    places = [place for place, _, _ in stretches]
    return max(places, key=lambda place: phases[place].outline.depth, default=None)


def first_calls(phases: Sequence[Phase]) -> Sequence[int]:
    """Return for each phase the outermost one of its name around it; itself where there is none.

    That is the first call of a function that calls itself. The segments of its calls go with it.
    Of phases that were not traced as a whole nothing is known.
    """
    found, recursive = list(range(len(phases))), set()
    for place, phase in enumerate(phases):
        around = phase.outline.parent
        while around is not None:
            outer = phases[around]
            if outer.name == phase.name and outer.heap is not None:
                found[place] = around
                recursive.add(around)
            around = outer.outline.parent
    for place, phase in enumerate(phases):
        around = phase.outline.parent
        if phase.outline.kind is PhaseKind.SEGMENT and around is not None:
            found[place] = found[around] if found[around] in recursive else place
    return found


def innermost_traced(
    stretches: Iterable[tuple[int, int, int]], phases: Sequence[Phase]
) -> int | None:
    """Return the deepest of the phases of which all was traced; None if there is none."""
    return innermost((item for item in stretches if phases[item[0]].heap is not None), phases)
