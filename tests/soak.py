"""`make soak`: eight threads with 10,000 checkpoints, killed at random times; nothing may be lost.

SOAK_RUNS (default: 50) programs that would run for SOAK_SECONDS (default: 180), SOAK_JOBS (default:
5) of them at a time. SOAK_SEED makes the times of death the same again.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(__file__).parent / "programs" / "soaks.py"
THREADS = 8
MARKER = re.compile(rb"\x0amemdeep:([0-9]{30})\x00")
KEPT_LINE = next(n for n, line in enumerate(TARGET.open(), 1) if line.rstrip().endswith("# KEPT"))
REPORT_TIMEOUT_S = 600


@dataclass(frozen=True)
class Soaked:
    """What one killed run left: the checkpoints of the journal, and how many have no marker."""

    lived_s: float
    checkpoints: int
    unplaced: int
    kept_bytes: int


def size_of(thread: int, step: int) -> int:
    """The bytes that the program keeps in a step; a bytearray has one more than it says."""
    return 1001 + (thread * 7919 + step * 104729) % 20_000


def soak(
    directory: Path, *, checkpoints: int, seconds: float, lives_s: float, with_parent: bool
) -> Soaked:
    """Run the program, kill it after ``lives_s``, and hold what is reported against what it did.

    ``with_parent`` says to kill memdeep too. Raises AssertionError.
    """
    run_dir, logs = directory / "run", directory / "logs"
    logs.mkdir(parents=True)
    words = ["run", "--quiet", "--no-native", "--no-report", "-o", str(run_dir), str(TARGET)]
    with _started(["-m", "memdeep", *words, str(logs), str(checkpoints), str(seconds)]) as parent:
        while not all((logs / str(thread)).exists() for thread in range(THREADS)):
            assert parent.poll() is None, "the program ended by itself"
            time.sleep(0.01)
        time.sleep(lives_s)
        if with_parent:
            os.killpg(parent.pid, signal.SIGKILL)
        else:
            os.kill(_program(run_dir), signal.SIGKILL)
        status = parent.wait(60)
    assert status == (-signal.SIGKILL if with_parent else 128 + signal.SIGKILL), status
    done = {thread: _steps(logs / str(thread)) for thread in range(THREADS)}
    journal = _journal(run_dir)
    placed = _markers(run_dir)
    _report(run_dir)
    return _check(run_dir, done, journal, placed, lives_s, with_parent)


def _check(
    run_dir: Path,
    done: dict[int, int],
    journal: dict[int, dict[str, object]],
    placed: list[int],
    lives_s: float,
    with_parent: bool,
) -> Soaked:
    report = json.loads((run_dir / "report.json").read_bytes())
    points = report["checkpoints"][1:-1]
    # Every checkpoint that was written is there, where its marker is in the program's order.
    assert len(placed) == len(set(placed))
    assert set(placed) <= set(journal), "a marker without a line"
    unplaced = sorted(set(journal) - set(placed))
    assert len(unplaced) <= THREADS, "more lines without a marker than threads"
    expected = [journal[number] for number in [*placed, *unplaced]]
    found = [(point["label"], round(point["time_s"] * 1e6)) for point in points]
    assert found == [(line["l"], line["t"]) for line in expected]
    assert all(point["heap_bytes"] is not None for point in points)
    problems = [p for p in report["problems"] if "never written to the journal" not in p]
    assert problems == []
    # Every checkpoint that the program knows of was written, and each thread's are in its order.
    seen: dict[int, int] = Counter()
    for point in points:
        thread, _, step = point["label"].partition(":")
        if step:
            assert int(step) == seen[int(thread)], "a thread's checkpoints are out of order"
            seen[int(thread)] += 1
    for thread, steps in done.items():
        assert steps <= seen[thread] <= steps + 1, (thread, steps, seen[thread])
    # The laws of the heap, and the bytes of the one line that keeps its allocations.
    heaps = [point["heap_bytes"] for point in report["checkpoints"]]
    threads = {phase["thread"] for phase in report["phases"]} - {None}
    for phase in report["phases"]:
        growth = phase["heap_delta_bytes"]
        assert phase["retained_bytes"] - phase["released_bytes"] == growth
        # Beside the phases of other threads it is charged with its own thread's heap only.
        if phase["repeats"] == 1 and len(threads) <= 1:
            assert growth == heaps[phase["end"]] - heaps[phase["start"]]
    kept_bytes = _kept_bytes(run_dir)
    known_bytes = sum(size_of(thread, step) for thread in seen for step in range(seen[thread]))
    # A thread may have kept the next piece already, and not have come to its checkpoint.
    sums = {0}
    for thread in range(THREADS):
        sums |= {sum_bytes + size_of(thread, seen[thread]) for sum_bytes in sums}
    assert kept_bytes - known_bytes in sums, (kept_bytes, known_bytes, sorted(sums))
    end = report["exit"]
    assert (end is None) if with_parent else (end["signal"] == "SIGKILL")
    return Soaked(lives_s, len(points), len(unplaced), kept_bytes)


def _kept_bytes(run_dir: Path) -> int:
    """What is alive at the end of what the line that keeps has allocated."""
    from memdeep import pipeline

    recording = pipeline.load(run_dir, lambda _: None)
    heap = recording.heap([], lambda step: None)
    tree = heap.tree
    lines = [
        any(f.lineno == KEPT_LINE and f.filename == str(TARGET) for f in tree.stack(node)[-1:])
        for node in range(len(tree.parents))
    ]
    return sum(life.bytes for life in heap.lifetimes if life.died is None and lines[life.node])


@contextmanager
def _started(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *words], start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _program(run_dir: Path) -> int:
    """The program's process: it wrote the journal's first line."""
    with open(run_dir / "journal.jsonl", "rb") as file:
        return int(json.loads(file.readline())["pid"])


def _steps(path: Path) -> int:
    lines = path.read_text().splitlines()
    assert lines == [str(step) for step in range(len(lines))]
    return len(lines)


def _journal(run_dir: Path) -> dict[int, dict[str, object]]:
    """The checkpoints by sequence number, without a torn last line."""
    found = {}
    for line in (run_dir / "journal.jsonl").read_bytes().split(b"\n")[:-1]:
        fields = json.loads(line)
        if fields["k"] in "CBE":
            assert fields["n"] not in found
            found[fields["n"]] = fields
    return found


def _markers(run_dir: Path) -> list[int]:
    """The numbers of the markers in the order of the capture, which is sealed if memdeep lived."""
    listed = run_dir / "markers"
    if listed.exists():
        return [int(line.split("\t")[1]) for line in listed.read_text().splitlines()]
    content = (run_dir / "capture.bin").read_bytes()
    return [int(match[1]) for match in MARKER.finditer(content)]


def _report(run_dir: Path) -> None:
    command = [sys.executable, "-m", "memdeep", "report", "--quiet", str(run_dir)]
    done = subprocess.run(command, capture_output=True, timeout=REPORT_TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr


def main() -> int:
    runs = int(os.environ.get("SOAK_RUNS", "50"))
    seconds = float(os.environ.get("SOAK_SECONDS", "180"))
    jobs = int(os.environ.get("SOAK_JOBS", "5"))
    seed = int(os.environ.get("SOAK_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"SOAK_SEED={seed}: {runs} runs, {jobs} at a time", flush=True)
    chance = random.Random(seed)
    deaths = [(chance.uniform(0, seconds * 0.95), number % 4 == 3) for number in range(runs)]
    results: list[Soaked] = []

    def one(number: int) -> Soaked:
        lives_s, with_parent = deaths[number]
        with tempfile.TemporaryDirectory() as directory:
            soaked = soak(
                Path(directory),
                checkpoints=10_000,
                seconds=seconds,
                lives_s=lives_s,
                with_parent=with_parent,
            )
        with_whom = " with memdeep" if with_parent else ""
        print(
            f"run {number}: killed{with_whom} after {lives_s:.1f} s, "
            f"{soaked.checkpoints:,} checkpoints, {soaked.unplaced} without a marker, "
            f"{soaked.kept_bytes:,} bytes kept",
            flush=True,
        )
        return soaked

    with ThreadPoolExecutor(jobs) as pool:
        results.extend(pool.map(one, range(runs)))
    total = sum(soaked.checkpoints for soaked in results)
    unplaced = sum(soaked.unplaced for soaked in results)
    print(f"{len(results)} runs killed, {total:,} checkpoints, all reported; {unplaced} unmarked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
