"""The columns of figures that the replay gives, by name. Knows no stack and no symbol.

Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

NEVER = 0xFFFFFFFF  # the segment of a free that did not happen

Column = Sequence[int]


@dataclass(frozen=True, slots=True)
class Sites:
    """The call sites: a Python stack, a thread, a native stack, a generation of loaded modules.

    ``memory_map`` is memray's own number of the generation in which a site was first seen.
    """

    node: Column
    thread: Column
    native: Column
    generation: Column
    memory_map: Column


@dataclass(frozen=True, slots=True)
class Rows:
    """Bytes in allocations of a site that were made in one segment and freed in another.

    ``died`` is `NEVER` for what was not freed.
    """

    site: Column
    born: Column
    died: Column
    bytes: Column
    count: Column

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        return zip(self.site, self.born, self.died, self.bytes, self.count, strict=True)


@dataclass(frozen=True, slots=True)
class LargeRows:
    """The largest single allocations of each segment."""

    site: Column
    born: Column
    died: Column
    bytes: Column


@dataclass(frozen=True, slots=True)
class Windows:
    """What lies before each cut and after the one before it, in stream order.

    ``segment`` is the one a window lies in, ``time_ms`` (since the epoch), ``rss`` and ``heap`` are
    those at the cut, ``peak`` is the highest heap in the window.
    """

    cut: Column
    segment: Column
    time_ms: Column
    rss: Column
    heap: Column
    peak: Column


def rows(columns: Mapping[str, bytes], prefix: str) -> Rows:
    """The rows whose columns' names begin with ``prefix``."""
    return Rows(
        site=unsigned(columns[f"{prefix}_site"]),
        born=unsigned(columns[f"{prefix}_born"]),
        died=unsigned(columns[f"{prefix}_died"]),
        bytes=long(columns[f"{prefix}_bytes"]),
        count=long(columns[f"{prefix}_count"]),
    )


def unsigned(column: bytes) -> memoryview[int]:
    """A column of 32 bits."""
    return memoryview(column).cast("I")


def unsigned_long(column: bytes) -> memoryview[int]:
    """A column of 64 bits."""
    return memoryview(column).cast("Q")


def long(column: bytes) -> memoryview[int]:
    """A column of 64 bits with signs."""
    return memoryview(column).cast("q")
