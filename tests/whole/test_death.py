"""Every way to die: the run is complete, the report says what ended it, where, and what was alive.

The ways are those of `docs/reliability.md`, which names these tests.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import (
    OPTIONS,
    RunMemdeep,
    environment,
    memdeep_command,
    read_json,
    reported,
    started,
    wait_until,
)

PLAIN = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def assert_death(report: dict[str, Any], *evidence: str) -> None:
    """The report tells of a death with what `ways_to_die.py` had kept by then.

    A sentence of the evidence may be one of several, with a | between them.
    """
    assert report["exit"]["last_checkpoint"] == "the last one"
    for sentence in evidence:
        given = "\n".join(report["exit"]["evidence"])
        assert any(one in given for one in sentence.split("|")), report["exit"]
    death = report["death"]
    assert death is not None
    assert [within(report, place, "fatal") for place in death["phases"]] == [True]
    assert death["since_s"] >= 0
    sizes = [culprit["bytes"] for culprit in death["culprits"][:2]]
    assert sizes == [pytest.approx(8_000_000, rel=0.1), pytest.approx(3_000_000, rel=0.1)]
    assert death["culprits"][0]["source"].strip().startswith("more = ")
    # Python may have imported what it takes to show a traceback.
    assert 11_000_000 <= death["heap_bytes"] < 15_000_000
    growth = death["last_growth"]
    assert growth["heap_bytes"] == pytest.approx(8_000_000, rel=0.1)
    assert within(report, growth["phase"], "fatal")
    assert growth["culprits"][0]["bytes"] == pytest.approx(8_000_000, rel=0.1)


def within(report: dict[str, Any], place: int | None, name: str) -> bool:
    """Whether the phase ``place`` is called ``name`` or lies in one that is."""
    while place is not None:
        if report["phases"][place]["name"] == name:
            return True
        place = report["phases"][place]["parent"]
    return False


def end_of(report: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(report["exit"][key] for key in ("code", "signal", "verdict"))


NOT_PYTHONS = "Python's own ending did not run"

BY_ITSELF = {
    "exit": (3, (3, None, "failed"), ()),
    "exception": (1, (1, None, "failed"), ("Nobody caught ValueError.",)),
    "memory_error": (1, (1, None, "failed"), ("Nobody caught MemoryError.",)),
    "os_exit": (4, (4, None, "failed"), (NOT_PYTHONS,)),
    "exec": (5, (5, None, "failed"), ("another program in its place", "sleep(0.5)")),
    # What takes its place is over at once, and is seen only if it happens to be looked at.
    "exec_at_once": (6, (6, None, "failed"), (f"{NOT_PYTHONS}|another program in its place",)),
    "abort": (134, (None, "SIGABRT", "killed"), ("ended by SIGABRT",)),
    "segfault": (139, (None, "SIGSEGV", "killed"), ("ended by SIGSEGV",)),
    "exit_in_thread": (130, (None, "SIGINT", "killed"), ("ended by SIGINT",)),
}


@pytest.mark.parametrize("way", BY_ITSELF)
def test_a_program_that_ends_itself(work: Path, run_memdeep: RunMemdeep, way: str) -> None:
    status, end, evidence = BY_ITSELF[way]
    plain = subprocess.run(
        [sys.executable, "ways_to_die.py", way],
        cwd=work,
        env=environment(),
        capture_output=True,
        check=False,
    )
    completed = run_memdeep("run", *OPTIONS, "ways_to_die.py", way, cwd=work)
    # The same status, as a shell gives it, and the same last words.
    assert plain.returncode in (status, 128 - status)
    assert (completed.returncode, completed.stderr) == (status, plain.stderr)

    report = reported(work, run_memdeep)
    assert end_of(report) == end
    assert_death(report, *evidence)
    if way == "exec":  # one sentence says it all
        assert not any(NOT_PYTHONS in said for said in report["exit"]["evidence"])


def test_a_program_that_leaves_by_os_exit_0_completed(work: Path, run_memdeep: RunMemdeep) -> None:
    assert run_memdeep("run", *OPTIONS, "ways_to_die.py", "os_exit_0", cwd=work).returncode == 0
    report = reported(work, run_memdeep)
    assert end_of(report) == (0, None, "completed")
    assert any(NOT_PYTHONS in sentence for sentence in report["exit"]["evidence"])
    assert report["death"] is None
    assert [phase["complete"] for phase in report["phases"] if phase["name"] == "fatal"] == [False]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_a_program_that_is_sent_a_signal(work: Path, run_memdeep: RunMemdeep, name: str) -> None:
    number = signal.Signals[name]
    with started(work, "ways_to_die.py", "wait") as process:
        os.kill(int((work / "ready").read_text()), number)
        assert process.wait(30) == 128 + number
    report = reported(work, run_memdeep)
    assert end_of(report) == (None, name, "killed")
    assert_death(report, f"ended by {name}")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_memdeep_alone_is_sent_a_signal(work: Path, run_memdeep: RunMemdeep, name: str) -> None:
    number = signal.Signals[name]
    with started(work, "ways_to_die.py", "wait") as process:
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    report = reported(work, run_memdeep)
    assert end_of(report) == (None, name, "killed")
    assert_death(report, f"memdeep had been sent {name}, and passed it on.")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"])
def test_a_signal_to_the_group_reaches_the_program_once(work: Path, name: str) -> None:
    with started(work, "handles.py", name) as process:
        os.killpg(process.pid, signal.Signals[name])
        assert process.wait(30) == 7
    assert (work / "seen").read_text() == name


def test_an_interrupt_of_the_group_ends_the_program(work: Path, run_memdeep: RunMemdeep) -> None:
    with started(work, "ways_to_die.py", "wait") as process:
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130
    assert stderr.decode().count("KeyboardInterrupt") == 1
    assert "memdeep" not in stderr.decode()
    report = reported(work, run_memdeep)
    assert_death(report, "ended by SIGINT")
    assert not any("passed it on" in sentence for sentence in report["exit"]["evidence"])


def test_a_terminal_that_closes_ends_the_program(work: Path, run_memdeep: RunMemdeep) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        memdeep_command("run", *OPTIONS, "ways_to_die.py", "wait"),
        cwd=work,
        env=environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=lambda: _take_terminal(slave),
    )
    try:
        os.close(slave)
        wait_until(lambda: (work / "ready").exists() and (work / "ready").read_text())
        os.close(master)
        process.wait(30)
    finally:
        process.kill()
    pid = int((work / "ready").read_text())
    wait_until(lambda: not psutil.pid_exists(pid))
    assert process.returncode == 128 + signal.SIGHUP
    report = reported(work, run_memdeep)
    assert end_of(report) == (None, "SIGHUP", "killed")
    assert_death(report)


def _take_terminal(slave: int) -> None:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def test_a_deadlock_is_interrupted(work: Path, run_memdeep: RunMemdeep) -> None:
    with started(work, "ways_to_die.py", "deadlock") as process:
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130
    assert b"lock.acquire()" in stderr
    assert_death(reported(work, run_memdeep), "ended by SIGINT", "Nobody caught KeyboardInterrupt")


@pytest.mark.parametrize("then", ["the program is killed", "the program fails"])
def test_memdeep_itself_is_killed(work: Path, run_memdeep: RunMemdeep, then: str) -> None:
    number = signal.SIGKILL if then == "the program is killed" else signal.SIGINT
    with started(work, "ways_to_die.py", "wait") as process:
        pid = int((work / "ready").read_text())
        process.kill()
        process.wait(30)
        # It goes on as if nothing had happened, and nothing else of ours does.
        wait_until(lambda: _session(process.pid) == [pid])
        os.kill(pid, number)
        wait_until(lambda: not psutil.pid_exists(pid))
    completed = run_memdeep("report", work / "run", cwd=work)
    assert b"How the program ended is not known" in completed.stderr
    report = reported(work, run_memdeep)
    assert report["exit"] is None
    assert 11_000_000 <= report["death"]["heap_bytes"] < 15_000_000
    assert report["death"]["culprits"][0]["bytes"] == pytest.approx(8_000_000, rel=0.1)
    last = report["checkpoints"][report["death"]["last_checkpoint"]]
    assert last["label"] == "the last one"
    assert within(report, report["death"]["phases"][0], "fatal")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_the_program_has_begun_ends_both(work: Path, name: str) -> None:
    """Never memdeep alone, whatever it was doing."""
    for step in range(8):
        run_dir = work / f"early-{step}"
        words = ("run", "--quiet", "--no-report", "-o", run_dir, "waits.py")
        process = subprocess.Popen(
            memdeep_command(*words),
            cwd=work,
            env=environment(),
            start_new_session=True,
            **PLAIN,
        )
        wait_until(lambda run_dir=run_dir: (run_dir / "samples").exists())
        time.sleep(0.005 * step)
        process.send_signal(signal.Signals[name])
        _, stderr = process.communicate(timeout=30)
        # An interpreter may be interrupted before it handles that, and then ends with 1.
        assert process.returncode in (128 + signal.Signals[name], -signal.Signals[name], 1)
        # The program itself may have come to its first checkpoint.
        assert b"memdeep:" not in stderr
        assert b"memdeep/" not in stderr
        assert not [one for one in psutil.process_iter() if str(run_dir) in _words_of(one)]


def _session(leader: int) -> list[int]:
    """The processes of the session that ``leader`` began, but for those that have ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (OSError, psutil.Error):
            continue
    return found


def _words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_the_verdict_on_a_dead_program(work: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep(
        "run", "-o", "run", "--no-native", "ways_to_die.py", "exception", cwd=work
    )
    text = completed.stderr.decode()
    assert "The program failed with exit status 1" in text
    assert "Nobody caught ValueError." in text
    assert "It ended in fatal, " in text
    assert "Alive then: " in text
    assert "more = bytearray(8_000_000)" in text
    assert "Last growth before: the heap grew by 7.6 MB in fatal" in text


def test_the_report_can_be_interrupted(work: Path, run_memdeep: RunMemdeep) -> None:
    """Nothing that was recorded is lost, and the way to go on is said."""
    for _ in range(5):  # the report may be done before the signal comes
        process = subprocess.Popen(
            memdeep_command("run", "-o", "run", "--force", "eats.py", "80"),
            cwd=work,
            env=environment(),
            start_new_session=True,
            **PLAIN,
        )
        wait_until(lambda process=process: read_verdict(work) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        if process.returncode != 0:
            break
        (work / "run/meta.json").unlink()
    assert process.returncode == 130, stderr.decode()
    assert stderr.decode().splitlines() == [
        "memdeep: The report was interrupted; all that was recorded is kept.",
        "  Make the report later: memdeep report run",
    ]
    report = reported(work, run_memdeep)
    assert report["exit"]["verdict"] == "completed"
    assert not list((work / "run").glob(".*.tmp"))


def read_verdict(work: Path) -> object:
    meta = work / "run/meta.json"
    return meta.exists() and read_json(meta)["verdict"]
