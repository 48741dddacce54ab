"""Finds the limit on memory that a program will meet first, and says how near it came."""

from __future__ import annotations

import os
import resource
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from memdeep.report import units
from memdeep.run import cgroup
from memdeep.run.cgroup import MemoryGroup

MEMINFO = Path("/proc/meminfo")
LAST_S = 3.0
NEAR = 0.8


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in bytes and whose it is.

    ``of_address_space`` tells a limit on what is mapped from one on what is resident.
    """

    bytes: int
    source: str
    of_address_space: bool = False


def in_force(group: MemoryGroup | None, own: Limit | None) -> Limit | None:
    """The smallest limit of those that hold for a program started by us in ``group``.

    ``own`` is the one that it was given for this run.
    """
    found = [*_of_group(group), *_of_process(), *_of_system()]
    if own is not None:
        found.insert(0, own)
    return min(found, key=lambda limit: limit.bytes, default=None)


def _of_group(group: MemoryGroup | None) -> list[Limit]:
    tightest = None if group is None else cgroup.tightest(group)
    if tightest is None:
        return []
    size_bytes, level = tightest
    place = "its cgroup" if level == group else f"the cgroup {level.path.name or '/'} around it"
    return [Limit(size_bytes, f"{level.limit_file.name} of {place}")]


def _of_process() -> list[Limit]:
    limits = []
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        soft = resource.getrlimit(getattr(resource, name))[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(Limit(soft, name, of_address_space=True))
    return limits


def _of_system() -> list[Limit]:
    try:
        figures = {
            name: int(rest.split()[0]) * 1024
            for name, _, rest in (
                line.partition(":") for line in MEMINFO.read_text().splitlines() if line
            )
        }
        return [Limit(figures["MemTotal"] + figures["SwapTotal"], "memory and swap of the system")]
    except (OSError, ValueError, LookupError):
        pass
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return []
    return [Limit(total, "memory of the system")]


class Headroom:
    """What a program left of ``limit`` over the last seconds; `note` each reading of it."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._last: deque[tuple[float, int]] = deque()

    def note(self, time_s: float, used_bytes: int) -> None:
        """A reading: of what is resident, or mapped, as the limit counts it."""
        self._last.append((time_s, used_bytes))
        while self._last[0][0] < time_s - LAST_S:
            self._last.popleft()

    def is_near(self) -> bool:
        """Whether it came within a fifth of the limit over the last seconds."""
        highest = max((used_bytes for _, used_bytes in self._last), default=0)
        return highest >= NEAR * self.limit.bytes

    def sentence(self) -> str | None:
        """How it went over the last seconds; None if nothing was read."""
        if not self._last:
            return None
        (first_s, first_bytes), (last_s, last_bytes) = self._last[0], self._last[-1]
        what = "address space" if self.limit.of_address_space else "RSS"
        left_bytes = self.limit.bytes - last_bytes
        left = (
            f"{units.size(left_bytes)} were left"
            if left_bytes >= 0
            else f"it was over that by {units.size(-left_bytes)}"
        )
        return (
            f"In its last {last_s - first_s:.1f} s its {what} went from {units.size(first_bytes)} "
            f"to {units.size(last_bytes)}; of the limit of {units.size(self.limit.bytes)} "
            f"({self.limit.source}) {left}."
        )
