"""Checkpoints at regular times, for programs that offer nothing to hook."""

from __future__ import annotations

import _thread
import threading
import time

from memdeep.record import api
from memdeep.record.fork_warning import own_threads

MIN_SECONDS = 0.001
MAX_SECONDS = 1_000_000  # about as long as a lock may be waited for on every system


class EveryMark:
    """`--mark-every SECONDS`: checkpoints on a grid of the monotonic clock, by a thread of ours.

    The n-th checkpoint is due n times SECONDS after `start`. Those that cannot be taken in time,
    because C code holds the interpreter, are left out; their numbers are missing then. One that is
    not ``is_wanted``, as that of `--last`, may be met never.
    """

    __slots__ = ("_done", "_is_wanted", "_seconds", "_start", "_stop", "_thread")

    def __init__(self, words: str, *, is_wanted: bool = True) -> None:
        """Raises ValueError with a sentence for the user."""
        try:
            self._seconds = float(words)
        except ValueError:
            raise ValueError(f"--mark-every {words}: that is not a number of seconds") from None
        if not MIN_SECONDS <= self._seconds <= MAX_SECONDS:
            raise ValueError(
                f"--mark-every {words}: that is not from {MIN_SECONDS} to {MAX_SECONDS} seconds"
            )
        self._done = 0
        self._is_wanted = is_wanted
        # The lock and the clock are those of now, whatever the program makes of `threading`.
        self._stop = _thread.allocate_lock()
        self._stop.acquire()

    def start(self) -> None:
        """Begin the grid."""
        own_threads(1)
        self._start = time.monotonic()
        # A name of its own: the numbers of unnamed threads are the program's.
        self._thread = threading.Thread(target=self._run, name="memdeep-every", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the grid and wait for a checkpoint that is being taken."""
        self._stop.release()
        self._thread.join()
        own_threads(-1)

    def complaint(self) -> str | None:
        """Return the sentence on a mark that was never met, else None."""
        if self._done or not self._is_wanted:
            return None
        return f"--mark-every {self._seconds:g}: the program ended before the first was due"

    def _run(self) -> None:
        active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
        number = 0
        while True:
            # A program that waits until it is the only thread must not see this one. It is on the
            # list only while it takes a checkpoint, and when it ends, as `threading` expects.
            active.pop(_thread.get_ident(), None)
            elapsed = time.monotonic() - self._start
            number = max(number, int(elapsed / self._seconds)) + 1
            stopped = self._stop.acquire(
                True, max(0.0, self._start + number * self._seconds - time.monotonic())
            )
            active[_thread.get_ident()] = self._thread
            if stopped:
                return
            api.checkpoint(f"every {self._seconds:g} s #{number}")
            self._done += 1
