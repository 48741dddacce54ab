"""The cost of recording a Dask cluster, beside that of its own diagnostics with memray."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import commands

PROGRAM = """
import contextlib, json, os, sys, time
os.environ["TMPDIR"] = os.getcwd()
import psutil
import dask.array
from dask.distributed import Client, LocalCluster
from distributed.diagnostics.memray import memray_workers
from memdeep.integrations import dask as clusters

def tiny(number):
    return number + 1

def short(number):
    time.sleep(0.005)
    return number

def many_tiny(client):
    client.gather(client.map(tiny, range(2000), pure=False))

def many_short(client):
    client.gather(client.map(short, range(200), pure=False))

def array(client):
    random = dask.array.random.random((3000, 3000), chunks=(300, 300))
    (random + random.T).std(axis=0).sum().compute()

JOBS = {"2,000 tiny tasks": many_tiny, "200 of 5 ms": many_short, "an array": array}
WAYS = {
    "plain": lambda client, to: contextlib.nullcontext(),
    "memray_workers": lambda client, to: memray_workers(to, report_args=False),
    "memdeep": lambda client, to: clusters.recording(client, to),
    "memdeep, gather": lambda client, to: clusters.recording(client, to, gather=True),
}

def cpu(processes):
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)

def size(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path)
               for name in names)

if __name__ == "__main__":
    options = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        everybody = [psutil.Process(), *workers]
        for job in JOBS.values():
            job(client)
        for number in range(int(sys.argv[1])):
            for name, job in JOBS.items():
                for way, around in WAYS.items():
                    directory = f"{number}-{name}-{way}"
                    with around(client, directory):
                        time.sleep(0.2)
                        begin, own, all_of = time.monotonic(), cpu(workers), cpu(everybody)
                        job(client)
                        wall = time.monotonic() - begin
                        figures = wall, cpu(workers) - own, cpu(everybody) - all_of
                    print(json.dumps([name, way, *figures, size(directory)]), flush=True)
"""
Figures = dict[str, dict[str, list[Sequence[float]]]]  # by the job and the way


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print the seconds of each job, and the ratios to a plain cluster: median of pairs."""
    program = place / "cluster.py"
    program.write_text(PROGRAM, "utf-8")
    figures: Figures = {}
    command = [sys.executable, str(program), str(rounds)]
    done = subprocess.run(command, cwd=place, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        job, way, *found = json.loads(line)
        figures.setdefault(job, {}).setdefault(way, []).append(found)
    for job, ways in figures.items():
        _show(console, f"A Dask cluster: {job}, {rounds} rounds in turns", ways)


def _show(console: Console, title: str, ways: Mapping[str, list[Sequence[float]]]) -> None:
    table = Table(title=title)
    table.add_column("workers")
    for column in ("wall", "÷ plain", "CPU of workers", "÷ plain", "CPU of all", "÷ plain", "disk"):
        table.add_column(column, justify="right")
    for way, found in ways.items():
        cells = []
        for place in range(3):
            own = [figures[place] for figures in found]
            plain = [figures[place] for figures in ways["plain"]]
            cells += [f"{median(own):.2f} s", f"{commands.ratio(own, plain):.2f}"]
        sizes = median(figures[3] for figures in found) / 1e6
        table.add_row(way, *cells, f"{sizes:.1f} MB")
    console.print(table)
