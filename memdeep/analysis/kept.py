"""Adds up what phases kept: allocated in one of their stretches, alive at the end of the last.

Of a phase that repeats that is less than its repeats retained, each until its own end.
"""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Heap, Lifetimes, Stretch


def kept_bytes(heap: Heap, phases: Sequence[Sequence[Stretch]]) -> Sequence[int]:
    """Return the bytes that each phase kept; its stretches are in order of their ends."""
    if not phases:
        return ()
    births = heap.lifetimes.charged_to([0] * len(heap.tree.parents))
    return alive_at_last_ends(births, phases, len(heap.at_checkpoints))


def alive_at_last_ends(
    lifetimes: Lifetimes, phases: Sequence[Sequence[Stretch]], checkpoints: int
) -> Sequence[int]:
    """Add up for each phase what its stretches allocated and is alive at the end of the last.

    Goes through the checkpoints once, with the bytes alive by the segment of their birth.
    """
    changes: list[list[tuple[int, int]]] = [[] for _ in range(checkpoints)]
    for life in lifetimes:
        changes[life.born].append((life.born, life.bytes))
        if life.died is not None:
            changes[life.died].append((life.born, -life.bytes))
    alive = _PrefixSums(checkpoints)
    sums = [0] * len(phases)
    now = 0
    for place in sorted(range(len(phases)), key=lambda place: phases[place][-1].end):
        end = phases[place][-1].end
        for born, size in (change for changed in changes[now : end + 1] for change in changed):
            alive.add(born, size)
        now = max(now, end + 1)
        sums[place] = sum(alive.up_to(s.end) - alive.up_to(s.start) for s in phases[place])
    return sums


class _PrefixSums:
    """Numbers by place that can be changed, and their sums up to a place (a Fenwick tree)."""

    def __init__(self, length: int) -> None:
        self._sums = [0] * (length + 1)

    def add(self, place: int, number: int) -> None:
        place += 1
        while place < len(self._sums):
            self._sums[place] += number
            place += place & -place

    def up_to(self, place: int) -> int:
        """Return the sum of the numbers up to ``place``, its own included."""
        place += 1
        total = 0
        while place > 0:
            total += self._sums[place]
            place -= place & -place
        return total
