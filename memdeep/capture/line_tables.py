"""Finds the line of an instruction in the line table of a code object, of CPython 3.10 or later.

Source of the formats: CPython's Objects/lnotab_notes.txt (3.10) and Objects/locations.md (3.11 on).
A capture's instruction offsets are memray's: in instructions in 3.10, in bytes from 3.11 on. memray
writes `co_linetable`, and its line for an instruction without one is the line before it.
"""

from __future__ import annotations

from bisect import bisect_right

CPYTHON_3_10 = 0x030A0000
CPYTHON_3_11 = 0x030B0000
INSTRUCTION_BYTES = 2

_LONG = 14
_NO_COLUMNS = 13
_NO_LINE = 15
_ONE_LINE_0 = 10
_NO_LINE_DELTA = -128


class LineTable:
    """The lines of one code object, decoded when the first one is asked for.

    ``last_offset`` is the highest that will be asked for: nothing behind it is decoded.
    """

    __slots__ = ("_ends", "_first_line", "_last_offset", "_lines", "_python_version", "_table")

    def __init__(
        self, table: bytes, first_line: int, python_version: int, last_offset: int
    ) -> None:
        self._table = table
        self._first_line = first_line
        self._python_version = python_version
        self._last_offset = last_offset
        self._ends: list[int] | None = None
        self._lines: list[int] = []

    def line(self, offset: int) -> int:
        """The line of the instruction at ``offset`` (as in the capture); 0 if it has none."""
        if not self._table or offset < 0:
            return 0
        if self._ends is None:
            self._decode()
        assert self._ends is not None
        place = bisect_right(self._ends, self._in_bytes(offset))
        if place < len(self._lines):
            return self._lines[place]
        # Behind the end of the table there is nothing, but in 3.10 memray takes the last line.
        return self._lines[-1] if self._is_3_10 and self._lines else 0

    @property
    def _is_3_10(self) -> bool:
        return self._python_version < CPYTHON_3_11

    def _in_bytes(self, offset: int) -> int:
        return offset * INSTRUCTION_BYTES if self._is_3_10 else offset

    def _decode(self) -> None:
        decode = _decode_3_10 if self._is_3_10 else _decode_3_11
        last = self._in_bytes(self._last_offset)
        self._ends, self._lines = decode(self._table, self._first_line, last)


def _decode_3_10(table: bytes, line: int, last: int) -> tuple[list[int], list[int]]:
    """Where each entry ends, in bytes of code, and its line; up to the one that holds ``last``."""
    ends, lines = [], []
    end = 0
    for place in range(0, len(table) - 1, 2):
        end += table[place]
        delta = int.from_bytes(table[place + 1 : place + 2], "little", signed=True)
        line += 0 if delta == _NO_LINE_DELTA else delta
        ends.append(end)
        lines.append(line)
        if end > last:
            break
    return ends, lines


def _decode_3_11(table: bytes, line: int, last: int) -> tuple[list[int], list[int]]:
    """As `_decode_3_10`. One function, since a report decodes thousands of these tables."""
    ends, lines = [], []
    end = place = 0
    size = len(table)
    while place < size and end <= last:
        head = table[place]
        if head < 0x80:
            break  # damaged: every entry begins with its highest bit set
        code = head >> 3 & 15
        end += ((head & 7) + 1) * INSTRUCTION_BYTES
        if code < _ONE_LINE_0:
            place += 2
        elif code < _NO_COLUMNS:
            line += code - _ONE_LINE_0
            place += 3
        elif code == _NO_LINE:
            place += 1
        else:
            delta, place = _varint(table, place + 1)
            line += -(delta >> 1) if delta & 1 else delta >> 1
            if code == _LONG:  # the end of the line and two columns follow: what has no high bit
                while place < size and table[place] < 0x80:
                    place += 1
        ends.append(end)
        lines.append(line)
    return ends, lines


def _varint(table: bytes, place: int) -> tuple[int, int]:
    """A number in groups of six bits, least significant first, and where it ends."""
    value = 0
    for shift in range(0, 36, 6):
        if place >= len(table):
            break
        byte = table[place]
        place += 1
        value |= (byte & 63) << shift
        if not byte & 64:
            break
    return value, place
