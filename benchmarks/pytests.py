"""The cost of the plugin of pytest: on many tests that do nothing, and on tests that allocate."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands

TRIVIAL = """
import pytest

@pytest.mark.parametrize("number", range(300))
def test_it(number): assert number >= 0
"""
BUSY = """
import json, pytest

@pytest.mark.parametrize("number", range(20))
def test_it(number):
    rows = [{"name": str(row), "values": list(range(10))} for row in range(4000)]
    assert json.loads(json.dumps(rows)) == rows
"""


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print the seconds of each way to run the tests, and the ratios in pairs to memray's."""
    tests = {"300 that do nothing": TRIVIAL, "20 that allocate": BUSY}
    for number, (name, source) in enumerate(tests.items()):
        file = place / f"test_{number}.py"
        file.write_text(source, "utf-8")
        _measure(console, place, rounds, f"{name}", file)


def _measure(console: Console, place: Path, rounds: int, name: str, file: Path) -> None:
    table = Table(title=f"Tests: {name}, {rounds} rounds in turns")
    table.add_column("pytest")
    table.add_column("takes", justify="right")
    table.add_column("÷ memray run", justify="right")
    capture = ["-m", "memray", "run", "--quiet", "--force", "-o", str(place / "memray.bin")]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    recorded = [sys.executable, *tests, f"--memdeep={place / 'run'}"]
    ways = {
        "plain": [sys.executable, *tests],
        "memray run -m pytest": [sys.executable, *capture, *tests],
        "--memdeep, with its report": recorded,
        "--memdeep-phases=tests": [*recorded, "--memdeep-phases=tests"],
    }
    if find_spec("pytest_memray") is not None:
        ways["--memray (pytest-memray)"] = [sys.executable, *tests, "--memray"]
    times = commands.side_by_side(ways, rounds)
    for way, found in times.items():
        ratio = commands.ratio(found, times["memray run -m pytest"])
        table.add_row(way, f"{median(found):.2f} s", f"{ratio:.2f}")
    console.print(table)
