"""Replays the captures of a run while they grow, in a process of its own.

`memdeep run` starts it by the path of this file (`run.following`). It ends when its standard input
does: a line ``end`` says that the program has ended. What people should know is written to the
standard error, a sentence a line.

It lets others go first, but where the captures take more of the disk than they shall. On Linux each
thread has a priority of its own, which it can lower but never raise again: so there are two that
take turns. That counts among the processes of its session only, where the kernel groups them by
sessions (autogroup of sched(7)); the priority of such a group can be raised again.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

NICE = 10
FIRST_TO_GO = b"1000"  # see proc_pid_oom_score_adj(5)
ORDERS = 0
END = b"end\n"
SOURCE = "source"
AGAIN = 2  # the status of one that should begin again, from the state that it has saved


def main(words: list[str]) -> int:
    """Follow a run to its end, ``DIR LEAST DISK LAST SOURCE PATHS...``; return the exit status.

    A state is left of captures of ``LEAST`` bytes. With the states they shall take ``DISK`` bytes
    of the disk, 0 for no bound. Detail is merged that is older than ``LAST`` seconds, 0 for none.
    ``SOURCE`` says whether source lines may be shown.
    """
    path, least, disk, last, source, *paths = words
    sys.path += [path for path in paths if path not in sys.path]
    from memdeep.heap.replay.engine import is_built
    from memdeep.rundir.directory import RunDirectory

    if not is_built():
        return 0
    from memdeep.errors import CaptureError
    from memdeep.follow.follower import Follower

    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(FIRST_TO_GO)
    follower = Follower(
        RunDirectory(Path(path)),
        int(least),
        int(disk) or None,
        with_source=source == SOURCE,
        last_s=float(last) or None,
    )
    modest, was_late = _Modest(), False
    orders = b""
    while True:
        try:
            wait_s = follower.turn() if follower.is_late else modest.call(follower.turn)
        except CaptureError:
            return AGAIN
        if follower.is_late != was_late:
            was_late = follower.is_late
            _set_group(0 if was_late else NICE)
        if select.select([ORDERS], [], [], wait_s)[0]:
            read = os.read(ORDERS, 64)
            orders += read
            if END in orders:
                _set_group(0)
                follower.end()
                return 0
            if not read:  # whoever started it was killed: the capture grows, and is whole
                follower.leave_alone()
                return 1


class _Modest(Thread):
    """Calls what it is given while nothing else wants the processor."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._calls: SimpleQueue[Callable[[], float]] = SimpleQueue()
        self._results: SimpleQueue[float | Exception] = SimpleQueue()
        self.start()

    def call(self, what: Callable[[], float]) -> float:
        """Return what ``what`` does; raises what it raises."""
        self._calls.put(what)
        result = self._results.get()
        if isinstance(result, Exception):
            raise result
        return result

    def run(self) -> None:
        with suppress(OSError):
            os.nice(NICE)
        _set_group(NICE)
        while True:
            try:
                self._results.put(self._calls.get()())
            except Exception as error:
                self._results.put(error)


def _set_group(nice: int) -> None:
    """Give the session this priority, if the kernel has one for it and it is our own."""
    if os.getsid(0) == os.getpid():
        with suppress(OSError), open("/proc/self/autogroup", "wb", buffering=0) as file:
            file.write(b"%d" % nice)


if __name__ == "__main__":
    del sys.path[0]
    raise SystemExit(main(sys.argv[1:]))
