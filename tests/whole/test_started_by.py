"""The line that a process was started by is the true one, or said to be unknown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, read_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are another's there")

SERVER = """
import multiprocessing
import threading

def hold(size):
    block = b"x" * size

def first(context):
    process = context.Process(target=hold, args=(5_000_000,))
    process.start()  # first
    process.join()

def second(context, size):
    process = context.Process(target=hold, args=(size,))
    process.start()  # second
    process.join()

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    first(context)
    second(context, 7_000_000)
    thread = threading.Thread(target=second, args=(context, 9_000_000), name="of mine")
    thread.start()
    thread.join()
    with context.Pool(1, maxtasksperchild=1) as pool:  # pool
        pool.map(hold, [11_000_000, 13_000_000], chunksize=1)
"""

SHELLS = """
import os
import subprocess
import sys

hold = f"{sys.executable} -c 'block = bytearray(%d)'; true"
subprocess.run(["sh", "-c", hold % 5_000_000])  # first
os.system(hold % 7_000_000)  # second
os.system(hold % 9_000_000)  # third
"""

# One that a shell starts puts another program in its place.
CHAIN = """
import subprocess
import sys

with open("next.py", "w") as file:
    file.write("block = bytes(9_000_000)")
with open("one.py", "w") as file:
    file.write("import os, sys; block = bytes(5_000_000); python = sys.executable\\n")
    file.write("os.execv(python, [python, 'next.py'])")
subprocess.run(["sh", "-c", f"{sys.executable} one.py; true"])  # here
"""

# Its threads start a process of which no line of the program's is in the stack.
NESTED = """
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

def start():
    words = [sys.executable, "-c", "block = bytearray(5_000_000)"]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(subprocess.run, words).result()

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=start)
    process.start()
    process.join()
"""


class Started:
    """The processes of a run, by what they held."""

    def __init__(self, report: dict[str, Any], source: str) -> None:
        self._report = report
        self._lines = source.splitlines()

    def process(self, size: int) -> dict[str, Any]:
        """The process that held ``size``."""
        (process,) = [
            one
            for one in self._report["processes"]
            if size <= (one["peak_heap_bytes"] or 0) < size + 2_000_000
        ]
        return dict(process)

    def by(self, size: int) -> str | None:
        """The mark of the line of the program that started the process that held ``size``."""
        process = self.process(size)
        if process["started_by"] is None:
            return None
        stack = self._report["stacks"][process["started_by"]["stack"]]
        frames = [self._report["frames"][place] for place in stack]
        lines = [one["lineno"] for one in frames if Path(one["filename"]).name == "program.py"]
        return self._lines[lines[-1] - 1].rpartition("  # ")[2] if lines else "library"


def started(run_memdeep: RunMemdeep, work: Path, source: str) -> Started:
    (work / "program.py").write_text(source)
    done = run_memdeep("run", "--quiet", "--no-native", "-o", "run", "program.py")
    assert done.returncode == 0, done.stderr.decode()
    return Started(read_json(work / "run" / "report.json"), source)


def test_a_fork_server_is_asked_by_a_line(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    """Not the line that asked first, for which the server was started."""
    found = started(run_memdeep, tmp_path, SERVER)
    assert [found.by(size) for size in (5_000_000, 7_000_000, 9_000_000)] == [
        *("first", "second", "second")
    ]
    # The pool starts its first worker when it is made, and another from a thread of its own.
    assert {found.by(11_000_000), found.by(13_000_000)} == {"pool", "library"}


def test_shells_are_started_by_a_line(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    found = started(run_memdeep, tmp_path, SHELLS)
    assert [found.by(size) for size in (5_000_000, 7_000_000, 9_000_000)] == [
        *("first", "second", "third")
    ]
    # Of those that nobody who is recorded has waited for, their own journals tell the end.
    ends = [found.process(size)["end_s"] for size in (5_000_000, 7_000_000, 9_000_000)]
    starts = [found.process(size)["start_s"] for size in (7_000_000, 9_000_000)]
    assert [found.process(size)["verdict"] for size in (5_000_000, 7_000_000, 9_000_000)] == [
        *(None, None, None)
    ]
    assert ends[0] < starts[0] < ends[1] < starts[1] < ends[2]


def test_no_process_is_started_by_a_line_of_its_own(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    found = started(run_memdeep, tmp_path, CHAIN)
    assert [found.by(size) for size in (5_000_000, 9_000_000)] == ["here", "here"]
    assert [found.process(size)["how"] for size in (5_000_000, 9_000_000)] == ["subprocess", "exec"]


def test_a_line_that_started_the_parent_is_not_made_up(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    assert started(run_memdeep, tmp_path, NESTED).by(5_000_000) == "library"


OTHER = """
import subprocess
from memdeep import phase

with phase("夜间批处理"):
    holds = "x=$(head -c 40000000 /dev/zero | tr '\\\\0' a); sleep 0.6"
    subprocess.run(["bash", "-c", holds])  # here
"""


def test_another_program_is_told_by_its_memory_and_its_line(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    started(run_memdeep, tmp_path, OTHER)
    report = read_json(tmp_path / "run" / "report.json")
    first = report["findings"][0]
    assert (first["kind"], first["culprit"]) == ("children", None)
    assert report["phases"][first["phase"]]["name"] == "夜间批处理"
    # Bash holds the text once or, for a moment, several times.
    assert 38_000_000 < first["bytes"] < 200_000_000
    line = next(n for n, text in enumerate(OTHER.splitlines(), 1) if text.endswith("# here"))
    assert f" (bash) that program.py:{line} started" in first["title"]


# Its Python begins a good deal later: by then another phase is open.
ASKED = """
import subprocess
import sys
from memdeep import phase

with phase("ask"):
    words = [sys.executable, "-c", "import time; block = bytearray(5_000_000); time.sleep(0.2)"]
    process = subprocess.Popen(words)  # here
with phase("wait"):
    process.wait()
"""


def test_a_process_was_started_in_the_phase_of_its_line(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    found = started(run_memdeep, tmp_path, ASKED)
    process = found.process(5_000_000)
    phases = read_json(tmp_path / "run" / "report.json")["phases"]
    assert found.by(5_000_000) == "here"
    assert phases[process["started_by"]["phase"]]["name"] == "ask"


# The child has begun a moment later, when another phase is open in the parent.
FORKED = """
import os
import time
from memdeep import phase

with phase("fork"):
    pid = os.fork()  # here
if not pid:
    block = bytearray(5_000_000)
    time.sleep(0.2)
    os._exit(0)
with phase("wait"):
    os.waitpid(pid, 0)
"""


def test_a_fork_began_in_the_phase_that_forked(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    found = started(run_memdeep, tmp_path, FORKED)
    process = found.process(5_000_000)
    phases = read_json(tmp_path / "run" / "report.json")["phases"]
    assert found.by(5_000_000) == "here"
    assert phases[process["started_by"]["phase"]]["name"] == "fork"
