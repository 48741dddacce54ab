"""Reads the limits on memory that the system sets: of the control group and of the process.

See cgroups(7), getrlimit(2). Knows no wording.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

CGROUP_OF_SELF = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 1 << 62  # version 1 writes a huge number where there is no limit


def cgroup_limit_bytes(
    of_self: Path = CGROUP_OF_SELF, root: Path = CGROUP_ROOT
) -> tuple[bool, int | None]:
    """Whether a control group could be read, and the lowest limit on memory up to the root."""
    limits = [limit for file in _limit_files(of_self, root) if (limit := _limit(file)) is not None]
    known = [limit for limit in limits if limit < UNLIMITED_BYTES]
    return bool(limits), min(known, default=None)


def process_limit(name: str) -> int | None:
    """The soft limit of this name (`RLIMIT_AS`, ...); None if there is none."""
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


def _limit_files(of_self: Path, root: Path) -> Iterator[Path]:
    """The files with the limits of the control group and of all above it; both versions."""
    try:
        lines = of_self.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be the host's: then only the root of what is mounted is there.
        group = base / path.lstrip("/")
        while group != base:
            yield group / name
            group = group.parent
        yield base / name


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
        return UNLIMITED_BYTES if text == "max" else int(text)
    except (OSError, ValueError):
        return None
