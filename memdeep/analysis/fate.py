"""Follows the bytes of a finding to their end: still there, or freed in which phase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memdeep.analysis.phases import Cover
from memdeep.model import Fate, Lifetime, Phase

MAX_PHASES = 3


def fate(lifetimes: Iterable[Lifetime], phases: Sequence[Phase], covering: Cover) -> Fate:
    """What became of the bytes of ``lifetimes``; at most three phases are named.

    ``covering`` gives the phases around each segment, as `phases.cover` does.
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
