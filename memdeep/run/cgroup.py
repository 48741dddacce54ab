"""Control groups: the memory limit of this process, out-of-memory kills, groups for a program.

Reads both versions (see cgroups(7), and cgroup-v1/memory and cgroup-v2 of the kernel's
documentation). Knows no program and no verdict.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from memdeep.frozen import frozen

PROC = Path("/proc")
UNLIMITED_BYTES = 1 << 60  # version 1 says "no limit" with the largest multiple of a page


@frozen
class GroupMemory:
    """The memory of the processes in a group, each page once, the page cache left out.

    ``used_bytes`` is what cannot be dropped: anonymous, shared, and the kernel's own for them.
    """

    used_bytes: int
    anonymous_bytes: int
    shared_bytes: int


@frozen
class MemoryGroup:
    """A control group that accounts for memory; ``root`` is where its hierarchy is mounted."""

    path: Path
    root: Path
    version: int

    @property
    def limit_file(self) -> Path:
        return self.path / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")

    @property
    def parent(self) -> MemoryGroup | None:
        """The group around this one; None if this is the outermost that can be seen from here."""
        if self.path == self.root:
            return None
        return MemoryGroup(self.path.parent, self.root, self.version)

    def levels(self) -> Iterator[MemoryGroup]:
        """Yield this group, then those around it, up to the root."""
        level: MemoryGroup | None = self
        while level is not None:
            yield level
            level = level.parent

    def limit_bytes(self) -> int | None:
        """Return the group's own limit; None if it has none, or none that can be read."""
        text = _read(self.limit_file).strip()
        size = int(text) if text.isdigit() else UNLIMITED_BYTES
        return size if size < UNLIMITED_BYTES else None

    def states_limit(self) -> bool:
        """Tell if the group's limit can be read, "no limit" included."""
        text = _read(self.limit_file).strip()
        return text == "max" or text.isdigit()

    def oom_kills(self) -> int | None:
        """Return how often the kernel has killed a process of the group for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return counter(_read(self.path / name), "oom_kill")

    def memory(self) -> GroupMemory | None:
        """Return the memory that the group holds, None if it does not tell."""
        is_second = self.version == 2
        used = _read(self.path / ("memory.current" if is_second else "memory.usage_in_bytes"))
        figures = _read(self.path / "memory.stat")
        first, second = ("total_rss", "total_shmem", "total_cache"), ("anon", "shmem", "file")
        names = second if is_second else first
        anonymous, shared, cache = (counter(figures, name) for name in names)
        if not used.strip().isdigit() or anonymous is None or shared is None or cache is None:
            return None
        return GroupMemory(max(0, int(used) - (cache - shared)), anonymous, shared)

    def enter(self, pid: int) -> None:
        """Move a process into the group. Raises OSError."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def processes(self) -> tuple[int, ...]:
        """Return the processes that are in the group."""
        return tuple(int(word) for word in _read(self.path / "cgroup.procs").split())

    def remove(self) -> None:
        """Remove the group, unless a process has stayed in it."""
        with suppress(OSError):
            self.path.rmdir()


def own(proc: Path = PROC) -> MemoryGroup | None:
    """Return the group that accounts for the memory of this process; None where there is none."""
    paths = {}
    for line in _read(proc / "self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            paths[1] = path
        elif number == "0" and not controllers:
            paths[2] = path
    # Where both hierarchies are mounted, the memory controller is in the first or else in neither.
    for version in sorted(paths):
        mounted = _mount(version, proc)
        if mounted is not None:
            return MemoryGroup(_inside(*mounted, paths[version]), mounted[0], version)
    return None


def tightest(group: MemoryGroup) -> tuple[int, MemoryGroup] | None:
    """Return the smallest limit of ``group`` and those around it, and the group that sets it.

    Of groups with the same limit, the innermost is taken.
    """
    limits = [
        (size_bytes, level)
        for level in group.levels()
        if (size_bytes := level.limit_bytes()) is not None
    ]
    return min(limits, key=lambda limit: limit[0], default=None)


def create(limit_bytes: int, name: str) -> MemoryGroup:
    """Make a group ``name`` with this limit, for processes of memdeep's. Raises OSError.

    Version 2 allows no processes beside groups with a controller, so the new group may have to
    stand beside ours instead of in it, but never outside a limit that holds for us.
    """
    place = own()
    if place is None:
        raise OSError("there is no memory controller")
    while place.version == 2 and not _passes_memory_on(place):
        if place.parent is None or place.limit_bytes() is not None:
            raise OSError("the memory controller is not delegated to us")
        place = place.parent
    group = MemoryGroup(place.path / name, place.root, place.version)
    group.path.mkdir()
    try:
        group.limit_file.write_text(str(limit_bytes))
        # Otherwise what does not fit would go to the swap, and nothing would be killed.
        if group.version == 2:
            _write_if_there(group.path / "memory.swap.max", "0")
        else:
            _write_if_there(group.path / "memory.memsw.limit_in_bytes", str(limit_bytes))
    except OSError:
        group.remove()
        raise
    return group


def counter(text: str, name: str) -> int | None:
    """Return the figure of ``name`` in ``text``, which has a name and a figure on each line."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None


def _passes_memory_on(group: MemoryGroup) -> bool:
    controllers = _read(group.path / "cgroup.subtree_control").split()
    return "memory" in controllers and os.access(group.path, os.W_OK)


def _mount(version: int, proc: Path) -> tuple[Path, str] | None:
    """Return the mount point of a hierarchy, and the group mounted there (mountinfo in proc(5))."""
    for line in _read(proc / "self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        is_first = kind[0] == "cgroup" and "memory" in kind[2].split(",")
        if (kind[0] == "cgroup2") if version == 2 else is_first:
            return Path(fields[4]), fields[3]
    return None


def _inside(mount: Path, mounted: str, path: str) -> Path:
    """Return the directory of the group ``path`` below ``mount``, which shows group ``mounted``."""
    try:
        relative = PurePosixPath(path).relative_to(mounted)
    except ValueError:  # a container may be told of groups it cannot see
        return mount
    return mount / relative


def _write_if_there(path: Path, text: str) -> None:
    if path.exists():
        path.write_text(text)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
