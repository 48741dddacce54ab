"""Eight threads that allocate, free and set checkpoints until they are killed.

`soaks.py LOG_DIR CHECKPOINTS SECONDS`: each thread appends to a file of its own what it has done,
by a single write after each checkpoint, so that nothing done is forgotten when it is killed.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from memdeep import checkpoint, phase

THREADS = 8
log_directory, checkpoints, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
# As long as it will ever be: the line that keeps things shall allocate nothing else.
kept: list[bytearray | None] = [None] * checkpoints


def size_of(thread: int, step: int) -> int:
    return 1000 + (thread * 7919 + step * 104729) % 20_000


def work(thread: int) -> None:
    log = os.open(f"{log_directory}/{thread}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    steps = checkpoints // THREADS
    started_s = time.monotonic()
    for step in range(steps):
        passing = [bytes(size_of(thread, step + number)) for number in range(5)]
        if step % 10 == 9:
            with phase("tenth"):
                passing.append(bytes(50_000))
        kept[thread * steps + step] = bytearray(size_of(thread, step))  # KEPT
        checkpoint(f"{thread}:{step}", note=f"{len(passing)}")
        os.write(log, f"{step}\n".encode())
        ahead_s = started_s + seconds * (step + 1) / steps - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for one in threads:
    one.start()
for one in threads:
    one.join()
