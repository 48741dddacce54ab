"""Forks a child that ends like any program; each has the `atexit` function run once."""

import atexit
import os
import sys

import memdeep

atexit.register(lambda: print("atexit in", role, flush=True))
role = "the parent"
memdeep.checkpoint("before the fork")
pid = os.fork()
if pid == 0:
    role = "the child"
    with memdeep.phase("in the child"):
        kept = [bytes(1000) for _ in range(1000)]
    print("child:", len(kept), flush=True)
    sys.exit(4)
_, status = os.waitpid(pid, 0)
memdeep.checkpoint("after the fork")
print("parent: the child ended with", os.waitstatus_to_exitcode(status))
