"""Stops the tracing, not the program, when the capture gets too large or the disk is filling up.

It watches from outside, so it costs the program nothing. The order to stop goes through pipes that
`record.orders` waits on: one to the program, and one to all processes that it started.
"""

from __future__ import annotations

import os
import resource
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from memdeep.record.descriptors import moved_up
from memdeep.record.orders import MAX_BYTES
from memdeep.rundir.directory import RunDirectory
from memdeep.text import units

LOOK_S = 0.25
RATE_S = 20.0  # growth is measured over this long: memray lets its file grow in steps
LEAST_RATE_S = 2.0
WARN_S = 60.0
# memray reserves a tenth more than it needs; where that is not there, it gives up.
STEP_RATIO = 0.1
STEP_BYTES = 2 * 4096
NEAR_BYTES = 1 << 16  # somebody else may be writing as well


class Capacity:
    """Watches the run directory of one program; call `look` often.

    ``maximum_bytes`` is the most that the captures may take, None for no limit; ``floor_bytes``
    must stay free on their disk. ``on_note`` gets one warning beforehand. ``problem`` says why
    tracing was stopped, None if it was not. ``to_program`` is where orders to a program go that
    runs already; one that is started within `inherited` has a pipe of its own.
    """

    def __init__(
        self,
        run_dir: RunDirectory,
        maximum_bytes: int | None,
        floor_bytes: int,
        on_note: Callable[[str], None],
        to_program: int | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._maximum_bytes = maximum_bytes
        self._floor_bytes = floor_bytes
        self._on_note = on_note
        # Moved up: where the standard streams are closed, the first ones would be taken for them.
        self._directory = moved_up(os.open(run_dir.path, os.O_RDONLY | os.O_CLOEXEC))
        self._most_bytes = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if to_program is None:
            self._reading, self._writing = map(moved_up, os.pipe())
        else:
            self._writing = to_program
        self._to_others: int | None = None
        self._readings: deque[tuple[float, int, int]] = deque()
        self._looked_s = float("-inf")
        self._has_begun = to_program is not None
        self._has_warned = False
        self.problem: str | None = None

    @contextmanager
    def inherited(self) -> Iterator[int]:
        """Yield the descriptor for orders; only a program started within inherits it."""
        os.set_inheritable(self._reading, True)
        try:
            yield self._reading
            self._has_begun = True
        finally:
            os.close(self._reading)

    def order(self, words: str) -> None:
        """Send an order to the program, one line of text. Raises OSError if it takes none."""
        os.write(self._writing, words.encode()[: MAX_BYTES - 1] + b"\n")

    def close(self) -> None:
        """Close the descriptors, after the program has ended."""
        os.close(self._writing)
        os.close(self._directory)
        if self._to_others is not None:
            os.close(self._to_others)
        with suppress(OSError):  # a run is of files only, to be copied like any
            self._run_dir.orders.unlink(missing_ok=True)

    def look(self, now_s: float) -> None:
        """Check sizes and free space, at most every LOOK_S; ``now_s`` is since the start."""
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        if self.problem is not None:
            self._tell_others(self.problem)
            return
        try:
            disk = os.fstatvfs(self._directory)
            is_there = os.fstat(self._directory).st_nlink > 0
            files = [file.stat() for file in self._run_dir.growing()]
        except OSError:
            return
        # What was given back of a capture takes nothing of the disk, whatever its length.
        taken_bytes = sum(min(file.st_size, file.st_blocks * 512) for file in files)
        last_bytes = max((file.st_size for file in files), default=0)
        free_bytes = disk.f_bavail * disk.f_frsize
        reason = self._limit(taken_bytes, free_bytes, last_bytes, is_there)
        if reason is not None:
            what = "tracing has stopped" if self._has_begun else "allocations are not traced"
            self.problem = f"{what}: {reason}"
            with suppress(OSError):  # the program has ended, or closed the pipe
                os.write(self._writing, self.problem.encode()[:MAX_BYTES])
            self._tell_others(self.problem)
        elif not self._has_warned:
            self._warn(now_s, taken_bytes, free_bytes)

    def _tell_others(self, problem: str) -> None:
        """Leave an order for each process that the program started, and for those to come."""
        with suppress(OSError):  # there are none, or they have enough of them
            if self._to_others is None:
                pipe = os.open(self._run_dir.orders, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
                self._to_others = moved_up(pipe)
            while True:
                os.write(self._to_others, problem.encode()[:MAX_BYTES].ljust(MAX_BYTES))

    def _limit(
        self, taken_bytes: int, free_bytes: int, last_bytes: int, is_there: bool
    ) -> str | None:
        """Return the reason to stop tracing, None if there is none."""
        if not is_there:
            return "the run directory was removed, and what is recorded is lost with it"
        if self._maximum_bytes is not None and taken_bytes >= self._maximum_bytes:
            return (
                f"the capture has reached {units.size(taken_bytes)}, and --max-capture is "
                f"{units.size(self._maximum_bytes)}"
            )
        if free_bytes < self._floor_bytes:
            return (
                f"{units.size(free_bytes)} are free on the disk of the run directory, and "
                f"--keep-free is {units.size(self._floor_bytes)}"
            )
        step_bytes = last_bytes * STEP_RATIO + STEP_BYTES
        if free_bytes < step_bytes + NEAR_BYTES:
            return (
                f"{units.size(free_bytes)} are free on the disk of the run directory, too little "
                "for the capture to grow"
            )
        most_bytes = self._most_bytes
        if most_bytes != resource.RLIM_INFINITY and last_bytes + step_bytes > most_bytes:
            return (
                f"the capture has reached {units.size(last_bytes)}, and no file may be larger "
                f"than {units.size(most_bytes)} (RLIMIT_FSIZE)"
            )
        return None

    def _warn(self, now_s: float, taken_bytes: int, free_bytes: int) -> None:
        """Warn once if a limit will be reached within WARN_S at the present rate."""
        self._readings.append((now_s, taken_bytes, free_bytes))
        while now_s - self._readings[0][0] > RATE_S:
            self._readings.popleft()
        then_s, then_taken, then_free = self._readings[0]
        if now_s - then_s < LEAST_RATE_S:
            return
        elapsed_s = now_s - then_s
        limits = [(free_bytes - self._floor_bytes, then_free - free_bytes, "--keep-free")]
        if self._maximum_bytes is not None:
            left_bytes = self._maximum_bytes - taken_bytes
            limits.append((left_bytes, taken_bytes - then_taken, "--max-capture"))
        for left_bytes, change_bytes, option in limits:
            rate = change_bytes / elapsed_s
            if rate > 0 and left_bytes < rate * WARN_S:
                self._has_warned = True
                what = "the capture grows" if option == "--max-capture" else "free space shrinks"
                self._on_note(
                    f"{what} by {units.size(round(rate))} a second: in about "
                    f"{units.duration(left_bytes / rate)} it reaches {option}, and tracing stops "
                    "there; the program goes on"
                )
                return
