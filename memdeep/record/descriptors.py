"""High numbers for our file descriptors, out of the program's way.

A program finds the low ones free, as under plain `python`, and one that closes "all" descriptors
leaves ours alone: they lie above the usual limit on their number.
"""

import os
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HIGH = 2048
ROOM = 64


def moved_up(descriptor: int) -> int:
    """Return a high descriptor of the same file, not inherited, and close ``descriptor``.

    Return ``descriptor`` itself if the system gives no other.
    """
    try:
        import fcntl

        with _high() as least:
            high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    except (ImportError, OSError, ValueError):
        return descriptor
    os.close(descriptor)
    return high


@contextmanager
def opening_high() -> "Iterator[None]":
    """Give high descriptors to files opened within. Raises OSError if there are none.

    memray needs this: a descriptor that the program closes and gets for a file of its own would
    still be memray's to read from.
    """
    with _high() as least:
        taken = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
        try:
            while taken[-1] < least:
                taken.append(os.dup(taken[0]))
            yield
        finally:
            for descriptor in taken:
                os.close(descriptor)


@contextmanager
def _high() -> "Iterator[int]":
    """Yield the lowest number for our descriptors; within, the limit on numbers is raised to it.

    A descriptor stays open when the limit is lowered again.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_bound = soft if soft != resource.RLIM_INFINITY else HIGH + ROOM
    bound = hard if hard != resource.RLIM_INFINITY else HIGH + ROOM
    bound = max(soft_bound, min(bound, HIGH + ROOM))
    try:
        if bound > soft_bound:
            resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))
        yield min(HIGH, max(bound - ROOM, bound // 2))
    finally:
        if bound > soft_bound:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
