"""What a program waits for before it begins, and what it is spared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import TIMEOUT_S, RunMemdeep, environment

from memdeep.run import sampling

# Imported by `memdeep run` before it starts the program, in so many modules; see docs/costs.md.
MOST_MODULES = 190
LATER = {
    *("dataclasses", "inspect", "ast", "importlib.metadata", "psutil", "rich", "jinja2"),
    *("memdeep.model.heap", "memdeep.model.report", "memdeep.loading.run", "memray"),
}
BEGIN = """
import subprocess, sys
from memdeep.cli.main import main

class Popen(subprocess.Popen):
    def __init__(self, *words, **options):
        print(*sys.modules, file=open("modules", "w"))
        super().__init__(*words, **options)

subprocess.Popen = Popen
main(["run", "--quiet", "--no-report", "-o", "run", "script.py"])
"""
CHILDREN = """
import os, subprocess, sys, threading, time
wait = [sys.executable, "-c", "import time; time.sleep(60)"]
threads = [threading.Thread(target=subprocess.Popen, args=(wait,)) for _ in range(3)]
for thread in threads:
    thread.start()
threading.Thread(target=lambda: (subprocess.Popen(wait), time.sleep(60)), daemon=True).start()
if os.fork() == 0:
    subprocess.Popen(wait)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_program_waits_for_few_modules(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('hello')\n")
    subprocess.run(
        [sys.executable, "-c", BEGIN],
        cwd=tmp_path,
        env=environment(),
        check=True,
        timeout=TIMEOUT_S,
    )
    imported = (tmp_path / "modules").read_text().split()
    assert not LATER.intersection(imported)
    assert len(imported) <= MOST_MODULES


def test_a_program_does_not_find_what_memray_shows_progress_by(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    """It imports it itself; memray's readers, too, when they are used in the program."""
    program = """
import sys
before = [name for name in sys.modules if name.partition(".")[0] == "rich"]
import memray
reader = memray.FileReader("run/capture.bin", report_progress=True)
from memray import _memray
columns = _memray.Progress.get_default_columns()
print(before, type(columns[0]).__module__, type(_memray.SpinnerColumn()).__module__)
"""
    (tmp_path / "program.py").write_text(program)
    done = run_memdeep("run", "--no-native", "-o", "run", "program.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [b"[]", b"rich.progress", b"rich.progress"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the children")
def test_the_children_of_all_threads_are_found(tmp_path: Path) -> None:
    command: Any = [sys.executable, "-c", CHILDREN]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:
        root = psutil.Process(started.pid)
        try:
            assert started.stdout is not None
            started.stdout.readline()
            deadline = 100
            while len(root.children(recursive=True)) < 6 and deadline:
                deadline -= 1
                psutil.wait_procs([], timeout=0.1)
            expected = {one.pid for one in root.children(recursive=True)}
            assert len(expected) == 6
            assert {one.pid for one in sampling._below(root)} == expected
        finally:
            for process in (*root.children(recursive=True), root):
                process.kill()
    with pytest.raises(psutil.NoSuchProcess):
        sampling._below(root)
