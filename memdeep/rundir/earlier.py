"""`earlier`: what was allocated before the trace began, by address; of a program attached to.

Owns that format, both ways, as native/earlier_format.hpp does for what is compiled: a child of the
program writes it, and the replay reads it. Imports nothing of memdeep.
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "earlier"
MAGIC = b"mdearly1"
MAX_BYTES = 1 << 30
BLOCK, MAPPING, END = 1, 2, 3
_HEAD = struct.Struct("<8sQ")

Record = tuple[int, int, int]  # kind, address (a multiple of 8), size in bytes


def encode(records: "Iterable[Record]", pause_ns: int = 0) -> bytes:
    """Encode ``records``; ``pause_ns`` is how long the program stood still for them."""
    content = bytearray(_HEAD.pack(MAGIC, pause_ns))
    at = count = total = 0
    for kind, address, size in records:
        gap = (address - at) >> 3
        content += _varint((gap << 1 if gap >= 0 else ~(gap << 1)) << 2 | kind) + _varint(size)
        at = (address + size + 7) & ~7
        count += 1
        total += size
    return bytes(content + _varint(END) + _varint(count) + _varint(total))


def decode(content: bytes) -> "tuple[list[Record], int]":
    """Return the records and the pause. Raises ValueError if the list is not whole."""
    if len(content) < _HEAD.size or not content.startswith(MAGIC):
        raise ValueError("it is no list of what was allocated earlier")
    numbers = _numbers(content[_HEAD.size :])
    records: list[Record] = []
    at = 0
    for head, size in zip(numbers[:-1:2], numbers[1::2]):  # noqa: B905 - an odd one is the end's
        if head == END:
            break
        gap = head >> 2
        at += ((gap >> 1) ^ -(gap & 1)) << 3
        records.append((head & 3, at, size))
        at = (at + size + 7) & ~7
    if numbers[2 * len(records) :] != [END, len(records), sum(size for *_, size in records)]:
        raise ValueError("it is cut off")
    return records, _HEAD.unpack_from(content)[1]


def _varint(value: int) -> bytes:
    content = bytearray()
    while value >= 128:
        content.append(value & 127 | 128)
        value >>= 7
    content.append(value)
    return bytes(content)


def _numbers(content: bytes) -> "list[int]":
    found, value, shift = [], 0, 0
    for byte in content:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    if shift:
        raise ValueError("it is cut off")
    return found
