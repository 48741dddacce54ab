"""Says how a program ended, and calls it killed for want of memory only on the kernel's word.

The same holds for the processes that it started.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from memdeep.frozen import frozen
from memdeep.model.statement import Statement, state
from memdeep.run.cgroup import MemoryGroup, counter
from memdeep.rundir.meta import SeenProcess

KMSG = "/dev/kmsg"
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel
RECORD_BYTES = 8192  # the largest record there is (CONSOLE_EXT_LOG_MAX)
MAX_RECORDS = 100_000
_KILLED = re.compile(r"[Oo]ut of memory: Killed process (\d+) \(([^)]*)\)")
_CHOSEN = re.compile(r"^oom-kill:.*\btask_memcg=([^,]*),.*\bpid=(\d+)")
ENDS_WITHIN_S = 0.5  # a process with much memory takes a while to end

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
    program came, ``highest`` the most it had; ``deeds`` are what memdeep did to it, ``passed_on``
    names the signals that reached it through memdeep, ``replaced_by`` the program that it became by
    exec. ``descendants`` are the processes that it started, as far as they were seen.
    """

    pid: int
    before: OomCounters
    after: OomCounters
    kernel_log: Mapping[int, str] | None = None
    headroom: Statement | None = None
    highest: Statement | None = None
    is_near_limit: bool = False
    deeds: tuple[Statement, ...] = ()
    passed_on: tuple[str, ...] = ()
    replaced_by: Statement | None = None
    descendants: tuple[SeenProcess, ...] = ()
    group: GroupWitness | None = None


@frozen
class GroupWitness:
    """What the program's cgroup witnessed: ``killed`` are the processes the log says were in it.

    ``is_own`` is True for a cgroup that memdeep made for this program, so that all in it are of its
    tree. The counter of kills rose between the two times of each of ``rises``, in seconds.
    """

    is_own: bool
    killed: frozenset[int] = frozenset()
    rises: tuple[tuple[float, float], ...] = ()


@frozen
class Ending:
    """The verdict on the end of a program: exactly one of ``exit_code`` and ``signal`` is set.

    ``oom_killed`` are the processes it had started that the kernel killed for want of memory.
    """

    exit_code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[Statement, ...]
    shell_status: int
    oom_killed: frozenset[int] = frozenset()


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
    killed = _killed_descendants(witnesses, is_root_killed=number == signal.SIGKILL)
    evidence.extend(killed.evidence)
    is_telling = number == signal.SIGKILL or (verdict != "completed" and witnesses.is_near_limit)
    if killed.evidence and number != signal.SIGKILL:
        # What was left when the program ended itself was not left when the kernel killed.
        evidence.extend(filter(None, [witnesses.highest]))
    elif witnesses.headroom is not None and is_telling:
        evidence.append(witnesses.headroom)
    return Ending(
        oom_killed=frozenset(killed.pids),
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


class _Killed(NamedTuple):
    pids: tuple[int, ...] = ()
    evidence: tuple[Statement, ...] = ()


def _killed_descendants(witnesses: Witnesses, *, is_root_killed: bool) -> _Killed:
    """Find the processes of the tree, the root apart, that the kernel killed for want of memory."""
    log, group = witnesses.kernel_log or {}, witnesses.group
    commands = {one.pid: one.command for one in witnesses.descendants}
    of_group = group.killed if group is not None and group.is_own else frozenset()
    logged = [pid for pid in log if pid != witnesses.pid and (pid in commands or pid in of_group)]
    if logged:
        return _Killed(
            tuple(logged),
            tuple(
                state(
                    "exit.descendant_killed",
                    pid=str(pid),
                    command=commands.get(pid) or _name(log[pid]),
                    line=log[pid],
                )
                for pid in logged
            ),
        )
    before, after = witnesses.before.cgroup, witnesses.after.cgroup
    if group is None or before is None or after is None or after <= before or is_root_killed:
        return _Killed()
    if not group.is_own:
        # Others may be in it: the log would have named those of this program.
        said = state("exit.other_killed_in_group", before=before, after=after)
        return _Killed(evidence=(said,) if witnesses.kernel_log is None else ())
    ended = [_ended_at(rise, witnesses.descendants) for rise in group.rises]
    if after - before == len(ended) and all(len(found) == 1 for found in ended):
        return _Killed(
            tuple(one.pid for (one,) in ended),
            tuple(
                state(
                    "exit.descendant_ended_then",
                    pid=str(one.pid),
                    command=one.command or "?",
                    before=before + place,
                    after=before + place + 1,
                )
                for place, (one,) in enumerate(ended)
            ),
        )
    return _Killed(evidence=(state("exit.some_descendant_killed", before=before, after=after),))


def _ended_at(
    rise: tuple[float, float], descendants: Sequence[SeenProcess]
) -> Sequence[SeenProcess]:
    since_s, until_s = rise
    return [
        one
        for one in descendants
        if one.end_s is not None and since_s <= one.end_s <= until_s + ENDS_WITHIN_S
    ]


def _name(line: str) -> str:
    match = _KILLED.search(line)
    return "?" if match is None else match[2]


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
    ``groups`` has the cgroup of each process killed, where the kernel told it.
    """

    def __init__(self) -> None:
        self.groups: dict[int, str] = {}
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
            chosen = _CHOSEN.search(message)
            if chosen is not None:
                self.groups[int(chosen[2])] = chosen[1]
            match = _KILLED.search(message)
            if match is not None:
                found[int(match[1])] = message
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
