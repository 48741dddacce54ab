"""The columns of figures that the replay gives and takes. Knows no stack and no symbol.

Sizes are bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from memdeep.frozen import frozen

NEVER = 0xFFFFFFFF  # the segment of a free that did not happen
Column = Sequence[int]


@frozen
class Sites:
    """The call sites: a Python stack, a thread, a native stack, a generation of loaded modules.

    ``memory_map`` is memray's own number of the generation in which a site was first seen,
    ``asked`` the `Asked` by which it allocated.
    """

    node: Column
    thread: Column
    native: Column
    generation: Column
    memory_map: Column
    asked: Column


@frozen
class LargeRows:
    """The largest single allocations of each segment."""

    site: Column
    born: Column
    died: Column
    bytes: Column


@frozen
class OwnPeaks:
    """The highest heap of what one thread (its identifier) allocated, where it changed."""

    segment: Column
    thread: Column
    bytes: Column


@frozen
class Windows:
    """The windows between cuts, in stream order; each is ended by its ``cut``.

    ``segment`` is the segment of a window, ``time_ms`` (since the epoch), ``rss`` and ``heap`` are
    the figures at the cut, ``peak`` is the highest heap in the window.
    """

    cut: Column
    segment: Column
    time_ms: Column
    rss: Column
    heap: Column
    peak: Column


def unsigned(column: bytes) -> memoryview[int]:
    """View a column of 32 bits."""
    return memoryview(column).cast("I")


def unsigned_long(column: bytes) -> memoryview[int]:
    """View a column of 64 bits."""
    return memoryview(column).cast("Q")


def long(column: bytes) -> memoryview[int]:
    """View a column of 64 bits with signs."""
    return memoryview(column).cast("q")


def packed(column: Column, code: str) -> bytes:
    """Pack ``column`` as the bytes of an `array` of this type code."""
    if isinstance(column, memoryview) and column.format == code:
        # Whole bytes, as the replay gives them and others make them for it, need no copy.
        whole = column.obj
        if isinstance(whole, bytes) and len(whole) == column.nbytes:
            return whole
        return column.tobytes()
    if not isinstance(column, array) or column.typecode != code:
        column = array(code, column)
    return column.tobytes()
