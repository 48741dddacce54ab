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

import mmap
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.record.recorder import MARKER_DIGITS, MARKER_PREFIX
from memdeep.rundir import RunDirectory, write_atomically, write_error

THREAD_RECORD = 0x0A
MEMORY_RECORD = 0x02
FIRST_FLAG = 1
SECOND_FLAG = 2
_PAGE_BYTES = 4096
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


def align(run_dir: RunDirectory, figures: Callable[[int], MarkerFigures | None]) -> tuple[int, ...]:
    """Replace all markers of the run's capture; returns their sequence numbers in stream order.

    ``figures`` gives what is known of a sequence number, or None for a number the journal does
    not have: such a record is left alone. Raises CaptureError or OutputError.
    """
    if run_dir.markers.exists():
        markers = _decode(run_dir.markers)
    else:
        markers = _first_of_each(find(run_dir.capture))
        write_atomically(run_dir.markers, _encode(markers))
    known = [(marker, figures(marker.sequence)) for marker in markers]
    patches = [(marker, figure) for marker, figure in known if figure is not None]
    try:
        with open(run_dir.capture, "r+b") as capture:
            for marker, figure in patches:
                capture.seek(marker.offset)
                capture.write(encode_records(figure))
    except OSError as error:
        raise write_error(run_dir.capture, error) from error
    return tuple(marker.sequence for marker, _ in patches)


def find(capture: Path) -> list[Marker]:
    """All markers of an uncompressed capture, by offset."""
    with open(capture, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return [Marker(match.start(), int(match[1])) for match in _MARKER.finditer(data)]


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
        return [Marker(*(int(field) for field in line.split("\t"))) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise CaptureError(
            f"{path} is damaged.",
            "It says where the checkpoints lie in the capture; restore it from a copy.",
        ) from error
