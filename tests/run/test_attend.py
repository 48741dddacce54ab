"""Who watches a recording from beside it says of its end what the kernel has said, and no more."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from running import environment, memdeep_command

from memdeep.errors import OutputError
from memdeep.run import attend, watching
from memdeep.run.attend import end_of
from memdeep.run.verdict import GroupWitness, OomCounters, Witnesses
from memdeep.run.watching import judged
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import SeenProcess

NEVER = OomCounters(0, 0)


@pytest.mark.parametrize(
    ("witnesses", "verdict"),
    [
        (Witnesses(7, NEVER, NEVER), None),
        (Witnesses(7, NEVER, NEVER, kernel_log={8: "Out of memory: Killed process 8 (x)"}), None),
        (
            Witnesses(7, NEVER, NEVER, kernel_log={7: "Out of memory: Killed process 7 (x)"}),
            "oom-killed",
        ),
        # A worker that was killed long before is no reason.
        (
            Witnesses(7, NEVER, OomCounters(1, 1), group=GroupWitness(False, rises=((1.0, 1.1),))),
            None,
        ),
        (
            Witnesses(7, NEVER, OomCounters(1, 1), group=GroupWitness(False, rises=((9.9, 10.0),))),
            "oom-killed",
        ),
    ],
)
def test_only_the_kernel_tells_that_it_has_killed(
    witnesses: Witnesses, verdict: str | None
) -> None:
    end = end_of(witnesses, 10.0)
    assert (None if end is None else end.verdict) == verdict
    assert end is None or end.signal == "SIGKILL"


def test_it_leaves_no_trace_of_a_recording_that_is_over_before_it_begins(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        done = subprocess.run(
            [sys.executable, "-I", attend.__file__, tmp_path / "gone", "1", "0", "0"],
            stdin=theirs.fileno(),
            capture_output=True,
            check=False,
            env=environment(),
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert list(tmp_path.iterdir()) == []


def test_the_signals_of_a_terminal_do_not_reach_it(tmp_path: Path) -> None:
    code = (
        "import memdeep, os, signal, time\n"
        "with memdeep.recording('here', native=False):\n"
        "    while not os.path.exists('here/samples'):\n"
        "        time.sleep(0.01)\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "    os.killpg(0, signal.SIGINT)\n"
        "    try:\n"
        "        os.waitpid(-1, os.WNOHANG)\n"
        "    except ChildProcessError:\n"
        "        print('no child')\n"
        "    time.sleep(0.3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"no child\n"), done.stderr
    readings = (tmp_path / "here/samples").read_text().splitlines()[1:]
    last_ms = int(readings[-1].split("\t")[0])
    first_ms = int(readings[0].split("\t")[0])
    assert last_ms - first_ms >= 250


def test_a_process_of_the_program_that_the_kernel_killed_is_told_as_such() -> None:
    log = {8: "Out of memory: Killed process 8 (x)", 9: "Out of memory: Killed process 9 (y)"}
    seen = tuple(SeenProcess(pid, 7, "x", 1, end_s=1.0) for pid in (7, 8, 10))
    witnesses = Witnesses(7, NEVER, NEVER, kernel_log=log, descendants=seen[1:])
    found = {one.pid: (one.signal, one.verdict) for one in judged(seen, witnesses)}
    assert found == {7: (None, None), 8: ("SIGKILL", "oom-killed"), 10: (None, None)}


def test_a_run_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    """So it is too where it went just before who watches opens a file in it."""
    run = tmp_path / "run"
    command = memdeep_command("run", "-q", "--no-report", "-o", str(run), "-c", "pass")
    subprocess.run(command, env=environment(), check=True)
    (run / "samples").unlink()
    (run / "samples").mkdir()
    ours, theirs = socket.socketpair()
    recorded = watching.Recorded(RunDirectory(run), os.getpid(), None, 0, ours.detach())
    with theirs, pytest.raises(OutputError, match="Cannot write .*samples: is a directory"):
        watching.watch(recorded, Mock())
