"""Resident size of this process, and its part that maps files, read at the lowest cost."""

import os
from _thread import RLock
from contextlib import suppress

from memdeep.record.descriptors import close, moved_up

STATM = "/proc/self/statm"


class RssReader:
    """Reader that returns the resident bytes, and how many of them map files or are shared.

    On Linux by one `pread` of an open `/proc/self/statm` (fields 2 and 3, in pages; see proc(5)),
    elsewhere by psutil, which does not know the second figure. A figure that cannot be read is
    None; ``has_source`` is False if neither can be. ``space_bytes`` is the address space at the
    last reading of statm, its first field.
    """

    __slots__ = (
        *("_fd", "_is_closed", "_lock", "_open", "_page_bytes", "_pread", "_process"),
        *("has_source", "space_bytes"),
    )

    def __init__(self) -> None:
        # Kept, since the program may put other functions in their place.
        self._open = os.open
        self._pread = os.pread
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._process = None
        self._lock, self._is_closed = RLock(), False
        self.space_bytes = 0
        try:
            self._fd = moved_up(self._open(STATM, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            self._fd = -1
            with suppress(Exception):  # as when all descriptors are in use
                import psutil

                self._process = psutil.Process()
        self.has_source = self._fd >= 0 or self._process is not None

    def __call__(self) -> "tuple[int | None, int | None]":
        try:
            if self._process is not None:
                return int(self._process.memory_info().rss), None
            return self._read_statm()
        except (OSError, ValueError, IndexError):
            return None, None

    def close(self) -> None:
        """Read nothing any more, not even for a thread that is about to."""
        with self._lock:
            self._is_closed = True
            if self._fd >= 0:
                close(self._fd)

    def _read_statm(self) -> "tuple[int, int]":
        try:
            return self._figures()
        except (OSError, ValueError, IndexError):
            with self._lock:
                if self._is_closed:
                    raise
                # The program closed our descriptor, or reused its number.
                self._fd = moved_up(self._open(STATM, os.O_RDONLY | os.O_CLOEXEC))
            return self._figures()

    def _figures(self) -> "tuple[int, int]":
        pages = self._pread(self._fd, 128, 0).split()
        self.space_bytes = int(pages[0]) * self._page_bytes
        return int(pages[1]) * self._page_bytes, int(pages[2]) * self._page_bytes
