"""Filter for the warning about threads at a fork, so that our threads cause none.

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
    """Add ``change``, which may be negative, to the number of our threads in this process."""
    global _own
    _own += change
    if sys.version_info >= (3, 12) and _filter is None:
        _prepare()


def own_threads_of_fork(number: int) -> None:
    """Say in a forked child how many threads in it are ours: those of its parent are not there."""
    global _own
    _own = number


def _prepare() -> None:
    global _filter
    import re

    # As `warnings.filterwarnings` would put it in, but at a time of our own.
    _filter = ("ignore", re.compile(MESSAGE, re.IGNORECASE), DeprecationWarning, None, 0)
    os.register_at_fork(before=_before_fork)


def _before_fork() -> None:
    """Set the filter, or remove it if the program has several threads without ours.

    Done right before each fork, since the program may change the filters at any time.
    """
    filters: list[object] = warnings.filters  # type: ignore[assignment]
    if _filter in filters:
        filters.remove(_filter)
    if _own and _threads() <= _own + 1:
        filters.insert(0, _filter)


def _threads() -> int:
    """Count the threads of this process."""
    try:
        return len(_listdir(TASKS))
    except OSError:
        import threading

        return threading.active_count() + _own
