"""The state of a replay on the disk, beside the capture that it has come to a place of.

Somebody who follows a capture while it grows leaves one, and may give back what it covers: then
nothing can be read without it. It is read by the version of memdeep that wrote it.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from memdeep.errors import CaptureError
from memdeep.heap.front import KEPT_BYTES, Front
from memdeep.heap.header import HOLE, read_header
from memdeep.heap.packed import PAGE_BYTES, written_pages
from memdeep.rundir.directory import state_of
from memdeep.rundir.files import open_regular, read_error

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

MAGIC = b"mdstate\n"
# Then the version, the order of bytes, the place in the capture, and how often segments were
# merged; see native/state.hpp.
_HEAD = struct.Struct("<8sIIQQ")


class _Head(NamedTuple):
    """What a state begins with: its version, the place in the capture, the number of merges."""

    version: int
    position: int
    merges: int


def covered_bytes(capture: Path, *, in_family: bool = False) -> int:
    """Return how much of ``capture`` the state beside it covers, in bytes; 0 without one.

    Raises CaptureError. A state that cannot be read covers nothing, if the capture is whole.
    """
    state = state_of(capture, in_family=in_family)
    if not state.exists():
        return 0
    try:
        head = _head(state)
    except OSError as error:
        raise read_error(state, error) from error
    if head is not None and head.position <= capture.stat().st_size:
        return head.position
    if is_holed(capture):
        raise _unreadable(state, "it is no state of a replay")
    return 0


def merges_of(capture: Path) -> int:
    """Return how often segments were merged in the state beside ``capture``.

    0 without one, or where it was saved by another version: `load` says so.
    """
    with suppress(OSError, CaptureError, ImportError):
        from memdeep.heap.replay._replay import STATE_VERSION

        head = _head(state_of(capture))
        if head is not None and head.version == STATE_VERSION:
            return head.merges
    return 0


def _head(state: Path) -> _Head | None:
    """Return the head of ``state``, None if it is no state. Raises CaptureError or OSError."""
    file, _ = open_regular(state)
    with file:
        head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        return None
    _, version, _, position, merges = _HEAD.unpack(head)
    return _Head(version, position, merges)


def load(capture: Path, *, in_family: bool = False) -> Replay | None:
    """Return the replay of ``capture`` as it was saved. Raises CaptureError.

    None without a state, or where it cannot be read and the capture is whole.
    """
    from memdeep.heap.replay import _replay

    state = state_of(capture, in_family=in_family)
    if not state.exists():
        return None
    file, _ = open_regular(state)
    with file:
        try:
            engine = _replay.load(file.fileno())
        except OSError as error:
            raise read_error(state, error) from error
        except ValueError as error:
            if is_holed(capture):
                raise _unreadable(state, str(error)) from error
            return None
    head, own = engine.header(), read_header(capture)
    if head is None:  # it had not come that far: begun anew, it loses nothing
        return None
    if own.start_ms == head["start_ms"] and own.pid == head["pid"]:
        return engine
    raise CaptureError(
        f"{state} belongs to another capture than {capture}.",
        "Put the two files of one run beside each other again.",
    )


def save(engine: Replay, capture: Path) -> None:
    """Write the state of ``engine`` beside ``capture``; it is there if the machine stops now.

    Raises OSError; the one before is still there then.
    """
    state = state_of(capture)
    new = state.with_name(f".{state.name}.new")
    try:
        write(engine, new)
        new.replace(state)
        to_disk(state.parent)
    finally:
        new.unlink(missing_ok=True)


def write(engine: Replay, path: Path) -> None:
    """Write the state of ``engine`` to a file; its content is on the disk then. Raises OSError."""
    with open(path, "wb") as file:
        engine.save(file.fileno())
        os.fsync(file.fileno())


def to_disk(path: Path) -> None:
    """Wait until ``path``, a file or a directory, is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def written_end(capture: Path) -> int:
    """Return how far a capture is surely written; of the last page more may be to come.

    Raises CaptureError or OSError.
    """
    file, _ = open_regular(capture)
    with file:
        start = max(covered_bytes(capture), Front(capture).end)
        return max(start, written_pages(file, start) - PAGE_BYTES)


def give_rest_back(capture: Path, *, of_child: bool) -> None:
    """Give back of a capture that has ended, and is given back in part, what states stand for.

    That of a process which the program started is read in two ways, and has a state for each. What
    is reserved behind its end is given back, too. Raises CaptureError or OSError.
    """
    ways = (False, True) if of_child else (False,)
    covered = min(covered_bytes(capture, in_family=way) for way in ways)
    end = covered // KEPT_BYTES * KEPT_BYTES
    if end > KEPT_BYTES:
        punch_out(capture, KEPT_BYTES, end)
    behind, size = written_end(capture) + KEPT_BYTES, capture.stat().st_size
    if behind < size:
        punch_out(capture, behind, size)


def punch_out(path: Path, start: int, end: int) -> None:
    """Give the blocks of a file between two places back to the disk. Raises OSError."""
    from memdeep.heap.replay._replay import punch

    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        punch(descriptor, start, end)
    finally:
        os.close(descriptor)


def is_holed(capture: Path) -> bool:
    """Tell whether what was replayed of ``capture`` has been given back. Raises CaptureError.

    Zeros begin right behind what is kept at its beginning, and are not read from its front.
    """
    return _has_zeros(capture) and Front(capture).start != KEPT_BYTES


def is_readable_by_memray(capture: Path) -> bool:
    """Tell whether all of ``capture`` is in its file. Raises CaptureError."""
    return not _has_zeros(capture)


def _has_zeros(capture: Path) -> bool:
    """Tell whether zeros begin right behind what is kept at the beginning of ``capture``."""
    file, _ = open_regular(capture)
    with file:
        try:
            around = os.pread(file.fileno(), 2 * len(HOLE), KEPT_BYTES - len(HOLE))
        except OSError as error:
            raise read_error(capture, error) from error
    return len(around) == 2 * len(HOLE) and around.endswith(HOLE) and around.strip(b"\0") != b""


def left_of(capture: Path) -> tuple[int, bool]:
    """Return what is left of ``capture`` on the disk, in bytes, and whether that is all of it."""
    status = capture.stat()
    if not _has_zeros(capture):
        return status.st_size, True
    front = Front(capture)
    return 512 * status.st_blocks + front.size, front.start == KEPT_BYTES


def _unreadable(state: Path, reason: str) -> CaptureError:
    return CaptureError(
        f"{state} cannot be read: {reason}.",
        "It stands for what was given back of the capture. Restore it from a copy, or read it with "
        "the version of memdeep that wrote it.",
    )
