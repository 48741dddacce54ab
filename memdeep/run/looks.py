"""Has the program look at who holds its objects when its memory goes over a limit.

It is asked for a checkpoint by an order (`record.orders`), which a thread of the recorder obeys: a
program in the midst of a long call into C that keeps the interpreter does so when that returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from memdeep.record.how import MEMRAY, HowToRecord
from memdeep.record.orders import CHECKPOINT
from memdeep.rundir import journal

CHILD_NAME = "memdeep-holders"  # of the process that looks; see `native/holders.cpp`
WAIT_S = 2.0  # before the program is ended; a look has forked after some 10 ms
WAIT_STEP_S = 0.01
SETTLED_S = 0.05  # the marker in the trace comes right after the line in the journal
MAX_BYTES = 1 << 20  # of lines that are written meanwhile


def obstacle(how: HowToRecord) -> str | None:
    """Return why it cannot be recorded who holds the objects; None if it can."""
    if how.backend != MEMRAY:
        return f"they are joined with what memray traces, and not with --backend {how.backend}"
    try:
        from memdeep.record import holders
    except ImportError:  # on Windows
        return "only on Linux can a process be looked at by its child"
    return holders.obstacle()


class Looks:
    """Asks for looks by ``order``; ``problem`` says that one did not come, None if all did."""

    def __init__(self, journal_file: Path, order: Callable[[str], None]) -> None:
        self._journal = journal_file
        self._order = order
        self.problem: str | None = None

    def ask(self, label: str) -> None:
        """Ask for a look at a checkpoint of this label, which comes as soon as it can."""
        with suppress(OSError):  # the program has ended, or closed the pipe
            self._order(f"{CHECKPOINT}{label}")

    def wait_for(self, label: str) -> None:
        """Ask for a look, and wait until its child has been forked, for `WAIT_S` at most."""
        try:
            begin = self._journal.stat().st_size
            self._order(f"{CHECKPOINT}{label}")
        except OSError:
            return
        until_s = time.monotonic() + WAIT_S
        while time.monotonic() < until_s:
            time.sleep(WAIT_STEP_S)
            if self._has_come(label, begin):
                time.sleep(SETTLED_S)
                return
        self.problem = (
            f"who holds the objects at {label} is not known: the program made no checkpoint "
            f"within {WAIT_S:g} s"
        )

    def _has_come(self, label: str, begin: int) -> bool:
        try:
            with open(self._journal, "rb") as file:
                file.seek(begin)
                events, _ = journal.decode(file.read(MAX_BYTES).rpartition(b"\n")[0])
        except OSError:
            return False
        return any(event.label == label for event in events)
