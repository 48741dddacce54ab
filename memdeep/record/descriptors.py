"""Keeps our file descriptors out of the program's way: they are high numbers.

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
    """Another descriptor for the same file, high and not inherited; closes ``descriptor``.

    That itself is returned if there is no other to be had.
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
    """What is opened within gets high descriptors. Raises OSError if there are none.

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
    """The number from which on our descriptors lie, and for now the right to have such.

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
