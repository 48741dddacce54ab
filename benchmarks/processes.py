"""Cost of processes that a program starts: plain, under `memray run --follow-fork`, and memdeep."""

from __future__ import annotations

import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copy, rmtree
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands

HOOK = Path(__file__).parent.parent / "memdeep" / "record" / "children.pth"
HOOK_NAME = "memdeep_children.pth"
WORKERS = 8
MOST = "10000"  # the most that --most-children takes
FORKS = 40
STARTS = 5
DEPTH = 27  # of a recursion
REPORTED = (1, 16, 64)
MB = 1_000_000

# Each is given the file for its figures, and a number.
FORK = """
import os, sys, time

count = int(sys.argv[2])
start = time.perf_counter()
for _ in range(count):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
open(sys.argv[1], "w").write(str((time.perf_counter() - start) / count))
"""

START = """
import subprocess, sys, time

count, words = int(sys.argv[2]), sys.argv[3:]
start = time.perf_counter()
for _ in range(count):
    subprocess.run(words, check=True)
open(sys.argv[1], "w").write(str((time.perf_counter() - start) / count))
"""

POOL = f"""
import multiprocessing, sys, time

def backtest(number):
    rows = [(day, day * 0.5) for day in range(20_000)]
    found = {{}}
    for day, price in rows:
        found[day % 100] = found.get(day % 100, 0) + price
    return len(found)

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Pool({WORKERS}) as pool:
        pool.map(backtest, range({WORKERS}))
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < float(sys.argv[2]):
            count += len(pool.map(backtest, range(10 * {WORKERS}), chunksize=10))
        open(sys.argv[1], "w").write(str(count / (time.perf_counter() - start)))
"""

COMPUTE = """
import os, sys, time

def compute(count):
    return count if count < 2 else compute(count - 1) + compute(count - 2)

pid = os.fork()
if pid == 0:
    compute(int(sys.argv[2]))
    open(sys.argv[1], "w").write(str(time.process_time()))
    os._exit(0)
os.waitpid(pid, 0)
"""

HOLD = """
import os, sys

def hold(depth):
    return [bytearray(5000) for _ in range(200)] if depth == 0 else hold(depth - 1)

table = [(number, str(number)) for number in range(20000)]
for _ in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        held = [hold(depth) for depth in range(20)]
        os._exit(0)
    os.waitpid(pid, 0)
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that writes a figure; ``starts`` are the words of the child that it is to start."""

    file: str
    number: float
    starts: Mapping[str, Sequence[str]] = field(default_factory=dict)


def measure(console: Console, place: Path, children: int, rounds: int) -> None:
    """Print what a child costs, what ``children`` of them do, and what the report on them takes."""
    place = place / "processes"
    place.mkdir()
    _measure_starts(console, place, rounds)
    _measure_running(console, place, children / 200, rounds)
    _measure_many(console, place, children)
    _measure_reports(console, place, rounds)


def _measure_starts(console: Console, place: Path, rounds: int) -> None:
    table = Table(title=f"One child from its start to its end, {rounds} rounds in turns")
    table.add_column("child")
    for column in ("plain", "memray", "memdeep", "memdeep − memray", "memdeep ÷ memray"):
        table.add_column(column, justify="right")
    fork = Program(_file(place, "fork", FORK), FORKS)
    times = _in_turns(place, fork, _ways(place, "--most-children", MOST), rounds)
    table.add_row("fork, _exit, wait", *_compared(times))
    child = [sys.executable, "-c", "pass"]
    memray = [sys.executable, "-m", "memray", "run", "--quiet", "--force"]
    memray += ["--output", str(place / "child.bin"), "-c", "pass"]
    words = {"plain": child, "memray": memray, "memdeep": child}
    start = Program(_file(place, "start", START), STARTS, words)
    ways = _ways(place)
    times = _in_turns(place, start, {**ways, "memray": ways["plain"]}, rounds)
    table.add_row("python -c pass", *_compared(times))
    console.print(table)
    _measure_unset(console, place, 10 * rounds)


def _measure_unset(console: Console, place: Path, rounds: int) -> None:
    bare, hooked = _environment(place / "bare"), _environment(place / "hooked")
    for packages in (place / "hooked").glob("lib/python*/site-packages"):
        copy(HOOK, packages / HOOK_NAME)
    pair = {"without": [bare, "-c", "pass"], "with": [hooked, "-c", "pass"]}
    times = commands.side_by_side(pair, rounds)
    console.print(
        f"python -c pass, not under memdeep, {rounds} rounds in turns: "
        f"{_milliseconds(times['without'])}; with {HOOK_NAME} {_milliseconds(times['with'])}, "
        f"ratio {commands.ratio(times['with'], times['without']):.3f}"
    )


def _measure_running(console: Console, place: Path, seconds: float, rounds: int) -> None:
    table = Table(title=f"Speed of forked processes, {rounds} rounds in turns: ÷ plain")
    table.add_column("program")
    names = ("memray", "memdeep", "--children none", "--most-children 0")
    for name in names:
        table.add_column(name, justify="right")
    ways = _ways(place)
    for name in names[2:]:
        ways[name] = _memdeep(place, *name.split())
    done = _in_turns(place, Program(_file(place, "pool", POOL), seconds), ways, rounds)
    rates = [f"{commands.ratio(done[name], done['plain']):.2f}" for name in names]
    table.add_row(f"pool of {WORKERS} for {seconds:g} s, tasks done", *rates)
    compute = Program(_file(place, "compute", COMPUTE), DEPTH)
    times = _in_turns(place, compute, ways, rounds)
    slower = [f"{commands.ratio(times[name], times['plain']):.2f}" for name in names]
    table.add_row("pure Python, processor time", *slower)
    console.print(table)


def _measure_many(console: Console, place: Path, children: int) -> None:
    table = Table(title=f"{children:,} forked children that do nothing")
    table.add_column("recorded by")
    for column in ("takes", "on disk", "report takes", "report.json", "report.html"):
        table.add_column(column, justify="right")
    fork = _file(place, "fork", FORK)
    ways = _ways(place)
    ways[f"memdeep --most-children {MOST}"] = _memdeep(place, "--most-children", MOST)
    for name, words in ways.items():
        _clear(place)
        took_s = commands.seconds([*words, fork, str(place / "figure"), str(children)])
        cells = [f"{took_s:.1f} s", f"{_size(place / 'recorded') / MB:.1f} MB"]
        if name.startswith("memdeep"):
            run_dir = place / "recorded" / "run"
            report_s = commands.seconds(_report(run_dir))
            cells.append(f"{report_s:.1f} s")
            for output in ("report.json", "report.html"):
                cells.append(f"{(run_dir / output).stat().st_size / MB:.2f} MB")
        table.add_row(name, *cells)
    console.print(table)


def _measure_reports(console: Console, place: Path, rounds: int) -> None:
    table = Table(title=f"Report on forked children, {rounds} rounds in turns")
    for column in ("children", "memdeep report", "per child more"):
        table.add_column(column, justify="right")
    hold = _file(place, "hold", HOLD)
    reports = {}
    for count in REPORTED:
        run_dir = place / f"held-{count}"
        words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
        commands.seconds([*words, "-o", str(run_dir), hold, "", str(count)])
        reports[str(count)] = _report(run_dir)
    times = commands.side_by_side(reports, rounds)
    first = median(times[str(REPORTED[0])])
    for count in REPORTED:
        took_s = median(times[str(count)])
        more = (took_s - first) / max(1, count - REPORTED[0])
        table.add_row(str(count), f"{took_s:.2f} s", f"{more * 1000:.1f} ms" if more else "")
    console.print(table)


def _ways(place: Path, *flags: str) -> dict[str, list[str]]:
    memray = [sys.executable, "-m", "memray", "run", "--quiet", "--force", "--follow-fork"]
    return {
        "plain": [sys.executable],
        "memray": [*memray, "--output", str(place / "recorded" / "capture.bin")],
        "memdeep": _memdeep(place, *flags),
    }


def _memdeep(place: Path, *flags: str) -> list[str]:
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    return [*words, "--no-native", *flags, "--output", str(place / "recorded" / "run")]


def _report(run_dir: Path) -> list[str]:
    return [sys.executable, "-m", "memdeep", "report", "--quiet", str(run_dir)]


def _file(place: Path, name: str, program: str) -> str:
    path = place / f"{name}.py"
    path.write_text(program, "utf-8")
    return str(path)


def _environment(path: Path) -> str:
    """Make an environment without any package; return its Python."""
    venv.create(path, symlinks=True)
    return str(path / "bin" / "python")


def _in_turns(
    place: Path, program: Program, ways: Mapping[str, Sequence[str]], rounds: int
) -> dict[str, list[float]]:
    """Return the figure that ``program`` writes, by each of the ways, round by round."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    figure = place / "figure"
    for _ in range(rounds):
        for name, words in ways.items():
            _clear(place)
            starts = program.starts.get(name, ())
            commands.seconds([*words, program.file, str(figure), f"{program.number:g}", *starts])
            figures[name].append(float(figure.read_text()))
    return figures


def _clear(place: Path) -> None:
    rmtree(place / "recorded", ignore_errors=True)
    (place / "recorded").mkdir()


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _compared(times: Mapping[str, Sequence[float]]) -> list[str]:
    plain, memray, memdeep = (times[name] for name in ("plain", "memray", "memdeep"))
    more = [one - other for one, other in zip(memdeep, memray, strict=True)]
    cells = [_milliseconds(found) for found in (plain, memray, memdeep, more)]
    return [*cells, f"{commands.ratio(memdeep, memray):.2f}"]


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1000:.1f} ms"
