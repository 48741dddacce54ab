"""Finds what became of bytes: alive at the end, or freed in which phase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memdeep.model import Fate, Lifetime, Phase, PhaseOutline

MAX_PHASES = 3

PhasesAround = list[list[tuple[int, int, int]]]  # segment -> (phase, start, end)


def phases_around(outlines: Sequence[PhaseOutline], checkpoints: int) -> PhasesAround:
    """List for each segment (by the checkpoint that ends it) the stretches that contain it."""
    around: PhasesAround = [[] for _ in range(checkpoints)]
    for place, outline in enumerate(outlines):
        for stretch in outline.stretches:
            for segment in range(stretch.start + 1, stretch.end + 1):
                around[segment].append((place, stretch.start, stretch.end))
    return around


def alive_and_freed(
    lifetimes: Iterable[Lifetime], phases: Sequence[Phase], around: PhasesAround
) -> Fate:
    """Add up the bytes of ``lifetimes`` that stayed, and those freed by phase (at most three).

    ``around`` is `phases_around`.
    """
    alive = 0
    freed: dict[int | None, int] = {}
    for life in lifetimes:
        if life.died is None:
            alive += life.bytes
        else:
            place = innermost(around[life.died], phases)
            freed[place] = freed.get(place, 0) + life.bytes
    ranked = sorted(freed.items(), key=lambda item: item[1], reverse=True)
    return Fate(alive, tuple(ranked[:MAX_PHASES]))


def innermost(stretches: Iterable[tuple[int, int, int]], phases: Sequence[Phase]) -> int | None:
    """Return the deepest phase of the ``stretches`` around a segment; None if there is none."""
    places = [place for place, _, _ in stretches]
    return max(places, key=lambda place: phases[place].outline.depth, default=None)
