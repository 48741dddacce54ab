"""Acts on a program whose memory goes over a limit: has its stacks written down, or ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from memdeep.model.statement import Statement, state
from memdeep.run.limits import PSS
from memdeep.run.looks import Looks
from memdeep.run.sampling import TreeSize
from memdeep.run.target import status
from memdeep.rundir.labels import BEFORE_KILL, OVER_CRITICAL
from memdeep.rundir.stacks import encode_header
from memdeep.text import units

GRACE_S = 5.0
DUMP_S = 0.5  # a dump takes some milliseconds; a stopped program would never write one
SETTLED_S = 0.01


class Guard:
    """Acts on one program when the memory of its processes reaches a threshold.

    ``stacks`` is the file that its stacks are written to; ``looks``, where that is wanted, asks who
    holds the objects. ``evidence`` states what the guard did.
    """

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        stacks: Path,
        critical_bytes: int | None,
        kill_bytes: int | None,
        looks: Looks | None = None,
    ) -> None:
        self._looks = looks
        self._child = child
        self._stacks = stacks
        self._critical_bytes = critical_bytes
        self._kill_bytes = kill_bytes
        self._ended_s: float | None = None
        self.evidence: list[Statement] = []

    def check(self, size: TreeSize | None, time_s: float) -> None:
        """Act on a reading of the whole tree, ``time_s`` after the start of the program.

        ``size`` is None where its size at this moment is not known.
        """
        if self._ended_s is not None:
            if time_s - self._ended_s >= GRACE_S:
                self._kill()
        elif size is None:
            return
        elif self._kill_bytes is not None and size.bytes >= self._kill_bytes:
            self._dump(f"--kill-at {units.size(self._kill_bytes)}", time_s, size.bytes)
            if self._looks is not None:
                self._looks.wait_for(BEFORE_KILL)
            self._ended_s = time_s
            self._send(signal.SIGTERM)
            self.evidence.append(_ended_at(self._kill_bytes, size))
        elif self._critical_bytes is not None and size.bytes >= self._critical_bytes:
            self._dump(f"--critical-mb {units.size(self._critical_bytes)}", time_s, size.bytes)
            self._critical_bytes = None
            if self._looks is not None:
                self._looks.ask(OVER_CRITICAL)

    @property
    def next_bytes(self) -> int | None:
        """The lowest threshold that has not been acted on, None if there is none."""
        if self._ended_s is not None:
            return None
        return min(filter(None, (self._critical_bytes, self._kill_bytes)), default=None)

    @property
    def has_ended_it(self) -> bool:
        """Tell if the guard has sent the program a signal to end it."""
        return self._ended_s is not None

    def close(self) -> None:
        """Remove the file of stacks if none were written, after the program has ended."""
        with suppress(OSError):
            if self._stacks.stat().st_size == 0:
                self._stacks.unlink()

    def _kill(self) -> None:
        if self._ended_s != float("inf"):
            self._ended_s = float("inf")
            self._send(signal.SIGKILL)
            self.evidence.append(state("exit.kill_at_ignored", grace_s=GRACE_S))

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            self._child.send_signal(number)

    def _dump(self, reason: str, time_s: float, rss_bytes: int) -> None:
        """Make the program append the stacks of all threads to the file, and wait for them."""
        try:
            from memdeep.record.stack_dumps import SIGNAL
        except ImportError:
            return
        if self._child.poll() is not None or not _answers(self._child.pid, SIGNAL, self._stacks):
            return
        try:
            with open(self._stacks, "a", encoding="utf-8") as file:
                file.write(encode_header(self._child.pid, reason, time_s, rss_bytes))
            written = before = self._stacks.stat().st_size
            self._send(SIGNAL)
            give_up_s = time.monotonic() + DUMP_S
            while time.monotonic() < give_up_s:
                time.sleep(SETTLED_S)
                size = self._stacks.stat().st_size
                if size == written > before:
                    break
                written = size
        except OSError:
            return


def _ended_at(limit_bytes: int, size: TreeSize) -> Statement:
    if size.measure == PSS:
        return state("exit.kill_at_pss", limit_bytes=limit_bytes, pss_bytes=size.bytes)
    return state("exit.kill_at", limit_bytes=limit_bytes, rss_bytes=size.bytes)


def _answers(pid: int, number: int, stacks: Path) -> bool:
    """Tell if the signal would reach memdeep's handler in the program, which writes to ``stacks``.

    It would not if the program has closed the file, blocks the signal, or has replaced itself by
    another program: that has neither file nor handler, and the signal would end it.
    """
    try:
        target = os.path.realpath(stacks)
        descriptors = Path(f"/proc/{pid}/fd")
        if not any(_link(entry) == target for entry in descriptors.iterdir()):
            return False
        fields = status(pid)
        bit = 1 << (number - 1)
        return bool(int(fields["SigCgt"], 16) & bit) and not int(fields["SigBlk"], 16) & bit
    except (OSError, ValueError, KeyError):
        return False


def _link(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except OSError:
        return ""
