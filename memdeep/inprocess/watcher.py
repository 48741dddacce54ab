"""Starts the process that watches a recording from outside, so that it is nobody's child."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from memdeep.frozen import frozen
from memdeep.run import attend
from memdeep.rundir.directory import RunDirectory

MOST_S, LOOK_S = 1.0, 0.001  # to wait for a process that was killed


@frozen
class Watcher:
    """The process ``pid``; ``socket`` is the descriptor that it gives orders through."""

    pid: int
    socket: int

    def kill(self) -> None:
        """End it at once; call this only while it has its end of the socket."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            until_s = time.monotonic() + MOST_S
            while not _has_ended(self.pid) and time.monotonic() < until_s:
                time.sleep(LOOK_S)

    def forget(self) -> None:
        """Leave nothing of it once it has ended: this process may have been the one to adopt it."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _has_ended(pid: int) -> bool:
    """Tell if a process is gone, or only waits for its parent to ask."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def orphaned(script: str, *words: str, ends: str) -> list[str]:
    """Return the command that starts a script of Python as nobody's child, with its stdin.

    The shell ends at once, and what it has started is adopted by the system's first process.
    ``ends`` is the end of the shell's line: what else is redirected, and what the shell then says.
    """
    line = f'exec 3<&0; "$@" <&3 3<&- {ends}'
    return ["/bin/sh", "-c", line, "memdeep", sys.executable, "-I", script, *words]


def start(run_dir: RunDirectory, max_capture_bytes: int | None, keep_free_bytes: int) -> Watcher:
    """Start to watch this process. Raises OSError where that cannot be."""
    if not os.path.basename(sys.executable or "").startswith("python"):
        raise OSError("sys.executable is no Python")
    paths = [path for path in sys.path if os.path.isabs(path)]
    own = str(Path(attend.__file__).parents[2])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        shell = subprocess.Popen(
            orphaned(
                attend.__file__,
                *(str(run_dir.path.absolute()), str(os.getpid())),
                *(str(max_capture_bytes or 0), str(keep_free_bytes), own, *paths),
                ends=">/dev/null & echo $!",
            ),
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ),
            start_new_session=True,
        )
        said, _ = shell.communicate()
        if not said.strip().isdigit():
            raise OSError("it did not start")
        return Watcher(int(said), ours.detach())
