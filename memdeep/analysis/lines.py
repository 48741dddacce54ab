"""Charges the bytes of a heap to lines, whole and before anything is folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdeep.analysis.culprits import Blame
from memdeep.model import Frame, Heap, Lifetime, Peak, StackBytes, Transient
from memdeep.tally import Tally, lifetimes_of, stacks_of


@dataclass(frozen=True, slots=True)
class LineBytes:
    """What a heap held and did, by line: ``node`` of every item is an index into ``frames``.

    Each line (file and number) appears once; where its code belongs to several functions, the one
    met first stands for it. ``peaks`` are as they were given, None where no stacks were kept.
    """

    frames: tuple[Frame, ...]
    lifetimes: tuple[Lifetime, ...]
    transients: tuple[Transient, ...] | None
    peaks: tuple[tuple[StackBytes, ...] | None, ...]

    def place(self, frame: Frame) -> int:
        """The index of the line of ``frame``, or -1 if nothing was charged to it."""
        line = (frame.filename, frame.lineno)
        places = (n for n, own in enumerate(self.frames) if (own.filename, own.lineno) == line)
        return next(places, -1)


def by_line(heap: Heap, peaks: Sequence[Peak | None]) -> LineBytes:
    """The lifetimes and transients of ``heap`` and the stacks at ``peaks``, by line."""
    blame = Blame(heap.tree)
    lines = _Lines(blame)
    lifetimes: Tally[tuple[int, int, int | None]] = Tally()
    for life in heap.lifetimes:
        lifetimes.add((lines.place(life.node), life.born, life.died), life.bytes, life.allocations)
    gone: Tally[tuple[int, int]] = Tally()
    for item in heap.transients or ():
        gone.add((lines.place(item.node), item.segment), item.bytes, item.allocations)
    at_peaks = tuple(
        None
        if peak is None or peak.stacks is None
        else _stacks(peak.stacks.by_group(blame.groups), lines)
        for peak in peaks
    )
    return LineBytes(
        frames=tuple(lines.frames),
        lifetimes=lifetimes_of(lifetimes),
        transients=None
        if heap.transients is None
        else tuple(Transient(*key, held, count) for key, (held, count) in gone.items()),
        peaks=at_peaks,
    )


def _stacks(stacks: Iterable[StackBytes], lines: _Lines) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(lines.place(stack.node), stack.bytes, stack.allocations)
    return stacks_of(tally)


class _Lines:
    """Numbers the lines that are charged, in the order they are met."""

    def __init__(self, blame: Blame) -> None:
        self.frames: list[Frame] = []
        self._blame = blame
        self._of_line: dict[tuple[str, int], int] = {}
        self._of_node: dict[int, int] = {}

    def place(self, node: int) -> int:
        place = self._of_node.get(node)
        if place is None:
            line = self._blame.line(node)
            place = self._of_line.setdefault(line, len(self.frames))
            if place == len(self.frames):
                self.frames.append(self._blame.frame(node))
            self._of_node[node] = place
        return place
