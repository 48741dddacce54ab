"""Reads the limits on memory in force: of the control group, of the process and of the system.

The only reader of them, for a run and for `memdeep doctor`. See cgroups(7), getrlimit(2), proc(5).
"""

from __future__ import annotations

import os
import resource
from collections import deque
from pathlib import Path
from typing import NamedTuple

from memdeep.model import MemoryLimit
from memdeep.model.statement import Statement, state
from memdeep.run import cgroup
from memdeep.run.cgroup import MemoryGroup

MEMINFO = Path("/proc/meminfo")
LAST_S = 3.0
NEAR = 0.8
RSS, PSS, GROUP = "rss", "pss", "group"  # measures: of one process, of several, of a cgroup


def in_force(group: MemoryGroup | None, own: MemoryLimit | None = None) -> MemoryLimit | None:
    """Return the smallest limit for a program that this process starts in ``group``.

    ``own`` is the limit that the program gets for this run alone; None means it gets none.
    """
    found = [own, of_group(group), *_of_process(), _of_system()]
    known = [limit for limit in found if limit is not None]
    return min(known, key=lambda limit: limit.bytes, default=None)


def of_group(group: MemoryGroup | None) -> MemoryLimit | None:
    """Return the smallest limit of ``group`` and of the groups around it."""
    tightest = None if group is None else cgroup.tightest(group)
    if tightest is None:
        return None
    size_bytes, level = tightest
    file = level.limit_file.name
    if level == group:
        return MemoryLimit(size_bytes, state("limit.cgroup", file=file))
    name = level.path.name or "/"
    return MemoryLimit(size_bytes, state("limit.outer_cgroup", file=file, name=name))


def of_process(name: str) -> int | None:
    """Return the soft limit of this process called ``name`` (`RLIMIT_AS`, ...), if it has one."""
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


def _of_process() -> list[MemoryLimit]:
    return [
        MemoryLimit(size_bytes, state("limit.process", name=name), of_address_space=True)
        for name in ("RLIMIT_AS", "RLIMIT_DATA")
        if (size_bytes := of_process(name)) is not None
    ]


def _of_system() -> MemoryLimit | None:
    try:
        figures = {
            name: int(rest.split()[0]) * 1024
            for name, _, rest in (
                line.partition(":") for line in MEMINFO.read_text().splitlines() if line
            )
        }
        total_bytes = figures["MemTotal"] + figures["SwapTotal"]
        return MemoryLimit(total_bytes, state("limit.memory_and_swap"))
    except (OSError, ValueError, LookupError):
        pass
    try:
        total_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    return MemoryLimit(total_bytes, state("limit.memory"))


class _Used(NamedTuple):
    """A reading of what counts against a limit."""

    time_s: float
    bytes: int
    measure: str


class Headroom:
    """Bytes that a program left of ``limit`` over the last seconds, from the readings noted.

    ``left_bytes`` is what the last reading left, None before the first.
    """

    def __init__(self, limit: MemoryLimit) -> None:
        self.limit = limit
        self.left_bytes: int | None = None
        self._last: deque[_Used] = deque()
        self._highest_bytes: int | None = None

    def note(self, time_s: float, used_bytes: int, measure: str = RSS) -> None:
        """Note a reading of what the limit counts: resident, by ``measure``, or mapped bytes."""
        self.left_bytes = self.limit.bytes - used_bytes
        self._highest_bytes = max(self._highest_bytes or 0, used_bytes)
        self._last.append(_Used(time_s, used_bytes, measure))
        while self._last[0].time_s < time_s - LAST_S:
            self._last.popleft()

    def is_near(self) -> bool:
        """Tell if a reading of the last seconds came within a fifth of the limit."""
        highest = max((used.bytes for used in self._last), default=0)
        return highest >= NEAR * self.limit.bytes

    def highest(self) -> Statement | None:
        """State the highest reading of all; None without a reading."""
        if self._highest_bytes is None:
            return None
        limit = self.limit
        return state(
            "exit.highest",
            highest_bytes=self._highest_bytes,
            limit_bytes=limit.bytes,
            source=limit.source,
        )

    def statement(self) -> Statement | None:
        """State the first and the highest reading of the last seconds; None without a reading.

        Both are by one measure, that of the last. Behind the highest a program may have freed all
        that it had, as Python does at its end.
        """
        if not self._last:
            return None
        end = self._last[-1]
        known = [used for used in self._last if used.measure == end.measure]
        first, last = known[0], max(known, key=lambda used: (used.bytes, used.time_s))
        if last is first:  # it only fell
            last = end
        counted = "address_space" if self.limit.of_address_space else last.measure
        rest_bytes = self.limit.bytes - last.bytes
        return state(
            f"exit.{counted}_left" if rest_bytes >= 0 else f"exit.{counted}_over",
            span_s=end.time_s - first.time_s,
            first_bytes=first.bytes,
            last_bytes=last.bytes,
            limit_bytes=self.limit.bytes,
            source=self.limit.source,
            rest_bytes=abs(rest_bytes),
        )
