"""Keeps 3 MB in one phase and 8 MB in the next, where it ends in the way its argument names.

Ways that need somebody else to act are waited for in there, once the file `ready` is written.
"""

import _thread
import ctypes
import os
import resource
import sys
import threading
import time
from pathlib import Path

import memdeep


def die(way: str) -> None:
    if way == "exit":
        sys.exit(3)
    if way == "exception":
        raise ValueError("the end")
    if way == "memory_error":
        limit = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, limit))
        bytearray(2 << 30)
    if way == "os_exit":
        os._exit(4)
    if way == "os_exit_0":
        os._exit(0)
    if way == "abort":
        os.abort()
    if way == "segfault":
        ctypes.string_at(0)
    if way == "exec":
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(0.5); exit(5)"])
    if way == "exec_at_once":
        os.execv("/bin/sh", ["sh", "-c", "exit 6"])
    if way == "exit_in_thread":
        threading.Timer(0.3, _thread.interrupt_main).start()
        for _ in range(3000):  # what interrupts this way does not wake a sleeper
            time.sleep(0.01)
    if way == "deadlock":
        lock = threading.Lock()
        lock.acquire()
        Path("ready").write_text(str(os.getpid()))
        lock.acquire()
    Path("ready").write_text(str(os.getpid()))
    time.sleep(30)


with memdeep.phase("done before"):
    kept = bytearray(3_000_000)
with memdeep.phase("fatal"):
    more = bytearray(8_000_000)
    memdeep.checkpoint("the last one")
    die(sys.argv[1])
