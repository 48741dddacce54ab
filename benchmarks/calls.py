"""Cost of single calls inside a program."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.table import Table

COUNT = 20_000

# Put before a program that writes its `times` to the file of its second argument.
TIMING = """
import json, sys, time

def times(call, count):
    found = []
    for _ in range(count):
        start = time.perf_counter_ns()
        call()
        found.append(time.perf_counter_ns() - start)
    return found

def nothing():
    pass
"""


def table(title: str, calls: Sequence[str]) -> Table:
    """Make a table with a row for each mode, and median and 99th percentile of each call."""
    made = Table(title=title)
    made.add_column("mode")
    for call in calls:
        made.add_column(f"{call}, median", justify="right")
        made.add_column("99 %", justify="right")
    return made


def cost_cells(
    words: Sequence[str], program: Path, calls: Sequence[str], *arguments: str
) -> list[str]:
    """Run ``program`` by ``words``; return its row's cells: microseconds less an empty call."""
    figures = program.with_suffix(".json")
    subprocess.run([*words, str(program), str(COUNT), str(figures), *arguments], check=True)
    times = json.loads(figures.read_text())
    empty = median(times["nothing"])
    cells = []
    for call in calls:
        ordered = sorted(times[call])
        for figure in (median(ordered), ordered[len(ordered) * 99 // 100]):
            cells.append(f"{(figure - empty) / 1000:.2f}")
    return cells
