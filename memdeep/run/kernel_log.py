"""Reads from the kernel's own log whom it has killed for want of memory, where that is allowed."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress

KMSG = "/dev/kmsg"
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel
RECORD_BYTES = 8192  # the largest record there is (CONSOLE_EXT_LOG_MAX)
MAX_RECORDS = 100_000
_KILLED = re.compile(r"[Oo]ut of memory: Killed process (\d+) \(")


class KernelLog:
    """The log from now on. Unreadable without the right to it, and in a container.

    In a PID namespace other than the first the log names processes by numbers that mean others.
    """

    def __init__(self) -> None:
        self._fd = -1
        with suppress(OSError):
            if os.readlink("/proc/self/ns/pid") == FIRST_PID_NAMESPACE:
                self._fd = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                os.lseek(self._fd, 0, os.SEEK_END)

    def killed(self) -> dict[int, str] | None:
        """The processes killed since the last call, each with the kernel's words; None: unknown."""
        if self._fd < 0:
            return None
        found = {}
        for _ in range(MAX_RECORDS):
            try:
                record = os.read(self._fd, RECORD_BYTES).decode("utf-8", "replace")
            except OSError as error:
                if error.errno == errno.EPIPE:  # overwritten before it was read
                    continue
                if error.errno != errno.EAGAIN:
                    return None
                break
            message = record.partition(";")[2].partition("\n")[0]
            match = _KILLED.search(message)
            if match is not None:
                found[int(match[1])] = message
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
