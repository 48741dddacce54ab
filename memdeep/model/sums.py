"""Adds up bytes and allocations by whatever they are charged to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from memdeep.model import StackBytes

Key = TypeVar("Key", bound=Hashable)


class Tally(dict[Key, tuple[int, int]]):
    """Bytes and number of allocations by key."""

    def add(self, key: Key, size_bytes: int, allocations: int) -> None:
        """Charge these to ``key`` as well."""
        held, count = self.get(key, (0, 0))
        self[key] = (held + size_bytes, count + allocations)

    def total_bytes(self) -> int:
        """The bytes of all keys."""
        return sum(held for held, _ in self.values())


def sum_of_known(figures: Sequence[int | None]) -> int | None:
    """The sum, or None where one of the figures is not known."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def stacks_of(tally: Tally[int]) -> tuple[StackBytes, ...]:
    """What is charged to nodes, as stacks."""
    return tuple(StackBytes(node, held, count) for node, (held, count) in tally.items())
