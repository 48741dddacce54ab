"""Programs that run, do what a test tells them, and are attached to meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from running import environment, memdeep_command, read_json, wait_until

_SERVER = """
import ast, os, sys, threading, time
import memdeep
from memdeep.record import api
PARENT = os.getpid()
{code}
print("ready", flush=True)
for line in sys.stdin:
    exec(ast.literal_eval(line))
    print("done", flush=True)
"""
ATTACHABLE = "memdeep.attachable()\n"
# What a recording must leave as it was.
STATE = """
def state():
    import gc, memray, signal, warnings
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass
    return [
        links,
        threading.enumerate(),
        dict(os.environ),
        memray.Tracker,
        (os.close, os.closerange, os.kill, os._exit, os.waitpid, os.system, os.posix_spawn),
        (sys.excepthook, threading.excepthook, threading._profile_hook, threading._trace_hook),
        (sys.getprofile(), sys.gettrace(), sys.breakpointhook, sys.path[:]),
        list(gc.callbacks), list(warnings.filters), signal.getsignal(signal.SIGINT),
        api.is_recording(),
    ]
"""


class Program:
    """A program that awaits orders on its stdin, each a line of Python; ``words`` run a script."""

    def __init__(
        self,
        directory: Path,
        code: str,
        words: Sequence[str] = (sys.executable,),
        **variables: str,
    ) -> None:
        self.directory = directory
        (directory / "job.py").write_text(_SERVER.replace("{code}", code), "utf-8")
        self.process = subprocess.Popen(
            [*words, "job.py"],
            cwd=directory,
            env=environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.await_word("ready")

    def await_word(self, word: str) -> list[str]:
        """Return what it prints before the line ``word``."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            if line.strip() == word:
                return lines
            lines.append(line.strip())
        raise AssertionError(f"the program has ended: {lines}")

    def tell(self, code: str) -> None:
        """Have it execute ``code``, without awaiting that."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{code!r}\n")
        self.process.stdin.flush()

    def do(self, code: str) -> list[str]:
        """Have it execute ``code``; return what that prints."""
        self.tell(code)
        return self.await_word("done")

    def remember(self) -> None:
        """Have it keep its `STATE`, once nothing of the end of a recording is still on its way."""

        def is_calm() -> bool:
            self.do("before = state()")
            time.sleep(0.2)
            return self.do("print(before == state())") == ["True"]

        wait_until(is_calm)

    def hold_against_remembered(self) -> None:
        """Wait until its state is the one that it has kept."""
        changed = "[pair for pair in zip(before, state()) if pair[0] != pair[1]]"
        until_s = time.monotonic() + 10
        while (told := self.do(f"print({changed})")) != ["[]"]:
            assert time.monotonic() < until_s, told
            time.sleep(0.05)

    def wait_for(self, expression: str) -> None:
        """Wait until ``expression`` is true in it."""
        wait_until(lambda: self.do(f"print(bool({expression}))") == ["True"])


@contextmanager
def running(
    directory: Path,
    code: str = ATTACHABLE,
    words: Sequence[str] = (sys.executable,),
    **variables: str,
) -> Iterator[Program]:
    """Yield a program, and end it."""
    program = Program(directory, code, words, **variables)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


class Attachment:
    """`memdeep attach` in the directory of a program."""

    def __init__(self, program: Program, *options: object, name: str = "out") -> None:
        self.out = program.directory / name
        self.process = subprocess.Popen(
            memdeep_command("attach", program.pid, "-o", self.out, *options),
            cwd=program.directory,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stderr = ""

    def begun(self, program: Program) -> Attachment:
        """Wait until it records ``program``."""
        program.wait_for("api.is_recording()")
        return self

    def interrupt(self) -> Attachment:
        """Send it what Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)
        return self

    def finish(self, status: int = 0) -> dict[str, Any]:
        """Wait for its end; return the report, nothing if it has failed."""
        _, self.stderr = self.process.communicate(timeout=60)
        assert self.process.returncode == status, self.stderr
        return {} if status else read_json(self.out / "report.json")
