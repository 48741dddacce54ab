"""Cost of the whole backtest: plain Python, `memray run` and `memdeep run`."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands


def measure(console: Console, place: Path, scale: str, rounds: int) -> None:
    """Print the medians, and memdeep over memray in pairs."""
    table = Table(title=f"Whole run of the backtest, scale {scale}, {rounds} rounds in turns")
    for column in ("flags", "plain", "memray run", "memdeep run", "memray ÷ plain"):
        table.add_column(column, justify="left" if column == "flags" else "right")
    table.add_column("memdeep ÷ memray", justify="right")
    for title, memray_flags, memdeep_flags in (
        ("native", ["--native"], ["--native"]),
        ("no native", [], ["--no-native"]),
    ):
        times = commands.side_by_side(
            {
                "plain": commands.plain(scale),
                "memray": commands.memray(scale, place / "capture.bin", *memray_flags),
                "memdeep": commands.memdeep(scale, place / "run", "--no-report", *memdeep_flags),
            },
            rounds,
        )
        table.add_row(
            title,
            *(f"{median(times[name]):.2f} s" for name in ("plain", "memray", "memdeep")),
            f"{commands.ratio(times['memray'], times['plain']):.2f}",
            f"{commands.ratio(times['memdeep'], times['memray']):.3f}",
        )
    console.print(table)


def measure_lighter(console: Console, place: Path, rounds: int) -> None:
    """Print the cost of the lighter ways to record the full backtest, over plain Python."""
    table = Table(title=f"Lighter ways to record the full backtest, {rounds} rounds in turns")
    table.add_column("memdeep run")
    for column in ("plain", "recorded", "recorded ÷ plain"):
        table.add_column(column, justify="right")
    ways = {
        "--focus 加载config": ["--focus", "加载config"],
        "--backend rss": ["--backend", "rss"],
    }
    run_dir = place / "lighter"
    times = commands.side_by_side(
        {"plain": commands.plain("1.0")}
        | {
            way: commands.memdeep("1.0", run_dir, "--no-report", *flags)
            for way, flags in ways.items()
        },
        rounds,
    )
    for way in ways:
        table.add_row(
            way,
            f"{median(times['plain']):.2f} s",
            f"{median(times[way]):.2f} s",
            f"{commands.ratio(times[way], times['plain']):.2f}",
        )
    console.print(table)
