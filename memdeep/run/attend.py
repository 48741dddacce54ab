"""Watches a process that records itself, from another one that it has started beside it.

The process finds no child in it: it belongs to nobody, and no signal of the terminal reaches it. It
reads what `supervise` reads of a program, and ends with the recording. It is run by the path of
this file.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.frozen import replace

if TYPE_CHECKING:
    from memdeep.run.progress import Progress
    from memdeep.run.verdict import Ending, Witnesses
    from memdeep.run.watching import Seen
    from memdeep.rundir.meta import Meta

SOCKET = 0  # the descriptor on which it says that it is over, and gets orders to stop tracing


def main(words: list[str]) -> None:
    """Watch the recording in a run directory: ``DIR PID MAX-CAPTURE KEEP-FREE PATHS...``.

    The sizes are bytes, 0 for no limit.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    run_dir, pid, most, free, *paths = words
    sys.path += [path for path in paths if path not in sys.path]
    with suppress(FileNotFoundError):  # the directory was removed
        _attend(run_dir, int(pid), int(most) or None, int(free))


def _attend(path: str, pid: int, max_capture_bytes: int | None, keep_free_bytes: int) -> None:
    from memdeep.run.watching import Recorded, is_over, watch
    from memdeep.rundir.directory import RunDirectory

    if is_over(SOCKET, 0.0):
        return  # before anything could be seen of it
    run_dir = RunDirectory(Path(path))
    watch(Recorded(run_dir, pid, max_capture_bytes, keep_free_bytes, SOCKET), _Attendant())


class _Attendant:
    """Shows nothing, and adds how the process ended if that is not its own affair to tell."""

    def progress(self, progress: Progress) -> None:
        pass

    def over(self) -> None:
        pass

    def ended(self, meta: Meta, seen: Seen) -> Meta:
        end = None if seen.is_there else end_of(seen.witnesses, seen.last_s)
        if end is None or meta.verdict is not None:
            return meta
        return replace(
            meta,
            duration_s=seen.last_s,
            signal=end.signal,
            verdict=end.verdict,
            evidence=end.evidence,
        )


def end_of(witnesses: Witnesses, last_s: float) -> Ending | None:
    """Judge the end of a process that nobody here may wait for, last seen at ``last_s``.

    None unless the kernel has killed it for want of memory, and says so: by name, or by a counter
    that rose when the process was gone.
    """
    from memdeep.run.verdict import ENDS_WITHIN_S, judge

    rises = () if witnesses.group is None else witnesses.group.rises
    is_named = witnesses.pid in (witnesses.kernel_log or {})
    if is_named or any(until_s >= last_s - ENDS_WITHIN_S for _, until_s in rises):
        end = judge(-signal.SIGKILL, witnesses)
        return end if end.verdict == "oom-killed" else None
    return None


if __name__ == "__main__":
    del sys.path[0]
    main(sys.argv[1:])
