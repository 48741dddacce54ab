"""Chooses the phases to show where there is room for a few only."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Phase


def most_telling(phases: Sequence[Phase], most: int) -> tuple[int, ...]:
    """Choose at most ``most`` phases that moved most memory, each with those around it.

    Return their indices in order.
    """
    chosen: set[int] = set()
    ranked = sorted(range(len(phases)), key=lambda place: phases[place].moved_bytes, reverse=True)
    for place in ranked:
        line = [place]
        while (parent := phases[line[-1]].outline.parent) is not None:
            line.append(parent)
        if len(chosen.union(line)) <= most:
            chosen.update(line)
    return tuple(sorted(chosen))
