"""Charges bytes held by stacks to lines of the user's program."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter

from memdeep.model import Alive, Culprit, Frame, LargeAllocation, Origin, StackBytes, StackTree

MAX_CULPRITS = 20
MAX_PATHS = 20_000  # that are kept: some megabytes
Line = tuple[str, int]

_NO_CALL = -1  # what was allocated in the frame itself


# Of the frames of a stack, the innermost of the origin that comes first here is charged.
CHARGE_ORDER = (
    Origin.USER,
    Origin.TOOL,
    Origin.LIBRARY,
    Origin.STDLIB,
    Origin.NATIVE,
    Origin.MEMDEEP,
    Origin.THREAD,
)


class ChargedLines:
    """The line to charge for each node of a stack tree.

    That is the innermost frame of the user's own code; where a stack has none, the innermost
    frame of the installed tool that was run, of a library, of the standard library, and of native
    code, in this order.
    """

    def __init__(self, tree: StackTree) -> None:
        self._tree = tree
        by_origin = {origin: place for place, origin in enumerate(CHARGE_ORDER)}
        ranks = [by_origin[frame.origin] for frame in tree.frames]
        self._is_ours = [frame.origin is Origin.MEMDEEP for frame in tree.frames]
        self._lines = [(frame.filename, frame.lineno) for frame in tree.frames]
        charged = array("I")
        for parent, frame_id in zip(tree.parents, tree.frame_ids, strict=True):
            if parent >= 0 and ranks[charged[parent]] < ranks[frame_id]:
                frame_id = charged[parent]
            charged.append(frame_id)
        self.frame_ids: Sequence[int] = charged  # the frame to charge, of each node
        self._paths: dict[int, Sequence[int]] = {}

    @cached_property
    def groups(self) -> Sequence[int]:
        """The group of each node: a number for the line it is charged to."""
        column = array("I", map(self._groups_of_frames.__getitem__, self.frame_ids))
        # Bytes can be handed to compiled code as they are, as often as it is asked.
        return memoryview(column.tobytes()).cast("I")

    @cached_property
    def _groups_of_frames(self) -> Sequence[int]:
        numbers: dict[object, int] = {}
        lines = zip(self._lines, self._is_ours, strict=True)
        return [numbers.setdefault(line, len(numbers)) for line in lines]

    def frame(self, node: int) -> Frame:
        """Return the frame to charge for the allocations of ``node``."""
        return self._tree.frames[self.frame_ids[node]]

    def line(self, node: int) -> tuple[str, int]:
        """Return file name and line number of the frame to charge."""
        return self._lines[self.frame_ids[node]]

    def by_line(self, stacks: Iterable[StackBytes]) -> dict[Line, StackBytes]:
        """Return ``stacks`` by their lines, of which each has one; without those of memdeep."""
        frame_ids, is_ours, lines = self.frame_ids, self._is_ours, self._lines
        return {
            lines[frame_ids[stack.node]]: stack
            for stack in stacks
            if not is_ours[frame_ids[stack.node]]
        }

    def culprits(
        self,
        stacks: Sequence[StackBytes],
        total_bytes: int,
        least_bytes: int = 0,
        resident_shares: Mapping[Line, float] | None = None,
        most: int | None = MAX_CULPRITS,
    ) -> tuple[Culprit, ...]:
        """Find the lines that hold the most of ``stacks``, largest first; ``most`` is how many.

        After the first, only those that hold ``least_bytes``. Memory of memdeep itself is left
        out. ``resident_shares`` are those that are known and not 1; without them, none is known.
        """
        if not stacks:  # as in most phases, where there are very many
            return ()
        lines: dict[Line, _Charge] = {}
        for stack in stacks:
            if stack.bytes > 0 and not self._is_ours[frame_id := self.frame_ids[stack.node]]:
                line = self._lines[frame_id]
                charge = lines.get(line)
                if charge is None:
                    lines[line] = _Charge(stack)
                else:
                    charge.add(stack)
        # Of lines that hold the same, the order of their names decides, not that of the capture.
        ranked = sorted(lines.items(), key=_largest_first)[:most]
        return tuple(
            [
                self._culprit(
                    charge,
                    total_bytes,
                    None if resident_shares is None else resident_shares.get(line, 1.0),
                )
                for place, (line, charge) in enumerate(ranked)
                if place == 0 or charge.bytes >= least_bytes
            ]
        )

    def culprits_alive(
        self, alive: Alive, total_bytes: int, least_bytes: int = 0
    ) -> tuple[Culprit, ...]:
        """Find the `culprits` among the stacks alive at one moment."""
        return self.culprits(alive.by_group(self.groups), total_bytes, least_bytes)

    def largest(
        self, allocations: Sequence[LargeAllocation], total_bytes: int
    ) -> tuple[Culprit, ...]:
        """Find the lines with the largest single allocations, at most 20, each with its largest."""
        if not allocations:
            return ()
        lines: dict[tuple[str, int], Culprit] = {}
        for one in sorted(allocations, key=_bytes, reverse=True):
            frame_id = self.frame_ids[one.node]
            line = self._lines[frame_id]
            if line not in lines and not self._is_ours[frame_id]:
                share = one.bytes / total_bytes if total_bytes > 0 else 0.0
                lines[line] = Culprit(self.frame(one.node), one.node, one.bytes, 1, share)
        return tuple(lines.values())[:MAX_CULPRITS]

    def _culprit(self, charge: _Charge, total_bytes: int, resident_share: float | None) -> Culprit:
        node = charge.stacks[0].node
        branch_bytes: tuple[int, ...] = ()
        if len(charge.stacks) > 1:
            node, branch_bytes = heaviest_branch(charge.stacks, self._from_charged)
        return Culprit(
            frame=self.frame(node),
            node=node,
            bytes=charge.bytes,
            allocations=charge.allocations,
            share=charge.bytes / total_bytes if total_bytes > 0 else 0.0,
            branch_bytes=branch_bytes,
            resident_bytes=None
            if resident_share is None or self._tree.process(node)  # others' mappings are not read
            else round(charge.bytes * resident_share),
        )

    def _from_charged(self, node: int) -> Sequence[int]:
        """Return the frames of ``node`` from the charged one on, outermost first.

        Those of a stack that holds much are asked for in many phases.
        """
        found = self._paths.get(node)
        if found is not None:
            return found
        frame_ids, parents = self._tree.frame_ids, self._tree.parents
        charged, path, at = self.frame_ids[node], array("I"), node
        while (frame := frame_ids[at]) != charged:
            path.append(frame)
            at = parents[at]
        path.append(charged)
        path.reverse()
        if len(self._paths) >= MAX_PATHS:
            self._paths.clear()
        self._paths[node] = path
        return path


class _Charge:
    """The bytes charged to one line, and its stacks."""

    __slots__ = ("allocations", "bytes", "stacks")

    def __init__(self, stack: StackBytes) -> None:
        self.stacks = [stack]
        self.bytes = stack.bytes
        self.allocations = stack.allocations

    def add(self, stack: StackBytes) -> None:
        self.stacks.append(stack)
        self.bytes += stack.bytes
        self.allocations += stack.allocations


def _largest_first(item: tuple[tuple[str, int], _Charge]) -> tuple[int, tuple[str, int]]:
    return -item[1].bytes, item[0]


def heaviest_branch(
    stacks: Iterable[StackBytes], path: Callable[[int], Sequence[int]]
) -> tuple[int, tuple[int, ...]]:
    """Follow the calls of a line down, each time to the one that holds most.

    ``path`` returns the frames of a node from the line on. Return the largest stack at the end of
    that way, and the bytes that went through each frame on it, whoever called the line.
    """
    within = [(stack, path(stack.node)) for stack in stacks]
    held: list[int] = []
    while len(within) > 1:
        called: dict[int, list[tuple[StackBytes, Sequence[int]]]] = {}
        for item in within:
            frame = item[1][len(held)] if len(held) < len(item[1]) else _NO_CALL
            called.setdefault(frame, []).append(item)
        frame, within = min(called.items(), key=lambda item: _heaviest_first(item[1]))
        if frame == _NO_CALL:
            return min((-stack.bytes, stack.node) for stack, _ in within)[1], tuple(held)
        held.append(sum(stack.bytes for stack, _ in within))
    stack, frames = within[0]  # alone, as it mostly is after a few calls
    return stack.node, (*held, *[stack.bytes] * (len(frames) - len(held)))


def _heaviest_first(items: Sequence[tuple[StackBytes, Sequence[int]]]) -> tuple[int, int]:
    size = sum(stack.bytes for stack, _ in items)
    return -size, min(stack.node for stack, _ in items)


_bytes = attrgetter("bytes")
