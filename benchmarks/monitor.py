"""Cost of one checkpoint of the drop-in monitor, and of its background while idle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import calls

CALLS = ("checkpoint", "context")
PROGRAM = """
from memory_monitor import init_global_monitor, memory_checkpoint, memory_context

def enter():
    with memory_context("Phase1"):
        pass

count, max_bytes = int(sys.argv[1]), int(sys.argv[3])
if max_bytes >= 0:
    init_global_monitor(log_file=sys.argv[2] + ".log", warning_threshold_mb=800,
                        critical_threshold_mb=950, max_bytes=max_bytes)
figures = {
    "checkpoint": times(lambda: memory_checkpoint("加载config_AFTER", "config~512KB"), count),
    "context": times(enter, count),
    "nothing": times(nothing, count),
}
json.dump(figures, open(sys.argv[2], "w"))
"""

IDLE = """
import sys, time
from memory_monitor import init_global_monitor

# A threshold that is always exceeded: each look writes a line.
init_global_monitor(log_file=sys.argv[1], warning_threshold_mb=1, check_interval=float(sys.argv[2]))
before = time.process_time()
time.sleep(float(sys.argv[3]))
print(time.process_time() - before)
"""


def measure(console: Console, place: Path) -> None:
    """Print microseconds of a call, less an empty one, and the background's share of a CPU.

    The background writes a line each time it looks, its dearest case.
    """
    _measure_calls(console, place)
    _measure_background(console, place)


def _measure_calls(console: Console, place: Path) -> None:
    title = "Cost of the monitor, the log line included, microseconds"
    table = calls.table(title, CALLS)
    program = place / "monitor_calls.py"
    program.write_text(calls.TIMING + PROGRAM, "utf-8")
    run = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    run += ["-o", str(place / "monitor_calls")]
    modes = {
        "no monitor": ([sys.executable], "-1"),
        "alone": ([sys.executable], "0"),
        "alone, log rotates at 1 MB": ([sys.executable], str(1024 * 1024)),
        "under memdeep run": (run, "0"),
    }
    for name, (words, max_bytes) in modes.items():
        table.add_row(name, *calls.cost_cells(words, program, CALLS, max_bytes))
    console.print(table)


def _measure_background(console: Console, place: Path) -> None:
    table = Table(title="CPU of the background")
    table.add_column("interval")
    table.add_column("CPU, %", justify="right")
    program = place / "monitor_idle.py"
    program.write_text(IDLE, "utf-8")
    for interval_s in (5.0, 0.1):
        slept_s = max(10.0, 2.2 * interval_s)
        words = [str(program), str(place / "idle.log"), str(interval_s), str(slept_s)]
        done = subprocess.run([sys.executable, *words], check=True, capture_output=True)
        table.add_row(f"{interval_s} s", f"{100 * float(done.stdout) / slept_s:.4f}")
    console.print(table)
