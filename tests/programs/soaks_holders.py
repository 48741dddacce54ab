"""Eight threads allocate, log, fork, start programs, hold locks: `soaks_holders.py RUN_DIR LOOKS`.

The main thread asks for LOOKS looks at who holds the objects, and takes each file away when it has
been written. Its handler of SIGCHLD waits for any child there is: each must be one of its own.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import memdeep

RUN_DIR, LOOKS = Path(sys.argv[1]), int(sys.argv[2])
OWN: set[int] = set()
WAITED: set[int] = set()
LOCK = threading.RLock()
OVER = threading.Event()
KEPT = {}


def wait_for_all(*_):
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        WAITED.add(pid)


def allocates(number):
    KEPT[number] = [{"at": (n, float(n)), "word": str(n) * 3} for n in range(100)]


def logs(number):
    logging.getLogger(f"soak.{number}").warning("thread %d is alive", number)


def forks(number):
    pid = os.fork()
    if pid == 0:
        allocates(number)
        os._exit(0)
    OWN.add(pid)
    time.sleep(0.01)


def starts(number):
    with subprocess.Popen(["/bin/true"]) as process:
        OWN.add(process.pid)
    time.sleep(0.01)


def locks(number):
    with LOCK:
        allocates(number)
        time.sleep(0.01)


def works(number, *steps):
    while not OVER.is_set():
        for step in steps:
            step(number)
        time.sleep(0.01)


def look(number):
    memdeep.checkpoint(f"look {number}")
    files = []
    until = time.monotonic() + 60
    while not files and time.monotonic() < until:
        files = [path for path in RUN_DIR.glob("holders-*") if path.name[8:].isdecimal()]
    for path in files:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            if content[-8:] != b"mdholds.":
                sys.exit(f"{path.name} is not whole: {len(content)} bytes, {content[:40]!r}")
        path.unlink()
    return len(files)


def zombies():
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        state, parent = fields.split()[:2]
        if name == "memdeep-holders" and state == "Z" and parent != "1":  # that one is slow
            found.append(stat.parent.name)
    return found


def main():
    signal.signal(signal.SIGCHLD, wait_for_all)
    logging.basicConfig(filename=os.devnull)
    work = [(allocates,), (allocates, logs), (logs,), (forks,), (forks, allocates), (starts,)]
    work += [(locks,), (locks, logs)]
    threads = [threading.Thread(target=works, args=(n, *one)) for n, one in enumerate(work)]
    for thread in threads:
        thread.start()
    try:
        taken = sum(look(number) for number in range(LOOKS))
    finally:
        OVER.set()
    for thread in threads:
        thread.join()
    time.sleep(0.3)
    wait_for_all()
    print(f"{taken} looks, {len(OWN)} children, {len(WAITED - OWN)} others", len(zombies()))


main()
