"""Reads the head of a memray capture: its version, its process, its start and end.

Source of the format: `HeaderRecord` in memray's records.h, header versions 12 (memray 1.19) and
13 (memray 1.20). Older and unknown versions are refused, never guessed.
"""

from __future__ import annotations

import struct
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.frozen import frozen, replace
from memdeep.heap import packed
from memdeep.rundir.files import open_regular, read_error

MAGIC = b"memray\x00"
SUPPORTED_VERSIONS = (12, 13)
ALL_ALLOCATIONS = 0

# After the magic: version, Python's hexversion, native traces, file format, number of
# allocations, number of frames, start and end in milliseconds since the epoch; then the command
# line, ended by a NUL, and the process.
_FIXED = struct.Struct("<iiBBQQQQ")
_PID = struct.Struct("<i")
HOLE = bytes(64)  # no record of a capture has so many zeros in a row
HEAD_BYTES = 64 * 1024
_MAX_MS = 10_000_000_000_000  # the year 2286


@frozen
class CaptureHeader:
    """The facts in a capture's head; None for a compressed one where no lz4 is installed.

    ``python_version`` is CPython's hexversion. ``end_ms`` and ``allocations`` are None if the
    capture was never closed, ``pid`` if the command line before it is too long.
    """

    compressed: bool
    version: int | None
    start_ms: int | None
    python_version: int | None
    end_ms: int | None = None
    allocations: int | None = None
    pid: int | None = None


def read_header(path: Path) -> CaptureHeader:
    """Read the head of the capture at ``path``. Raises CaptureError if its version is unknown."""
    file, _ = open_regular(path)
    with file:
        try:
            if not packed.is_packed(file):
                return _parse(file.read(HEAD_BYTES), path)
            if not packed.is_installed():
                return CaptureHeader(True, None, None, None)
            return replace(_parse(packed.opened(file).read(HEAD_BYTES), path), compressed=True)
        except OSError as error:
            raise read_error(path, error) from error


def _parse(head: bytes, path: Path) -> CaptureHeader:
    """Decode the first bytes of a capture. Raises CaptureError."""
    if not head.strip(b"\x00"):
        raise CaptureError(
            f"{path} is empty.",
            "The program ended before anything was traced, or the capture was lost.",
        )
    if not head.startswith(MAGIC):
        raise CaptureError(
            f"{path} is not a memray capture.",
            "Give a file written by `memray run`, or the run directory of `memdeep run`.",
        )
    try:
        fields = _FIXED.unpack_from(head, len(MAGIC))
    except struct.error as error:
        raise CaptureError(
            f"{path} is cut off within its header.",
            "Nothing can be read from it; copy it again from where it was made.",
        ) from error
    version, python_version, _, file_format, allocations, _, start_ms, end_ms = fields
    if version not in SUPPORTED_VERSIONS:
        known = " and ".join(str(number) for number in SUPPORTED_VERSIONS)
        raise CaptureError(
            f"{path} has capture version {version}; memdeep reads versions {known}.",
            "Record again with memray 1.19 or later, or update memdeep.",
        )
    if file_format != ALL_ALLOCATIONS:
        raise CaptureError(
            f"{path} is an aggregated capture: it does not hold the single allocations.",
            "Record again without --aggregate.",
        )
    if start_ms > _MAX_MS:
        raise CaptureError(
            f"{path} is damaged: its start time is impossible.",
            "Copy it again from where it was made, or record again.",
        )
    closed = is_closed(start_ms, end_ms, allocations)
    return CaptureHeader(
        compressed=False,
        version=version,
        start_ms=start_ms,
        python_version=python_version,
        end_ms=end_ms if closed else None,
        allocations=allocations if closed else None,
        pid=_pid(head),
    )


def is_closed(start_ms: int, end_ms: int, allocations: int) -> bool:
    """Tell by the figures of the head whether the tracing came to its end.

    memray writes the head when it begins, with no allocations and an end that may already be a
    little later, and again when it ends.
    """
    return start_ms < end_ms <= _MAX_MS and allocations > 0


def _pid(head: bytes) -> int | None:
    end = head.find(b"\x00", len(MAGIC) + _FIXED.size)
    if end < 0 or end + 1 + _PID.size > len(head):
        return None
    return int(_PID.unpack_from(head, end + 1)[0])
