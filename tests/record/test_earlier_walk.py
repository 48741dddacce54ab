"""The list of what malloc and Python have given out, made by a forked child, holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

pytest.importorskip("memdeep.record._holders")

# Each line that it prints is a name and whether that holds.
PROGRAM = """
import ctypes, fcntl, gc, os, sys, threading, time
from memdeep.record.attached import list_earlier
from memdeep.rundir.earlier import BLOCK, MAPPING, decode

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
small = [libc.malloc(100 + number % 900) for number in range(5_000)]
mapped = [libc.malloc(1_000_000) for _ in range(5)]
of_thread, freed = [], []

def allocate():
    of_thread.extend(libc.malloc(3_000) for _ in range(2_000))
    own = [libc.malloc(100) for _ in range(2_000)]
    for block in own:
        libc.free(block)
    freed.extend(own)

thread = threading.Thread(target=allocate)
thread.start()
thread.join()
awaits = threading.Thread(target=time.sleep, args=(60,), daemon=True)  # its stack has a guard
awaits.start()
objects = [[number, str(number)] for number in range(50_000)]
gone = objects[::2]
where = [id(one) for one in gone]
del objects[::2], gone
gc.collect()
deep = sys.argv[1] == "deep"
list_earlier(".", deep=deep)
with open("earlier", "rb") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    records, pause_ns = decode(file.read())
blocks = {address: size for kind, address, size in records if kind == BLOCK}
mappings = [(address, address + size) for kind, address, size in records if kind == MAPPING]
in_arenas = [any(start <= id(one) < end for start, end in mappings) for one in objects]
head = 16  # of the collector, before an object
# A rest that is too small for a block goes with the one before.
close = all(abs(blocks.get(b, 0) - 100 - n % 900) <= 32 for n, b in enumerate(small))
print("small", close)
print("mapped", all(abs(blocks.get(block, 0) - 1_000_000) <= 4096 for block in mapped))
print("of_thread", all(block in blocks for block in of_thread))
print("freed", sum(block in blocks for block in freed) < 20)
print("arenas", all(in_arenas) if not deep else not mappings)
print("objects", all(id(one) - head in blocks for one in objects) == deep)
print("strings", all(id(one[1]) in blocks for one in objects) == deep)
print("gone", sum(place - head in blocks for place in where) < 500)
print("twice", len(blocks) == sum(kind == BLOCK for kind, *_ in records))
print("pause", 0 < pause_ns < 10**10)
"""
FACTS = ["small", "mapped", "of_thread", "freed", "arenas", "objects", "strings"]
FACTS += ["gone", "twice", "pause"]


@pytest.mark.parametrize("what", ["deep", "arenas"])
def test_all_that_was_given_out_is_listed_and_nothing_that_was_freed(
    tmp_path: Path, what: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} True" for name in FACTS]


def test_another_malloc_is_told_from_glibc_s(tmp_path: Path) -> None:
    """One that is loaded before the C library answers for it."""
    source = tmp_path / "other.c"
    source.write_text(
        "#include <stddef.h>\nsize_t malloc_usable_size(void* block) { return block != 0; }\n"
    )
    library = tmp_path / "other.so"
    built = subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=False)
    if built.returncode:
        pytest.skip("there is no C compiler here")
    code = (
        "import os\nfrom memdeep.record.attached import list_earlier\n"
        "list_earlier('.', deep=False)\nprint(os.path.exists('earlier'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(LD_PRELOAD=str(library)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
