"""Tells whether a signal was sent to our whole process group or to us alone.

The kernel does not say. But a process in the same group that does nothing else receives the one
and not the other.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence

MOST_FILES = 65536
PATIENCE_S = 0.1  # how long the witness may take to be heard
MEMORY_S = 0.5  # how long what it said still tells of the same event


class GroupWitness:
    """A process of our group that reports the signals in ``numbers``; `close` ends it.

    It ends by itself when we do, and holds none of our files.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        """Raises OSError if there can be no more processes."""
        self._heard: dict[int, float] = {}
        self._reports, reports = os.pipe()
        lifeline, self._lifeline = os.pipe()
        os.set_blocking(self._reports, False)
        # Nothing may arrive in between with our own handlers still in place.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        self._pid = os.fork()
        if self._pid == 0:
            _witness(numbers, reports, lifeline)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        os.close(reports)
        os.close(lifeline)

    def saw(self, number: int) -> bool:
        """Whether ``number``, which we have just received, was sent to the group."""
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            self.listen()
            if time.monotonic() - self._heard.pop(number, float("-inf")) < MEMORY_S:
                return True
            left_s = give_up_s - time.monotonic()
            if left_s <= 0 or not select.select([self._reports], [], [], left_s)[0]:
                return False

    def listen(self) -> None:
        """Take note of what it has reported; to be called often, for the time of it counts."""
        try:
            for number in os.read(self._reports, 4096):
                self._heard[number] = time.monotonic()
        except BlockingIOError:
            pass

    def close(self) -> None:
        """End the witness."""
        os.close(self._lifeline)
        os.close(self._reports)
        os.waitpid(self._pid, 0)


def _witness(numbers: Sequence[int], reports: int, lifeline: int) -> None:
    """The whole life of the other process: every signal becomes a byte in ``reports``."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        kept = sorted({reports, lifeline})
        os.closerange(3, kept[0])
        os.closerange(kept[0] + 1, kept[1])
        os.closerange(kept[1] + 1, min(os.sysconf("SC_OPEN_MAX"), MOST_FILES))
        os.set_blocking(reports, False)
        signal.set_wakeup_fd(reports, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        os.read(lifeline, 1)  # nothing is ever written: this waits for the end of the other side
    finally:
        os._exit(0)
