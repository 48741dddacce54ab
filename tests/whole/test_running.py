"""A report that is made while the program runs says so, of the program and of its processes."""

from __future__ import annotations

from pathlib import Path

from running import TIMEOUT_S, RunMemdeep, read_json, started

PROGRAM = """
import memdeep, os, subprocess, sys, time
from pathlib import Path
kept = []
with memdeep.phase("pool"):
    kept.append(b"x" * 20_000_000)
    subprocess.run([sys.executable, "-c", "pass"])
    wait = "import os, time\\nwhile not os.path.exists('go'): time.sleep(0.01)"
    worker = subprocess.Popen([sys.executable, "-c", wait])
    while not list(Path("run", "children").glob(f"{worker.pid}*/journal.jsonl")):
        time.sleep(0.01)
    time.sleep(0.5)
    Path("ready").write_text(str(os.getpid()))
    worker.wait()
"""


def test_the_program_runs_and_so_do_those_of_its_processes_that_have_not_ended(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    (tmp_path / "job.py").write_text(PROGRAM)
    with started(tmp_path, "job.py") as process:
        told = run_memdeep("report", "run", "-o", "now").stderr.decode()
        assert "The program was still running" in told
        assert "are still alive" in told
        assert "died" not in told
        assert "not known" not in told
        report = read_json(tmp_path / "now" / "report.json")
        assert report["exit"]["verdict"] == "running"
        assert [one["verdict"] for one in report["processes"]] == [
            "running",
            "completed",
            "detached",
        ]
        (tmp_path / "memdeep.toml").write_text('[[budget]]\nmax-peak-heap = "900M"\n')
        checked = run_memdeep("check", "run")
        assert checked.returncode == 1, "nothing is known of a run that goes on"
        (tmp_path / "go").touch()
        assert process.wait(TIMEOUT_S) == 0
    assert run_memdeep("report", "run").returncode == 0
    report = read_json(tmp_path / "run" / "report.json")
    assert report["exit"]["verdict"] == "completed"
    assert run_memdeep("check", "run").returncode == 0
