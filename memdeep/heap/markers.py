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

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from memdeep.errors import CaptureError, OutputError
from memdeep.rundir import marker as marks
from memdeep.rundir.files import (
    open_regular,
    read_error,
    read_regular,
    write_atomically,
    write_error,
)

THREAD_RECORD = 0x0A
MEMORY_RECORD = 0x02
FIRST_FLAG = 1
SECOND_FLAG = 2
RECORD_BYTES = 40
_PAGE_BYTES = 4096
_MAX_PLACES_BYTES = 1 << 28
_CHUNK_BYTES = 4 << 20
_MARKER = re.compile(
    bytes([THREAD_RECORD]) + marks.PREFIX.encode() + rb"([0-9]{%d})\x00" % marks.DIGITS
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


@dataclass(frozen=True, slots=True)
class Aligned:
    """The sequence numbers of a capture's markers in stream order, as far as they have figures.

    ``others`` are those of the markers that have none: of events that are no checkpoints, and of
    checkpoints that the journal has lost. ``copy`` is what must be read in place of the capture, if
    it could not be changed and had to be.
    """

    sequences: tuple[int, ...]
    others: frozenset[int] = frozenset()
    copy: Path | None = None


def align(
    capture: Path,
    places: Path,
    figures: Callable[[int], MarkerFigures | None],
    *,
    for_memray: bool,
) -> Aligned:
    """Replace all markers of ``capture``, or of a copy where it may not be changed.

    ``places`` is the file that keeps where they lay. ``figures`` gives what is known of a
    sequence number, or None for one that the journal does not have: such a marker stays as it was
    recorded. The replay finds markers as they were recorded too, and needs no copy for them;
    memray's reader does. Raises CaptureError or OutputError.
    """
    stored = _decode(places) if places.exists() else []
    try:
        markers = _first_of_each(sorted({*stored, *find(capture)}, key=lambda m: m.offset))
        plan = _plan(capture, markers, figures)
    except OSError as error:
        raise read_error(capture, error) from error
    is_done = (
        not plan.changes
        or _change(capture, places, plan.changes, markers if markers != stored else [])
        or (plan.is_readable and not for_memray)
    )
    copy = None if is_done else _changed_copy(capture, plan.changes)
    return Aligned(plan.sequences, plan.others, copy)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The markers that are there, and what to write at which offset to have them replaced.

    ``is_readable`` if the replay finds the same markers without these changes.
    """

    sequences: tuple[int, ...]
    others: frozenset[int]
    changes: Mapping[int, bytes]
    is_readable: bool


def _plan(
    capture: Path, markers: Sequence[Marker], figures: Callable[[int], MarkerFigures | None]
) -> _Plan:
    """How to replace ``markers``.

    One may have been replaced before, wholly or in part. But the list of places may also be older
    than the capture, or belong to another one: then what lies there is left alone.
    """
    placed = []
    others = set()
    changes = {}
    is_readable = True
    file, size = open_regular(capture)
    with file:
        for marker in markers:
            if marker.offset > size - RECORD_BYTES:
                continue
            file.seek(marker.offset)
            found = file.read(RECORD_BYTES)
            name = marks.name(marker.sequence).encode()
            original = bytes([THREAD_RECORD]) + name + b"\x00"
            figure = figures(marker.sequence)
            # What the journal does not know any more must not count for another checkpoint.
            wanted = original if figure is None else encode_records(figure)
            done = next((n for n in range(len(found)) if found[n] != wanted[n]), len(found))
            is_replaced = _is_replaced(found)
            if found[done:] != original[done:] and not is_replaced:
                continue
            if figure is None:
                others.add(marker.sequence)
            else:
                placed.append(marker.sequence)
            if found != wanted:
                changes[marker.offset] = wanted
                is_whole = found == original or (figure is not None and is_replaced)
                is_readable = is_readable and is_whole
    return _Plan(tuple(placed), frozenset(others), changes, is_readable)


def _change(
    capture: Path, places: Path, changes: Mapping[int, bytes], markers: Sequence[Marker]
) -> bool:
    """Change ``capture`` in place; False if that is not possible.

    The file must be the run's alone: behind a link, another directory's would be changed.
    """
    try:
        status = capture.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            return False
        with open(capture, "r+b") as file:
            if markers:
                write_atomically(places, marks.encode_places([(m.offset, m.sequence) for m in markers]))
            _write(file, changes)
    except (OSError, OutputError):
        return False
    return True


def _changed_copy(capture: Path, changes: Mapping[int, bytes]) -> Path:
    """A changed copy that has no name and goes with this process, by its descriptor."""
    try:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - it is read as long as this process lives
        source, _ = open_regular(capture)
        with source:
            shutil.copyfileobj(source, copy, 1 << 20)
        _write(copy, changes)
        copy.flush()
        return Path(f"/dev/fd/{os.dup(copy.fileno())}")
    except OSError as error:
        copied = Path(tempfile.gettempdir()) / f"a copy of {capture.name}"
        raise write_error(copied, error) from error


def _write(file: IO[bytes], changes: Mapping[int, bytes]) -> None:
    for offset, records in changes.items():
        file.seek(offset)
        file.write(records)


def _is_replaced(record: bytes) -> bool:
    half = RECORD_BYTES // 2
    return len(record) == RECORD_BYTES and all(
        part[0] == MEMORY_RECORD and is_flagged(_varint(part[1:11]), flag)
        for part, flag in ((record[:half], FIRST_FLAG), (record[half:], SECOND_FLAG))
    )


def _varint(content: bytes) -> int:
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(content))


def find(capture: Path) -> list[Marker]:
    """All markers of an uncompressed capture, by offset. Raises CaptureError."""
    markers = []
    start = 0
    tail = b""  # the end of what came before may be the beginning of a marker
    file, _ = open_regular(capture)
    with file:
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


def _decode(path: Path) -> list[Marker]:
    try:
        places = marks.decode_places(read_regular(path, _MAX_PLACES_BYTES))
        return [Marker(offset, sequence) for offset, sequence in places]
    except ValueError as error:
        raise CaptureError(
            f"{path} is damaged.",
            "It says where the checkpoints lie in the capture; restore it from a copy.",
        ) from error
