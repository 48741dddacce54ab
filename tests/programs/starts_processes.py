"""Starts processes in every way there is. Each allocates a block and shows what it sees.

The block of a case is larger by 4096 bytes than that of the case before.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor

PYTHON = sys.executable
PLACE = os.path.dirname(os.path.abspath(__file__))
LEAST = 33_000_000


def alloc(size, way="return"):
    """Show what the program sees of its process, then end in this way."""
    block = bytearray(int(size))
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    seen = [name for name in os.environ if "MEMDEEP" in name or name == "PATH"]
    seen += [name for name in os.environb if b"MEMDEEP" in name]
    masked = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    argv = [os.path.basename(word) for word in sys.argv[1:]]
    print(json.dumps([len(block), free, len(seen), masked, argv, sys.getprofile()], default=str))
    sys.stdout.flush()
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "exit":
        os._exit(3)
    elif way == "raise":
        raise ValueError(way)
    elif way == "abort":
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.abort()


def words(size, *options, way="return"):
    return [PYTHON, *options, os.path.join(PLACE, "starts_processes.py"), "alloc", str(size), way]


def code(size):
    return f"import starts_processes; starts_processes.alloc({size})"


def run(command, **options):
    return subprocess.run(command, check=False, **options).returncode


def shell(size):
    return " ".join(map(repr, words(size)))


def forked(size, way="exit"):
    pid = os.fork()
    if not pid:
        try:
            alloc(size, way)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forked_then_executed(size):
    pid = os.fork()
    if not pid:
        os.execv(PYTHON, words(size))
    return os.waitpid(pid, 0)[1]


def forked_in_thread(size):
    found = []
    thread = threading.Thread(target=lambda: found.append(forked(size)))
    thread.start()
    thread.join()
    return found[0]


def grandchild(size):
    pid = os.fork()
    if not pid:
        os._exit(forked(size))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def spawned(size):
    pid = os.posix_spawn(PYTHON, words(size), {"PATH": os.environ["PATH"]})
    return os.waitid(os.P_PID, pid, os.WEXITED).si_status


def process(method, size):
    one = multiprocessing.get_context(method).Process(target=alloc, args=(size,))
    one.start()
    one.join()
    return one.exitcode


def pool(method, size):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(alloc, size).result()


async def awaited(size):
    one = await asyncio.create_subprocess_exec(*words(size))
    return await one.wait()


NESTED = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
EMPTY: dict = {}

CASES = {
    "script": lambda n: run(words(n)),
    "-m": lambda n: run([PYTHON, "-m", "starts_processes", "alloc", str(n)], cwd=PLACE),
    "-c": lambda n: run([PYTHON, "-c", code(n)], cwd=PLACE),
    "-I": lambda n: run(words(n, "-I")),
    "-E": lambda n: run(words(n, "-E", "-s")),
    "env={}": lambda n: run(words(n), env=EMPTY),
    "PATH only": lambda n: run(words(n), env={"PATH": os.environ["PATH"]}),
    "whole env": lambda n: run(words(n), env=os.environ),
    "other cwd": lambda n: run(words(n), cwd="/"),
    "preexec_fn": lambda n: run(words(n), preexec_fn=lambda: None),
    "system": lambda n: os.system(shell(n)),
    "pipe": lambda n: run(f"echo x | {shell(n)} | cat", shell=True),
    "posix_spawn": spawned,
    "spawnve": lambda n: os.spawnve(os.P_WAIT, PYTHON, words(n), {}),
    "fork+exec": forked_then_executed,
    "asyncio": lambda n: asyncio.run(awaited(n)),
    "nested": lambda n: run([PYTHON, "-c", NESTED, *words(n)]),
    "killed": lambda n: run(words(n, way="kill")),
    "_exit": lambda n: run(words(n, way="exit")),
    "raises": lambda n: run(words(n, way="raise"), stderr=subprocess.DEVNULL),
    "aborts": lambda n: run(words(n, way="abort")),
    "fork": lambda n: forked(n),
    "fork killed": lambda n: forked(n, "kill"),
    "fork aborts": lambda n: forked(n, "abort"),
    "fork in thread": lambda n: forked_in_thread(n),
    "fork in fork": lambda n: grandchild(n),
    "Process fork": lambda n: process("fork", n),
    "Process spawn": lambda n: process("spawn", n),
    "Process forkserver": lambda n: process("forkserver", n),
    "Pool fork": lambda n: pool("fork", n),
    "Pool spawn": lambda n: pool("spawn", n),
    "Pool forkserver": lambda n: pool("forkserver", n),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["alloc"]:
        alloc(*sys.argv[2:])
    else:
        # As of Python 3.12 on, for the forks beside the threads of the pools.
        warnings.simplefilter("ignore", DeprecationWarning)
        for number, (name, case) in enumerate(CASES.items()):
            print(name, case(LEAST + 4096 * number), flush=True)
        os.execv(PYTHON, words(LEAST - 4096))
