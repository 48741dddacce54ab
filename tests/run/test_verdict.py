"""How an end is judged: killed for want of memory only where the kernel says so."""

from __future__ import annotations

from typing import Any

import pytest

from memdeep.model import MemoryLimit
from memdeep.model.statement import state
from memdeep.report import sentences
from memdeep.run.limits import Headroom
from memdeep.run.verdict import Ending, KernelLog, OomCounters, Witnesses, judge
from memdeep.text.language import language

MB = 1 << 20
NOTHING = OomCounters(None, None)
QUIET = OomCounters(0, 5)
SIGKILL, SIGTERM = -9, -15


def judged(status: int, **known: Any) -> Ending:
    return judge(status, Witnesses(**{"pid": 7, "before": QUIET, "after": QUIET, **known}))


def said(ending: Ending) -> str:
    """The evidence in English."""
    return "\n".join(sentences.statement(given, language("en")) for given in ending.evidence)


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
    ending = judged(status)
    assert (ending.verdict, ending.exit_code, ending.signal) == (verdict, code, name)
    assert ending.shell_status == shell


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
    ending = judged(SIGKILL, **known)
    assert ending.verdict == verdict
    assert sentence in said(ending)


def test_only_sigkill_may_be_the_kernels() -> None:
    ending = judged(SIGTERM, kernel_log={7: "…"}, after=OomCounters(1, 6))
    assert (ending.verdict, ending.evidence) == (
        "killed",
        (state("exit.by_signal", signal="SIGTERM"),),
    )


def test_what_memdeep_did_is_not_the_kernels() -> None:
    deed = state("exit.kill_at_ignored", grace_s=5.0)
    ending = judged(SIGKILL, deeds=(deed,), after=OomCounters(1, 6))
    assert ending.verdict == "killed"
    assert ending.evidence == (state("exit.by_signal", signal="SIGKILL"), deed)
    assert "It was still there 5.0 s later, so memdeep sent SIGKILL." in said(ending)


def test_headroom_is_told_where_it_tells_something() -> None:
    headroom = Headroom(MemoryLimit(100 * MB, state("limit.memory")))
    headroom.note(0.0, 50 * MB)
    left = headroom.statement()
    near = {"headroom": left, "is_near_limit": True}
    assert judged(1, **near).evidence == (left,)
    assert judged(SIGTERM, **near).evidence[-1] == left
    assert judged(0, **near).evidence == ()
    far = {"headroom": left, "is_near_limit": False}
    assert judged(SIGKILL, **far).evidence[-1] == left
    assert judged(1, **far).evidence == ()


def test_headroom_covers_the_last_seconds() -> None:
    headroom = Headroom(MemoryLimit(100 * MB, state("limit.cgroup", file="memory.max")))
    assert headroom.statement() is None
    for second in range(10):
        headroom.note(float(second), second * 10 * MB)
    left = headroom.statement()
    assert left is not None
    assert sentences.statement(left, language("en")) == (
        "In its last 3.0 s its RSS went from 60.0 MB to 90.0 MB; of the limit of 100.0 MB "
        "(memory.max of its cgroup) 10.0 MB were left."
    )
    assert headroom.is_near()


@pytest.mark.parametrize(
    ("used_bytes", "of_address_space", "key", "rest_bytes"),
    [
        (90, False, "exit.rss_left", 10),
        (100, False, "exit.rss_left", 0),
        (103, False, "exit.rss_over", 3),
        (90, True, "exit.address_space_left", 10),
        (103, True, "exit.address_space_over", 3),
    ],
)
def test_what_was_left_of_a_limit(
    used_bytes: int, of_address_space: bool, key: str, rest_bytes: int
) -> None:
    source = state("limit.own_cgroup")
    headroom = Headroom(MemoryLimit(100, source, of_address_space))
    headroom.note(1.5, 40)
    headroom.note(2.0, used_bytes)
    assert headroom.statement() == state(
        key,
        span_s=0.5,
        first_bytes=40,
        last_bytes=used_bytes,
        limit_bytes=100,
        source=source,
        rest_bytes=rest_bytes,
    )


def test_a_kernel_log_without_news_names_nobody() -> None:
    log = KernelLog()
    try:
        assert log.killed() in (None, {})
    finally:
        log.close()
    assert log.killed() is None
