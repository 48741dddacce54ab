"""Holds 150 MB and lives beside the children that its argument says, for a second.

idle: three forked children that share it; own: three forked children with 100 MB each of their own;
vfork: a child that has not become another program yet.
"""

import os
import sys
import time

MB = 1 << 20
LASTS_S = 1.0


def fork(own_mb: int) -> None:
    if os.fork() == 0:
        kept = bytearray(b"x") * (own_mb * MB)
        time.sleep(LASTS_S)
        os._exit(0 if len(kept) == own_mb * MB else 1)


held = bytearray(b"x") * (150 * MB)
kind = sys.argv[1]
if kind == "vfork":  # it waits where nobody writes, until the parent's other child does
    os.mkfifo("gate")
    if os.fork() == 0:
        del held
        time.sleep(LASTS_S)
        os.close(os.open("gate", os.O_WRONLY))
        os._exit(0)
    opened = [(os.POSIX_SPAWN_OPEN, 9, "gate", os.O_RDONLY, 0)]
    os.posix_spawn("/bin/true", ["true"], os.environ, file_actions=opened)
else:
    for _ in range(3):
        fork(100 if kind == "own" else 0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
print("done", flush=True)
