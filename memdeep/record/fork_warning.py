"""Keeps quiet about threads of ours, which a program that forks knows nothing of.

Since Python 3.12 `os.fork` warns when the process has more than one thread.
"""

import os
import sys

MESSAGE = r"This process \(pid=\d+\) is multi-threaded, use of fork"

_is_expecting = False


def expect_threads() -> None:
    """From here on `os.fork` does not warn of threads.

    The filter is put in place right before a fork, since a program may set its own at any time.
    """
    global _is_expecting
    if sys.version_info >= (3, 12) and hasattr(os, "register_at_fork") and not _is_expecting:
        _is_expecting = True
        os.register_at_fork(before=_ignore)


def _ignore() -> None:
    import warnings

    warnings.filterwarnings("ignore", message=MESSAGE, category=DeprecationWarning)
