"""Cost of one checkpoint and one phase, recording and not."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from benchmarks import calls

CALLS = ("checkpoint", "phase")
PROGRAM = """
from memdeep import checkpoint, phase

def enter():
    with phase("Phase1"):
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
    table = calls.table("Cost of a call, microseconds", CALLS)
    program = place / "calls.py"
    program.write_text(calls.TIMING + PROGRAM, "utf-8")
    run = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    run += ["-o", str(place / "calls")]
    modes = {
        "not recording": [sys.executable],
        "recording": [*run, "--no-native"],
        "recording, native": run,
        "recording, native, deep": [*run, "--deep"],
    }
    for name, words in modes.items():
        table.add_row(name, *calls.cost_cells(words, program, CALLS))
    console.print(table)
