"""Runs, in a process of its own, work that may crash, hang or eat all memory over a damaged file.

memray's reader is made for captures that memray wrote: over a damaged one it may crash. Knows
nothing of captures.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import signal
import tempfile
import warnings
from collections.abc import Callable
from typing import BinaryIO, NoReturn, TypeVar

from memdeep.frozen import frozen

Result = TypeVar("Result")
OnStep = Callable[[str], None]

STEP = "step"
DONE = "done"
FAILED = "failed"
MAX_SAID_BYTES = 300
STATUS = "/proc/self/status"


class ConfinedError(Exception):
    """The work could not be done; says why, as part of a sentence."""


@frozen
class Limits:
    """The limits of the work: memory beside what was held before, and time on the processor."""

    memory_bytes: int
    cpu_s: int


class Confinement:
    """The confinement as the work sees it."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers

    def step(self, sentence: str) -> None:
        """Tell the waiting process which step begins."""
        self.answer(STEP, sentence)

    def said(self) -> str:
        """Return the first line that was written to stderr so far."""
        lines = os.pread(2, MAX_SAID_BYTES, 0).decode("utf-8", "replace").splitlines()
        return lines[0] if lines else ""

    def answer(self, kind: str, content: object) -> None:
        """Pass ``content`` on to the waiting process."""
        pickle.dump((kind, content), self._answers, pickle.HIGHEST_PROTOCOL)
        self._answers.flush()


def run(work: Callable[[Confinement], Result], limits: Limits, on_step: OnStep) -> Result:
    """Do ``work`` in a child process; return its result, which must be known to pickle.

    Raises ConfinedError.
    """
    with tempfile.TemporaryFile() as said:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the child starts no thread, and ends by os._exit
            pid = os.fork()
        if pid == 0:
            _work(work, limits, reading, writing, said.fileno())
        os.close(writing)
        status = None
        try:
            with open(reading, "rb") as answers:
                kind, answer = _listen(answers, on_step)
            status = os.waitpid(pid, 0)[1]
        finally:
            if status is None:  # we were interrupted
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if kind == FAILED:
            raise ConfinedError(str(answer))
        if kind != DONE:
            raise ConfinedError(_reason(os.waitstatus_to_exitcode(status), limits))
        return answer  # type: ignore[return-value]


def _listen(answers: BinaryIO, on_step: OnStep) -> tuple[str, object]:
    while True:
        try:
            kind, answer = pickle.load(answers)
        except (EOFError, pickle.UnpicklingError):  # the child ended too early
            return "", None
        if kind != STEP:
            return kind, answer
        on_step(answer)


def _work(
    work: Callable[[Confinement], object], limits: Limits, reading: int, writing: int, said: int
) -> NoReturn:
    try:
        os.close(reading)
        os.dup2(said, 2)
        faulthandler.disable()  # a crash is expected, and of no interest
        for name in ("SIGINT", "SIGTERM", "SIGALRM"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for which, most in (
            # Not the address space: a reader of symbols maps files far larger than what it uses.
            (resource.RLIMIT_DATA, _held_bytes() + limits.memory_bytes),
            (resource.RLIMIT_CPU, limits.cpu_s),
        ):
            hard = resource.getrlimit(which)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, hard))
        signal.alarm(limits.cpu_s * 10)  # should it wait for something that never comes
        with open(writing, "wb") as answers:
            inside = Confinement(answers)
            try:
                result = work(inside)
            except MemoryError:
                inside.answer(FAILED, _too_much_memory(limits))
            except Exception as error:  # whatever it is, the file is to blame
                inside.answer(FAILED, str(error) or type(error).__name__)
            else:
                inside.answer(DONE, result)
    finally:
        os._exit(0)


def _held_bytes() -> int:
    """Read the bytes that RLIMIT_DATA counts (VmData in proc(5)); 0 where there is no `/proc`."""
    try:
        with open(STATUS, "rb") as status:
            held = next(line for line in status if line.startswith(b"VmData:"))
    except (OSError, StopIteration):
        return 0
    return int(held.split()[1]) * 1024


def _reason(exit_code: int, limits: Limits) -> str:
    if exit_code >= 0:
        return "reading it ended without a result"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    if name in ("SIGXCPU", "SIGALRM"):
        return f"reading it took longer than {limits.cpu_s:,} s"
    return f"reading it ended by {name}"


def _too_much_memory(limits: Limits) -> str:
    return f"reading it took more than {limits.memory_bytes >> 20:,} MB of memory"
