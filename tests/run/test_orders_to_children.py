"""Limits on the captures count those of all processes, and stop the tracing of all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from running import RunMemdeep, read_json

from memdeep.rundir.directory import RunDirectory

PROGRAM = """
import os, subprocess, sys, time
EAT = '''
import json, time
end = time.monotonic() + 1.5
while time.monotonic() < end:
    kept = [json.dumps([number]) for number in range(100)]
'''
for _ in range(2):
    if os.fork() == 0:
        exec(EAT)
        os._exit(0)
subprocess.run([sys.executable, "-c", EAT])
for _ in range(2):
    os.wait()
subprocess.run([sys.executable, "-c", "kept = bytearray(10_000_000)"])
print("done")
"""
STOPPED = "tracing has stopped: the capture has reached"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are followed on Linux")
def test_where_the_captures_are_too_large_all_processes_stop_tracing(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    (work / "program.py").write_text(PROGRAM)
    options = ("--trace-python-allocators", "--no-native", "--max-capture", "1M", "-o", "run")
    completed = run_memdeep("run", *options, "program.py", cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"done\n")
    # The program says so once, and the report once more: its processes say nothing.
    assert completed.stderr.decode().replace("\n", " ").count(STOPPED) == 2
    run_dir = RunDirectory(work / "run")
    made = read_json(run_dir.json)
    (problem,) = made["problems"]
    assert problem.startswith(STOPPED)
    assert not run_dir.orders.exists()
    children = run_dir.children()
    assert len(children) == 3  # none that began later
    for child in children:
        lines = child.journal.read_text()
        assert STOPPED in lines
        assert lines.splitlines()[-1].startswith('{"n":')
    sizes = [file.stat().st_size for file in run_dir.growing()]
    assert sum(sizes) < 8 << 20
    assert made["checkpoints"][1]["label"] == "(tracing stopped)"
    assert [point["heap_bytes"] for point in made["checkpoints"]][-1] is None
