"""Time to make a report, against `memray flamegraph` on the same capture."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands

PANDAS = Path(__file__).parent.parent / "tests" / "programs" / "backtesting_sma_cross.py"


def measure(console: Console, place: Path, scale: str, rounds: int) -> None:
    """Print the medians and the ratio in pairs."""
    table = Table(title="Making the report from the same capture")
    table.add_column("capture")
    for column in ("memray flamegraph", "memdeep report", "memdeep ÷ memray"):
        table.add_column(column, justify="right")
    captures = {
        "backtest, native": commands.backtest(scale),
        "backtesting with pandas, native": [str(PANDAS)],
    }
    for title, program in captures.items():
        run_dir = place / "reported"
        words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
        commands.seconds([*words, "-o", str(run_dir), *program])
        flamegraph = [sys.executable, "-m", "memray", "flamegraph", "--force", "--output"]
        times = commands.side_by_side(
            {
                "memray": [*flamegraph, str(place / "f.html"), str(run_dir / "capture.bin")],
                "memdeep": [sys.executable, "-m", "memdeep", "report", "--quiet", str(run_dir)],
            },
            rounds,
        )
        table.add_row(
            title,
            *(f"{median(times[name]):.2f} s" for name in ("memray", "memdeep")),
            f"{commands.ratio(times['memdeep'], times['memray']):.2f}",
        )
    console.print(table)
