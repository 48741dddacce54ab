"""Resident size of this process, from `/proc`, psutil or `resource`, whichever comes first."""

from __future__ import annotations

import os

from memdeep.record.rss import RssReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STATUS = "/proc/self/status"

_reader: Callable[[], int | None] | None = None
_reader_pid = 0


def read_bytes() -> int | None:
    """Return the resident bytes of this process, or None if no source has them.

    Where there is neither `/proc` nor psutil it is the highest size so far by `getrusage`, which
    never falls and may start with the size of the process that this one was forked from.
    """
    global _reader, _reader_pid
    # A descriptor of `/proc/self/statm` stays that of the process that opened it.
    if _reader is None or _reader_pid != os.getpid():
        _reader = _new_reader()
        _reader_pid = os.getpid()
    try:
        return _reader()
    except Exception:  # psutil has errors of its own
        return None


def read_highest_bytes() -> int | None:
    """Return the highest resident size of this process so far (VmHWM in proc(5)).

    None where there is no `/proc`.
    """
    try:
        with open(_STATUS, "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _new_reader() -> Callable[[], int | None]:
    read = RssReader()
    return (lambda: read()[0]) if read.has_source else _read_resource_bytes


def _read_resource_bytes() -> int | None:
    try:
        import resource
        import sys
    except ImportError:
        return None
    # In bytes on macOS, in KB elsewhere; see getrusage(2).
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes
