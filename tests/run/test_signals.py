"""Death by a signal, and signals on their way to the program: all is recorded and reported."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest
from running import (
    OPTIONS,
    TIMEOUT_S,
    RunMemdeep,
    is_running,
    read_json,
    reported,
    started,
    wait_until,
)

from memdeep.rundir import journal


def labels(report: dict[str, Any]) -> list[str]:
    return [point["label"] for point in report["checkpoints"]]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT"])
def test_death_by_signal_is_reported(work: Path, run_memdeep: RunMemdeep, name: str) -> None:
    completed = run_memdeep("run", *OPTIONS, "dies.py", name, cwd=work)
    assert completed.returncode == 128 + signal.Signals[name]

    report = reported(work, run_memdeep)
    end = report["exit"]
    assert (end["code"], end["signal"], end["verdict"]) == (None, name, "killed")
    assert end["last_checkpoint"] == "the last one"
    assert any(name in sentence for sentence in end["evidence"])

    complete = {phase["name"]: phase["complete"] for phase in report["phases"]}
    assert complete["done before"]
    assert not complete["fatal"]
    assert not complete["LOAD"]
    fatal = next(phase for phase in report["phases"] if phase["name"] == "fatal")
    assert report["checkpoints"][fatal["end"]]["label"] == "(end)"
    assert fatal["retained_bytes"] == pytest.approx(8_000_000, rel=0.1)


def test_run_of_a_killed_program_writes_the_report_itself(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    completed = run_memdeep("run", "-o", "run", "dies.py", "SIGKILL", cwd=work)
    assert completed.returncode == 128 + signal.SIGKILL
    assert b"The program was killed by SIGKILL" in completed.stderr
    assert b"the last one" in completed.stderr
    assert b"unfinished" in completed.stderr
    assert read_json(work / "run/report.json")["exit"]["verdict"] == "killed"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_signal_to_memdeep_reaches_the_program_once(
    work: Path, run_memdeep: RunMemdeep, name: str
) -> None:
    with started(work, "handles.py", name) as process:
        process.send_signal(signal.Signals[name])
        assert process.wait(TIMEOUT_S) == 7
    assert (work / "seen").read_text() == name

    report = reported(work, run_memdeep)
    end = report["exit"]
    assert (end["code"], end["signal"], end["verdict"]) == (7, None, "failed")
    assert {phase["name"]: phase["complete"] for phase in report["phases"]}["wait"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signal_to_memdeep_ends_a_program_that_does_not_handle_it(
    work: Path, run_memdeep: RunMemdeep, name: str
) -> None:
    with started(work, "waits.py") as process:
        process.send_signal(signal.Signals[name])
        assert process.wait(TIMEOUT_S) == 128 + signal.Signals[name]
    end = reported(work, run_memdeep)["exit"]
    assert (end["signal"], end["last_checkpoint"]) == (name, "waiting for go")


def test_ignored_signal_stays_ignored(work: Path) -> None:
    """As under `nohup`."""
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with started(work, "waits.py", **ignore) as process:
        process.send_signal(signal.SIGHUP)
        (work / "go").touch()
        assert process.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize(("key", "name"), [(b"\x03", "SIGINT"), (b"\x1c", "SIGQUIT")])
def test_key_typed_at_the_terminal_reaches_the_program_once(
    work: Path, key: bytes, name: str
) -> None:
    """The terminal sends its signal to both of us."""
    master, slave = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    try:
        with started(work, "handles.py", name, stdin=slave, preexec_fn=take_terminal) as process:
            os.write(master, key)
            assert process.wait(TIMEOUT_S) == 7
    finally:
        os.close(slave)
        os.close(master)
    assert (work / "seen").read_text() == name


def test_program_survives_the_death_of_memdeep(work: Path, run_memdeep: RunMemdeep) -> None:
    with started(work, "waits.py", stdout=subprocess.DEVNULL) as process:
        pid = int((work / "ready").read_text())
        process.kill()
        assert process.wait(TIMEOUT_S) == -signal.SIGKILL
        (work / "go").touch()
        wait_until(lambda: not is_running(pid))
    assert (work / "done").exists()
    events, damaged = journal.decode((work / "run/journal.jsonl").read_bytes())
    assert (events[-1].kind, damaged) == (journal.EXIT, 0)

    report = reported(work, run_memdeep)
    assert report["exit"] is None
    assert labels(report) == ["(start)", "waiting for go", "at last", "at last", "(end)"]
    last = next(phase for phase in report["phases"] if phase["name"] == "at last")
    assert last["complete"]
    assert last["retained_bytes"] == pytest.approx(4_000_000, rel=0.1)


def test_memdeep_and_program_both_killed_leave_a_readable_run(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    with started(work, "waits.py") as process:
        pid = int((work / "ready").read_text())
        process.kill()
        process.wait(TIMEOUT_S)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid))
    report = reported(work, run_memdeep)
    assert report["exit"] is None
    assert labels(report) == ["(start)", "waiting for go", "(end)"]


def test_report_made_while_the_program_runs_does_not_spoil_the_last_one(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    with started(work, "waits.py") as process:
        run_memdeep("report", work / "run")
        (work / "go").touch()
        assert process.wait(TIMEOUT_S) == 0
    report = reported(work, run_memdeep)
    assert report["exit"]["verdict"] == "completed"
    last = next(phase for phase in report["phases"] if phase["name"] == "at last")
    assert last["retained_bytes"] == pytest.approx(4_000_000, rel=0.1)
