"""Cost of one checkpoint and one phase, recording and not, and of the readings at checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import calls, commands
from memdeep.rundir import journal, mappings

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


def measure_readings(console: Console, place: Path, scale: str, rounds: int) -> None:
    """Print the cost of the readings of the mappings over the backtest, as a part of its time."""
    run_dir = place / "readings"
    shares, counts = [], []
    for _ in range(rounds):
        commands.cost(commands.memdeep(scale, run_dir, "--no-report"))
        readings = mappings.decode((run_dir / "mappings").read_bytes())
        events, _ = journal.decode((run_dir / "journal.jsonl").read_bytes())
        run_ns = 1000 * max(event.time_us for event in events)
        shares.append(sum(reading.cost_ns for reading in readings) / run_ns)
        counts.append(len(readings))
    console.print(
        f"Readings of the mappings, backtest at scale {scale}: {100 * median(shares):.2f} % of the "
        f"run's time for {median(counts):.0f} readings (median of {rounds} rounds)"
    )


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
