"""Finds the limit on memory that a program will meet first, and says how near it came."""

from __future__ import annotations

import os
import resource
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from memdeep.model.statement import Statement, state
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
    source: Statement
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
    file = level.limit_file.name
    if level == group:
        return [Limit(size_bytes, state("limit.cgroup", file=file))]
    name = level.path.name or "/"
    return [Limit(size_bytes, state("limit.outer_cgroup", file=file, name=name))]


def _of_process() -> list[Limit]:
    limits = []
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        soft = resource.getrlimit(getattr(resource, name))[0]
        if soft != resource.RLIM_INFINITY:
            source = state("limit.process", name=name)
            limits.append(Limit(soft, source, of_address_space=True))
    return limits


def _of_system() -> list[Limit]:
    try:
        figures = {
            name: int(rest.split()[0]) * 1024
            for name, _, rest in (
                line.partition(":") for line in MEMINFO.read_text().splitlines() if line
            )
        }
        total = figures["MemTotal"] + figures["SwapTotal"]
        return [Limit(total, state("limit.memory_and_swap"))]
    except (OSError, ValueError, LookupError):
        pass
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return []
    return [Limit(total, state("limit.memory"))]


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

    def statement(self) -> Statement | None:
        """How it went over the last seconds; None if nothing was read."""
        if not self._last:
            return None
        (first_s, first_bytes), (last_s, last_bytes) = self._last[0], self._last[-1]
        what = "address_space" if self.limit.of_address_space else "rss"
        rest_bytes = self.limit.bytes - last_bytes
        return state(
            f"exit.{what}_left" if rest_bytes >= 0 else f"exit.{what}_over",
            span_s=last_s - first_s,
            first_bytes=first_bytes,
            last_bytes=last_bytes,
            limit_bytes=self.limit.bytes,
            source=self.limit.source,
            rest_bytes=abs(rest_bytes),
        )
