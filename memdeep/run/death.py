"""Says how a program ended, and calls it killed for want of memory only on the kernel's word."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

CGROUP_OF_SELF = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")
VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class OomCounters:
    """How often the kernel has killed for want of memory: in our cgroup, and anywhere."""

    cgroup: int | None
    system: int | None


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a program: exactly one of ``exit_code`` and ``signal`` is set."""

    exit_code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[str, ...]
    shell_status: int


def read_oom_counters() -> OomCounters:
    """Read the counters; None where the system does not offer one (see cgroups(7), proc(5))."""
    return OomCounters(_counter(_memory_events(), "oom_kill"), _counter(VMSTAT, "oom_kill"))


def judge(wait_status: int, before: OomCounters, after: OomCounters) -> Death:
    """The verdict for ``wait_status`` (negative: the number of a signal), with its evidence."""
    if wait_status >= 0:
        verdict = "completed" if wait_status == 0 else "failed"
        return Death(wait_status, None, verdict, (), wait_status)
    number = -wait_status
    name = _signal_name(number)
    evidence = [f"The program was ended by {name}."]
    verdict = "killed"
    if number == signal.SIGKILL:
        for counter, where in (("cgroup", "of its cgroup"), ("system", "of the whole system")):
            old, new = getattr(before, counter), getattr(after, counter)
            if old is not None and new is not None and new > old:
                verdict = "oom-killed"
                evidence.append(
                    f"The kernel's out-of-memory kill counter {where} rose from {old} to {new} "
                    "during the run."
                )
        if verdict == "killed":
            evidence.append(
                "No out-of-memory counter rose: somebody sent the signal, or the counters "
                "could not be read."
            )
    return Death(None, name, verdict, tuple(evidence), 128 + number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _memory_events() -> Path:
    try:
        for line in CGROUP_OF_SELF.read_text().splitlines():
            if line.startswith("0::"):
                return CGROUP_ROOT / line[3:].lstrip("/") / "memory.events"
    except (OSError, ValueError):
        pass
    return CGROUP_ROOT / "memory.events"


def _counter(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return None
