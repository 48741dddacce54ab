"""Cost of ten real programs, most of them short: plain, under `memray run`, under `memdeep run`.

memray follows forks here and records native frames, as memdeep does. Time and processor time of
memdeep are told in two parts: until the program has ended, and what it took after that for the
report. Each is divided by memray's of the same round.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands
from benchmarks.reports import PANDAS

NOTED = Path(__file__).parent / "programs" / "noted.py"
SCALE = "0.1"  # of the bundled backtest

JSON = """
import json
rows = [{"id": number, "name": f"row {number}", "values": [number, number / 3, None, True]}
        for number in range(20_000)]
for _ in range(5):
    rows = json.loads(json.dumps(rows))
"""

PANDAS_JOB = """
import pandas
table = pandas.DataFrame({"day": [number % 250 for number in range(100_000)],
                          "price": [number * 0.25 for number in range(100_000)]})
print(table.groupby("day").price.agg(["mean", "max"]).rolling(5).mean().sum().round(2).to_dict())
"""

TESTS = """
import pytest

@pytest.fixture
def rows():
    return list(range(1000))

@pytest.mark.parametrize("number", range(50))
def test_row(rows, number):
    assert rows[number] == number
"""

THREADS = """
import zlib
from concurrent.futures import ThreadPoolExecutor

def squeeze(number):
    text = "".join(f"{number} {row}\\n" for row in range(5000)).encode()
    return len(zlib.compress(text))

with ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(squeeze, range(200))))
"""

STARTS = """
import subprocess
for number in range(60):
    subprocess.run(["true"], check=True)
    subprocess.run(["echo", str(number)], check=True, capture_output=True, text=True)
"""

HTTP = """
import asyncio

async def answer(reader, writer):
    while line := await reader.readline():
        while (await reader.readline()).strip():
            pass
        body = line * 20
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
        await writer.drain()
    writer.close()

async def ask(port, count):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(count):
        writer.write(b"GET /%d HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n" % number)
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        await reader.readexactly(int(head.split(b"Content-Length:")[1].split()[0]))
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.gather(*(ask(port, 200) for _ in range(10)))
    server.close()

asyncio.run(main())
"""

JINJA = """
from jinja2 import Environment
template = Environment(autoescape=True).from_string(
    "<table>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>"
    "{% endfor %}</table>")
rows = [[f"<{number}>", number, number * 2] for number in range(5000)]
print(sum(len(template.render(rows=rows)) for _ in range(5)))
"""

MODULE = """
from dataclasses import dataclass

@dataclass
class Row{number}:
    day : int
    price : float = 0.0

    def value( self,factor ) :
        return {{'day':self.day,'value':[self.price*factor for _ in range( {number} )]}}
"""


def programs(place: Path) -> dict[str, list[str]]:
    """Write the programs to ``place``; return the words that start each, after `python`.

    Those of packages that are not installed are left out.
    """
    texts = {
        "json": JSON,
        "pandas": PANDAS_JOB,
        "threads": THREADS,
        "subprocesses": STARTS,
        "asyncio, http": HTTP,
        "jinja2": JINJA,
    }
    module = place / "module.py"
    module.write_text("".join(MODULE.format(number=number) for number in range(60)), "utf-8")
    tests = place / "test_rows.py"
    tests.write_text(TESTS, "utf-8")
    found = {"pass": ["-c", "pass"]}
    for title, text in texts.items():
        program = place / f"{title.partition(',')[0]}_job.py"  # not to be taken for the package
        program.write_text(text, "utf-8")
        found[title] = [str(program)]
    settings = place / "pytest.ini"
    settings.write_text("[pytest]\n", "utf-8")
    flags = ["-q", "-p", "no:cacheprovider", "-c", str(settings)]
    found["pytest"] = ["-m", "pytest", *flags, str(tests)]
    if find_spec("black") is not None:
        found["black"] = ["-m", "black", "--diff", "--quiet", str(module)]
    found["mypy"] = ["-m", "mypy", "--config-file=", f"--cache-dir={os.devnull}", str(module)]
    found["backtest"] = commands.backtest(SCALE)
    found["backtesting"] = [str(PANDAS)]
    return found


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of a program; what came after its end is 0 where nothing does.

    ``own_peak_bytes`` is the highest memory of the process that records it from outside.
    """

    seconds: float
    cpu_s: float
    after_s: float = 0.0
    after_cpu_s: float = 0.0
    own_peak_bytes: int = 0


def _turn(words: Sequence[str]) -> Turn:
    cost = commands.cost(words)
    return Turn(cost.seconds, cost.cpu_s)


def _plain(place: Path, program: Sequence[str]) -> Turn:
    return _turn([sys.executable, *program])


def _memray(place: Path, program: Sequence[str]) -> Turn:
    flags = ["--quiet", "--force", "--native", "--follow-fork", "-o", str(place / "capture.bin")]
    return _turn([sys.executable, "-m", "memray", "run", *flags, *program])


def _memdeep(place: Path, program: Sequence[str], *flags: str) -> Turn:
    notes = place / "notes.json"
    run = ["run", "--quiet", "--force", "-o", str(place / "run"), *flags, *program]
    begin_s = time.monotonic()
    whole = commands.cost([sys.executable, str(NOTED), str(notes), *run])
    noted = json.loads(notes.read_text("utf-8"))
    until_s = noted["program_end_s"] - begin_s
    return Turn(
        until_s,
        noted["program_cpu_s"],
        whole.seconds - until_s,
        whole.cpu_s - noted["program_cpu_s"],
        noted["own_peak_bytes"] or 0,
    )


# Each way to run a program, by the title of its column: one more is one more line.
WAYS: Mapping[str, Callable[[Path, Sequence[str]], Turn]] = {
    "plain": _plain,
    "memray": _memray,
    "memdeep": _memdeep,
    # So little of the disk that captures of a megabyte are followed, and given back.
    "memdeep + follow": lambda place, program: _memdeep(place, program, "--disk", "2M"),
}
RECORDED = [title for title in WAYS if title not in ("plain", "memray")]


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print tables of what was measured on all processors, and pinned to one of them."""
    _measure(console, place, rounds, "on all processors")
    if hasattr(os, "sched_setaffinity"):
        with _pinned():
            _measure(console, place, rounds, "pinned to one")


def _measure(console: Console, place: Path, rounds: int, where: str) -> None:
    before = os.getloadavg()[0]
    turns = {title: _turns(place, words, rounds) for title, words in programs(place).items()}
    load = f"load {before:.1f} to {os.getloadavg()[0]:.1f}"
    for way in RECORDED:
        table = Table(title=f"{way}, {where}, {rounds} rounds in turns, {load}")
        table.add_column("program")
        for column in ("plain", "memray", way, "÷ memray", "CPU ÷", "after", "its CPU", "memory"):
            table.add_column(column, justify="right")
        for title, found in turns.items():
            table.add_row(title, *_cells(found, way))
        console.print(table)
    console.print("after: from the program's end to memdeep's; memory: highest of memdeep itself")


def _turns(place: Path, program: Sequence[str], rounds: int) -> dict[str, list[Turn]]:
    """Run a program in every way, in turns, so that a busy moment hits all alike."""
    names = list(WAYS)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            turns[name].append(WAYS[name](place, program))
    return turns


def _cells(found: Mapping[str, Sequence[Turn]], way: str) -> Iterator[str]:
    for name in ("plain", "memray", way):
        yield f"{median(one.seconds for one in found[name]):.2f} s"
    turns, memray = found[way], found["memray"]
    yield f"{commands.ratio([one.seconds for one in turns], [one.seconds for one in memray]):.2f}"
    yield f"{commands.ratio([one.cpu_s for one in turns], [one.cpu_s for one in memray]):.2f}"
    yield f"{median(one.after_s for one in turns):.2f} s"
    yield f"{median(one.after_cpu_s for one in turns):.2f} s"
    yield f"{max(one.own_peak_bytes for one in turns) / (1 << 20):.0f} MB"


@contextmanager
def _pinned() -> Iterator[None]:
    """Let this process, and those that it starts, run on one processor alone."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
