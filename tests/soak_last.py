"""`make soak-last`: a service with a checkpoint every few milliseconds under --last, for SOAK_S s.

What it leaves on the disk, and the memory of who follows it, must not grow with its duration:
after some days of a checkpoint a second they are what they are here. The figures are written to
SOAK_DIR and drawn there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from following import follower_of
from soak_follow import Row, plot, watched

PROGRAM = Path(__file__).parent / "programs" / "serves.py"
LAST_S = 20
PAUSE_S = 0.002
FIGURES = ("time_s", "journal_mb", "mappings_mb", "samples_mb", "state_mb", "memory_mb")


def row(run: Path, process: subprocess.Popen[bytes], since_s: float) -> Row:
    mb = 1 << 20
    taken = [
        sum(512 * path.stat().st_blocks for path in run.glob(name)) / mb
        for name in ("journal.jsonl", "mappings", "samples", "capture.state")
    ]
    follower = follower_of(process)
    memory = 0.0 if follower is None else follower.memory_info().rss / mb
    return (round(since_s, 1), *taken, memory)


def main() -> int:
    duration_s = float(os.environ.get("SOAK_S", "900"))
    directory = Path(os.environ.get("SOAK_DIR", "") or tempfile.mkdtemp(prefix="soak-last-"))
    run = directory / "run"
    words = ["run", "--quiet", "--last", f"{LAST_S}s", "-o", str(run), str(PROGRAM)]
    command = [sys.executable, "-m", "memdeep", *words, str(10**9), str(PAUSE_S)]
    with subprocess.Popen(command, cwd=directory) as process:
        rows = watched(directory, duration_s, lambda since_s: row(run, process, since_s))
        process.terminate()
        ended_s = time.monotonic()
        process.wait()
        took_s = time.monotonic() - ended_s
    plot(rows, directory / "figures.svg", FIGURES)
    events = json.loads(next(run.glob("condensed-*.json")).read_bytes())["events"]
    half = len(rows) // 2
    highest = [
        (name, max(one[place] for one in rows[:half]), max(one[place] for one in rows[half:]))
        for place, name in enumerate(FIGURES)
        if place
    ]
    print(
        f"{duration_s:.0f} s, {events:,} events merged; the end took {took_s:.2f} s ({directory})"
    )
    for name, before, after in highest:
        print(f"{name}: at most {before:.1f} in the first half, {after:.1f} in the second")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
