"""How an end is judged: killed for want of memory only where the kernel says so."""

from __future__ import annotations

from typing import Any

import pytest

from memdeep.run.death import Death, OomCounters, Witnesses, judge
from memdeep.run.kernel_log import KernelLog
from memdeep.run.limits import Headroom, Limit

MB = 1 << 20
NOTHING = OomCounters(None, None)
QUIET = OomCounters(0, 5)
SIGKILL, SIGTERM = -9, -15


def judged(status: int, **known: Any) -> Death:
    return judge(status, Witnesses(**{"pid": 7, "before": QUIET, "after": QUIET, **known}))


def said(death: Death) -> str:
    return "\n".join(death.evidence)


@pytest.mark.parametrize(
    ("status", "verdict", "code", "name", "shell"),
    [
        (0, "completed", 0, None, 0),
        (3, "failed", 3, None, 3),
        (SIGTERM, "killed", None, "SIGTERM", 143),
        (SIGKILL, "killed", None, "SIGKILL", 137),
        (-40, "killed", None, "signal 40", 168),
    ],
)
def test_the_verdict_follows_the_status(
    status: int, verdict: str, code: int | None, name: str | None, shell: int
) -> None:
    death = judged(status)
    assert (death.verdict, death.exit_code, death.signal) == (verdict, code, name)
    assert death.shell_status == shell


@pytest.mark.parametrize(
    ("known", "verdict", "sentence"),
    [
        ({"kernel_log": {7: "Killed process 7 (x)"}}, "oom-killed", "log names it: “Killed"),
        (
            {"kernel_log": {8: "…"}, "after": OomCounters(1, 6)},
            "killed",
            "names another process (8",
        ),
        ({"kernel_log": {}, "after": OomCounters(1, 6)}, "oom-killed", "cgroup rose from 0 to 1"),
        ({"after": OomCounters(1, 6)}, "oom-killed", "whole system rose from 5 to 6"),
        ({"after": OomCounters(0, 6)}, "killed", "somebody sent the signal"),
        (
            {"before": OomCounters(None, 5), "after": OomCounters(None, 6)},
            "oom-killed",
            "whole system rose",
        ),
        ({"before": NOTHING, "after": NOTHING}, "killed", "is not known"),
        ({}, "killed", "somebody sent the signal"),
    ],
)
def test_what_speaks_for_want_of_memory(known: dict[str, Any], verdict: str, sentence: str) -> None:
    death = judged(SIGKILL, **known)
    assert death.verdict == verdict
    assert sentence in said(death)


def test_only_sigkill_may_be_the_kernels() -> None:
    death = judged(SIGTERM, kernel_log={7: "…"}, after=OomCounters(1, 6))
    assert (death.verdict, death.evidence) == ("killed", ("The program was ended by SIGTERM.",))


def test_what_memdeep_did_is_not_the_kernels() -> None:
    death = judged(SIGKILL, deeds=("memdeep sent SIGKILL.",), after=OomCounters(1, 6))
    assert death.verdict == "killed"
    assert "memdeep sent SIGKILL." in said(death)


def test_headroom_is_told_where_it_tells_something() -> None:
    near = {"headroom": "Little was left.", "is_near_limit": True}
    assert "Little was left." in said(judged(1, **near))
    assert "Little was left." in said(judged(SIGTERM, **near))
    assert judged(0, **near).evidence == ()
    far = {"headroom": "Much was left.", "is_near_limit": False}
    assert "Much was left." in said(judged(SIGKILL, **far))
    assert judged(1, **far).evidence == ()


def test_headroom_covers_the_last_seconds() -> None:
    headroom = Headroom(Limit(100 * MB, "memory.max of its cgroup"))
    assert headroom.sentence() is None
    for second in range(10):
        headroom.note(float(second), second * 10 * MB)
    assert headroom.sentence() == (
        "In its last 3.0 s its RSS went from 60.0 MB to 90.0 MB; of the limit of 100.0 MB "
        "(memory.max of its cgroup) 10.0 MB were left."
    )
    assert headroom.is_near()


def test_a_kernel_log_without_news_names_nobody() -> None:
    log = KernelLog()
    try:
        assert log.killed() in (None, {})
    finally:
        log.close()
    assert log.killed() is None
