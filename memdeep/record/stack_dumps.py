"""Dumps of the Python stacks of all threads, at the request of the parent and without cost.

`faulthandler` writes them from a signal handler in C: no allocation, no Python code, no lock.
"""

import os
from _signal import SIGRTMAX  # type: ignore[import-not-found]  # not on macOS, which has none

SIGNAL = int(SIGRTMAX) - 3
HIGH_DESCRIPTOR = 500  # out of the way of a program that closes the low ones


def enable(path: str) -> None:
    """On `SIGNAL`, append the stacks to the file at ``path``. Raises OSError.

    The parent sends it only while the file is open in this process.
    """
    import faulthandler
    import fcntl

    low = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR)
        os.close(low)
    except OSError:  # there are not as many
        descriptor = low
    faulthandler.register(SIGNAL, file=descriptor, all_threads=True, chain=False)
