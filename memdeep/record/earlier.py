"""Lists what was allocated before the trace began, so that its frees are known for what they are.

A forked child does it, as for who holds the objects (`record.holders`): the program stands still for
the fork alone. It knows glibc's malloc and CPython's own allocator, and no other.
"""

import fcntl
import os
import time

from memdeep.record import _holders
from memdeep.rundir.earlier import NAME

SECONDS = 60  # of the child at most


def list_blocks(directory: str, *, deep: bool) -> None:
    """Have the blocks listed in a file of the run in ``directory``; with ``deep`` small objects too.

    Raises OSError where they cannot be.
    """
    began_ns = time.monotonic_ns()
    path = f"{os.path.abspath(directory)}/{NAME}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        _holders.earlier(file, began_ns, deep, SECONDS)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(file)
