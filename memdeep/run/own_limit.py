"""Puts a program under a limit on memory of its own: a cgroup where allowed, else RLIMIT_AS."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memdeep.model import MemoryLimit
from memdeep.model.statement import state
from memdeep.run import cgroup
from memdeep.run.cgroup import MemoryGroup
from memdeep.run.looks import CHILD_NAME
from memdeep.text import units

OPTION = "--memory-limit"


class OwnLimit:
    """The limit that one run was given; ``limit_bytes`` None means no limit, and nothing is done.

    ``group`` is the cgroup made for it. If none can be made, ``note`` tells the user so, and the
    limit is put on the address space instead. ``limit`` is None where no limit is in force: the
    system has no way to set one.
    """

    def __init__(self, limit_bytes: int | None) -> None:
        self.group: MemoryGroup | None = None
        self.note: str | None = None
        self.limit: MemoryLimit | None = None
        self._home = cgroup.own()
        if limit_bytes is None:
            return
        try:
            self.group = cgroup.create(limit_bytes, f"memdeep-{os.getpid()}")
            with self.around_start():  # making a group is one right, moving into it another
                pass
        except OSError as error:
            self.close()
            self.group = None
            reason = (error.strerror or str(error)).lower()
            if not hasattr(resource, "prlimit"):  # Linux alone has it
                self.note = f"{OPTION} is not in force: this system has no cgroups ({reason})."
                return
            source = state("limit.own_address_space")
            self.limit = MemoryLimit(limit_bytes, source, of_address_space=True)
            self.note = (
                f"{OPTION} {units.size(limit_bytes)} is in force as RLIMIT_AS, as no cgroup could "
                f"be made ({reason}): the program gets a MemoryError instead of being killed, and "
                "what counts is its address space, of which the interpreter and the tracker take "
                "their part."
            )
        else:
            self.limit = MemoryLimit(limit_bytes, state("limit.own_cgroup"))

    @contextmanager
    def around_start(self) -> Iterator[None]:
        """Yield in the group: a process started within begins its life there, with its children."""
        if self.group is None or self._home is None:
            yield
            return
        self.group.enter(os.getpid())
        try:
            yield
        finally:
            self._home.enter(os.getpid())

    def apply(self, pid: int) -> None:
        """Limit the address space of a process that has just started, unless it has a group."""
        if self.limit is not None and self.group is None:
            with suppress(OSError, ValueError):  # it has ended already, or its hard limit is lower
                hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
                resource.prlimit(pid, resource.RLIMIT_AS, (self.limit.bytes, hard))

    def close(self) -> None:
        """Remove the group, after the program has ended.

        A child that still writes who held the objects goes on in the group of this process.
        """
        if self.group is not None:
            for pid in self.group.processes():
                with suppress(OSError):
                    is_look = Path(f"/proc/{pid}/comm").read_text().strip() == CHILD_NAME
                    if is_look and self._home is not None:
                        self._home.enter(pid)
            self.group.remove()
