"""`memdeep runs` and `memdeep open`, and the commands that take the newest run if none is named."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from running import (
    PROGRAMS,
    TIMEOUT_S,
    RunMemdeep,
    complaint,
    environment,
    memdeep_command,
    tree,
    wait_until,
)

from memdeep.cli import runs as command
from memdeep.rundir import runs

GROWS = PROGRAMS / "grows.py"
WAITS = "import time; print('there', flush=True); time.sleep(60)"
ZH = environment(LC_ALL="zh_CN.UTF-8")


@pytest.fixture
def two_runs(tmp_path: Path, run_memdeep: RunMemdeep) -> Path:
    """A directory with two runs in memdeep-runs, the second one failed."""
    record = ("run", "-q", "--no-report", "--backend", "rss")
    assert run_memdeep(*record, "-o", "memdeep-runs/first", GROWS).returncode == 0
    assert run_memdeep(*record, "-o", "memdeep-runs/second", "-c", "exit(3)").returncode == 3
    return tmp_path


def test_runs_are_listed_with_how_they_ended(two_runs: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("runs")
    assert (completed.returncode, completed.stderr) == (0, b"")
    second, first = completed.stdout.decode().splitlines()
    date, time, program, *ending, size, unit, where = first.split()
    assert (program, ending, where) == ("grows", ["Completed"], "memdeep-runs/first")
    assert (len(date), len(time)) == (10, 5)
    assert unit in ("kB", "MB", "KB")
    assert float(size) > 0
    assert " code " in second
    assert "Failed" in second
    assert second == second.rstrip()
    chinese = run_memdeep("runs", env=ZH).stdout.decode()
    assert "Completed" not in chinese


def test_a_directory_without_runs_says_so(run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("runs")
    assert completed.returncode == 0
    assert completed.stdout.startswith(b"There is no run in memdeep-runs.")


def test_a_run_is_removed_by_name_or_path(two_runs: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("runs", "--rm", "first", "--rm", "memdeep-runs/second")
    assert (completed.returncode, completed.stderr) == (0, b"")
    assert completed.stdout.count(b"Removed: memdeep-runs/") == 2
    assert runs.found(two_runs / "memdeep-runs") == []


def test_the_newest_are_kept(two_runs: Path, run_memdeep: RunMemdeep) -> None:
    assert run_memdeep("runs", "--keep", "1").returncode == 0
    (kept,) = runs.found(two_runs / "memdeep-runs")
    assert kept.path.name == "second"


@pytest.mark.parametrize("name", [".", "memdeep-runs", "absent", "/", "notes"])
def test_nothing_is_removed_where_one_name_is_of_no_run(
    two_runs: Path, run_memdeep: RunMemdeep, name: str
) -> None:
    (two_runs / "notes").mkdir()
    before = tree(two_runs)
    completed = run_memdeep("runs", "--rm", "first", "--rm", name)
    assert (completed.returncode, completed.stdout) == (66, b"")
    said = "There is no file absent." if name == "absent" else "not a run directory"
    assert said in complaint(completed)[0]
    assert tree(two_runs) == before


def test_what_is_being_recorded_is_not_removed(tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    words = memdeep_command("run", "-q", "--backend", "rss", "-c", WAITS)
    recorder = subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == b"there\n"
        completed = run_memdeep("runs", "--rm", "latest")
        assert completed.returncode == 125
        assert "still being recorded" in complaint(completed)[0]
        assert run_memdeep("runs", "--keep", "0").stdout == b""
        assert "Still recording" in run_memdeep("runs").stdout.decode()
        (run_dir,) = runs.found(tmp_path / "memdeep-runs")
        os.kill(recorder.pid, signal.SIGKILL)  # its program goes on for itself
        recorder.wait(TIMEOUT_S)
        assert command.is_recording(run_dir)
    finally:
        recorder.kill()
        recorder.wait(TIMEOUT_S)
        for run_dir in runs.found(tmp_path / "memdeep-runs"):
            start = runs.first_event(run_dir)
            assert start is not None
            assert start.pid is not None
            os.kill(start.pid, signal.SIGKILL)
    wait_until(lambda: not command.is_recording(run_dir))
    assert run_memdeep("runs", "--keep", "0").returncode == 0
    assert [path.name for path in (tmp_path / "memdeep-runs").iterdir()] == [".gitignore"]


def test_report_takes_the_newest_run_and_says_which(
    two_runs: Path, run_memdeep: RunMemdeep
) -> None:
    completed = run_memdeep("report")
    assert completed.returncode == 0
    assert completed.stderr.startswith(b"The newest run: memdeep-runs/second\n")
    assert (two_runs / "memdeep-runs/second/report.html").exists()
    chinese = run_memdeep("report", env=ZH).stderr.decode()
    assert chinese.startswith("最新的一次运行：memdeep-runs/second\n")
    assert run_memdeep("report", "-q").stderr == b""


@pytest.mark.parametrize("name", ["report", "open", "watch"])
def test_without_a_run_there_is_no_newest(run_memdeep: RunMemdeep, name: str) -> None:
    completed = run_memdeep(name)
    assert completed.returncode == 66
    assert complaint(completed)[0] == "There is no run in memdeep-runs."


def test_the_page_is_opened_or_its_path_told(two_runs: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("open", "memdeep-runs/first")
    assert completed.returncode == 66
    assert "memdeep report memdeep-runs/first" in complaint(completed)[1]
    assert run_memdeep("report", "-q").returncode == 0
    page = two_runs / "memdeep-runs/second/report.html"
    browser = two_runs / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > opened\n')
    browser.chmod(0o755)
    env = environment(BROWSER=f"{browser} %s")
    completed = run_memdeep("open", env=env)
    assert completed.stderr == b"The newest run: memdeep-runs/second\n"
    assert (two_runs / "opened").read_text() == f"{page.as_uri()}\n"
    shown = two_runs / "shown"
    shown.mkdir()
    other = shown / "report.html"
    other.write_bytes(page.read_bytes())
    for given, opened in ((page, page), (shown, other)):
        (two_runs / "opened").unlink()
        assert run_memdeep("open", given, env=env).returncode == 0
        assert (two_runs / "opened").read_text() == f"{opened.as_uri()}\n"
    wrong = run_memdeep("open", browser, env=env)
    assert wrong.returncode == 66
    assert complaint(wrong)[0] == f"{browser} is no page of a report."
    none = environment(BROWSER="/bin/false %s", PATH="", DISPLAY="")
    completed = run_memdeep("open", env=none)
    assert completed.returncode == 0
    assert str(page) in completed.stderr.decode()
