"""Finds the lines of instructions in the line table of a code object, of CPython 3.10 or later.

A capture's instruction offsets are memray's: in instructions in 3.10, in bytes from 3.11 on. memray
writes `co_linetable`, and its line for an instruction without one is the line before it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

CPYTHON_3_10 = 0x030A0000


def lines(
    table: bytes, first_line: int, python_version: int, offsets: Iterable[int]
) -> Sequence[int]:
    """The line of the instruction at each of ``offsets`` (as in the capture); 0 if it has none."""
    from memdeep.heap.replay._replay import lines

    packed = array("i", offsets).tobytes()
    return memoryview(lines(table, first_line, python_version, packed)).cast("q")
