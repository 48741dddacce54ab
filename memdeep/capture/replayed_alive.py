"""The stacks alive at a peak as the replay found them: columns, added up by compiled code."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

from memdeep.model import FoldedStack, StackBytes


class ReplayedAlive:
    """As `model.Alive`; ``columns`` are node, bytes and count, as the replay gives them."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, bytes]) -> None:
        self._columns = columns["node"], columns["bytes"], columns["count"]

    def __iter__(self) -> Iterator[StackBytes]:
        return _stacks(*self._columns)

    def by_group(self, groups: Sequence[int]) -> tuple[StackBytes, ...]:
        """As `model.Alive`."""
        from memdeep.capture._replay import by_group

        summed = by_group(*self._columns, _packed(groups, "I"))
        return tuple(_stacks(summed["node"], summed["bytes"], summed["count"]))

    def folded(self, parents: Sequence[int], most: int) -> tuple[FoldedStack, ...]:
        """As `model.Alive`."""
        from memdeep.capture._replay import folded

        few = folded(*self._columns, _packed(parents, "i"), most)
        nowhere = len(parents)
        stacks = _stacks(few["node"], few["bytes"], few["count"])
        own_bytes = memoryview(few["own"]).cast("q")
        return tuple(
            FoldedStack(
                -1 if stack.node == nowhere else stack.node, stack.bytes, stack.allocations, own
            )
            for stack, own in zip(stacks, own_bytes, strict=True)
        )


def _stacks(node: bytes, held: bytes, count: bytes) -> Iterator[StackBytes]:
    return map(
        StackBytes,
        memoryview(node).cast("I"),
        memoryview(held).cast("q"),
        memoryview(count).cast("q"),
    )


def _packed(column: Sequence[int], code: str) -> bytes:
    if not isinstance(column, array) or column.typecode != code:
        column = array(code, column)
    return column.tobytes()
