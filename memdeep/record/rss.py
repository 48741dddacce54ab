"""Reads the resident size of this process, as cheaply as the system allows."""

import os

STATM = "/proc/self/statm"


class RssReader:
    """Call it for the resident bytes of the process; None where they cannot be read.

    On Linux one `pread` of an open `/proc/self/statm` (field 2, in pages; see proc(5)); elsewhere
    psutil.
    """

    __slots__ = ("_fd", "_page_bytes", "_process")

    def __init__(self) -> None:
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._process = None
        try:
            self._fd = os.open(STATM, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            import psutil

            self._fd = -1
            self._process = psutil.Process()

    def __call__(self) -> "int | None":
        try:
            if self._process is not None:
                return int(self._process.memory_info().rss)
            return self._read_statm()
        except (OSError, ValueError, IndexError):
            return None

    def _read_statm(self) -> int:
        try:
            return int(os.pread(self._fd, 128, 0).split()[1]) * self._page_bytes
        except (OSError, ValueError, IndexError):
            # The program closed our descriptor, or reused its number.
            self._fd = os.open(STATM, os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._fd, 128, 0).split()[1]) * self._page_bytes
