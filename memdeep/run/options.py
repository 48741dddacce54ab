"""What `memdeep run` is told: how to record, what to watch and what to limit."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from memdeep.record.spec import RecordSpec

MAX_INTERVAL_MS = 50


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to record: the flags of `memdeep run`; ``marks`` are words of `record.marks`.

    ``max_capture_bytes`` and ``keep_free_bytes`` limit what the captures take of the disk;
    ``interpreter`` are options of Python itself.
    """

    backend: str = RecordSpec.MEMRAY
    native: bool = True
    python_allocators: bool = False
    interval_ms: int = MAX_INTERVAL_MS
    warning_bytes: int | None = None
    critical_bytes: int | None = None
    marks: tuple[str, ...] = ()
    focus: tuple[str, ...] = ()
    start_at: str = ""
    stop_at: str = ""
    memory_limit_bytes: int | None = None
    kill_bytes: int | None = None
    redact_args: bool = False
    max_capture_bytes: int | None = None
    keep_free_bytes: int = 0
    interpreter: tuple[str, ...] = ()

    @property
    def dumps_stacks(self) -> bool:
        """Whether there is an RSS at which the stacks of all threads are to be written down."""
        is_wanted = self.critical_bytes is not None or self.kill_bytes is not None
        return is_wanted and hasattr(signal, "SIGRTMAX")  # which macOS does not have

    @property
    def traced_only(self) -> tuple[str, ...]:
        """What tracing is limited to, in the words of the command line."""
        limits = [f"--focus {pattern}" for pattern in self.focus]
        limits += [f"--start-at {self.start_at}"] if self.start_at else []
        limits += [f"--stop-at {self.stop_at}"] if self.stop_at else []
        return tuple(limits)
