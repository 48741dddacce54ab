"""Gives back what is reserved for captures to grow, but for about a gigabyte.

memray makes its file a tenth longer whenever it is full, and takes the blocks at once: 7 GB for a
capture of 70 GB. What is written to blocks that were given back takes new ones, if the disk has
them: it must have room, and a tracing is stopped before it is full (`run.capacity`).

Nothing holds up the program, which writes. If it came to where blocks are just being given back,
what it wrote there would be lost. So it must be half a gigabyte away the moment before: to write
that takes a second or more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from memdeep.follow.capture import GIVEN_BACK_BYTES
from memdeep.heap.replay import saved
from memdeep.heap.replay._replay import punch

AHEAD_BYTES = 512 << 20
ROOM_BYTES = 1 << 30  # of the disk, that must be free


class Reserves:
    """Gives back what is reserved behind the ends of captures; call `step` for each, now and then.

    Of a capture twice ``ahead_bytes`` stay behind what is written.
    """

    def __init__(self, ahead_bytes: int = AHEAD_BYTES) -> None:
        self._ahead_bytes = ahead_bytes
        self._given: dict[Path, tuple[int, int]] = {}  # from where on, and to where

    def step(self, capture: Path) -> None:
        """Give back of a capture what was reserved since the last time.

        Raises OSError where that cannot be, or CaptureError where the capture cannot be read.
        """
        descriptor = os.open(capture, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            _, end = self._given.get(capture, (0, 0))
            if size <= end or not _has_room(descriptor):
                return
            start = saved.written_end(capture) + 2 * self._ahead_bytes
            start -= start % -GIVEN_BACK_BYTES
            if size - start < self._ahead_bytes:
                return
            if punch(descriptor, start, size, start - self._ahead_bytes):
                self._given[capture] = start, size
        finally:
            os.close(descriptor)

    def reserved_bytes(self, capture: Path) -> int:
        """Return how much is reserved for a capture to grow. Raises CaptureError or OSError."""
        end = self._given.get(capture, (capture.stat().st_size, 0))[0]
        return max(0, end - saved.written_end(capture))

    def restore(self) -> None:
        """Reserve all of that again: nobody looks at the disk any more."""
        for capture, (start, end) in self._given.items():
            with suppress(OSError), open(capture, "r+b") as file:
                if _has_room(file.fileno(), end - start):
                    os.posix_fallocate(file.fileno(), start, end - start)


def _has_room(descriptor: int, beside_bytes: int = 0) -> bool:
    disk = os.fstatvfs(descriptor)
    return disk.f_bavail * disk.f_frsize >= ROOM_BYTES + beside_bytes
