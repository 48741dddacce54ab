"""Folds the laps of deep recursion: stacks that repeat the same calls thousands of times."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from memdeep.frozen import frozen
from memdeep.model import StackTree

DEEP = 256  # frames: a stack that is not deeper is left as it is
KEPT = 3  # laps of a repeated run of calls that stay apart
LONGEST = 12  # frames of a run of calls that can be found to repeat
NO_RUNS = (0,) * LONGEST


@frozen
class Unrepeated:
    """A tree in which all laps of a recursion but the first ones are one lap.

    ``places`` has for each node the one that stands for it: itself, or an earlier one with the same
    calls at its end. ``parents`` are those of the new tree; a node that is folded is beneath the
    one that stands for it. ``times`` are the laps that a node stands for, in the deepest stack,
    where there are several.
    """

    places: Sequence[int]
    parents: Sequence[int]
    times: dict[int, int]


def unrepeated(tree: StackTree) -> Unrepeated:
    """Fold the laps of ``tree``; no stack gets another innermost call or line to blame."""
    deep = _deep(tree.parents)
    if deep is None:
        return Unrepeated(range(len(tree.parents)), tree.parents, {})
    folding = _Folding(tree)
    for node, is_deep in enumerate(deep):
        folding.add(node, is_deep=bool(is_deep))
    return Unrepeated(folding.places, folding.parents, folding.times)


def _deep(parents: Sequence[int]) -> bytearray | None:
    """Mark the nodes on the way to a deep stack; None if there is no such stack."""
    depths = array("I")
    for parent in parents:
        depths.append(1 if parent < 0 else depths[parent] + 1)
    if max(depths, default=0) <= DEEP:
        return None
    deep = bytearray(depth > DEEP for depth in depths)
    for node in range(len(parents) - 1, -1, -1):
        if deep[node] and parents[node] >= 0:
            deep[parents[node]] = True
    return deep


class _Folding:
    """Takes the nodes of a tree one after the other, parents before children."""

    def __init__(self, tree: StackTree) -> None:
        self._tree = tree
        self.places = array("i")
        self.parents = array("i")
        self.times: dict[int, int] = {}
        self._children: dict[int, int] = {}  # by place of the parent and frame in one number
        self._depths: dict[int, int] = {-1: 0}
        # How many frames in a row equal those so many levels above, for each such distance: of
        # nodes of deep stacks alone, where any are.
        self._runs: dict[int, tuple[int, ...]] = {}
        self._laps: dict[int, tuple[int, int]] = {}  # and the depth at which the lap ends

    def add(self, node: int, *, is_deep: bool) -> None:
        """Find the place of ``node``; that of its parent is known."""
        parent = self._tree.parents[node]
        above = -1 if parent < 0 else self.places[parent]
        key = above << 32 | self._tree.frame_ids[node]
        place = self._children.get(key)
        if place is None:
            place = self._children[key] = self._place(node, above) if is_deep else node
            if place == node:
                self._depths[node] = self._depths[above] + 1
        self.places.append(place)
        self.parents.append(above if place == node else place)
        if is_deep:
            self._count(node, parent, above, place)

    def _place(self, node: int, above: int) -> int:
        """Return the node a lap above that stands for ``node``; itself if there is none."""
        frame, at, runs = self._tree.frame_ids[node], above, []
        for distance, run in enumerate(self._runs.get(above, NO_RUNS), 1):
            same = at >= 0 and self._tree.frame_ids[at] == frame
            if same and run >= (KEPT - 1) * distance:
                return at
            runs.append(run + 1 if same else 0)
            at = self.parents[at] if at >= 0 else -1
        if any(runs):
            self._runs[node] = tuple(runs)
        return node

    def _count(self, node: int, parent: int, above: int, place: int) -> None:
        """Count the laps on the way to ``node``, and note them where they are folded."""
        laps, end = self._laps.get(parent, (0, 0))
        depth = self._depths[above]
        if self._depths[place] <= depth:  # back at the first call of the lap
            laps = laps + 1 if depth <= end else 1
            self._laps[node] = (laps, depth)
            while self.times.get(above, 0) <= laps and self._depths[above] >= self._depths[place]:
                self.times[above] = laps + 1
                above = self.parents[above]
        elif laps and self._depths[place] <= end:
            self._laps[node] = (laps, end)


def unrepeated_stack(frame_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return the places of a stack's frames that stay, outermost first, each with its laps."""
    size = len(frame_ids)
    once = unrepeated(StackTree((), range(-1, size - 1), frame_ids))
    found: list[tuple[int, int]] = []
    at = once.places[-1] if size else -1
    while at >= 0:
        found.append((at, once.times.get(at, 1)))
        at = once.parents[at]
    return found[::-1]
