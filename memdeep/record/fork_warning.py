"""Keeps quiet about threads of ours, which a program that forks knows nothing of.

Since Python 3.12 `os.fork` warns when the process has more than one thread.
"""

import sys
import warnings


def expect_threads() -> None:
    """From here on `os.fork` does not warn of threads."""
    if sys.version_info >= (3, 12):
        message = r"This process \(pid=\d+\) is multi-threaded, use of fork"
        warnings.filterwarnings("ignore", message=message, category=DeprecationWarning)
