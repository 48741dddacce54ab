"""A process that the program started and the kernel killed is told, and told from the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cgroups import needs_cgroups
from running import TIMEOUT_S, RunMemdeep, environment, read_json

from memdeep.model.statement import Statement, state
from memdeep.report import sentences
from memdeep.run.verdict import GroupWitness, KernelLog, OomCounters, Witnesses, judge
from memdeep.rundir.meta import SeenProcess, decode_meta
from memdeep.text.language import language

MB = 1 << 20
OPTIONS = ("--no-native", "--backend", "rss", "-o", "run")
SIGKILL = -9
LINE = "Memory cgroup out of memory: Killed process 8 (python) total-vm:1kB"


def can_read_the_kernels_log() -> bool:
    log = KernelLog()
    try:
        return log.killed() is not None
    finally:
        log.close()


def child(pid: int, end_s: float, command: str | None = "eats") -> SeenProcess:
    return SeenProcess(pid, 7, command, 10, start_s=0.5, end_s=end_s)


def judged(status: int, **known: Any) -> tuple[set[int], list[str]]:
    """Whom the kernel killed beside the program, and the keys of the evidence."""
    facts = {"pid": 7, "before": OomCounters(0, 5), "after": OomCounters(1, 6), **known}
    ending = judge(status, Witnesses(**facts))
    return set(ending.oom_killed), [said.key for said in ending.evidence]


OURS = GroupWitness(is_own=True, rises=((1.0, 1.1),))
THEIRS = GroupWitness(is_own=False, rises=((1.0, 1.1),))
TWO = (child(8, 1.05), child(9, 4.0))


@pytest.mark.parametrize("status", [0, 1, -15, SIGKILL])
def test_the_kernels_log_names_whom_it_killed(status: int) -> None:
    for group in (OURS, THEIRS, None):
        killed, keys = judged(status, kernel_log={8: LINE}, descendants=TWO, group=group)
        assert killed == {8}
        assert "exit.descendant_killed" in keys


def test_a_process_that_was_never_seen_is_known_by_its_cgroup() -> None:
    unseen = GroupWitness(is_own=True, killed=frozenset({8}))
    ending = judge(
        1,
        Witnesses(
            pid=7,
            before=OomCounters(0, 5),
            after=OomCounters(1, 6),
            kernel_log={8: LINE, 4: LINE},
            group=unseen,
        ),
    )
    assert ending.evidence == (
        state("exit.descendant_killed", pid="8", command="python", line=LINE),
    )
    assert judged(1, kernel_log={8: LINE}, group=GroupWitness(False, frozenset({8}))) == (
        set(),
        [],
    )


@pytest.mark.parametrize(
    ("descendants", "known", "killed", "key"),
    [
        (TWO, {"group": OURS}, {8}, "exit.descendant_ended_then"),
        (TWO, {"group": OURS, "kernel_log": {}}, {8}, "exit.descendant_ended_then"),
        ((child(8, 1.05), child(9, 1.1)), {"group": OURS}, set(), "exit.some_descendant_killed"),
        ((child(9, 4.0),), {"group": OURS}, set(), "exit.some_descendant_killed"),
        (TWO, {"group": OURS, "after": OomCounters(2, 6)}, set(), "exit.some_descendant_killed"),
        (TWO, {"group": THEIRS}, set(), "exit.other_killed_in_group"),
    ],
)
def test_without_the_log_the_moment_tells_whom(
    descendants: tuple[SeenProcess, ...], known: dict[str, Any], killed: set[int], key: str
) -> None:
    assert judged(1, descendants=descendants, **known) == (killed, [key])
    # If the program was killed itself, the counter may have risen for it.
    assert key not in judged(SIGKILL, descendants=descendants, **known)[1]


@pytest.mark.parametrize(
    "known",
    [
        {"group": OURS, "after": OomCounters(0, 6)},
        {"group": None},
        {"group": THEIRS, "kernel_log": {}},
        {"group": THEIRS, "kernel_log": {4: LINE}},
    ],
)
def test_nothing_is_said_where_the_kernel_killed_nobody_of_the_tree(known: dict[str, Any]) -> None:
    assert judged(1, descendants=TWO, **known) == (set(), [])


def test_what_was_left_at_the_end_does_not_deny_a_kill() -> None:
    limit = state("limit.own_cgroup")
    left = state(
        "exit.rss_left",
        span_s=3.0,
        first_bytes=9,
        last_bytes=3,
        limit_bytes=10,
        source=limit,
        rest_bytes=7,
    )
    highest = state("exit.highest", highest_bytes=10, limit_bytes=10, source=limit)
    known = {"headroom": left, "highest": highest, "is_near_limit": True, "group": OURS}
    assert judged(1, descendants=TWO, **known)[1] == [
        "exit.descendant_ended_then",
        "exit.highest",
    ]
    assert judged(1, after=OomCounters(0, 5), **known)[1] == ["exit.rss_left"]


UNLOGGED = """\
import sys
from memdeep.run import verdict
verdict.KMSG = "/nowhere"
from memdeep.cli import main
main.main(sys.argv[1:])
"""


def said(evidence: list[Statement], code: str) -> str:
    return "\n".join(sentences.statement(one, language(code)) for one in evidence)


@needs_cgroups
@pytest.mark.parametrize("is_logged", [True, False])
def test_a_worker_killed_by_the_kernel_is_told(work: Path, *, is_logged: bool) -> None:
    if is_logged and not can_read_the_kernels_log():
        pytest.skip("the kernel's log cannot be read here")
    begin = ["-m", "memdeep"] if is_logged else ["-c", UNLOGGED]
    words = ("run", *OPTIONS, "--force", "--memory-limit", "150M", "worker_eats.py", "400")
    for _ in range(5):
        completed = subprocess.run(
            [sys.executable, *begin, *words],
            cwd=work,
            env=environment(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if completed.returncode != 137:  # now and then the kernel kills one more than it needs to
            break
    assert completed.returncode == 1
    assert b"BrokenProcessPool" in completed.stderr
    path = work / "run/meta.json"
    meta = decode_meta(path.read_bytes(), path)
    assert meta.verdict == "failed"
    root, worker = meta.processes
    assert (root.verdict, root.signal) == (None, None)
    assert (worker.verdict, worker.signal) == ("oom-killed", "SIGKILL")
    assert worker.peak_uss_bytes is not None
    evidence = [one for one in meta.evidence if not one.key.startswith("exit.uncaught")]
    assert evidence[0].key == (
        "exit.descendant_killed" if is_logged else "exit.descendant_ended_then"
    )
    assert evidence[0].values["pid"] == str(worker.pid)
    english = said(evidence, "en")
    assert f"Process {worker.pid} ({sys.executable} worker_eats.py 400), which it had" in english
    assert "was killed by the kernel for want of memory" in english
    assert "(--memory-limit, a cgroup of its own)" in english
    assert "were left" not in english
    assert "因内存不足被内核杀死" in said(evidence, "zh")
    highest = evidence[1]
    assert 100 * MB < int(str(highest.values["highest_bytes"])) <= 151 * MB
    assert said([evidence[0]], "en") in read_json(work / "run/report.json")["exit"]["evidence"]


@needs_cgroups
def test_a_worker_within_the_limit_is_not_told(work: Path, run_memdeep: RunMemdeep) -> None:
    words = (*OPTIONS, "--memory-limit", "1G", "worker_eats.py", "40")
    completed = run_memdeep("run", *words, cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"10\n")
    assert read_json(work / "run/report.json")["exit"]["evidence"] == []
