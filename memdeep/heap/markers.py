"""Finds the markers of checkpoints in a capture, and the memory records that stand for each.

A marker is the THREAD_RECORD that memray wrote when the recorder renamed its thread: byte 0x0A,
the name, a NUL; 40 bytes. Two MEMORY_RECORDs of 20 bytes take its place (byte 0x02, the RSS as a
varint padded to 10 bytes, milliseconds since the start as a varint padded to 9: `readVarint` of
memray's reader accepts padding). The capture stays valid for every memray command, and each
checkpoint cuts memray's temporal view exactly where it was reached.

The kernel's RSS is a multiple of the page size; RSS + 1 and RSS + 2 tell the two records of a
marker from memray's own.

Nothing is written here. Readers read a capture as if every marker had been replaced, whether that
was done (`load.seal`), half done or not done: so all of them give the same report.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen
from memdeep.heap import front, packed
from memdeep.rundir import marker as marks
from memdeep.rundir.files import open_regular, read_error, read_regular

THREAD_RECORD = 0x0A
MEMORY_RECORD = 0x02
FIRST_FLAG = 1
SECOND_FLAG = 2
RECORD_BYTES = 40
_GIVEN_BACK = bytes(RECORD_BYTES)
_MEMORY = bytes([MEMORY_RECORD])
_PAGE_BYTES = 4096
_MAX_PLACES_BYTES = 1 << 28
_REST = RECORD_BYTES - 1
MARKER = re.compile(
    bytes([THREAD_RECORD]) + marks.PREFIX.encode() + rb"([0-9]{%d})\x00" % marks.DIGITS
)


# The place (byte offset) in the capture of the event with this sequence number.
Marker = tuple[int, int]


@frozen
class MarkerFigures:
    """The figures of a checkpoint that the records in its marker's place carry."""

    rss_bytes: int
    since_start_ms: int


@frozen
class Alignment:
    """The markers of a capture, matched with the checkpoints of the journal.

    ``sequences`` are the numbers of the checkpoints, in stream order. ``others`` are those of the
    remaining markers: of events that are no checkpoints, and of checkpoints that the journal has
    lost. ``changes`` gives, by offset, the bytes to read in place of what the file has there.
    ``markers`` are all places to keep when the capture is changed.
    """

    sequences: tuple[int, ...]
    others: frozenset[int] = frozenset()
    changes: Mapping[int, bytes] = field(default_factory=dict)
    markers: tuple[Marker, ...] = ()


def is_flagged(rss_bytes: int, flag: int) -> bool:
    """Tell whether a memory record's RSS carries ``flag``."""
    return rss_bytes % _PAGE_BYTES == flag


def align(
    capture: Path,
    places: Path,
    figures: Callable[[int], MarkerFigures | None],
    covered_bytes: int = 0,
) -> Alignment:
    """Match the markers of ``capture`` with checkpoints.

    ``places`` is the file that keeps where markers lay before they were replaced. ``figures``
    returns the figures of a sequence number, or None for one that is no checkpoint of the journal:
    such a marker is read as it was recorded. Of the first ``covered_bytes``, which somebody has
    replayed, all markers are in ``places``; they themselves may be gone. Raises CaptureError.
    """
    stored = read_places(places) if places.exists() else []
    try:
        if packed.can_read(capture):
            records = _records(capture, stored, covered_bytes)
            return _matched(records, figures, covered_bytes)
    except OSError as error:
        raise read_error(capture, error) from error
    # It was compressed when its markers had been replaced.
    known = [sequence for _, sequence in stored if figures(sequence) is not None]
    others = {sequence for _, sequence in stored}.difference(known)
    return Alignment(tuple(known), frozenset(others), {}, tuple(stored))


def _matched(
    records: Mapping[Marker, bytes],
    figures: Callable[[int], MarkerFigures | None],
    covered_bytes: int,
) -> Alignment:
    """Match markers with checkpoints; ``records`` is what lies in the place of each.

    One may have been replaced before, wholly or in part. But the list of places may also be older
    than the capture, or belong to another one: then what lies there is left alone.
    """
    placed = []
    others = set()
    changes = {}
    markers = _first_of_each(sorted(records))
    for marker in markers:
        offset, sequence = marker
        found = records[marker]
        figure = figures(sequence)
        if found != _GIVEN_BACK or offset + RECORD_BYTES > covered_bytes:
            # A marker that the journal does not know must not count for another checkpoint.
            wanted = _as_recorded(sequence) if figure is None else encode_records(figure)
            is_there = found == wanted or _is_marker(found, _as_recorded(sequence), wanted)
            if not is_there and offset + RECORD_BYTES > covered_bytes:
                continue
            if is_there and found != wanted:
                changes[offset] = wanted
        if figure is None:
            others.add(sequence)
        else:
            placed.append(sequence)
    return Alignment(tuple(placed), frozenset(others), changes, tuple(markers))


def _as_recorded(sequence: int) -> bytes:
    return bytes([THREAD_RECORD]) + marks.name(sequence).encode() + b"\x00"


def _is_marker(found: bytes, original: bytes, wanted: bytes) -> bool:
    """Tell whether ``found`` is a marker: as recorded, replaced, or begun to be replaced."""
    if found == original:
        return True
    done = next((n for n in range(len(found)) if found[n] != wanted[n]), len(found))
    return found[done:] == original[done:] or _is_replaced(found)


def _is_replaced(record: bytes) -> bool:
    half = RECORD_BYTES // 2
    return len(record) == RECORD_BYTES and all(
        part[0] == MEMORY_RECORD and is_flagged(_varint(part[1:11]), flag)
        for part, flag in ((record[:half], FIRST_FLAG), (record[half:], SECOND_FLAG))
    )


def _varint(content: bytes) -> int:
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(content))


def find(capture: Path, places: Path, covered_bytes: int) -> list[Marker]:
    """Find all markers of a capture, by offset in what is not compressed. Raises CaptureError.

    Of the first ``covered_bytes`` they are in ``places``, as for `align`.
    """
    stored = read_places(places) if covered_bytes and places.exists() else []
    return list(_records(capture, stored, covered_bytes))


def _records(capture: Path, stored: Iterable[Marker], start: int) -> dict[Marker, bytes]:
    """Find all markers of a capture; return the bytes of each, and those in the place of others.

    These are ``stored``, as far as they lie within the capture. Before ``start`` no others are
    looked for.
    """
    records: dict[Marker, bytes] = {}
    left = deque(sorted(stored))
    tail = b""  # the end of what came before may be the beginning of a marker
    file, _ = open_regular(capture)
    with file:
        while left and left[0][0] < start:
            marker = left.popleft()
            records[marker] = os.pread(file.fileno(), RECORD_BYTES, marker[0])
        is_rest = start > 0
        is_packed = packed.is_packed(file)
        pieces = packed.unpacked(file) if is_packed else front.pieces(capture, file, start)
        for piece in pieces:
            if is_rest and not piece.strip(b"\0"):
                break  # nothing is written from here on
            # No piece is copied: what lies across its beginning is looked at apart.
            for place, content in ((start - len(tail), tail + piece[:_REST]), (start, piece)):
                for match in MARKER.finditer(content):
                    records[place + match.start(), int(match[1])] = match[0]
                while left and left[0][0] + RECORD_BYTES <= place + len(content):
                    marker = left.popleft()
                    at = marker[0] - place
                    records[marker] = content[at : at + RECORD_BYTES]
            tail = (tail + piece[-_REST:])[-_REST:]
            start += len(piece)
    return records


def encode_records(figures: MarkerFigures) -> bytes:
    """Encode the two memory records (40 bytes) that take a marker's place."""
    rss_bytes = figures.rss_bytes // _PAGE_BYTES * _PAGE_BYTES
    time = _padded_varint(figures.since_start_ms, 9)
    first = _padded_varint(rss_bytes + FIRST_FLAG, 10)
    second = _padded_varint(rss_bytes + SECOND_FLAG, 10)
    return _MEMORY + first + time + _MEMORY + second + time


@lru_cache(maxsize=4096)  # checkpoints follow one another fast, and the RSS changes by pages
def _padded_varint(value: int, size: int) -> bytes:
    groups = [(value >> (7 * position)) & 0x7F for position in range(size)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def _first_of_each(markers: Sequence[Marker]) -> list[Marker]:
    # A checkpoint in a signal handler that interrupts a checkpoint restores the outer one's name
    # and so writes it twice; the first record is the place.
    seen: set[int] = set()
    first = []
    for marker in markers:
        _, sequence = marker
        if sequence not in seen:
            seen.add(sequence)
            first.append(marker)
    return first


def read_places(path: Path) -> list[Marker]:
    content = read_regular(path, _MAX_PLACES_BYTES)
    try:
        return marks.decode_places(content)
    except ValueError as error:
        raise CaptureError(
            f"{path} is damaged.",
            "It says where the checkpoints lie in the capture; restore it from a copy.",
        ) from error
