"""How soon memdeep answers: the help, and a report on a run so small that imports are all of it."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands

SMALL = Path(__file__).parent.parent / "tests" / "programs" / "known_bytes.py"


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print the medians, and the ratios in pairs to a process that imports memray."""
    table = Table(title=f"From the start of the process to its end, {rounds} rounds in turns")
    table.add_column("process")
    table.add_column("takes", justify="right")
    table.add_column("÷ import memray", justify="right")
    run_dir = str(place / "small")
    memdeep = [sys.executable, "-m", "memdeep"]
    flamegraph = [sys.executable, "-m", "memray", "flamegraph", "--force", "-o", str(place / "f")]
    commands.seconds(
        [*memdeep, "run", "--quiet", "--force", "--no-report", "-o", run_dir, str(SMALL)]
    )
    times = commands.side_by_side(
        {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import memray": [sys.executable, "-c", "import memray"],
            "memdeep --version": [*memdeep, "--version"],
            "memdeep --help": [*memdeep, "--help"],
            "memdeep report, small run": [*memdeep, "report", "--quiet", run_dir],
            "memray flamegraph, same run": [*flamegraph, str(place / "small" / "capture.bin")],
        },
        rounds,
    )
    for name, found in times.items():
        ratio = commands.ratio(found, times["import memray"])
        table.add_row(name, f"{median(found) * 1000:.0f} ms", f"{ratio:.2f}")
    console.print(table)
