"""A look at who holds the objects: the pause, and what its child takes beside the program."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from memdeep.model.graph import Graph
from memdeep.run.looks import CHILD_NAME
from memdeep.rundir import graph
from memdeep.rundir.directory import RunDirectory

MB = 1_000_000
MILLIONS = (1, 4, 10)
LOOK_S = 0.01

# Writes the seconds of the checkpoint, those of going through all objects after it, and its RSS.
PROGRAM = """
import sys, time
import memdeep

kept = [[float(number)] for number in range(int(sys.argv[2]) // 2)]
begin = time.perf_counter()
memdeep.checkpoint("held")
looked = time.perf_counter()
for row in kept:
    row[0] += 1.0
end = time.perf_counter()
resident = int(open("/proc/self/statm").read().split()[1]) * 4096
open(sys.argv[1], "w").write(f"{looked - begin} {end - looked} {resident}")
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What the program wrote, the most that the child had of its own, and what it left."""

    checkpoint_s: float
    work_s: float
    rss_bytes: int
    child_bytes: int
    child_cpu_s: float
    walked: Graph | None
    file_bytes: int


def measure(console: Console, place: Path, rounds: int, millions: Sequence[int] = MILLIONS) -> None:
    """Print what a look costs at so many objects, side by side with runs without one."""
    place = place / "holders"
    place.mkdir()
    program = place / "program.py"
    program.write_text(PROGRAM, "utf-8")
    table = Table(title=f"A look at who holds the objects, {rounds} rounds in turns (medians)")
    table.add_column("objects")
    for column in (
        "RSS",
        "checkpoint",
        "pause",
        "work after",
        "child takes",
        "its CPU",
        "its own",
        "file",
    ):
        table.add_column(column, justify="right")
    for million in millions:
        without, looks = [], []
        for _ in range(rounds):
            without.append(_run(program, million * MB))
            looks.append(_run(program, million * MB, "--holders-at", "held"))
        walked = [run.walked for run in looks if run.walked is not None]
        objects = median(len(one.addresses) for one in walked)
        table.add_row(
            f"{objects / MB:.1f} M",
            f"{median(run.rss_bytes for run in looks) / MB:.0f} MB",
            _both([run.checkpoint_s for run in looks], [run.checkpoint_s for run in without], 1e3),
            f"{median(one.pause_ns for one in walked) / 1e6:.1f} ms",
            _both([run.work_s for run in looks], [run.work_s for run in without], 1.0),
            f"{median(one.child_ns for one in walked) / 1e9:.2f} s",
            f"{median(run.child_cpu_s for run in looks):.2f} s",
            f"{median(run.child_bytes for run in looks) / MB:.0f} MB",
            f"{median(run.file_bytes for run in looks) / MB:.0f} MB",
        )
    console.print(table)


def _run(program: Path, objects: int, *options: str) -> Run:
    run_dir, figures = RunDirectory(program.parent / "run"), program.parent / "figures"
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    words += ["--no-native", *options, "-o", str(run_dir.path), str(program), str(figures)]
    process = subprocess.Popen([*words, str(objects)])
    child_bytes, child_cpu_s = 0, 0.0
    child: psutil.Process | None = None
    while process.poll() is None:
        time.sleep(LOOK_S)
        child = child or _child_of(str(program))
        if child is None:
            continue
        try:
            child_bytes = max(child_bytes, child.memory_full_info().uss)
            times = child.cpu_times()
            child_cpu_s = max(child_cpu_s, times.user + times.system)
        except psutil.Error:  # it has ended, or was the one between it and the program
            child = None
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    found = run_dir.graphs()
    checkpoint_s, work_s, rss_bytes = figures.read_text().split()
    return Run(
        float(checkpoint_s),
        float(work_s),
        int(rss_bytes),
        child_bytes,
        child_cpu_s,
        graph.read(found[0]) if found else None,
        found[0].stat().st_size if found else 0,
    )


def _child_of(program: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        try:
            if process.name() == CHILD_NAME and program in process.cmdline():
                return process
        except psutil.Error:
            continue
    return None


def _both(looks: Sequence[float], without: Sequence[float], factor: float) -> str:
    unit = "ms" if factor > 1 else "s"
    digits = 1 if factor > 1 else 2
    return f"{median(looks) * factor:.{digits}f} / {median(without) * factor:.{digits}f} {unit}"
