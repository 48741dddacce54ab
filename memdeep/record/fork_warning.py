"""Keeps quiet about threads of ours, which a program that forks knows nothing of.

Since Python 3.12 `os.fork` warns when the process has more than one thread.
"""

import os
import sys
import warnings

MESSAGE = r"This process \(pid=\d+\) is multi-threaded, use of fork"
TASKS = "/proc/self/task"

_listdir = os.listdir  # kept, since the program may put another function in its place
_own = 0
_filter: object = None


def own_threads(change: int) -> None:
    """So many more threads (or less, below zero) of this process are ours from now on."""
    global _own
    _own += change
    if sys.version_info >= (3, 12) and _filter is None:
        _prepare()


def _prepare() -> None:
    global _filter
    import re

    # As `warnings.filterwarnings` would put it in, but at a time of our own.
    _filter = ("ignore", re.compile(MESSAGE, re.IGNORECASE), DeprecationWarning, None, 0)
    os.register_at_fork(before=_before_fork)


def _before_fork() -> None:
    """Set or remove the filter: the warning shall come if it came without our threads.

    This is done right before each fork, since the program may change the filters at any time.
    """
    filters: list[object] = warnings.filters  # type: ignore[assignment]
    if _filter in filters:
        filters.remove(_filter)
    if _threads() <= _own + 1:
        filters.insert(0, _filter)


def _threads() -> int:
    """How many threads this process has, as far as the system tells."""
    try:
        return len(_listdir(TASKS))
    except OSError:
        import threading

        return threading.active_count() + _own
