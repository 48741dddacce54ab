"""Charges bytes held by stacks to lines of the user's program."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import attrgetter

from memdeep.model import Alive, Culprit, Frame, LargeAllocation, Origin, StackBytes, StackTree

MAX_CULPRITS = 20


class ChargedLines:
    """The line to charge for each node of a stack tree.

    That is the innermost frame of the user's own code; where a stack has none, the innermost
    frame of the installed tool that was run, of a library, of the standard library, and of native
    code, in this order.
    """

    _ORDER = (
        Origin.USER,
        Origin.TOOL,
        Origin.LIBRARY,
        Origin.STDLIB,
        Origin.NATIVE,
        Origin.MEMDEEP,
        Origin.THREAD,
    )

    def __init__(self, tree: StackTree) -> None:
        self._tree = tree
        by_origin = {origin: place for place, origin in enumerate(self._ORDER)}
        ranks = [by_origin[frame.origin] for frame in tree.frames]
        self._is_ours = [frame.origin is Origin.MEMDEEP for frame in tree.frames]
        self._lines = [(frame.filename, frame.lineno) for frame in tree.frames]
        self._frame_ids: list[int] = []
        charged = self._frame_ids
        for parent, frame_id in zip(tree.parents, tree.frame_ids, strict=True):
            if parent >= 0 and ranks[charged[parent]] < ranks[frame_id]:
                frame_id = charged[parent]
            charged.append(frame_id)

    @cached_property
    def lines(self) -> Sequence[Frame]:
        """The first frame in the tree of each group's line, by group."""
        firsts: dict[int, Frame] = {}
        for group, frame in zip(self._groups_of_frames, self._tree.frames, strict=True):
            firsts.setdefault(group, frame)  # groups are numbered as they are met
        return list(firsts.values())

    @cached_property
    def groups(self) -> Sequence[int]:
        """The group of each node: a number for the line it is charged to."""
        column = array("I", map(self._groups_of_frames.__getitem__, self._frame_ids))
        # Bytes can be handed to compiled code as they are, as often as it is asked.
        return memoryview(column.tobytes()).cast("I")

    @cached_property
    def _groups_of_frames(self) -> Sequence[int]:
        numbers: dict[object, int] = {}
        lines = zip(self._lines, self._is_ours, strict=True)
        return [numbers.setdefault(line, len(numbers)) for line in lines]

    def frame(self, node: int) -> Frame:
        """Return the frame to charge for the allocations of ``node``."""
        return self._tree.frames[self._frame_ids[node]]

    def line(self, node: int) -> tuple[str, int]:
        """Return file name and line number of the frame to charge."""
        return self._lines[self._frame_ids[node]]

    def culprits(
        self, stacks: Iterable[StackBytes], total_bytes: int, least_bytes: int = 0
    ) -> tuple[Culprit, ...]:
        """Find the lines that hold the most of ``stacks``, at most 20, largest first.

        After the first, only those that hold ``least_bytes``. Memory of memdeep itself is left
        out.
        """
        lines: dict[tuple[str, int], _Charge] = {}
        for stack in stacks:
            if stack.bytes > 0 and not self._is_ours[frame_id := self._frame_ids[stack.node]]:
                line = self._lines[frame_id]
                charge = lines.get(line)
                if charge is None:
                    lines[line] = _Charge(stack)
                else:
                    charge.add(stack)
        # Of lines that hold the same, the order of their names decides, not that of the capture.
        ranked = sorted(lines.items(), key=lambda item: (-item[1].bytes, item[0]))[:MAX_CULPRITS]
        return tuple(
            self._culprit(charge, total_bytes)
            for place, (_, charge) in enumerate(ranked)
            if place == 0 or charge.bytes >= least_bytes
        )

    def culprits_alive(
        self, alive: Alive, total_bytes: int, least_bytes: int = 0
    ) -> tuple[Culprit, ...]:
        """Find the `culprits` among the stacks alive at one moment."""
        return self.culprits(alive.by_group(self.groups), total_bytes, least_bytes)

    def largest(
        self, allocations: Iterable[LargeAllocation], total_bytes: int
    ) -> tuple[Culprit, ...]:
        """Find the lines with the largest single allocations, at most 20, each with its largest."""
        lines: dict[tuple[str, int], Culprit] = {}
        for one in sorted(allocations, key=_bytes, reverse=True):
            frame_id = self._frame_ids[one.node]
            line = self._lines[frame_id]
            if line not in lines and not self._is_ours[frame_id]:
                share = one.bytes / total_bytes if total_bytes > 0 else 0.0
                lines[line] = Culprit(self.frame(one.node), one.node, one.bytes, 1, share)
        return tuple(lines.values())[:MAX_CULPRITS]

    def _culprit(self, charge: _Charge, total_bytes: int) -> Culprit:
        return Culprit(
            frame=self.frame(charge.largest.node),
            node=charge.largest.node,
            bytes=charge.bytes,
            allocations=charge.allocations,
            share=charge.bytes / total_bytes if total_bytes > 0 else 0.0,
        )


class _Charge:
    """The bytes charged to one line, and the largest of its stacks."""

    __slots__ = ("allocations", "bytes", "largest")

    def __init__(self, stack: StackBytes) -> None:
        self.largest = stack
        self.bytes = stack.bytes
        self.allocations = stack.allocations

    def add(self, stack: StackBytes) -> None:
        self.bytes += stack.bytes
        self.allocations += stack.allocations
        if (-stack.bytes, stack.node) < (-self.largest.bytes, self.largest.node):
            self.largest = stack


_bytes = attrgetter("bytes")
