"""Time to compare two runs of three thousand phases, against the reports that it begins with."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands

PHASES = 3000
BOUND_S = 3.0
PROGRAM = """\
from memdeep import phase

kept = []
for number in range({phases}):
    with phase(f"{name}"):
        kept.append(bytes({size}))
"""


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print the median times for phases of the same names, and for those of other names."""
    table = Table(title=f"memdeep diff of two runs of {PHASES:,} phases (bound: {BOUND_S:.0f} s)")
    table.add_column("phases after")
    for column in ("two reports", "memdeep diff"):
        table.add_column(column, justify="right")
    versions = {
        "before": ("day {number}", 3000),
        "some larger": ("day {number}", "3000 + (number % 7 == 0) * 20000"),
        "all renamed and larger": ("第{number}天", 23000),
    }
    memdeep = [sys.executable, "-m", "memdeep"]
    for title, (name, size) in versions.items():
        program = place / "phases.py"
        program.write_text(PROGRAM.format(phases=PHASES, name=name, size=size), "utf-8")
        how = ["run", "--quiet", "--force", "--deep", "--no-native", "--no-report"]
        commands.seconds([*memdeep, *how, "-o", str(place / title), str(program)])
        if title == "before":
            continue
        before, after = str(place / "before"), str(place / title)
        times = commands.side_by_side(
            {
                "report": [*memdeep, "report", "--quiet", after],
                "diff": [*memdeep, "diff", before, after, "-o", str(place / "diff.txt")],
            },
            rounds,
        )
        reports_s = 2 * median(times["report"])
        table.add_row(title, f"{reports_s:.2f} s", f"{median(times['diff']):.2f} s")
    console.print(table)
