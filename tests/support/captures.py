"""Writes memray captures record by record, for streams that no program would produce on demand.

Source of the format: memray's records.h and record_writer.cpp, header versions 12 and 13.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from itertools import accumulate

from memdeep.heap.markers import MarkerFigures, encode_records
from memdeep.heap.replay.lifetimes import ReplayedLifetimes
from memdeep.heap.replay.trace import Trace
from memdeep.rundir import marker

FREE, MALLOC, REALLOC, CALLOC, MMAP, MUNMAP = 5, 6, 7, 8, 14, 15
START_MS = 1_700_000_000_000
MAIN_THREAD = 1


def varint(value: int) -> bytes:
    groups = []
    while True:
        groups.append(value & 0x7F)
        value >>= 7
        if not value:
            return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


class CaptureWriter:
    """Collects the records of one capture; ``content`` is the whole file so far."""

    def __init__(
        self,
        *,
        version: int = 13,
        native: bool = False,
        python_version: int = sys.hexversion,
        end_ms: int = START_MS + 1000,
    ) -> None:
        self._native = native
        self._pointer = 0
        self._stack = 0
        self._address = 0
        self._line = 0
        self._recent: list[int] = []
        self._codes: dict[tuple[str, str], int] = {}
        head = b"memray\x00" + struct.pack("<iiBB", version, python_version, native, 0)
        head += struct.pack("<QQqq", 0, 0, START_MS, end_ms) + b"program.py\x00"
        head += struct.pack("<iQQBBB", 4711, MAIN_THREAD, 0, 1, 0, 0)
        self.records = [head + (b"/lib\x00" + b"/site\x00\x00" + b"\x00" if version >= 13 else b"")]
        self.switch(MAIN_THREAD)

    @property
    def content(self) -> bytes:
        return b"".join(self.records)

    def ends_of_records(self) -> Iterator[int]:
        """The offsets behind the header and behind each record."""
        return accumulate(map(len, self.records))

    def _put(self, *parts: bytes) -> None:
        self.records.append(b"".join(parts))

    def switch(self, thread: int) -> None:
        self._put(b"\x0c", struct.pack("<Q", thread))

    def name_thread(self, name: str) -> None:
        self._put(b"\x0a", name.encode(), b"\x00")

    def marker(self, sequence: int) -> None:
        """As the recorder writes it."""
        self.name_thread(marker.name(sequence))

    def aligned_marker(self, rss_bytes: int = 0, since_start_ms: int = 0) -> None:
        """As it lies there after a run."""
        records = encode_records(MarkerFigures(rss_bytes, since_start_ms))
        self._put(records[: len(records) // 2])
        self._put(records[len(records) // 2 :])

    def memory(self, rss_bytes: int, since_start_ms: int) -> None:
        self._put(b"\x02", varint(rss_bytes), varint(since_start_ms))

    def push(self, function: str, *, is_entry: bool = True, filename: str = "/program.py") -> None:
        """Enter a function: its frame is at its first instruction, on its first line."""
        code = function, filename
        if code not in self._codes:
            self._codes[code] = number = len(self._codes) + 1
            line = 10 * number
            self._put(
                b"\x0e" + varint(number) + f"{function}\0{filename}\0".encode(),
                zigzag(line - self._line),
                varint(len(LINE_TABLE)) + LINE_TABLE,
            )
            self._line = line
        self._put(bytes([0x40 | is_entry]), varint(self._codes[code]), zigzag(0))

    def pop(self, count: int = 1) -> None:
        self._put(bytes([0x10 | count - 1]))

    def native_frame(self, address: int, parent: int) -> None:
        self._put(b"\x05", zigzag(address - self._address), zigzag(parent - self._stack))
        self._address, self._stack = address, parent

    def modules(self, *modules: tuple[str, int, list[tuple[int, int]]]) -> None:
        """A memory map: file name, load address, segments of each module."""
        self._put(b"\x06")
        for filename, address, segments in modules:
            parts = [b"\x08" + struct.pack("<Q", at) + varint(size) for at, size in segments]
            head = b"\x07" + filename.encode() + b"\x00" + varint(len(segments))
            self._put(head, struct.pack("<Q", address), *parts)

    def allocate(self, address: int, size: int, allocator: int = MALLOC, native: int = 0) -> None:
        stack = b""
        if self._native:
            stack, self._stack = zigzag(native - self._stack), native
        self._allocation(address, allocator, stack + varint(size))

    def free(self, address: int) -> None:
        self._allocation(address, FREE, b"")

    def mmap(self, address: int, size: int) -> None:
        self.allocate(address, size, MMAP)

    def munmap(self, address: int, size: int) -> None:
        self.allocate(address, size, MUNMAP)

    def trailer(self) -> None:
        self._put(b"\x01")

    def _allocation(self, address: int, allocator: int, rest: bytes) -> None:
        pointer = address >> 3
        if pointer in self._recent:
            place, delta = self._recent.index(pointer), b""
        else:
            place, delta = 15, zigzag(pointer - self._pointer)
            self._pointer = pointer
            self._recent = [pointer, *self._recent[:14]]
        low, explicit = (allocator, b"") if allocator < 8 else (0, bytes([allocator]))
        self._put(bytes([0x80 | place << 3 | low]), delta, explicit, rest)


# One entry of one instruction, on the first line: PEP 626's form in 3.10, locations.md's from 3.11.
LINE_TABLE = bytes([2, 0]) if sys.version_info < (3, 11) else bytes([0x80 | 13 << 3, 0])


def at_peaks(trace: Trace, segments: Iterable[int]) -> list[tuple[int, int, int, int]]:
    """Segment, site, bytes and allocations at the peaks of ``segments``."""
    wanted = sorted(segments)
    found = trace.at_peaks(wanted, range(len(trace.sites.node)))
    return [
        (segment, held.node, held.bytes, held.allocations)
        for segment, alive in zip(wanted, found, strict=True)
        for held in alive
    ]


def lifetimes(trace: Trace) -> tuple[ReplayedLifetimes, ReplayedLifetimes]:
    """By site and segment what outlived its segment, and what did not."""
    return trace.at_checkpoints(range(len(trace.sites.node)), range(len(trace.sequences)))
