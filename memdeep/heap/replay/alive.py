"""The stacks alive at a peak as the replay found them: columns, added up by compiled code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memdeep.heap.replay.columns import long, packed, unsigned
from memdeep.model import FoldedStack, StackBytes


@dataclass(frozen=True, slots=True)
class ReplayedAlive:
    """As `model.Alive`; the columns of numbers are bytes, as the replay gives them."""

    node: bytes
    held: bytes
    count: bytes

    def __iter__(self) -> Iterator[StackBytes]:
        return _stacks(self.node, self.held, self.count)

    def by_group(self, groups: Sequence[int]) -> tuple[StackBytes, ...]:
        """As `model.Alive`."""
        from memdeep.heap.replay._replay import by_group

        summed = by_group(self.node, self.held, self.count, packed(groups, "I"))
        return tuple(_stacks(summed["node"], summed["held"], summed["count"]))

    def folded(self, parents: Sequence[int], most: int) -> tuple[FoldedStack, ...]:
        """As `model.Alive`."""
        from memdeep.heap.replay._replay import folded

        few = folded(self.node, self.held, self.count, packed(parents, "i"), most)
        nowhere = len(parents)
        stacks = _stacks(few["node"], few["held"], few["count"])
        own_bytes = long(few["own"])
        return tuple(
            FoldedStack(
                -1 if stack.node == nowhere else stack.node, stack.bytes, stack.allocations, own
            )
            for stack, own in zip(stacks, own_bytes, strict=True)
        )


def _stacks(node: bytes, held: bytes, count: bytes) -> Iterator[StackBytes]:
    return map(StackBytes, unsigned(node), long(held), long(count))
