"""Merging many workers: time and memory of their report, and what crosses the network of one."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from rich.console import Console
from rich.table import Table

from benchmarks import commands
from benchmarks.worker_copies import copies

MB = 1_000_000
COUNTS = (10, 100, 300, 1000)
SIZES = {
    "load": [100_001 + 1000 * number for number in range(40)],
    "score/prepare": [50_001 + 1000 * number for number in range(40)],
}

# Records four workers, each task of which allocates a size of its own.
SEED = """
import sys
import memdeep
from dask.distributed import Client, LocalCluster
from memdeep.integrations import dask as clusters

cache = {}

def load(number):
    return bytearray(100_000 + 1000 * number)

def score(number):
    with memdeep.phase("prepare"):
        cache[number] = bytearray(50_000 + 1000 * number)

def trade(number):
    rows = [(day, day * 0.5) for day in range(2_000)]
    found = {}
    for day, price in rows:
        found[day % 100] = found.get(day % 100, 0) + price
    return sum(found.values())

if __name__ == "__main__":
    options = {"n_workers": 4, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        with clusters.recording(client, sys.argv[1]):
            loaded = client.map(load, range(40))
            client.gather(client.map(score, range(40)))
            client.gather(client.map(trade, range(200)))
"""

SEAL = """
import sys
from pathlib import Path
from memdeep import pipeline
from memdeep.rundir.directory import RunDirectory

pipeline.seal(RunDirectory(Path(sys.argv[1])), lambda step: None)
"""

# Records two workers for some seconds, as if they were on other hosts.
JOB = """
import json, sys, time, zlib
from collections import Counter
from pathlib import Path
from dask.distributed import Client, LocalCluster
from memdeep.integrations import dask as clusters

def backtest(number):
    rows = [(day, day * 0.5) for day in range(20_000)]
    found = {}
    for day, price in rows:
        found[day % 100] = found.get(day % 100, 0) + price
    return len(found)

def tasks(client):
    client.gather([client.submit(backtest, number, pure=False) for number in range(20)])

def array(client):
    import dask.array
    table = dask.array.random.random((2000, 2000), chunks=(500, 500))
    (table @ table.T).sum().compute()

if __name__ == "__main__":
    into, job, seconds, deep = sys.argv[1:]
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        globals()[job](client)
        with clusters.recording(client, into, gather=True, deep=deep == "deep") as run:
            start = time.perf_counter()
            while time.perf_counter() - start < float(seconds):
                globals()[job](client)
            took_s = time.perf_counter() - start
    begun, parts = 0, Counter()
    for file in Path(into, "children").glob("*/*"):
        content = file.read_bytes()
        begun += content.count(b'"k":"B"') if file.name == "journal.jsonl" else 0
        parts[file.name] += len(zlib.compress(content, 1))
    gathered = run.gathered
    print(json.dumps([took_s, begun, gathered.bytes, gathered.sent_bytes, parts]))
"""


def measure(console: Console, place: Path, counts: Sequence[int] = COUNTS) -> None:
    """Print what the report on so many workers takes."""
    place = place / "workers"
    place.mkdir()
    program = _file(place, "seed", SEED)
    commands.seconds([sys.executable, program, str(place / "seed")])
    table = Table(title="Report on workers of a Dask cluster")
    table.add_column("workers", justify="right")
    columns = ("recorded", "report, CPU", "a worker", "peak memory", "a worker more")
    for column in (*columns, "report.json", "report.html"):
        table.add_column(column, justify="right")
    first: commands.Cost | None = None
    for count in counts:
        run_dir = place / "run"
        copies(place / "seed", run_dir, count, SIZES)
        commands.seconds([sys.executable, "-c", SEAL, str(run_dir)])
        size = sum(file.stat().st_size for file in run_dir.rglob("*") if file.is_file())
        cost = commands.cost([sys.executable, "-m", "memdeep", "report", "-q", str(run_dir)])
        more = ""
        if first is None:
            first, least = cost, count
        else:
            more = f"{(cost.peak_bytes - first.peak_bytes) / (count - least) / 1000:.0f} kB"
        table.add_row(
            f"{count:,}",
            f"{size / MB:.0f} MB",
            f"{cost.cpu_s:.1f} s",
            f"{cost.cpu_s / count * 1000:.0f} ms",
            f"{cost.peak_bytes / MB:.0f} MB",
            more,
            *(
                f"{(run_dir / f'report.{name}').stat().st_size / MB:.2f} MB"
                for name in ("json", "html")
            ),
        )
        rmtree(run_dir)
    console.print(table)


def measure_network(console: Console, place: Path, seconds: float) -> None:
    """Print what of a worker's recording crosses the network, in a job of some seconds."""
    program = _file(place, "job", JOB)
    table = Table(title=f"What crosses the network, of one worker in jobs of {seconds:g} s")
    table.add_column("job")
    columns = ("tasks/s", "a task", "an hour", "captures", "journal", "mappings", "packed by")
    for column in columns:
        table.add_column(column, justify="right")
    for job in ("tasks", "array"):
        for deep in ("", "deep"):
            run_dir = place / f"job-{job}-{deep}"
            words = [sys.executable, program, str(run_dir), job, f"{seconds:g}", deep]
            took_s, begun, size, sent, parts = json.loads(commands.output(words).splitlines()[-1])
            whole = sum(parts.values())
            table.add_row(
                f"{job} {deep}".strip(),
                f"{begun / took_s / 2:.1f}",
                f"{sent / begun / 1000:.1f} kB",
                f"{sent / took_s / 2 * 3600 / MB:.0f} MB",
                *(
                    f"{sum(part for file, part in parts.items() if name in file) / whole:.0%}"
                    for name in ("capture", "journal", "mappings")
                ),
                f"{size / sent:.1f}",
            )
            rmtree(run_dir)
    console.print(table)


def _file(place: Path, name: str, program: str) -> str:
    path = place / f"{name}.py"
    path.write_text(program, "utf-8")
    return str(path)
