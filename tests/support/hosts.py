"""Hosts of a network of one's own: namespaces of the kernel, each with what a machine has.

The first one sees what this machine sees, but for the network. Each other has its own names of
processes, its own /tmp, clocks and number of the boot, as another machine would. It takes root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

FIRST = "10.77.0.1"  # its address
SET_UP = """
mount --bind {boot} /proc/sys/kernel/random/boot_id
mount -t tmpfs none /tmp
cd /tmp
hostname {name}
exec "$@"
"""


@cache
def may_be_made() -> bool:
    """Tell if this machine allows it."""
    if not sys.platform.startswith("linux") or os.geteuid():
        return False
    try:
        with hosts(Path("/tmp"), "probe") as made:
            command = made.other("probe", ["true"])
            return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except (OSError, subprocess.CalledProcessError):
        return False


class Hosts:
    """The commands that run something on a host."""

    def __init__(self, place: Path, prefix: str) -> None:
        self._place = place
        self._prefix = prefix

    def first(self, command: list[str]) -> list[str]:
        """Return what runs ``command`` on the first host."""
        return ["ip", "netns", "exec", f"{self._prefix}-0", *command]

    def other(self, name: str, command: list[str]) -> list[str]:
        """Return what runs ``command`` on another host; all ends with it."""
        boot = self._place / f"boot-{name}"
        boot.write_text(f"{uuid4()}\n")
        ahead_s = str(1000 * len(name) + ord(name[0]))  # of its clock
        within = ["--mount", "--pid", "--fork", "--uts", "--time", "--mount-proc", "--kill-child"]
        apart = ["unshare", *within, "--monotonic", ahead_s, "--boottime", ahead_s]
        set_up = SET_UP.format(boot=boot, name=name)
        shell = [*apart, "sh", "-ec", set_up, "sh", *command]
        return ["ip", "netns", "exec", f"{self._prefix}-{name}", *shell]


@contextmanager
def hosts(place: Path, *names: str) -> Iterator[Hosts]:
    """Make a network with a first host and others of those names. Raises CalledProcessError."""
    prefix = f"memdeep-{uuid4().hex[:8]}"
    first = f"{prefix}-0"
    try:
        _ip(f"netns add {first}")
        for words in ("link set lo up", "link add net type bridge", "link set net up"):
            _ip(f"-n {first} {words}")
        _ip(f"-n {first} addr add {FIRST}/24 dev net")
        for number, name in enumerate(names, 2):
            other = f"{prefix}-{name}"
            _ip(f"netns add {other}")
            _ip(f"-n {first} link add to{number} type veth peer name eth0 netns {other}")
            _ip(f"-n {first} link set to{number} master net up")
            for words in ("link set lo up", "link set eth0 up"):
                _ip(f"-n {other} {words}")
            _ip(f"-n {other} addr add 10.77.0.{number}/24 dev eth0")
        yield Hosts(place, prefix)
    finally:
        for name in ("0", *names):
            with suppress(subprocess.CalledProcessError):
                _ip(f"netns del {prefix}-{name}")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)
