"""Merges the stacks of both sides of a comparison into one tree, with the bytes of each side.

Stacks that call the same lines are one, through edits and renamed files; the threads they ran in
are not told. Small stacks are folded into their callers, so that a page stays small; no byte is
lost.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple, Protocol

from memdeep.analysis.charging import Charging
from memdeep.analysis.own_heap import own_heaps
from memdeep.analysis.repeats import unrepeated
from memdeep.frozen import frozen
from memdeep.model import Frame, Origin, Report, StackBytes, StackTree
from memdeep.model.comparison import Comparison, Figure, PhaseChange

MAX_NODES = 6_000
MAX_ENTRIES = 40_000  # over all views
MAX_HIGH = 100  # phases whose peaks are told
SMALL_VIEW = 1 / 100  # next to the largest one: what is in a smaller view may be folded further
REST = 0  # the node of what has no caller to be folded into


class LineKeys(Protocol):
    """The same key for a line on both sides, wherever it was found again."""

    def before(self, frame: Frame) -> Hashable:
        """Return the key of a frame of the side before."""

    def after(self, frame: Frame) -> Hashable:
        """Return the key of a frame of the side after."""


class BothBytes(NamedTuple):
    """The bytes of one stack on both sides."""

    node: int
    before: int
    after: int


@frozen
class FramePair:
    """A frame as each side has it; one of them is None for a line of one side only."""

    before: Frame | None
    after: Frame | None


@frozen
class MergedStacks:
    """One tree of both sides, parents before children, and what its stacks hold in each view.

    Node REST is the parent of none. ``times`` are the laps of a recursion that a node stands for.
    ``peak`` is the heap at its highest in the run; ``kept`` has for each phase of the comparison
    what was allocated in it and alive at its end, ``high`` what was alive at its peak, for those
    whose rise differs most. A view is None where a side that has the phase does not know it.
    ``share`` is the part of all bytes that was folded.
    """

    frames: tuple[FramePair, ...]
    parents: tuple[int, ...]
    frame_ids: tuple[int, ...]
    times: Mapping[int, int]
    peak: tuple[BothBytes, ...] | None
    kept: tuple[tuple[BothBytes, ...] | None, ...]
    high: tuple[tuple[BothBytes, ...] | None, ...]
    share: float

    def totals(self, view: Iterable[BothBytes]) -> tuple[Sequence[int], Sequence[int]]:
        """Return the bytes of each node and all it called, before and after."""
        before, after = [0] * len(self.parents), [0] * len(self.parents)
        for node, was, now in view:
            before[node] += was
            after[node] += now
        for column in (before, after):
            for node in range(len(column) - 1, 0, -1):
                if self.parents[node] >= 0:
                    column[self.parents[node]] += column[node]
        return before, after


def merged(comparison: Comparison, keys: LineKeys) -> MergedStacks:
    """Return the stacks of both sides as one tree of at most MAX_NODES."""
    tree = _Tree()
    before = _Seen(comparison.before.report, tree.places(comparison, keys, is_after=False))
    after = _Seen(comparison.after.report, tree.places(comparison, keys, is_after=True))
    phases = comparison.phases
    kept = zip(
        before.kept([phase.before for phase in phases]),
        after.kept([phase.after for phase in phases]),
        strict=True,
    )
    rising = _rising(phases)
    high = [
        _joined(before.high(phase.before), after.high(phase.after)) if place in rising else None
        for place, phase in enumerate(phases)
    ]
    views = [_joined(before.peak(), after.peak()), *(_joined(*sides) for sides in kept), *high]
    return tree.folded(views, len(phases))


def _rising(phases: Sequence[PhaseChange]) -> set[int]:
    """Return the phases whose rise differs most, or is that of one side alone."""
    found: list[tuple[float, int]] = []
    for place, phase in enumerate(phases):
        rise = phase.figures.get(Figure.RISE)
        if rise is not None and not rise.is_alike:
            sides = [median(side or (0,)) for side in (rise.before, rise.after)]
            found.append((abs(sides[1] - sides[0]), place))
    return {place for _, place in sorted(found, reverse=True)[:MAX_HIGH]}


_View = dict[int, tuple[int, int]]  # bytes before and after, by node


class _Tree:
    """The tree of both sides while it grows."""

    def __init__(self) -> None:
        nothing = Frame("", "", 0, Origin.NATIVE)
        self._frames: list[list[Frame | None]] = [[nothing, nothing]]
        self._frame_of: dict[Hashable, int] = {}
        self._parents = [-1]
        self._frame_ids = [0]
        self._children: dict[tuple[int, int], int] = {}
        self._times: dict[int, int] = {}

    def places(self, comparison: Comparison, keys: LineKeys, *, is_after: bool) -> array[int]:
        """Return the place here of each node of a side; new ones are added."""
        side = comparison.after if is_after else comparison.before
        tree = side.report.heap.tree
        frames = self._frames_of(tree, keys.after if is_after else keys.before, int(is_after))
        once = unrepeated(tree)
        found = array("I")
        for node, place in enumerate(once.places):
            parent = once.parents[node]
            if place != node:
                found.append(found[place])
                continue
            above = found[parent] if parent >= 0 else REST
            frame = frames[tree.frame_ids[node]]
            found.append(above if frame is None else self._child(above, frame))
            if node in once.times:
                here = found[node]
                self._times[here] = max(self._times.get(here, 0), once.times[node])
        return found

    def _frames_of(
        self, tree: StackTree, key_of: Callable[[Frame], Hashable], side: int
    ) -> list[int | None]:
        """Return the frame here of each frame of a side; None for a thread."""
        found: list[int | None] = []
        for frame in tree.frames:
            if frame.origin is Origin.THREAD:
                found.append(None)
                continue
            key = key_of(frame)
            place = self._frame_of.setdefault(key, len(self._frames))
            if place == len(self._frames):
                self._frames.append([None, None])
            self._frames[place][side] = self._frames[place][side] or frame
            found.append(place)
        return found

    def _child(self, above: int, frame: int) -> int:
        place = self._children.setdefault((above, frame), len(self._parents))
        if place == len(self._parents):
            self._parents.append(-1 if above == REST else above)
            self._frame_ids.append(frame)
        return place

    def folded(self, views: Sequence[_View | None], phases: int) -> MergedStacks:
        """Return the tree with the nodes that matter most, and the views over it.

        The first of ``views`` is the peak of the run, then come two for each of ``phases``.
        """
        ranked = _ranked(self._parents, views)
        sizes = [len(ranked)]
        while sizes[-1]:
            sizes.append(sizes[-1] * 3 // 4)

        def fits(size: int) -> bool:
            targets = _targets(self._parents, ranked[:size])
            entries = (len({targets[node] for node in view}) for view in views if view)
            return sum(entries) <= MAX_ENTRIES

        size = sizes[bisect_left(sizes, True, hi=len(sizes) - 1, key=fits)]
        targets = _targets(self._parents, ranked[:size])
        nodes = [REST, *sorted(ranked[:size])]
        numbers = {node: number for number, node in enumerate(nodes)}
        frames: dict[int, int] = {}
        for node in nodes:
            frames.setdefault(self._frame_ids[node], len(frames))
        small = [_retargeted(view, targets, numbers) for view in views]
        return MergedStacks(
            frames=tuple(FramePair(*self._frames[frame]) for frame in frames),
            parents=tuple(numbers.get(self._parents[node], -1) for node in nodes),
            frame_ids=tuple(frames[self._frame_ids[node]] for node in nodes),
            times={numbers[node]: laps for node, laps in self._times.items() if node in numbers},
            peak=small[0],
            kept=tuple(small[1 : 1 + phases]),
            high=tuple(small[1 + phases :]),
            share=_moved_share(views, targets),
        )


class _Seen:
    """What one side holds, by the places of its nodes in the tree of both."""

    def __init__(self, report: Report, places: array[int]) -> None:
        self._report = report
        self._places = places

    def peak(self) -> dict[int, int] | None:
        """Return the heap at its highest; None if its stacks are not known."""
        peaks = [phase.peak for phase in self._report.phases if phase.peak is not None]
        known = [peak for peak in peaks if peak.stacks is not None]
        if not known:
            return None
        highest = max(known, key=lambda peak: peak.bytes)
        assert highest.stacks is not None
        return self._by_place(highest.stacks.by_group(self._places))

    def high(self, place: int | None) -> dict[int, int] | None:
        """Return what was alive at the peak of a phase: nothing for None, None if not known."""
        if place is None:
            return {}
        peak = self._report.phases[place].peak
        if peak is None or peak.stacks is None:
            return None
        return self._by_place(peak.stacks.by_group(self._places))

    def kept(self, wished: Sequence[int | None]) -> list[dict[int, int] | None]:
        """Return what each of ``wished`` phases kept: nothing for None, None for an unknown one."""
        report = self._report
        outlines = [phase.outline for phase in report.phases]
        points = len(report.run.checkpoints)
        own = own_heaps(report.heap, outlines, Charging(report.heap.tree, outlines, points))
        known = [place for place in wished if place is not None]
        stretches = [outlines[place].stretches for place in known]
        moved = iter(report.heap.lifetimes.moved(stretches, self._places))
        found: list[dict[int, int] | None] = []
        for place in wished:
            if place is None:
                found.append({})
                continue
            here = next(moved)
            if place in own:
                here = own[place].moved(self._places)
            is_known = report.phases[place].heap is not None
            found.append(self._by_place(here.retained) if is_known else None)
        return found

    def _by_place(self, stacks: Iterable[StackBytes]) -> dict[int, int]:
        found: dict[int, int] = {}
        for stack in stacks:
            place = self._places[stack.node]
            found[place] = found.get(place, 0) + stack.bytes
        return found


def _joined(before: dict[int, int] | None, after: dict[int, int] | None) -> _View | None:
    if before is None or after is None:
        return None
    return {node: (before.get(node, 0), after.get(node, 0)) for node in {**before, **after}}


def _ranked(parents: Sequence[int], views: Sequence[_View | None]) -> list[int]:
    """List the nodes that matter most, heaviest first, without REST.

    A node weighs by the largest share that it, with all it called, has of a view; what changed
    counts twice. So its parent is never behind it.
    """
    sizes = [
        max(sum(was for was, _ in view.values()), sum(now for _, now in view.values()))
        for view in views
        if view
    ]
    least = SMALL_VIEW * max(sizes, default=0)
    weights = [0.0] * len(parents)
    for view, size in zip(filter(None, views), sizes, strict=True):
        scale = max(size, least, 1)
        for node, (was, now) in view.items():
            weights[node] = max(weights[node], (max(was, now) + abs(now - was)) / scale)
    for node in range(len(parents) - 1, REST, -1):
        if parents[node] >= 0:
            weights[parents[node]] += weights[node]
    told = [node for node in range(REST + 1, len(parents)) if weights[node] > 0]
    # Of equals the first: a parent may weigh no more than its only child.
    return sorted(told, key=lambda node: (-weights[node], node))[:MAX_NODES]


def _targets(parents: Sequence[int], kept: Iterable[int]) -> list[int]:
    """Return what each node is folded into: itself, its nearest kept caller, or REST."""
    keeps = bytearray(len(parents))
    for node in kept:
        keeps[node] = 1
    found = [REST]
    for node in range(REST + 1, len(parents)):
        parent = parents[node]
        found.append(node if keeps[node] else found[parent] if parent >= 0 else REST)
    return found


def _retargeted(
    view: _View | None, targets: Sequence[int], numbers: Mapping[int, int]
) -> tuple[BothBytes, ...] | None:
    if view is None:
        return None
    sums: _View = {}
    for node, (was, now) in view.items():
        place = numbers[targets[node]]
        before, after = sums.get(place, (0, 0))
        sums[place] = (before + was, after + now)
    return tuple(BothBytes(node, *sums[node]) for node in sorted(sums))


def _moved_share(views: Sequence[_View | None], targets: Sequence[int]) -> float:
    total = moved = 0
    for view in filter(None, views):
        for node, both in view.items():
            total += sum(both)
            moved += 0 if targets[node] == node else sum(both)
    return moved / total if total else 0.0
