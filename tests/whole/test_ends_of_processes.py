"""The end that is told of a process is the true one, calm where the program asked for it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
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


DAEMON = """
import os, sys, time
from memdeep import phase

with phase("spawn"):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            block = bytes(25_000_000)
            with open("pid", "w") as file:
                file.write(str(os.getpid()))
            time.sleep(float(sys.argv[1]))
            os._exit(0)
        while not os.path.exists("pid"):
            time.sleep(0.01)
        os._exit(0)
    os.waitpid(pid, 0)
time.sleep(0.5)
with phase("main"):
    kept = bytes(10_000_000)
    time.sleep(0.8)
"""


def unseen(run: Path, run_memdeep: RunMemdeep, pid: int, *, waits: bool) -> tuple[Any, str]:
    """Return the report and what is said as if nobody had seen a process from outside.

    If nobody ``waits`` for it, nothing tells how it ended either.
    """
    meta = read_json(run / "meta.json")
    meta["processes"] = [one for one in meta["processes"] if one["pid"] != pid]
    (run / "meta.json").write_text(json.dumps(meta))
    title, *lines = (run / "samples").read_text().splitlines(keepends=True)
    kept = [one for one in lines if one.split()[1] != str(pid)]
    (run / "samples").write_text("".join([title, *kept]))
    if not waits:
        births = (run / "births.jsonl").read_text().splitlines(keepends=True)
        ended = [one for one in births if f'"ended","pid":{pid},' in one]
        (run / "births.jsonl").write_text("".join(one for one in births if one not in ended))
        journal = run / "children" / str(pid) / "journal.jsonl"
        events = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(one for one in events if '"k":"X"' not in one))
    done = run_memdeep("report", str(run))
    assert done.returncode == 0, done.stderr
    return read_json(run / "report.json"), done.stderr.decode()


@pytest.mark.parametrize("waits", [True, False], ids=["told", "by its capture"])
@pytest.mark.parametrize("lives_s", [4.0, 0.2], ids=["outlives the run", "ends before"])
def test_a_daemon_lives_as_long_as_what_it_wrote_tells(
    tmp_path: Path, run_memdeep: RunMemdeep, lives_s: float, waits: bool
) -> None:
    run(tmp_path, run_memdeep, DAEMON, str(lives_s))
    pid = int((tmp_path / "pid").read_text())
    births = tmp_path / "run/births.jsonl"
    while f'"ended","pid":{pid},' not in births.read_text():
        time.sleep(0.05)
    report, said = unseen(tmp_path / "run", run_memdeep, pid, waits=waits)
    (daemon,) = [one for one in report["processes"] if one["pid"] == pid]
    (middle,) = [one for one in report["processes"] if one["parent"] == 0]
    assert report["processes"][daemon["parent"]] == middle
    assert daemon["started_by"] is not None
    spawn, main = (one for one in report["phases"] if one["name"] in ("spawn", "main"))
    if lives_s > 1:
        assert daemon["verdict"] == "detached"
        assert main["peak_heap_bytes"] > 34_000_000
        assert "freed before it ended" not in said
        assert "1 process was still running at the end of the run." in said
    else:
        assert daemon["verdict"] == ("completed" if waits else None)
        assert 0.1 < daemon["end_s"] - daemon["start_s"] < 1.0
        assert main["peak_heap_bytes"] < 20_000_000
        assert spawn["heap_delta_bytes"] > 24_000_000


KILLED = """
import multiprocessing, os, signal, subprocess, sys, time
from memdeep import phase
def work(number):
    block = bytes([number]) * 20_000_000
    time.sleep(2)
if __name__ == "__main__":
    pool = multiprocessing.get_context("fork").Pool(2)
    holds = "x = b'x' * 30_000_000; import time; time.sleep(2)"
    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([sys.executable, "-S", "-c", holds], **nothing)
    with phase("all"):
        pool.map_async(work, range(1, 3), chunksize=1)
        time.sleep(1.2)
        with phase("last"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_that_live_on_after_a_killed_program_freed_nothing(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    (tmp_path / "program.py").write_text(KILLED)
    done = run_memdeep("run", "--no-native", "-o", "run", "program.py", cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGKILL
    report = read_json(tmp_path / "run/report.json")
    whole, last = (one for one in report["phases"][-3:] if one["name"] in ("all", "last"))
    assert whole["heap_delta_bytes"] > 38_000_000
    assert abs(last["heap_delta_bytes"]) < 4_000_000
    assert abs(last["children_pss_delta_bytes"]) < 20_000_000  # as those that are not recorded
    assert report["death"]["heap_bytes"] > 38_000_000
    assert "freed before it ended" not in done.stderr.decode()


REPLACED = """
import os, subprocess, sys
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "first"])
elif sys.argv[1] == "first":
    os.execv(sys.executable, [sys.executable, __file__, "second"])
else:
    sys.exit(3)
"""


def test_a_process_that_puts_another_in_its_place_has_that_end(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    _, report, said = run(tmp_path, run_memdeep, REPLACED)
    first, second = report["processes"][1:]
    assert (first["how"], first["verdict"]) == ("subprocess", None)
    assert (second["how"], second["verdict"], second["exit"]) == ("exec", "failed", 3)
    (row,) = [line for line in said.splitlines() if line.startswith("  subprocess")]
    assert row.rstrip().endswith("replaced (exec)")
    assert "end unknown" not in said
