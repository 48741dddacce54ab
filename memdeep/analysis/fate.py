"""Follows the bytes of a finding to their end: still there, or freed in which phase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memdeep.model import Fate, Lifetime, Phase, PhaseOutline

MAX_PHASES = 3

Cover = list[list[tuple[int, int, int]]]  # segment -> (phase, start, end)


def cover(outlines: Sequence[PhaseOutline], checkpoints: int) -> Cover:
    """For each segment (named by the checkpoint that ends it) the stretches that contain it."""
    covering: Cover = [[] for _ in range(checkpoints)]
    for place, outline in enumerate(outlines):
        for stretch in outline.stretches:
            for segment in range(stretch.start + 1, stretch.end + 1):
                covering[segment].append((place, stretch.start, stretch.end))
    return covering


def fate(lifetimes: Iterable[Lifetime], phases: Sequence[Phase], covering: Cover) -> Fate:
    """What became of the bytes of ``lifetimes``; at most three phases are named.

    ``covering`` gives the phases around each segment, as `cover` does.
    """
    alive = 0
    freed: dict[int | None, int] = {}
    for life in lifetimes:
        if life.died is None:
            alive += life.bytes
        else:
            place = innermost(covering[life.died], phases)
            freed[place] = freed.get(place, 0) + life.bytes
    ranked = sorted(freed.items(), key=lambda item: item[1], reverse=True)
    return Fate(alive, tuple(ranked[:MAX_PHASES]))


def innermost(around: Iterable[tuple[int, int, int]], phases: Sequence[Phase]) -> int | None:
    """The deepest of the phases around a segment, or None outside of all."""
    places = [place for place, _, _ in around]
    return max(places, key=lambda place: phases[place].outline.depth, default=None)
