"""Walks the rows of a snapshot's holders, weighed by some of the bytes that they hold.

Rows stand behind their parents. Knows neither lines nor phases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from memdeep.frozen import replace
from memdeep.model.graph import Holder
from memdeep.model.holders import HeapSnapshot, HeldPath

MAX_PATHS = 5
MIN_PATH_SHARE = 0.05  # of the bytes that are looked for: a holder of less is not told
POINT_SHARE = 0.8  # of a holder's bytes: an object that has so many of them is the better answer
NAMESPACES = ("module", "type")


class HolderTree:
    """The rows of ``snapshot``; ``weights`` has the bytes of each and of all beneath it.

    ``freed`` is what dropping each would free.
    """

    def __init__(
        self, snapshot: HeapSnapshot, weights: Sequence[int], freed: Sequence[int]
    ) -> None:
        self._types = snapshot.types
        self._freed = freed
        self._rows = snapshot.rows
        self._weights = weights
        self._children: defaultdict[int | None, list[int]] = defaultdict(list)
        for place, row in enumerate(self._rows):
            if weights[place] > 0:
                self._children[row.parent].append(place)

    def children(self, place: int | None) -> list[int]:
        """Return the rows directly beneath ``place`` that have any weight; None is above all."""
        return self._children.get(place, [])

    def has_name(self, place: int) -> bool:
        """Tell whether a row is of a single object that somebody who can be named leads to.

        The path of a merged row is that of its largest object, and says nothing of the others.
        """
        row = self._rows[place]
        return bool(row.path) and row.is_single and not row.path.startswith("<")

    def is_namespace(self, place: int) -> bool:
        """Tell whether a row is a module or a class, or the names in one or in a function."""
        row = self._rows[place]
        kind = self._types[row.kind]
        if kind in NAMESPACES:
            return True
        if kind != "dict" or row.label:
            return False
        above = None if row.parent is None else self._rows[row.parent]
        return above is None or self._types[above.kind] in NAMESPACES

    def down(self, place: int) -> int:
        """Return the last single object on the way down that has nearly all of the weight.

        Of a chain of like objects (other than Python's containers) the first one is told.
        """
        least = POINT_SHARE * self._weights[place]
        while True:
            below = max(self.children(place), key=self._weights.__getitem__, default=None)
            if below is None or self._weights[below] < least or not self.has_name(below):
                return place
            kind = self._rows[below].kind
            if kind == self._rows[place].kind and "." in self._types[kind]:
                return place
            if self._rows[below].others and not self.is_namespace(place):
                return place  # within this object it is held twice: to drop this is what frees it
            place = below

    def ways(self, place: int) -> tuple[str, ...]:
        """Return two paths to the largest object, where all is held by more than one."""
        if not self.is_namespace(place):
            row = self._rows[place]
            return (row.path, row.also) if row.also not in ("", row.path) else ()
        several = [below for below in self.children(place) if self._rows[below].also]
        if sum(self._weights[below] for below in several) < POINT_SHARE * self._weights[place]:
            return ()
        largest = self._rows[max(several, key=self._weights.__getitem__)]
        return largest.path, largest.also

    def path(self, place: int, ways: tuple[str, ...] = ()) -> HeldPath:
        """Return a row as the holder of its weight."""
        row = self._rows[place]
        return HeldPath(
            row.path,
            self._weights[place],
            self._freed[place],
            also=row.others,
            ways=ways,
            is_namespace=self.is_namespace(place),
        )


def points(
    snapshot: HeapSnapshot, weights: Sequence[int], total: int, freed: Sequence[int]
) -> tuple[HeldPath, ...]:
    """Find the objects at which ``weights`` come together, largest first; none within another.

    From each root the way goes down as long as one single object has nearly all of it. A namespace
    gives way to the names in it, and so does what has none. ``freed`` is what dropping each row
    would free.
    """
    tree = HolderTree(snapshot, weights, freed)
    least = max(1, total * MIN_PATH_SHARE)
    found: dict[str, HeldPath] = {}
    waiting = tree.children(None)[:]
    while waiting:
        place = waiting.pop()
        if weights[place] < least:
            continue
        if not tree.has_name(place):  # what it holds may have names
            waiting += tree.children(place)
            continue
        place = tree.down(place)
        ways = tree.ways(place)
        named = [one for one in tree.children(place) if weights[one] >= least]
        if tree.is_namespace(place) and not ways and any(map(tree.has_name, named)):
            waiting += named
            continue
        path = tree.path(place, ways)
        before = found.get(path.path)
        found[path.path] = path if before is None else _both(before, path)
    return tuple(sorted(found.values(), key=lambda one: (-one.bytes, one.path))[:MAX_PATHS])


def _both(one: HeldPath, other: HeldPath) -> HeldPath:
    """Return two objects with like paths as one."""
    return replace(
        one,
        bytes=one.bytes + other.bytes,
        retained_bytes=one.retained_bytes + other.retained_bytes,
        count=one.count + other.count,
    )


def with_children(rows: Sequence[Holder], own: Sequence[int]) -> list[int]:
    """Add to the bytes of each row those of all rows beneath it."""
    weights = list(own)
    for place in range(len(rows) - 1, -1, -1):
        parent = rows[place].parent
        if parent is not None:
            weights[parent] += weights[place]
    return weights


def freed_by_row(snapshot: HeapSnapshot) -> Sequence[int]:
    """Return what dropping each row would free: as its objects say, or as the trace has it.

    An object says less than its block has; of what was there before the trace only it says.
    """
    own = [0] * len(snapshot.rows)
    for row in snapshot.held:
        if row.holder is not None:
            own[row.holder] += row.bytes
    traced = with_children(snapshot.rows, own)
    return [max(row.retained_bytes, size) for row, size in zip(snapshot.rows, traced, strict=True)]
