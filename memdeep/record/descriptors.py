"""High numbers for our file descriptors, out of the program's way.

A program finds the low ones free, as under plain `python`. One that closes "all" descriptors by way
of `os` leaves ours alone: `hold` puts functions in the place of `os.close` and `os.closerange` that
pass them over. `close` called by a library in C is not seen.
"""

import os
import threading
from contextlib import contextmanager, suppress

from memdeep.record.stand_in import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Call = Callable[..., Any]

HIGH = 2048
ROOM = 64
OPEN_FILES = "/proc/self/fd"

_fstat = os.fstat  # kept, since the program may put another function in its place
_close = os.close
# Our numbers, each with device and inode of our file: a program may come by the number once ours
# was closed by a library in C.
_ours: "dict[int, tuple[int, int]]" = {}
_is_registered = False
_release: "list[Callable[[], None]]" = []  # each takes a function of ours out again


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
    keep(high)
    return high


@contextmanager
def opening_high(paths: "Iterable[str]", most: int = HIGH) -> "Iterator[None]":
    """Give high descriptors to files opened within, and keep them.

    Where other threads run, which may open files just now, only those of ``paths`` are kept. Raises
    OSError if there are no high ones. memray needs this: a descriptor that the program closes and
    gets for a file of its own would still be memray's to read from. The numbers need not be above
    ``most``: it takes time to come to them.
    """
    is_alone = threading.active_count() == 1
    with _high() as least:
        taken = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
        try:
            while taken[-1] < min(least, most):
                taken.append(os.dup(taken[0]))
            before = _open_files(taken[-1])
            yield
            for descriptor in _open_files(taken[-1]) - before:
                with suppress(OSError):  # where the system does not tell names
                    if is_alone or os.readlink(f"{OPEN_FILES}/{descriptor}") in paths:
                        keep(descriptor)
        finally:
            for descriptor in taken:
                _close(descriptor)


def hold() -> None:
    """Let `os.close` and `os.closerange` of this process pass over our descriptors from now on.

    `os.close` finds no such descriptor then. A forked child closes its parent's like any others.
    """
    global _is_registered
    if _release:
        return
    _release.append(replace("os", "close", _closing_others))
    _release.append(replace("os", "closerange", _closing_others_within))
    if not _is_registered and hasattr(os, "register_at_fork"):  # not on Windows
        _is_registered = True
        os.register_at_fork(after_in_child=_ours.clear)


def let_go() -> None:
    """End what `hold` began: none of our descriptors is open any more."""
    while _release:
        _release.pop()()
    _ours.clear()


def close(descriptor: int) -> None:
    """Close a descriptor of ours, unless a library in C did so, and it is another file's now."""
    if _is_ours(descriptor):
        _close(descriptor)
    _ours.pop(descriptor, None)


def keep(descriptor: int) -> None:
    """Let `hold` pass over ``descriptor``, a file of ours. Raises OSError if it is not open."""
    status = _fstat(descriptor)
    _ours[descriptor] = (status.st_dev, status.st_ino)


def _is_ours(descriptor: int) -> bool:
    """Tell if this is still the descriptor of a file of ours."""
    try:
        status = _fstat(descriptor)
    except OSError:
        return False
    return _ours.get(descriptor) == (status.st_dev, status.st_ino)


def _open_files(least: int) -> "set[int]":
    """Return which of the first descriptors from ``least`` on are open."""
    found = set()
    for descriptor in range(least, least + ROOM):
        with suppress(OSError):
            _fstat(descriptor)
            found.add(descriptor)
    return found


def _closing_others(close: "Call") -> "Call":
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        if len(args) == 1 and type(args[0]) is int and args[0] in _ours and _is_ours(args[0]):
            return close(-1)  # raises what it raises for one that is not open
        return close(*args, **kwargs)

    return call


def _closing_others_within(closerange: "Call") -> "Call":
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        if len(args) == 2 and type(args[0]) is type(args[1]) is int:
            low, high = args
            for descriptor in sorted(_ours):
                if low <= descriptor < high and _is_ours(descriptor):
                    closerange(low, descriptor)
                    low = descriptor + 1
            args = (low, high)
        return closerange(*args, **kwargs)

    return call


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
