"""Tells what of a container's room was in it before: one that is resized moves to another block.

In the trace the old block was freed and the new one allocated. So a list that grows over several
phases is new in each of them, and freed in the next.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from memdeep.analysis.advice.patterns import container, makes_room, room
from memdeep.frozen import frozen
from memdeep.model import Frame, Heap, Lifetime, Origin, Phase, StackBytes
from memdeep.model.sums import Tally

LARGE_BYTES = 1 << 18  # a smaller room is not worth the words
_Bytes = TypeVar("_Bytes", Lifetime, StackBytes)
_Key = TypeVar("_Key", bound=Hashable)


@frozen
class _Room:
    """Whose room a stack makes; ``may_have_moved`` if not for a new container at its size."""

    container: str
    may_have_moved: bool


class Rooms:
    """The large rooms of containers that outlived the segment they were made in."""

    def __init__(self, heap: Heap) -> None:
        self._tree = tree = heap.tree
        self._is_room = [makes_room(frame) for frame in tree.frames]
        self._known: dict[int, _Room | None] = {}
        self._lives: list[tuple[_Room, Lifetime]] = []
        if any(self._is_room):
            lives = (life for life in heap.lifetimes if life.died != life.born)
            self._lives = list(self._among(lives))
        self._made: Tally[tuple[str, int]] = Tally()
        for one, life in self._lives:
            if one.may_have_moved:
                self._made.add((one.container, life.born), life.bytes, 0)

    def moved_in(self, lifetimes: Iterable[Lifetime], phases: Sequence[Phase]) -> int:
        """Return what of ``lifetimes``, of rooms that ``phases`` made, may have been there before.

        As much was freed meanwhile of rooms of such containers: which of them moved is not known.
        """
        made: Tally[str] = Tally()
        for one, life in self._among(lifetimes):
            if one.may_have_moved:
                made.add(one.container, life.bytes, 0)
        if not made:
            return 0
        segments = frozenset().union(*(phase.outline.segments for phase in phases))
        freed: Tally[str] = Tally()
        for one, life in self._lives:
            if life.died in segments and life.born not in segments:
                freed.add(one.container, life.bytes, 0)
        return _in_both(made, freed)

    def moved_on(self, lifetimes: Iterable[Lifetime]) -> int:
        """Return what of ``lifetimes`` may have moved to other rooms when it was freed."""
        freed: Tally[tuple[str, int]] = Tally()
        for one, life in self._among(lifetimes):
            if life.died is not None:
                freed.add((one.container, life.died), life.bytes, 0)
        return _in_both(freed, self._made)

    def moved_to(self, gone: Iterable[StackBytes], made: Iterable[StackBytes]) -> int:
        """Return what of ``gone`` may have moved to the rooms among what was ``made`` meanwhile."""
        freed: Tally[str] = Tally()
        for one, stack in self._among(gone):
            freed.add(one.container, stack.bytes, 0)
        rooms: Tally[str] = Tally()
        for one, stack in self._among(made) if freed else ():
            if one.may_have_moved:
                rooms.add(one.container, stack.bytes, 0)
        return _in_both(freed, rooms)

    def _among(self, parts: Iterable[_Bytes]) -> Iterator[tuple[_Room, _Bytes]]:
        for part in parts:
            if part.bytes >= LARGE_BYTES * part.allocations:
                found = self._of(part.node)
                if found is not None:
                    yield found, part

    def _of(self, node: int) -> _Room | None:
        if node not in self._known:
            self._known[node] = self._find(node)
        return self._known[node]

    def _find(self, node: int) -> _Room | None:
        frames, frame_ids, parents = self._tree.frames, self._tree.frame_ids, self._tree.parents
        own: list[Frame] = []
        is_room = False
        while node >= 0 and frames[frame_ids[node]].origin is Origin.NATIVE:
            own.append(frames[frame_ids[node]])
            is_room = is_room or self._is_room[frame_ids[node]]
            node = parents[node]
        found = room(own) if is_room else None
        return None if found is None else _Room(found[0], container(own) is not None)


def _in_both(one: Tally[_Key], other: Tally[_Key]) -> int:
    """Add up, by key, the smaller number of bytes of two."""
    return sum(min(size, other.get(key, (0, 0))[0]) for key, (size, _) in one.items())
