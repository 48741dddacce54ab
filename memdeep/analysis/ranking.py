"""Ranks phases where there is room for a few."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Phase


def most_telling(phases: Sequence[Phase], most: int) -> tuple[int, ...]:
    """The indices of the ``most`` phases that moved most memory, with those around them."""

    chosen: set[int] = set()
    ranked = sorted(range(len(phases)), key=lambda place: phases[place].moved_bytes, reverse=True)
    for place in ranked:
        line = [place]
        while (parent := phases[line[-1]].outline.parent) is not None:
            line.append(parent)
        if len(chosen.union(line)) <= most:
            chosen.update(line)
    return tuple(sorted(chosen))
