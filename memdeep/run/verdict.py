"""Says how a program ended, and calls it killed for want of memory only on the kernel's word."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from memdeep.frozen import frozen
from memdeep.model.statement import Statement, state
from memdeep.run.cgroup import MemoryGroup, counter

KMSG = "/dev/kmsg"
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel
RECORD_BYTES = 8192  # the largest record there is (CONSOLE_EXT_LOG_MAX)
MAX_RECORDS = 100_000
_KILLED = re.compile(r"[Oo]ut of memory: Killed process (\d+) \(")

VMSTAT = Path("/proc/vmstat")


@frozen
class OomCounters:
    """Number of processes the kernel killed for want of memory: in a cgroup, on the whole system.

    None where the system has no such counter.
    """

    cgroup: int | None
    system: int | None


@frozen
class Witnesses:
    """Facts to judge the end of a program by, apart from its status.

    ``kernel_log`` has the processes that were killed for want of memory: the kernel's words by
    process number, None where the log cannot be read. ``headroom`` says how near a limit the
    program came, ``deeds`` what memdeep did to it, ``passed_on`` names the signals that reached it
    through memdeep, ``replaced_by`` the program that it became by exec.
    """

    pid: int
    before: OomCounters
    after: OomCounters
    kernel_log: Mapping[int, str] | None = None
    headroom: Statement | None = None
    is_near_limit: bool = False
    deeds: tuple[Statement, ...] = ()
    passed_on: tuple[str, ...] = ()
    replaced_by: Statement | None = None


@frozen
class Ending:
    """The verdict on the end of a program: exactly one of ``exit_code`` and ``signal`` is set."""

    exit_code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[Statement, ...]
    shell_status: int


def read_oom_counters(group: MemoryGroup | None) -> OomCounters:
    """Read the counters of ``group`` and of the system; see cgroups(7), proc(5)."""
    try:
        system = counter(VMSTAT.read_text(), "oom_kill")
    except (OSError, ValueError):
        system = None
    return OomCounters(None if group is None else group.oom_kills(), system)


def judge(wait_status: int, witnesses: Witnesses) -> Ending:
    """Judge ``wait_status`` (negative: the number of a signal) by what was witnessed."""
    evidence = []
    if witnesses.replaced_by is not None:
        evidence.append(witnesses.replaced_by)
    number = -wait_status
    verdict = "killed" if number > 0 else "failed" if number else "completed"
    name = None
    if number > 0:
        name = _signal_name(number)
        evidence.append(state("exit.by_signal", signal=name))
        if name in witnesses.passed_on:
            evidence.append(state("exit.passed_on", signal=name))
    evidence.extend(witnesses.deeds)
    if number == signal.SIGKILL and not witnesses.deeds:
        verdict, statements = _want_of_memory(witnesses)
        evidence.extend(statements)
    is_telling = number == signal.SIGKILL or (verdict != "completed" and witnesses.is_near_limit)
    if witnesses.headroom is not None and is_telling:
        evidence.append(witnesses.headroom)
    return Ending(
        exit_code=None if number > 0 else wait_status,
        signal=name,
        verdict=verdict,
        evidence=tuple(evidence),
        shell_status=128 + number if number > 0 else wait_status,
    )


def _want_of_memory(witnesses: Witnesses) -> tuple[str, list[Statement]]:
    """Judge a SIGKILL: return "oom-killed" or "killed", and the evidence for it."""
    log = witnesses.kernel_log
    if log is not None and witnesses.pid in log:
        named = state("exit.kernel_log", line=log[witnesses.pid])
        return "oom-killed", [named, *_risen(witnesses)]
    if log:
        return "killed", [state("exit.kernel_log_other", pids=", ".join(map(str, log)))]
    before, after = witnesses.before, witnesses.after
    # The counter of the program's own group counts its kills whatever the reason was.
    is_cleared = before.cgroup is not None and before.cgroup == after.cgroup
    if not log and not is_cleared and _risen(witnesses):
        return "oom-killed", _risen(witnesses)
    unknown = before.cgroup is None and before.system is None and log is None
    return "killed", [state("exit.kernel_unknown" if unknown else "exit.not_the_kernel")]


def _risen(witnesses: Witnesses) -> list[Statement]:
    """State which of the kernel's counters rose during the run."""
    before, after = witnesses.before, witnesses.after
    return [
        state(key, before=old, after=new)
        for old, new, key in (
            (before.cgroup, after.cgroup, "exit.cgroup_counter"),
            (before.system, after.system, "exit.system_counter"),
        )
        if old is not None and new is not None and new > old
    ]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class KernelLog:
    """The kernel's log from now on. Reading it takes the right to, and no container around us.

    The log has the process numbers of the first PID namespace, which differ in any other.
    """

    def __init__(self) -> None:
        self._fd = -1
        with suppress(OSError):
            if os.readlink("/proc/self/ns/pid") == FIRST_PID_NAMESPACE:
                self._fd = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                os.lseek(self._fd, 0, os.SEEK_END)

    def killed(self) -> dict[int, str] | None:
        """Return the kernel's words on each process killed since the last call, by its number.

        None if the log cannot be read.
        """
        if self._fd < 0:
            return None
        found = {}
        for _ in range(MAX_RECORDS):
            try:
                record = os.read(self._fd, RECORD_BYTES).decode("utf-8", "replace")
            except OSError as error:
                if error.errno == errno.EPIPE:  # overwritten before it was read
                    continue
                if error.errno != errno.EAGAIN:
                    return None
                break
            message = record.partition(";")[2].partition("\n")[0]
            match = _KILLED.search(message)
            if match is not None:
                found[int(match[1])] = message
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
