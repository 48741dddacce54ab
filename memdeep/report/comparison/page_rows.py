"""The rows of the table of both sides: the phases, and rows that fold neighbours that are alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from memdeep.frozen import frozen
from memdeep.model.comparison import PhaseChange

MIN_FOLDED = 2


@frozen
class FoldedRow:
    """Neighbours of one parent that are alike, with all within them."""

    members: tuple[int, ...]
    parent: int | None
    depth: int


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
