"""Tries a debugger on a process of memdeep's own, before it may touch a program.

The process sleeps, waits and computes, in two threads. It must connect as a program would, no call
in it may fail, it must go on when the debugger has left, and end as it is told to. What is seen
here only is taken: a debugger's version tells little, since the processor and the kernel count too.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from memdeep.errors import AttachError
from memdeep.run.called import Put, call
from memdeep.run.debugger import Debugger, check, installed
from memdeep.run.target import RefusedError, Target, find

GOES_ON_S, ENDS_S = 0.3, 10.0

_PROGRAM = """
import hashlib, select, sys, threading, time

def digest():
    return hashlib.sha256(bytes(100_000)).digest()

def work():
    while digest() == right:
        time.sleep(0.001)
    raise ValueError("a sum is wrong")

right = digest()
thread = threading.Thread(target=work, daemon=True)
thread.start()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    time.sleep(0.03)
    if digest() != right:
        raise ValueError("a sum is wrong")
sys.exit(not thread.is_alive())
"""


def rehearsed(target: Target) -> Put:
    """Return how a debugger of this system puts a call that has just done so in a rehearsal.

    Raises AttachError if there is none that works, or none could stop ``target``, which is not
    touched.
    """
    fault: AttachError | None = None
    for debugger in installed():
        check(target.pid)
        try:
            rehearse(debugger, target.pid)
        except RefusedError as error:
            raise RefusedError(target.pid) from error
        except AttachError as error:
            fault = fault or error
        else:
            return debugger.put
    raise fault or AttachError(
        f"Process {target.pid} (Python {target.version}) cannot be attached to: it has not "
        "called memdeep.attachable(), and there is no debugger here.",
        "Let the program call that when it begins: it costs nothing until somebody attaches. "
        "Without it memdeep needs gdb or lldb on Linux, or Python 3.14.",
    )


def rehearse(debugger: Debugger, pid: int) -> None:
    """Do to a process of our own what shall be done to ``pid``. Raises AttachError if it fails."""
    with _partner() as partner:
        what = ""
        try:
            call(find(partner.pid), debugger.put).close()
            time.sleep(GOES_ON_S)
        except RefusedError:
            raise
        except AttachError as error:
            what = f"was not reached: {error.message.removesuffix('.')}"
        what = _fault(partner) or what
    if what:
        raise AttachError(
            f"{debugger.version} does not work here: a process of memdeep's own, on which it was "
            f"tried, {what}.",
            f"Process {pid} was not touched. Another version of gdb may work; with "
            "memdeep.attachable(), or Python 3.14, none is needed.",
        )


@contextmanager
def _partner() -> Iterator[subprocess.Popen[str]]:
    """Yield the process on which a debugger is tried, at work, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def _fault(process: subprocess.Popen[str]) -> str:
    """Tell the process to end; return what is wrong with it, empty if nothing is."""
    try:
        _, said = process.communicate(timeout=ENDS_S)
    except subprocess.TimeoutExpired:
        return "did not go on"
    status = process.returncode
    if status < 0:
        name = str(-status)
        with suppress(ValueError):
            name = signal.Signals(-status).name
        return f"was killed by {name}"
    return f"failed afterwards: {said.strip().splitlines()[-1:]}" if status else ""
