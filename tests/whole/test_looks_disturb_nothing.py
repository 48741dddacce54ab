"""With looks at who holds the objects a run has the same figures as without them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import environment

pytest.importorskip("memdeep.record._holders")
MB = 1_000_000

CODE = """
import time
import memdeep

kept = {}
with memdeep.phase("load"):
    kept["rows"] = [[float(number), str(number)] for number in range(800_000)]
for number in range(3):
    with memdeep.phase("pass"):
        kept[number] = [bytes(1000) for _ in range(5_000)]
        time.sleep(0.4)
"""


def report(tmp_path: Path, *options: str) -> dict[str, Any]:
    (tmp_path / "job.py").write_text(CODE)
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "--no-native", "--force"]
    done = subprocess.run(
        [*command, "--deep", "--sample-interval", "0.02", "-o", "run", *options, "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads((tmp_path / "run" / "report.json").read_bytes())
    return made


def test_a_run_is_the_same_with_looks(tmp_path: Path) -> None:
    without = report(tmp_path)
    peak = without["peak_rss_bytes"]
    # Counted with the child, which sees all that the program has, it would be about twice that.
    critical = ["--critical-mb", str(round(peak / MB * 1.4))]
    looks = report(tmp_path, "--holders-at", "*", *critical)
    assert looks["snapshots"]
    assert len(looks["checkpoints"]) == len(without["checkpoints"])  # none over the limit
    for one, other in zip(looks["checkpoints"], without["checkpoints"], strict=True):
        assert one["heap_bytes"] == pytest.approx(other["heap_bytes"], abs=0.1 * MB)
    assert looks["peak_heap_bytes"] == pytest.approx(without["peak_heap_bytes"], abs=0.1 * MB)
    assert len(looks["processes"]) == len(without["processes"])
    assert looks["peak_rss_bytes"] == pytest.approx(peak, rel=0.1)
    assert looks["stack_dumps"] == []


# Each table goes when its function returns, and tells so: none waits for the collector.
RETURNS = """
import threading
import memdeep


class Table:
    def __init__(self, number):
        self.number = number
        self.rows = bytearray(30_000_000)

    def __del__(self):
        print("gone", self.number)


def job(number):
    table = Table(number)
    with memdeep.phase("job"):
        rows = bytearray(20_000_000)
    return number


for number in range(3):
    job(number)
    print("returned", number)
other = threading.Thread(target=job, args=(3,))
other.start()
other.join()
print("joined")
"""


@pytest.mark.parametrize("options", [[], ["--deep"]])
def test_a_look_keeps_nothing_alive(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "job.py").write_text(RETURNS)
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "--no-native", "-o", "run"]
    done = subprocess.run(
        [*command, "--holders-at", "job", *options, "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [f"{what} {number}" for number in range(3) for what in ("gone", "returned")]
    assert done.stdout.splitlines() == [*lines, "gone 3", "joined"]
    made = json.loads((tmp_path / "run" / "report.json").read_bytes())
    assert made["snapshots"]
    assert made["peak_heap_bytes"] < 52 * MB


# What libraries want done before a fork would wait for ever: OpenBLAS for threads that are at work.
MULTIPLIES = """
import threading
import time

import memdeep
import numpy

products = [0]
is_over = threading.Event()


def multiply():
    matrix = numpy.random.rand(400, 400)
    while not is_over.is_set():
        matrix @ matrix
        products[0] += 1


threads = [threading.Thread(target=multiply) for _ in range(4)]
for thread in threads:
    thread.start()
for number in range(20):
    before = products[0]
    memdeep.checkpoint(f"look {number}")
    while products[0] == before:
        time.sleep(0.001)
is_over.set()
for thread in threads:
    thread.join()
print("done")
"""


@pytest.mark.parametrize("deep", [(), ("--deep",)], ids=["arenas", "deep"])
def test_threads_within_a_library_go_on(tmp_path: Path, deep: tuple[str, ...]) -> None:
    pytest.importorskip("numpy")
    (tmp_path / "job.py").write_text(MULTIPLIES)
    options = ["--quiet", "--no-native", "--holders-at", "look*", *deep, "-o", "run"]
    done = subprocess.run(
        [sys.executable, "-m", "memdeep", "run", *options, "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    made = json.loads((tmp_path / "run" / "report.json").read_bytes())
    assert len(made["snapshots"]) >= 5
