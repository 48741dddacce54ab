"""Has memory that is counted in every way there is, says `ready`, and waits for a line.

Anonymous pages of its own, some of them shared with forked children that copied others on writing;
shared memory; a mapped file.
"""

import mmap
import os
import sys
from multiprocessing import shared_memory

MB = 1 << 20
CHILDREN = 3

held = bytearray(os.urandom(60 * MB))
both = shared_memory.SharedMemory(create=True, size=30 * MB)
both.buf[:] = b"x" * both.size
with open("mapped", "w+b") as file:
    file.write(os.urandom(20 * MB))
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
assert sum(mapped[::4096]) > 0

reading, writing = os.pipe()
pids = []
for number in range(CHILDREN):
    pid = os.fork()
    if pid == 0:
        held[: 10 * MB * (number + 1)] = b"y" * (10 * MB * (number + 1))
        own = bytearray(b"z") * (5 * MB)
        assert sum(both.buf[::4096]) + sum(mapped[::4096]) > 0
        os.write(writing, b".")
        sys.stdin.readline()
        os._exit(0)
    pids.append(pid)
for _ in range(CHILDREN):
    os.read(reading, 1)
print("ready", flush=True)
sys.stdin.readline()
for pid in pids:
    os.waitpid(pid, 0)
both.close()
both.unlink()
