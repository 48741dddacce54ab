"""Speed of the replay of captures, and of whole reports against memray's commands."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands
from benchmarks.reports import PANDAS
from memdeep.heap.replay.engine import replay
from memdeep.rundir.directory import RunDirectory
from memdeep.text.units import size

DEEP_COPIES = Path(__file__).parent / "programs" / "deep_copies.py"
PHASES = 30
COPIES = 60  # about 16 million allocations
GROWTH = (1, 2, 4, 8)
CHECKPOINTS = (10, 100, 1000, 10_000)
GROWTH_COPIES = 8


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print the speed of the replay, and of reports beside memray's."""
    captures = {
        "16 M allocations, Python's": _copies(place / "many", COPIES, PHASES),
        "pandas, native": _recorded(place / "pandas", "--native", str(PANDAS)),
        "80 M allocations, Python's": _copies(place / "more", 5 * COPIES, PHASES),
    }
    _measure_replay(console, captures, rounds)
    _measure_reports(console, place, captures, rounds)
    _measure_growth(console, place, rounds)


def _copies(directory: Path, copies: int, checkpoints: int) -> RunDirectory:
    program = (str(DEEP_COPIES), str(copies), str(checkpoints))
    return _recorded(directory, "--no-native", "--trace-python-allocators", *program)


def _recorded(directory: Path, *words: str) -> RunDirectory:
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    commands.seconds([*command, "-o", str(directory), *words])
    return RunDirectory(directory)


def _replay_s(run_dir: RunDirectory) -> tuple[float, int]:
    """Return the seconds of one replay, and the number of its records."""
    start = time.perf_counter()
    trace = replay(run_dir.capture(), lambda step: None)
    return time.perf_counter() - start, trace.totals.records


def _measure_replay(console: Console, captures: dict[str, RunDirectory], rounds: int) -> None:
    table = Table(title="The replay alone")
    table.add_column("capture")
    for column in ("size", "records", "time", "records/s"):
        table.add_column(column, justify="right")
    for title, run_dir in captures.items():
        turns = [_replay_s(run_dir) for _ in range(rounds)]
        took_s, records = median(seconds for seconds, _ in turns), turns[0][1]
        table.add_row(
            title,
            size(run_dir.capture().stat().st_size),
            f"{records / 1e6:.1f} M",
            f"{took_s:.2f} s",
            f"{records / took_s / 1e6:.0f} M",
        )
    console.print(table)


def _measure_reports(
    console: Console, place: Path, captures: dict[str, RunDirectory], rounds: int
) -> None:
    table = Table(title=f"Whole reports ({PHASES} phases), medians of {rounds}: time, CPU, memory")
    table.add_column("capture")
    ratios = ("÷ flamegraph", "÷ its CPU")
    for column in ("memdeep report", "flamegraph", "… --temporal", "stats", *ratios):
        table.add_column(column, justify="right")
    for title, run_dir in captures.items():
        capture = str(run_dir.capture())
        report = [sys.executable, "-m", "memdeep", "report", "--quiet", str(run_dir.path)]
        memray = [sys.executable, "-m", "memray"]
        page = ["--force", "--output", str(place / "flamegraph.html"), capture]
        costs = commands.costs_side_by_side(
            {
                "memdeep": report,
                "flamegraph": [*memray, "flamegraph", *page],
                "temporal": [*memray, "flamegraph", "--temporal", *page],
                "stats": [*memray, "stats", capture],
            },
            rounds,
        )
        pair = costs["memdeep"], costs["flamegraph"]
        times = [[one.seconds for one in turns] for turns in pair]
        cpu_times = [[one.cpu_s for one in turns] for turns in pair]
        table.add_row(
            title,
            *(
                f"{median(one.seconds for one in turns):.2f} s\n"
                f"{median(one.cpu_s for one in turns):.2f} s\n"
                f"{size(max(one.peak_bytes for one in turns))}"
                for turns in costs.values()
            ),
            f"{commands.ratio(*times):.2f}",
            f"{commands.ratio(*cpu_times):.2f}",
        )
    console.print(table)


def _measure_growth(console: Console, place: Path, rounds: int) -> None:
    table = Table(title="How the time grows")
    table.add_column("capture")
    for column in ("records", "replay", "whole report", "its CPU time", "peak memory"):
        table.add_column(column, justify="right")
    rows = [(GROWTH_COPIES * factor, PHASES, f"{factor} × the records") for factor in GROWTH]
    rows += [(GROWTH_COPIES, count, f"{count:,} checkpoints") for count in CHECKPOINTS]
    for copies, checkpoints, title in rows:
        run_dir = _copies(place / "grows", copies, checkpoints)
        command = [sys.executable, "-m", "memdeep", "report", "--quiet", str(run_dir.path)]
        turns = [_replay_s(run_dir) for _ in range(rounds)]
        costs = commands.costs_side_by_side({"report": command}, rounds)["report"]
        table.add_row(
            title,
            f"{turns[0][1] / 1e6:.1f} M",
            f"{median(seconds for seconds, _ in turns):.3f} s",
            f"{median(one.seconds for one in costs):.2f} s",
            f"{median(one.cpu_s for one in costs):.2f} s",
            size(max(one.peak_bytes for one in costs)),
        )
    console.print(table)
