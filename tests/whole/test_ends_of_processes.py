"""The end that is told of a process is the true one, calm where the program asked for it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, read_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are another's there")

LASTING = """
import multiprocessing, os, subprocess, sys
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=int)  # with a resource tracker
    process.start()
    process.join()
    os.system("sleep 0.3; true")
    os.system(f"{sys.executable} -c 'import time; time.sleep(0.3)'")
    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    stays = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], **nothing)
    os.system("sleep 1")
    print(stays.pid)
"""


def run(path: Path, run_memdeep: RunMemdeep, source: str, *words: str) -> tuple[str, Any, str]:
    """Return the output of a program, its report, and what the terminal says in the end."""
    (path / "program.py").write_text(source)
    done = run_memdeep("run", "--no-native", "-o", "run", "program.py", *words, cwd=path)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(), read_json(path / "run/report.json"), done.stderr.decode()


def test_only_what_was_seen_alive_after_the_run_outlived_it(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    stdout, report, said = run(tmp_path, run_memdeep, LASTING)
    detached = [one["pid"] for one in report["processes"] if one["verdict"] == "detached"]
    try:
        assert detached == [int(stdout)]
        assert "1 process was still running at the end of the run." in said
    finally:
        for pid in detached:
            os.kill(pid, signal.SIGKILL)
    commands = {str(one["command"]): one["verdict"] for one in report["processes"][1:]}
    (tracker,) = [command for command in commands if "resource_tracker" in command]
    assert commands[tracker] is None
    shells = [command for command in commands if command.startswith("sh -c")]
    assert shells  # all that lived long enough to be seen on a busy machine
    assert {commands[shell] for shell in shells} == {None}


ENDING = """
import multiprocessing, os, signal, subprocess, sys, time

def handled(number, frame):
    print(number, flush=True)

def start():
    code = "import time; print(flush=True); time.sleep(60)"
    popen = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    popen.stdout.readline()
    return popen

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(abs, range(10))
    popen = start()
    popen.terminate()
    popen.wait()
    if sys.argv[1:] == ["others"]:  # not by a process that is recorded, and not to end
        for command in ("kill %d", "kill -KILL %d"):
            popen = start()
            os.system(command % popen.pid)
            popen.wait()
    signal.signal(signal.SIGTERM, handled)
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        os.kill(2 ** 22 + 1, signal.SIGTERM)
    except ProcessLookupError as error:
        print(error)
"""
PRINTED = f"{signal.SIGTERM:d}\n[Errno 3] No such process\n"


def test_workers_that_the_program_ends_are_no_news(tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    stdout, report, said = run(tmp_path, run_memdeep, ENDING)
    assert stdout == PRINTED
    by_term = [one for one in report["processes"] if one["signal"] == "SIGTERM"]
    assert by_term
    assert all(one["ended_by_program"] for one in by_term)
    assert "killed" not in said
    assert "ended by SIGT" in said  # beside a worker whose beginning was not seen, it is cut


def test_workers_that_somebody_else_ends_are_told(tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    stdout, report, said = run(tmp_path, run_memdeep, ENDING, "others")
    assert stdout == PRINTED
    ends = [
        (one["signal"], one["ended_by_program"])
        for one in report["processes"]
        if one["how"] == "subprocess"
    ]
    assert ends == [("SIGTERM", True), ("SIGTERM", False), ("SIGKILL", False)]
    assert said.count("was killed by SIGTERM") == said.count("was killed by SIGKILL") == 1
