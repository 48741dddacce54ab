"""What one checkpoint and one phase cost, recording and not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

PROGRAM = """
import json, sys, time
from memdeep import checkpoint, phase

def times(call, count):
    found = []
    for _ in range(count):
        start = time.perf_counter_ns()
        call()
        found.append(time.perf_counter_ns() - start)
    return found

def enter():
    with phase("Phase1"):
        pass

def nothing():
    pass

count = int(sys.argv[1])
figures = {
    "checkpoint": times(lambda: checkpoint("加载config_AFTER", "config大小估计~512KB"), count),
    "phase": times(enter, count),
    "nothing": times(nothing, count),
}
json.dump(figures, open(sys.argv[2], "w"))
"""


def measure(console: Console, place: Path) -> None:
    """Print medians and 99th percentiles in microseconds, less an empty call."""
    table = Table(title="Cost of a call, microseconds")
    table.add_column("mode")
    for column in ("checkpoint, median", "99 %", "phase, median", "99 %"):
        table.add_column(column, justify="right")
    program = place / "calls.py"
    program.write_text(PROGRAM, "utf-8")
    run = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    run += ["-o", str(place / "calls")]
    modes = {
        "not recording": [sys.executable],
        "recording": [*run, "--no-native"],
        "recording, native": run,
        "recording, native, deep": [*run, "--deep"],
    }
    for name, words in modes.items():
        figures = place / "figures.json"
        subprocess.run([*words, str(program), "20000", str(figures)], check=True)
        times = json.loads(figures.read_text())
        empty = median(times["nothing"])
        row = []
        for call in ("checkpoint", "phase"):
            ordered = sorted(times[call])
            for figure in (median(ordered), ordered[len(ordered) * 99 // 100]):
                row.append(f"{(figure - empty) / 1000:.2f}")
        table.add_row(name, *row)
    console.print(table)
