"""Trees of files as the kernel lays out `/proc` and the control groups it names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memdeep.run import cgroup
from memdeep.run.cgroup import MemoryGroup

VERSION_2 = "35 24 0:30 / MOUNT rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION_1 = "40 32 0:34 / MOUNT rw,nosuid - cgroup cgroup rw,memory\n"
MB = 1 << 20
NO_LIMIT_OF_VERSION_1 = "9223372036854771712"


class Machine:
    """A `/proc` and the mount points it names, below ``tmp_path``."""

    def __init__(self, tmp_path: Path) -> None:
        self.proc = tmp_path / "proc"
        self.mount = tmp_path / "cgroup"
        (self.proc / "self").mkdir(parents=True)

    def says(self, cgroups: str, mounts: str) -> None:
        (self.proc / "self/cgroup").write_text(cgroups)
        (self.proc / "self/mountinfo").write_text(mounts.replace("MOUNT", str(self.mount)))

    def group(self, path: str, **files: str) -> Path:
        directory = self.mount / path
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name.replace("__", ".")).write_text(content)
        return directory

    def own(self) -> MemoryGroup | None:
        return cgroup.own(proc=self.proc)


def can_make_cgroups() -> bool:
    """Tell if this process may make a real cgroup with a limit."""
    try:
        group = cgroup.create(64 * MB, f"memdeep-test-{os.getpid()}")
    except OSError:
        return False
    group.remove()
    return True


needs_cgroups = pytest.mark.skipif(
    not can_make_cgroups(), reason="no cgroup with a memory limit can be made here"
)
