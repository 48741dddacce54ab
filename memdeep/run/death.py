"""Says how a program ended, and calls it killed for want of memory only on the kernel's word."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memdeep.run.cgroup import MemoryGroup, counter

VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class OomCounters:
    """How often the kernel has killed for want of memory: in the program's cgroup, and anywhere."""

    cgroup: int | None
    system: int | None


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What there is to conclude from, apart from the status itself.

    ``kernel_log`` are the processes it says were killed for want of memory, by number; None where
    it cannot be read. ``headroom`` says how near a limit the program came, ``deeds`` what memdeep
    did to it, ``passed_on`` the signals that it was sent through us, ``replaced_by`` the program
    it put in its own place.
    """

    pid: int
    before: OomCounters
    after: OomCounters
    kernel_log: Mapping[int, str] | None = None
    headroom: str | None = None
    is_near_limit: bool = False
    deeds: tuple[str, ...] = ()
    passed_on: tuple[str, ...] = ()
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a program: exactly one of ``exit_code`` and ``signal`` is set."""

    exit_code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[str, ...]
    shell_status: int


def read_oom_counters(group: MemoryGroup | None) -> OomCounters:
    """Read the counters; None where the system does not offer one (see cgroups(7), proc(5))."""
    try:
        system = counter(VMSTAT.read_text(), "oom_kill")
    except (OSError, ValueError):
        system = None
    return OomCounters(None if group is None else group.oom_kills(), system)


def judge(wait_status: int, witnesses: Witnesses) -> Death:
    """The verdict for ``wait_status`` (negative: the number of a signal), with its evidence."""
    evidence = []
    if witnesses.replaced_by is not None:
        evidence.append(witnesses.replaced_by)
    number = -wait_status
    verdict = "killed" if number > 0 else "failed" if number else "completed"
    name = None
    if number > 0:
        name = _signal_name(number)
        evidence.append(f"The program was ended by {name}.")
        if name in witnesses.passed_on:
            evidence.append(f"memdeep had been sent {name}, and passed it on.")
    evidence.extend(witnesses.deeds)
    if number == signal.SIGKILL and not witnesses.deeds:
        verdict, sentences = _want_of_memory(witnesses)
        evidence.extend(sentences)
    is_telling = number == signal.SIGKILL or (verdict != "completed" and witnesses.is_near_limit)
    if witnesses.headroom is not None and is_telling:
        evidence.append(witnesses.headroom)
    return Death(
        exit_code=None if number > 0 else wait_status,
        signal=name,
        verdict=verdict,
        evidence=tuple(evidence),
        shell_status=128 + number if number > 0 else wait_status,
    )


def _want_of_memory(witnesses: Witnesses) -> tuple[str, list[str]]:
    """Whether the kernel sent SIGKILL for want of memory, and what says so or speaks against."""
    log = witnesses.kernel_log
    if log is not None and witnesses.pid in log:
        named = [f"The kernel's log names it: “{log[witnesses.pid]}”"]
        return "oom-killed", [*named, *_risen(witnesses)]
    if log:
        return "killed", [
            "The kernel killed for want of memory during the run, but its log names another "
            f"process ({', '.join(map(str, log))}), not this one: somebody sent the signal."
        ]
    before, after = witnesses.before, witnesses.after
    # The counter of the program's own group counts its kills whatever the reason was.
    is_cleared = before.cgroup is not None and before.cgroup == after.cgroup
    if not log and not is_cleared and _risen(witnesses):
        return "oom-killed", _risen(witnesses)
    unknown = before.cgroup is None and before.system is None and log is None
    return "killed", [
        "Whether it was for want of memory is not known: no counter of the kernel can be read here."
        if unknown
        else "The kernel has not killed it for want of memory: somebody sent the signal."
    ]


def _risen(witnesses: Witnesses) -> list[str]:
    before, after = witnesses.before, witnesses.after
    return [
        f"The kernel's out-of-memory kill counter {where} rose from {old} to {new} during the run."
        for old, new, where in (
            (before.cgroup, after.cgroup, "of its cgroup"),
            (before.system, after.system, "of the whole system"),
        )
        if old is not None and new is not None and new > old
    ]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
