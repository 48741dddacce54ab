"""Sums of bytes and allocations by node, line or file; sums of figures that may be unknown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from memdeep.model.heap import Lifetime, StackBytes

Key = TypeVar("Key", bound=Hashable)


class Tally(dict[Key, tuple[int, int]]):
    """Bytes and number of allocations by what they are charged to."""

    def add(self, key: Key, size_bytes: int, allocations: int) -> None:
        """Charge further bytes and allocations to ``key``."""
        held, count = self.get(key, (0, 0))
        self[key] = (held + size_bytes, count + allocations)

    def total_bytes(self) -> int:
        """Return the bytes of all keys."""
        return sum(held for held, _ in self.values())


def sum_of_known(figures: Sequence[int | None]) -> int | None:
    """Return the sum of ``figures``, or None if one of them is None."""
    return None if None in figures else sum(filter(None, figures))


def highest(figures: Sequence[int | None]) -> int | None:
    """Return the highest of ``figures``, or None if one of them is None or there are none."""
    return (
        None if None in figures else max((one for one in figures if one is not None), default=None)
    )


def stacks_of(tally: Tally[int]) -> tuple[StackBytes, ...]:
    """Return a tally by node as stacks."""
    return tuple(StackBytes(node, held, count) for node, (held, count) in tally.items())


def by_stack(lifetimes: Iterable[Lifetime]) -> tuple[StackBytes, ...]:
    """Add up ``lifetimes`` by their stacks."""
    tally: Tally[int] = Tally()
    for life in lifetimes:
        tally.add(life.node, life.bytes, life.allocations)
    return stacks_of(tally)
