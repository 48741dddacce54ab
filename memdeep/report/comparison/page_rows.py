"""The rows of the table of both sides: the phases, and rows that fold neighbours that are alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from memdeep.frozen import frozen
from memdeep.model.comparison import Figure, Match, PhaseChange

MIN_FOLDED = 2
# What a phase that is not there has none of; a peak or a time of it would be made up.
OF_NOTHING = (Figure.GROWTH, Figure.RISE, Figure.ALLOCATIONS)


@frozen
class FoldedRow:
    """Neighbours of one parent that are alike, with all within them."""

    members: tuple[int, ...]
    parent: int | None
    depth: int


def of_nothing(phase: PhaseChange, figure: Figure) -> bool:
    """Tell if a phase is on one side only, and has nothing of ``figure`` on the other."""
    return phase.match in (Match.ADDED, Match.REMOVED) and figure in OF_NOTHING


def folded_rows(phases: Sequence[PhaseChange]) -> tuple[FoldedRow, ...]:
    """Return a row for each run of alike neighbours, in the order of their first members."""
    alike = _wholly_alike(phases)
    children: dict[int | None, list[int]] = {}
    for place, phase in enumerate(phases):
        children.setdefault(phase.parent, []).append(place)
    found: list[FoldedRow] = []
    for parent, places in children.items():
        if parent is not None and alike[parent]:
            continue  # it is folded with its parent
        for is_alike, run in groupby(places, key=alike.__getitem__):
            members = tuple(run)
            if is_alike and len(members) >= MIN_FOLDED:
                found.append(FoldedRow(members, parent, phases[members[0]].depth))
    return tuple(sorted(found, key=lambda row: row.members))


def _wholly_alike(phases: Sequence[PhaseChange]) -> list[bool]:
    """Tell of each phase if it and all within it are alike."""
    alike = [phase.is_alike for phase in phases]
    for place in sorted(range(len(phases)), key=lambda one: -phases[one].depth):
        parent = phases[place].parent
        if parent is not None and not alike[place]:
            alike[parent] = False
    return alike
