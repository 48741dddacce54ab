"""Whoever dies: what was written is in the report, though most of the capture was given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from following import follower_of, program_of
from running import PROGRAMS, RunMemdeep, environment, memdeep_command, read_json, wait_until

from memdeep.heap.replay import saved

DISK = "4M"
ARENAS = 3 << 20  # that small objects take beside what is kept, a megabyte each
FILLS = PROGRAMS / "fills_capture.py"


@contextmanager
def running(work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`memdeep run --disk 4M` of the program that grows, which then waits for its input to end."""
    words = ("run", "--no-native", "--disk", DISK, "-o", "run", FILLS, "60", "20000", "wait")
    command = memdeep_command(*words)
    with subprocess.Popen(
        command,
        cwd=work,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def check(run: Path, said: bytes) -> None:
    """Hold the report against what the program said that it kept."""
    report = read_json(run / "report.json")
    assert report["problems"] == []
    (checkpoint,) = (one for one in report["checkpoints"] if one["label"] == "结束")
    kept = int(said.split()[1])
    assert kept <= checkpoint["heap_bytes"] <= kept + ARENAS
    assert saved.is_holed(run / "capture.bin")


def test_what_a_run_takes_of_the_disk_is_bounded(work: Path) -> None:
    path = work / "run" / "capture.bin"
    with running(work) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert process.stdout.readline() == b"ready\n"
        assert path.stat().st_size > 10 << 20
        wait_until(lambda: 512 * path.stat().st_blocks < 5 << 20)
        process.communicate(timeout=60)
        assert process.returncode == 0
    check(work / "run", said)
    assert 512 * path.stat().st_blocks < 3 << 20  # nor is what was left of it needed any more


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_one_thread_of_who_follows_lets_others_go_first(work: Path) -> None:
    with running(work) as process:
        wait_until(lambda: follower_of(process) is not None)
        follower = follower_of(process)
        assert follower is not None
        wait_until(lambda: len(follower.threads()) == 2)
        main, modest = sorted(thread.id for thread in follower.threads())
        own = os.getpriority(os.PRIO_PROCESS, process.pid)
        assert os.getpriority(os.PRIO_PROCESS, main) == own
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, modest) == min(19, own + 10))
        group = Path(f"/proc/{follower.pid}/autogroup")
        if group.exists():
            wait_until(lambda: group.read_text().endswith(" nice 10\n"))


@pytest.mark.parametrize("victims", ["program", "follower", "memdeep", "follower program"])
def test_a_report_is_as_exact_as_ever_whoever_was_killed(
    work: Path, run_memdeep: RunMemdeep, victims: str
) -> None:
    run, capture = work / "run", work / "run" / "capture.bin"
    with running(work) as process:
        assert process.stdout is not None
        wait_until(lambda: capture.exists() and saved.is_holed(capture))
        program = program_of(process)
        assert program is not None
        if "follower" in victims:
            follower = follower_of(process)
            assert follower is not None
            follower.kill()
        if "memdeep" in victims:
            process.kill()
        said = process.stdout.readline()
        assert process.stdout.readline() == b"ready\n"
        if "program" in victims:
            program.kill()
        elif process.stdin is not None:
            process.stdin.close()
        process.wait(60)
        program.wait(60)
    if "memdeep" in victims:
        assert run_memdeep("report", run).returncode == 0
    check(run, said)
    exit_of = read_json(run / "report.json")["exit"]
    if victims != "memdeep":
        assert (exit_of["verdict"] == "killed") == ("program" in victims)
