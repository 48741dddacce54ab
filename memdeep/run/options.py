"""The options of a run: how to record, and what to watch and to limit around the program."""

from __future__ import annotations

import signal

from memdeep.frozen import frozen
from memdeep.record.how import ALL, MEMRAY, NONE, HowToRecord


@frozen
class RunOptions:
    """The options that act around the program, and those that act within it (``how``).

    ``max_capture_bytes`` and ``keep_free_bytes`` limit what the captures take of the disk. They are
    replayed while they grow unless ``no_follow``, and what was replayed of those that take more
    than ``disk_bytes`` is given back unless ``keep_capture``. Detail that is older than ``last_s``
    is merged, unless that is 0. ``interpreter`` are options of Python itself. None stands for "no
    limit". With ``source`` False no source line is written while the program runs.
    """

    how: HowToRecord
    interpreter: tuple[str, ...]
    warning_bytes: int | None
    critical_bytes: int | None
    memory_limit_bytes: int | None
    kill_bytes: int | None
    max_capture_bytes: int | None
    keep_free_bytes: int
    disk_bytes: int
    keep_capture: bool
    no_follow: bool
    last_s: float
    source: bool | None = None

    @property
    def follows(self) -> bool:
        """Tell whether the captures are replayed while they grow."""
        return self.how.backend == MEMRAY and not self.no_follow

    @property
    def leaves_out(self) -> str | None:
        """The option that keeps Pythons which the program starts from being recorded, if any."""
        if self.last_s:
            return "--last"
        of_children = "--children none" if self.how.children == NONE else "--children"
        return None if self.how.children == ALL else of_children

    @property
    def given_back_above_bytes(self) -> int | None:
        """What captures may take of the disk before blocks are given back; None for any size."""
        return None if self.keep_capture else self.disk_bytes

    @property
    def dumps_stacks(self) -> bool:
        """Return True if the stacks of all threads are to be written down at some RSS."""
        is_wanted = self.critical_bytes is not None or self.kill_bytes is not None
        return is_wanted and hasattr(signal, "SIGRTMAX")  # which macOS does not have
