"""The bounds of one run's memory: which limit holds, how near it came, who saw it killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from memdeep.run import cgroup, limits
from memdeep.run.guard import Guard
from memdeep.run.limits import Headroom, Limit
from memdeep.run.own_limit import OwnLimit
from memdeep.run.sampling import TreeSampler
from memdeep.run.signals import Forwarder
from memdeep.run.verdict import KernelLog, Witnesses, read_oom_counters


class Bounds:
    """What is known of memory outside the program, from before its start to after its end.

    ``limit`` is the tightest in force. ``notes`` are what the user should know of it. Use as a
    context manager: a cgroup made for the run goes with it.
    """

    def __init__(self, own_limit_bytes: int | None) -> None:
        self._own = None if own_limit_bytes is None else OwnLimit(own_limit_bytes)
        own_group = None if self._own is None else self._own.group
        self._group = cgroup.own() if own_group is None else own_group
        self.limit: Limit | None = limits.in_force(
            self._group, None if self._own is None else self._own.limit
        )
        self.notes = (self._own.note,) if self._own is not None and self._own.note else ()
        self._headroom = None if self.limit is None else Headroom(self.limit)
        self._before = read_oom_counters(self._group)
        self._kernel_log = KernelLog()

    def __enter__(self) -> Bounds:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._kernel_log.close()
        if self._own is not None:
            self._own.close()

    @contextmanager
    def around_start(self) -> Iterator[None]:
        """A process started inside is within the bounds from its first page on."""
        if self._own is None:
            yield
            return
        with self._own.around_start():
            yield

    def apply(self, pid: int) -> None:
        """The program has just been started."""
        if self._own is not None:
            self._own.apply(pid)

    def left_bytes(self, time_s: float, rss_bytes: int, address_space_bytes: int) -> int | None:
        """Note a reading; what is left of the limit now."""
        if self._headroom is None:
            return None
        counts_mapped = self._headroom.limit.of_address_space
        used_bytes = address_space_bytes if counts_mapped else rss_bytes
        self._headroom.note(time_s, used_bytes)
        return self._headroom.limit.bytes - used_bytes

    def witnesses(self, sampler: TreeSampler, guard: Guard, forwarder: Forwarder) -> Witnesses:
        """The program has ended: what there is to conclude from."""
        return Witnesses(
            pid=sampler.root_pid,
            before=self._before,
            after=read_oom_counters(self._group),
            kernel_log=self._kernel_log.killed(),
            headroom=None if self._headroom is None else self._headroom.statement(),
            is_near_limit=self._headroom is not None and self._headroom.is_near(),
            deeds=tuple(guard.evidence),
            passed_on=tuple(forwarder.passed_on),
            replaced_by=sampler.replaced_by,
        )
