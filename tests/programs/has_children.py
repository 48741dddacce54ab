"""Forks a child with phases and a child of its own, starts a Python, and one that outlives it.

Each holds a number of bytes of its own: 3 MB in the fork, 5 MB in its child, 7 MB in the program
that was started, 11 MB in the one that stays, which takes 200 MB when the file of the second
argument is there. The first argument is given to those programs too.
"""

import os
import subprocess
import sys
import time

from memdeep import phase

MB = 1_000_000
STARTED = "import sys, time; kept = bytearray(7_000_000); time.sleep(0.3)"
STAYS = """
import os, sys, time, memdeep
with memdeep.phase("stays"):
    kept = bytearray(11_000_000)
time.sleep(0.1)  # captures of processes are cut within 10 ms of a time
print("there", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
with memdeep.phase("later"):
    more = bytearray(200_000_000)
"""


def grandchild() -> None:
    kept = bytearray(5 * MB)
    time.sleep(0.3)
    os._exit(len(kept) % 7)


def child() -> None:
    with phase("inner"):
        kept = bytearray(3 * MB)
        if os.fork() == 0:
            grandchild()
        os.wait()
    os._exit(len(kept) % 2)


if __name__ == "__main__":
    with phase("outer"):
        own = bytearray(2 * MB)
        if os.fork() == 0:
            child()
        os.wait()
    with phase("started"):
        subprocess.run([sys.executable, "-c", STARTED, *sys.argv[1:]], check=True)
        stays = subprocess.Popen(
            [sys.executable, "-c", STAYS, *sys.argv[1:3]],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stays.stdout.readline()
    stays.returncode = 0  # nobody waits for it
