"""Files that lines are appended to, each by a single write, whatever the program does meanwhile.

A program that closes all descriptors may be given the number of ours for a file of its own; writing
there would be worse than losing a line. So the file is looked at before each write.
"""

import errno
import os
from _thread import RLock
from contextlib import suppress

from memdeep.record.descriptors import close, keep, moved_up


class AppendedFile:
    """The existing file at ``path``; its descriptor is high, and not inherited by other programs.

    The functions it needs are kept in the object: a program may put others in their place.
    """

    __slots__ = (
        "_descriptor",
        "_fstat",
        "_identity",
        "_is_closed",
        "_is_torn",
        "_lock",
        "_open",
        "_path",
        "_write",
    )

    def __init__(self, path: str) -> None:
        """Raises OSError if the file cannot be opened."""
        self._path = path
        self._fstat = os.fstat
        self._open = os.open
        self._write = os.write
        self._is_closed = self._is_torn = False
        self._lock = RLock()
        self._reopen()

    def write(self, line: bytes) -> None:
        """Append ``line``, which ends with a line feed; nothing after `close`. Raises OSError."""
        if self._is_closed:
            return
        try:
            status = self._fstat(self._descriptor)
            is_ours = (status.st_dev, status.st_ino) == self._identity
        except OSError:
            is_ours = False
        if not is_ours and not self._take_again():
            return
        if self._is_torn:  # a disk was full in the middle of a line
            line = b"\n" + line
        written = self._write(self._descriptor, line)
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def keep(self) -> None:
        """Hold the descriptor in a forked child too, which has inherited it."""
        with suppress(OSError):  # it is not open any more
            keep(self._descriptor)

    def close(self) -> None:
        """Close the file; what another thread has still to write is lost."""
        with self._lock:
            self._is_closed = True
            close(self._descriptor)

    def _take_again(self) -> bool:
        """Open the file whose descriptor the program has closed; False if it was `close`."""
        with self._lock:
            if not self._is_closed:
                self._reopen()
            return not self._is_closed

    def _reopen(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = moved_up(self._open(self._path, flags))
        status = self._fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)
