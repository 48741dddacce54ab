"""`splits.py WAY`: forks a child that reads or writes what its parent holds, and then rests."""

import gc
import os
import sys
import threading
import time

MB = 1 << 20
REST_S = 1.0


def fork(deed):
    """Let a child do ``deed`` and rest; return when it has ended."""
    pid = os.fork()
    if pid == 0:
        deed()
        time.sleep(REST_S)
        os._exit(0)
    os.waitpid(pid, 0)


def count():
    return sum(map(len, texts))


def rewrite():
    blob[:] = bytes(len(blob))


def in_two_generations():
    others.extend(str(number).rjust(200) for number in range(50_000))
    fork(lambda: (count(), sum(map(len, others))))


def anew():
    global blob
    del blob
    return b"y" * (20 * MB)


others = []
texts = [str(number).zfill(200) for number in range(100_000)]
blob = bytearray(b"x") * (20 * MB)
lists = [[number] for number in range(100_000)]
way = sys.argv[1]
if way == "read":
    fork(count)
elif way == "look":
    fork(lambda: sum(blob[::4096]))
elif way == "rewrite":
    fork(rewrite)
elif way == "anew":
    fork(anew)
elif way == "collect":
    fork(gc.collect)
elif way == "freeze":
    gc.freeze()
    fork(gc.collect)
elif way == "thread":
    thread = threading.Thread(target=fork, args=(count,))
    thread.start()
    thread.join()
elif way == "generations":
    gc.disable()  # 3.14 collects a little at a time
    fork(in_two_generations)
