"""Live bytes as lists of Python objects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from memdeep.frozen import frozen
from memdeep.model.heap import FoldedStack, StackBytes
from memdeep.model.sums import Tally, stacks_of


@frozen
class AliveStacks:
    """Live bytes one stack at a time."""

    stacks: tuple[StackBytes, ...] = ()

    def __iter__(self) -> Iterator[StackBytes]:
        return iter(self.stacks)

    def by_node(self) -> Mapping[int, int]:
        return {stack.node: stack.bytes for stack in self.stacks}

    def by_group(self, groups: Sequence[int]) -> tuple[StackBytes, ...]:
        found: dict[int, list[StackBytes]] = {}
        for stack in self.stacks:
            found.setdefault(groups[stack.node], []).append(stack)
        return tuple(
            StackBytes(
                min(group, key=lambda stack: (-stack.bytes, stack.node)).node,
                sum(stack.bytes for stack in group),
                sum(stack.allocations for stack in group),
            )
            for group in found.values()
        )

    def folded(self, parents: Sequence[int], most: int) -> tuple[FoldedStack, ...]:
        if len(self.stacks) <= most:
            return tuple(
                FoldedStack(stack.node, stack.bytes, stack.allocations, stack.bytes)
                for stack in self.stacks
            )
        kept = self._heaviest(parents, most)
        own: dict[int, int] = {}
        tally: Tally[int] = Tally()
        for stack in self.stacks:
            node = _nearest(stack.node, parents, kept)
            tally.add(node, stack.bytes, stack.allocations)
            if node == stack.node:
                own[node] = own.get(node, 0) + stack.bytes
        return tuple(
            FoldedStack(node, held, count, own.get(node, 0))
            for node, (held, count) in tally.items()
        )

    def _heaviest(self, parents: Sequence[int], most: int) -> set[int]:
        held: dict[int, int] = {}
        for stack in self.stacks:
            node = stack.node
            while node >= 0:
                held[node] = held.get(node, 0) + stack.bytes
                node = parents[node]
        # A caller holds at least what it called, and comes first among equals.
        weighing = (node for node, size in held.items() if size > 0)
        return set(sorted(weighing, key=lambda node: (-held[node], node))[:most])


def alive_of(tally: Tally[int]) -> AliveStacks:
    """Make the live bytes of each node."""
    return AliveStacks(stacks_of(tally))


def _nearest(node: int, parents: Sequence[int], kept: Collection[int]) -> int:
    """Return ``node`` or its nearest caller that is in ``kept``; -1 if there is none."""
    while node >= 0 and node not in kept:
        node = parents[node]
    return node
