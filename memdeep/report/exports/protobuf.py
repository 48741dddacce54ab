"""Encodes messages of Protocol Buffers: numbers, texts, and messages within messages.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterable

_VARINT, _BYTES = 0, 2
_MASK = (1 << 64) - 1


def varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first; negative ones have 64 bits."""
    rest = number & _MASK
    groups = bytearray()
    while rest > 0x7F:
        groups.append(rest & 0x7F | 0x80)
        rest >>= 7
    groups.append(rest)
    return bytes(groups)


class Message:
    """The fields of a message, in the order in which they are added; those of 0 are left out."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def number(self, field: int, value: int) -> Message:
        """Add a number, or nothing if it is 0."""
        if value:
            self._parts += varint(field << 3 | _VARINT) + varint(value)
        return self

    def numbers(self, field: int, values: Iterable[int]) -> Message:
        """Add numbers as one packed field."""
        return self.block(field, b"".join(map(varint, values)))

    def block(self, field: int, value: bytes) -> Message:
        """Add a field of bytes, even if there are none."""
        self._parts += varint(field << 3 | _BYTES) + varint(len(value)) + value
        return self

    def text(self, field: int, value: str) -> Message:
        """Add a text."""
        return self.block(field, value.encode("utf-8", "replace"))

    def message(self, field: int, value: Message) -> Message:
        """Add a message within this one."""
        return self.block(field, value.encoded())

    def encoded(self) -> bytes:
        """Return all fields."""
        return bytes(self._parts)
