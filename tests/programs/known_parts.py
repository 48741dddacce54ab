"""Grows by memory of one kind after the other, and asks the kernel itself after each.

Prints a line of JSON: by phase, the figures of this process's `smaps_rollup` in bytes, and those of
its cgroup where it is alone in one (`--memory-limit`); the first, "begin", is of before them all.
"""

import json
import mmap
import os
import tempfile
from pathlib import Path

from memdeep import phase

MB = 1 << 20
GROUP = ("anon ", "rss ", "file ", "cache ", "shmem ")  # versions 2 and 1, of `memory.stat`


def kernel() -> "dict[str, int]":
    figures = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, _, size = line.partition(":")
        figures[name] = int(size.split()[0]) * 1024
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for top in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
            stat = Path(top + path, "memory.stat")
            if controllers in ("memory", "") and "memdeep" in path and stat.exists():
                found = (x.split() for x in stat.read_text().splitlines() if x.startswith(GROUP))
                figures.update({f"group {name}": int(size) for name, size in found})
    return figures


def touch(mapped: mmap.mmap, size: int) -> None:
    for place in range(0, size, mmap.PAGESIZE):
        mapped[place] = 1


said = {"begin": kernel()}
with phase("heap"):
    kept = [bytearray(400_000) for _ in range(100)]
said["heap"] = kernel()
with phase("passing"):
    passing = bytearray(60 * MB)
    del passing
said["passing"] = kernel()
with tempfile.NamedTemporaryFile(dir=".") as file:
    file.write(bytes(30 * MB))
    file.flush()
    with phase("file"):
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        total = sum(pages[place] for place in range(0, len(pages), mmap.PAGESIZE))
    said["file"] = kernel()
in_memory = os.memfd_create("parts")
os.ftruncate(in_memory, 25 * MB)
with phase("shared"):
    shared = mmap.mmap(in_memory, 25 * MB)
    touch(shared, 25 * MB)
said["shared"] = kernel()
with phase("anonymous"):
    anonymous = mmap.mmap(-1, 35 * MB)
    touch(anonymous, 35 * MB)
said["anonymous"] = kernel()
with phase("reserved"):
    reserved = mmap.mmap(-1, 200 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
said["reserved"] = kernel()
with phase("touched"):
    touch(reserved, 50 * MB)
said["touched"] = kernel()
for _ in range(3):
    with phase("replaced"):
        book = bytearray(22 * MB)
said["replaced"] = kernel()
with phase("free"):
    del kept[:]
said["free"] = kernel()
print(json.dumps(said))
