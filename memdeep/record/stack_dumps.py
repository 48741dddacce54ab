"""Dumps of the Python stacks of all threads, at the request of the parent and without cost.

`faulthandler` writes them from a signal handler in C: no allocation, no Python code, no lock.
"""

import os
from _signal import SIGRTMAX  # type: ignore[import-not-found]  # not on macOS, which has none

from memdeep.record.descriptors import moved_up

SIGNAL = int(SIGRTMAX) - 3


def enable(path: str) -> None:
    """On `SIGNAL`, append the stacks to the file at ``path``. Raises OSError.

    The parent sends it only while the file is open in this process.
    """
    import faulthandler

    descriptor = moved_up(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
    faulthandler.register(SIGNAL, file=descriptor, all_threads=True, chain=False)
