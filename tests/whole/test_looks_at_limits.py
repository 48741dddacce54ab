"""Who holds the objects is recorded where memory goes over a limit, and by every process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

from memdeep.rundir import graph, journal
from memdeep.rundir.directory import RunDirectory

pytest.importorskip("memdeep.record._holders")

GROWS = """
import time
kept = {}
for number in range(60):
    kept[number] = [bytes(1000) for _ in range(4_000)]
    time.sleep(0.05)
"""
KEEPS_THE_INTERPRETER = """
import ctypes, mmap
zeros = mmap.mmap(-1, 1_600_000_000, flags=mmap.MAP_PRIVATE)
libc = ctypes.PyDLL(None)  # calls it without letting other threads run
size = ctypes.c_size_t
libc.qsort(ctypes.byref(ctypes.c_char.from_buffer(zeros)), size(200_000_000), size(8), libc.strcmp)
"""
TREE = """
import multiprocessing, os, subprocess, sys
import memdeep

def work(name):
    kept = [bytes(1000) for _ in range(30_000)]
    memdeep.checkpoint(name)

if __name__ == "__main__":
    if sys.argv[1:] == ["started"]:
        work("looked at when started")
        sys.exit()
    pid = os.fork()
    if pid == 0:
        work("looked at when forked")
        sys.exit()
    os.waitpid(pid, 0)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=work, args=("looked at when spawned",))
    process.start()
    process.join()
    subprocess.run([sys.executable, __file__, "started"], check=True)
"""


def run(tmp_path: Path, code: str, *options: str) -> tuple[RunDirectory, str, int]:
    """Return the run directory, what memdeep said, and the exit status."""
    (tmp_path / "job.py").write_text(code)
    command = [sys.executable, "-m", "memdeep", "run", "--no-native", "--sample-interval", "0.02"]
    done = subprocess.run(
        [*command, "-o", "run", *options, "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return RunDirectory(tmp_path / "run"), done.stdout + done.stderr, done.returncode


def looked_at(run_dir: RunDirectory) -> list[str]:
    """Return the labels of the checkpoints with a graph."""
    events, _ = journal.decode(run_dir.journal.read_bytes())
    found = {graph.read(path).sequence for path in run_dir.graphs()}
    return [event.label for event in events if event.sequence in found]


def test_it_is_looked_at_over_critical_and_before_the_kill(tmp_path: Path) -> None:
    limits = ["--critical-mb", "100", "--kill-at", "200M"]
    run_dir, said, status = run(tmp_path, GROWS, "--holders-at", "nothing", *limits)
    assert status == 128 + 15, said
    assert looked_at(run_dir) == ["(over --critical-mb)", "(before --kill-at)"]
    report = json.loads((run_dir.path / "report.json").read_bytes())
    assert report["exit"]["signal"] == "SIGTERM"
    assert len(report["snapshots"]) == 2


def test_without_holders_nothing_is_asked_for(tmp_path: Path) -> None:
    run_dir, _, status = run(tmp_path, GROWS, "--critical-mb", "100", "--kill-at", "200M")
    assert status == 128 + 15
    assert looked_at(run_dir) == []
    events, _ = journal.decode(run_dir.journal.read_bytes())
    assert not any(event.label.startswith("(over") for event in events)


def test_a_program_that_does_not_answer_is_ended_all_the_same(tmp_path: Path) -> None:
    run_dir, _, status = run(tmp_path, KEEPS_THE_INTERPRETER, "--holders", "--kill-at", "150M")
    assert status == 128 + 15
    report = json.loads((run_dir.path / "report.json").read_bytes())
    assert any(
        "at (before --kill-at) is not known: the program made no checkpoint within 2 s" in one
        for one in report["problems"]
    )


def test_every_process_of_a_run_is_looked_at(tmp_path: Path) -> None:
    run_dir, said, status = run(tmp_path, TREE, "--holders-at", "looked at *")
    assert status == 0, said
    found = sorted(label for child in run_dir.children() for label in looked_at(child))
    assert found == [f"looked at when {how}" for how in ("forked", "spawned", "started")]
