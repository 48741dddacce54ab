"""Finds the markers of checkpoints in a capture and turns each into memory records, in place.

A marker is the THREAD_RECORD that memray wrote when the recorder renamed its thread: byte 0x0A,
the name, a NUL; 40 bytes. It is overwritten by two MEMORY_RECORDs of 20 bytes (byte 0x02, the RSS
as a varint padded to 10 bytes, milliseconds since the start as a varint padded to 9: `readVarint`
of memray's reader accepts padding). The capture stays valid for every memray command, and each
checkpoint now cuts memray's temporal view exactly where it was reached.

The kernel's RSS is a multiple of the page size; RSS + 1 and RSS + 2 tell the two records of a
marker from memray's own. Where the markers lay is written to the run directory first, so that an
interrupted alignment is simply done again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from memdeep.errors import CaptureError
from memdeep.record.recorder import MARKER_DIGITS, MARKER_PREFIX
from memdeep.rundir import write_atomically, write_error

THREAD_RECORD = 0x0A
MEMORY_RECORD = 0x02
FIRST_FLAG = 1
SECOND_FLAG = 2
RECORD_BYTES = 40
_PAGE_BYTES = 4096
_CHUNK_BYTES = 4 << 20
_MARKER = re.compile(
    bytes([THREAD_RECORD]) + MARKER_PREFIX.encode() + rb"([0-9]{%d})\x00" % MARKER_DIGITS
)


@dataclass(frozen=True, slots=True)
class Marker:
    """The place (byte offset) in the capture of the checkpoint with this sequence number."""

    offset: int
    sequence: int


@dataclass(frozen=True, slots=True)
class MarkerFigures:
    """What to write in a marker's place."""

    rss_bytes: int
    since_start_ms: int


def is_flagged(rss_bytes: int, flag: int) -> bool:
    """Whether a memory record's RSS carries ``flag``."""
    return rss_bytes % _PAGE_BYTES == flag


def align(
    capture: Path, places: Path, figures: Callable[[int], MarkerFigures | None]
) -> tuple[int, ...]:
    """Replace all markers of ``capture``; returns their sequence numbers in stream order.

    ``places`` is the file that keeps where they lay. ``figures`` gives what is known of a
    sequence number, or None for one that the journal does not have: such a record is left alone.
    Raises CaptureError or OutputError.
    """
    stored = _stored(places)
    placed = []
    try:
        markers = _in_order(capture, stored)
        if markers and markers != stored:
            write_atomically(places, _encode(markers))
        with open(capture, "r+b") as file:
            for marker in markers:
                figure = figures(marker.sequence)
                if figure is not None and _replace(file, marker, encode_records(figure)):
                    placed.append(marker.sequence)
    except OSError as error:
        raise write_error(capture, error) from error
    return tuple(placed)


def sequences(capture: Path, places: Path) -> tuple[int, ...]:
    """The sequence numbers of all markers in stream order, replaced or not. Raises CaptureError."""
    return tuple(marker.sequence for marker in _in_order(capture, _stored(places)))


def _stored(places: Path) -> list[Marker]:
    return _decode(places) if places.exists() else []


def _in_order(capture: Path, stored: Sequence[Marker]) -> list[Marker]:
    return _first_of_each(sorted({*stored, *find(capture)}, key=lambda m: m.offset))


def _replace(file: BinaryIO, marker: Marker, records: bytes) -> bool:
    """Put ``records`` in the place of ``marker``; False, touching nothing, if it is not there.

    It may have been replaced before, wholly or in part. But the list of places may also be older
    than the capture, or belong to another one.
    """
    file.seek(marker.offset)
    found = file.read(RECORD_BYTES)
    name = f"{MARKER_PREFIX}{marker.sequence:0{MARKER_DIGITS}}".encode()
    original = bytes([THREAD_RECORD]) + name + b"\x00"
    done = next((n for n in range(len(found)) if found[n] != records[n]), len(found))
    if found[done:] != original[done:] and not _is_replaced(found):
        return False
    file.seek(marker.offset)
    file.write(records)
    return True


def _is_replaced(record: bytes) -> bool:
    half = RECORD_BYTES // 2
    return len(record) == RECORD_BYTES and all(
        part[0] == MEMORY_RECORD and is_flagged(_varint(part[1:11]), flag)
        for part, flag in ((record[:half], FIRST_FLAG), (record[half:], SECOND_FLAG))
    )


def _varint(content: bytes) -> int:
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(content))


def find(capture: Path) -> list[Marker]:
    """All markers of an uncompressed capture, by offset."""
    markers = []
    start = 0
    tail = b""  # the end of what came before may be the beginning of a marker
    with open(capture, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            content = tail + chunk
            matches = _MARKER.finditer(content)
            markers += [Marker(start + match.start(), int(match[1])) for match in matches]
            tail = content[1 - RECORD_BYTES :]
            start += len(content) - len(tail)
    return markers


def encode_records(figures: MarkerFigures) -> bytes:
    """The two memory records (40 bytes) that stand in a marker's place."""
    rss_bytes = figures.rss_bytes // _PAGE_BYTES * _PAGE_BYTES
    time = _padded_varint(figures.since_start_ms, 9)
    return b"".join(
        bytes([MEMORY_RECORD]) + _padded_varint(rss_bytes + flag, 10) + time
        for flag in (FIRST_FLAG, SECOND_FLAG)
    )


def _padded_varint(value: int, size: int) -> bytes:
    groups = [(value >> (7 * position)) & 0x7F for position in range(size)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def _first_of_each(markers: Sequence[Marker]) -> list[Marker]:
    # A checkpoint in a signal handler that interrupts a checkpoint restores the outer one's name
    # and so writes it twice; the first record is the place.
    seen: set[int] = set()
    first = []
    for marker in markers:
        if marker.sequence not in seen:
            seen.add(marker.sequence)
            first.append(marker)
    return first


def _encode(markers: Sequence[Marker]) -> bytes:
    return "".join(f"{marker.offset}\t{marker.sequence}\n" for marker in markers).encode("ascii")


def _decode(path: Path) -> list[Marker]:
    try:
        lines = path.read_text("ascii").splitlines()
        markers = [Marker(*(int(field) for field in line.split("\t"))) for line in lines]
        if any(marker.offset < 0 for marker in markers):
            raise ValueError("a negative offset")
        return markers
    except (OSError, ValueError, TypeError) as error:
        raise CaptureError(
            f"{path} is damaged.",
            "It says where the checkpoints lie in the capture; restore it from a copy.",
        ) from error
