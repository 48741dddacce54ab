"""Lets a debugger, gdb or lldb, put a call into a running Python of before 3.14.

The debugger calls two functions in the main thread, and detaches: mmap, for memory that lasts, and
Py_AddPendingCall, to have PyRun_SimpleString called with the text in that memory. Neither needs
the GIL; mmap takes no lock, and the lock of the pending calls is held for some instructions only.
Nothing else is called (lldb takes memory for itself, by mmap too), above all not malloc, which the
program may stand within. The interpreter makes the call at its next safe point, when the debugger
has gone.

A debugger can do harm: gdb 13.1 kills its target on processors with AMX. So nobody but
`memdeep.run.rehearsal` decides which one is let near a program.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from memdeep.errors import AttachError
from memdeep.frozen import frozen
from memdeep.run.called import Shared
from memdeep.run.functions import PAGE_BYTES, Functions, of_process
from memdeep.run.target import PROC, RefusedError, Target, status

DEBUGGERS = ("gdb", "lldb")
CALL_S, END_S = 12.0, 4.0  # a debugger that works takes 0.2 to 2 s
FULL, NOT_BEGUN = -1, -2  # answers to a call that was not added

# A pending call that fails would raise SystemError in the program. `__main__` lends its names.
_TEXT = """\
try:
    __import__("builtins").exec({code!a}, {{}})
except:
    pass
"""
_MMAP = "((unsigned long (*)(unsigned long, unsigned long, int, int, int, long)) {mmap:#x})"
_MEMORY = _MMAP + "(0, {size}, {protection}, {flags}, -1, 0)"
_ADD = (
    "((int (*)(void)) {is_initialized:#x})() ? "
    "((int (*)(unsigned long, unsigned long)) {add:#x})({run:#x}, $memdeep) : {not_begun}"
)
# They go on to the program, and do not end a call: a timer may send them at any moment.
_SIGNALS = "SIGHUP SIGTERM SIGUSR1 SIGUSR2 SIGALRM SIGVTALRM SIGPROF SIGCHLD SIGIO"
_SCRIPTS = {
    # gdb reads the executable before the program stands still. It does not find the libraries where
    # it is told to look: to read them would take nine tenths of the time for which that stands.
    "gdb": f"""\
set pagination off
set confirm off
set auto-load off
set auto-solib-add off
set sysroot /dev/null
set unwindonsignal on
handle {_SIGNALS} nostop noprint pass
file {{executable}}
attach {{pid}}
set $memdeep = {_MEMORY}
restore text binary $memdeep
print {_ADD}
detach
""",
    "lldb": f"""\
settings set target.preload-symbols false
settings set target.memory-module-load-level minimal
settings set symbols.enable-external-lookup false
settings set plugin.jit-loader.gdb.enable off
process attach --pid {{pid}}
process handle --pass true --stop false {_SIGNALS}
expression --timeout 5000000 -- unsigned long $memdeep = {_MEMORY}
memory write --infile text $memdeep
expression --timeout 5000000 -- {_ADD}
process detach
""",
}
_WORDS = {
    "gdb": ("--nx", "--nh", "--batch", "--command"),
    "lldb": ("--no-lldbinit", "--batch", "--source"),
}
_ANSWER = re.compile(r"^(?:\(int\) )?\$\d+ = (-?\d+)$", re.MULTILINE)
_ERROR = re.compile(r"^(?:.* Error in sourced command file:\n|error: )(.+)", re.MULTILINE)
_REFUSED = "Operation not permitted"


@frozen
class Debugger:
    """A debugger of this system: gdb or lldb, and where it lies."""

    name: str
    path: str

    @property
    def version(self) -> str:
        """Its name and version, as it tells them itself."""
        with suppress(OSError, subprocess.TimeoutExpired, IndexError):
            words = [self.path, "--version"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=END_S)
            return done.stdout.splitlines()[0].strip() or self.path
        return self.path

    def put(self, target: Target, shared: Shared, code: str) -> None:
        """Have ``code`` run by the main thread of ``target``. Raises AttachError."""
        functions = of_process(target.pid)
        check(target.pid)
        with tempfile.TemporaryDirectory(prefix="memdeep-debugger-") as place:
            text = _TEXT.format(code=code).encode("ascii") + b"\0"
            Path(place, "text").write_bytes(text)
            Path(place, "script").write_text(self._script(target.pid, functions, len(text)))
            said = _run([self.path, *_WORDS[self.name], "script"], place)
        answers = _ANSWER.findall(said)
        answer = int(answers[-1]) if answers else None
        if answer is None and _REFUSED in said:
            raise RefusedError(target.pid)
        if answer == FULL:
            raise AttachError(
                f"Too many calls await the main thread of process {target.pid}.",
                "Try again when it is at work, or let the program call memdeep.attachable().",
            )
        if answer == NOT_BEGUN:
            raise AttachError(
                f"Python in process {target.pid} has not begun yet, or has ended.",
                "Try again when the program is at work.",
            )
        if answer != 0:
            raise AttachError(
                f"{self.version} could not call into process {target.pid}: {_reason(said)}.",
                "Let the program call memdeep.attachable(): no debugger is needed then.",
            )

    def _script(self, pid: int, functions: Functions, text_bytes: int) -> str:
        """Return what the debugger shall do; the text for the program is the file ``text``."""
        return _SCRIPTS[self.name].format(
            pid=pid,
            executable=PROC / str(pid) / "exe",
            mmap=functions.mmap,
            size=-(-text_bytes // PAGE_BYTES) * PAGE_BYTES,
            protection=mmap.PROT_READ | mmap.PROT_WRITE,
            flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
            is_initialized=functions.is_initialized,
            add=functions.add_pending_call,
            run=functions.run_string,
            not_begun=NOT_BEGUN,
        )


def installed() -> Iterator[Debugger]:
    """Return the debuggers of this system, the better first; they are used on Linux only."""
    for name in DEBUGGERS if sys.platform.startswith("linux") else ():
        path = shutil.which(name)
        if path is not None:
            yield Debugger(name, path)


def check(pid: int) -> None:
    """Raise AttachError if no debugger can stop the process ``pid`` and let it go on as it was."""
    fields = status(pid)
    tracer = fields.get("TracerPid", "0")
    if tracer != "0":
        raise AttachError(
            f"Process {pid} is traced already, by process {tracer}.",
            "End that one first, a debugger or strace, or let the program call "
            "memdeep.attachable().",
        )
    if fields.get("State", "").startswith(("T", "t")):
        raise AttachError(f"Process {pid} is stopped.", f"Let it go on first: kill -CONT {pid}")


def _reason(said: str) -> str:
    """Return of what a debugger says the line that tells why it has failed: most often the last."""
    told = _ERROR.search(said)
    lines = [told[1]] if told else said.splitlines()
    whole = [line.strip().removesuffix(".") for line in lines if line.strip()]
    return whole[-1] if whole else "it said nothing"


def _run(words: list[str], place: str) -> str:
    """Run a debugger in the directory ``place``; return what it says.

    If it takes long it is interrupted, as by Ctrl-C: so it takes a call that hangs away from the
    program, which goes on. To kill it would leave the call there. It is in a session of its own,
    since Ctrl-C at the terminal is meant for memdeep.
    """
    own = {name: value for name, value in os.environ.items() if name != "DEBUGINFOD_URLS"}
    try:
        process = subprocess.Popen(
            words,
            cwd=place,
            env=own | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"{error.strerror or error}"
    try:
        said, _ = process.communicate(timeout=CALL_S)
        return said.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return f"It has not come to an end within {CALL_S:.0f} s"
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=END_S)
