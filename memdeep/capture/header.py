"""Reads the head of a memray capture: whether it is one, which version, when it was started.

Source of the format: `HeaderRecord` in memray's records.h, header versions 12 (memray 1.19) and
13 (memray 1.20). Older and unknown versions are refused, never guessed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from memdeep.errors import EXIT_NO_INPUT, CaptureError

MAGIC = b"memray\x00"
LZ4_MAGIC = b"\x04\x22\x4d\x18"
SUPPORTED_VERSIONS = (12, 13)
ALL_ALLOCATIONS = 0

# After the magic: version, Python's hexversion, native traces, file format, number of
# allocations, number of frames, start and end in milliseconds since the epoch.
_FIXED = struct.Struct("<iiBBQQQQ")
_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CaptureHeader:
    """The facts in a capture's head; None for an LZ4 capture, whose head is compressed.

    ``python_version`` is CPython's hexversion.
    """

    compressed: bool
    version: int | None
    start_ms: int | None
    python_version: int | None


def read_header(path: Path) -> CaptureHeader:
    """Read the head of the capture at ``path``. Raises CaptureError if it is not one we know."""
    head = _read_head(path)
    if head.startswith(LZ4_MAGIC):
        return CaptureHeader(True, None, None, None)
    return parse_header(head, path)


def parse_header(head: bytes, path: Path) -> CaptureHeader:
    """What the first bytes of an uncompressed capture say. Raises CaptureError."""
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
    version, python_version, _, file_format, _, _, start_ms, _ = fields
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
    return CaptureHeader(False, version, start_ms, python_version)


def _read_head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError as error:
        raise CaptureError(f"There is no file {path}.", "Check the path.", EXIT_NO_INPUT) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(
            f"Cannot read {path}: {reason}.", "Check its permissions.", EXIT_NO_INPUT
        ) from error
