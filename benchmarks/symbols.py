"""Time to name the native frames of a capture of a pandas program, against memray's stacks.

Run with a way of naming and a capture, this module names them once and prints the seconds: each
way must start in a process of its own, since libbacktrace and memdeep both remember.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

PANDAS = Path(__file__).parent.parent / "tests" / "programs" / "backtesting_sma_cross.py"

MEMRAY, FILES, STORED = "memray", "files", "stored"


def measure(console: Console, place: Path, rounds: int) -> None:
    """Print the medians for all call sites, and for the frames alone."""
    run_dir = place / "symbols"
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--no-report"]
    subprocess.run([*words, "-o", str(run_dir), str(PANDAS)], check=True, capture_output=True)
    times: dict[str, list[list[float]]] = {}
    for turn in range(rounds):
        cache = place / f"cache-{turn}"
        for title, way in (
            ("memray's hybrid_stack_trace()", MEMRAY),
            ("memdeep, nothing in its cache", FILES),
            ("memdeep, tables in its cache", FILES),
            ("memdeep, names stored with the run", STORED),
        ):
            times.setdefault(title, []).append(_named(way, run_dir, cache))
    table = Table(title="Naming the native frames of a pandas program")
    table.add_column("by")
    table.add_column("call sites", justify="right")
    table.add_column("frames alone", justify="right")
    table.add_column("all stacks", justify="right")
    for title, rows in times.items():
        sites, frames, stacks = (median(column) for column in zip(*rows, strict=True))
        alone = "" if title.startswith("memray") else f"{frames:.2f} s"
        table.add_row(title, f"{sites:,.0f}", alone, f"{stacks:.2f} s")
    console.print(table)


def _named(way: str, run_dir: Path, cache: Path) -> list[float]:
    words = [sys.executable, "-m", "benchmarks.symbols", way, str(run_dir)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment)
    return [float(word) for word in answer.stdout.split()]


def by_memray(capture: Path) -> tuple[int, float, float]:
    """Return the number of call sites, and the seconds for their stacks."""
    from memray import FileReader

    with FileReader(capture) as reader:
        sites = {
            (record.stack_id, record.native_stack_id, record.native_segment_generation): record
            for record in reader.get_allocation_records()
            if record.native_stack_id
        }
        start = time.perf_counter()
        for record in sites.values():
            record.hybrid_stack_trace()
        return len(sites), 0.0, time.perf_counter() - start


def by_memdeep(capture: Path, names: Path | None) -> tuple[int, float, float]:
    """Return the number of call sites, the seconds for all names, and those with all stacks."""
    from memdeep.heap.native_names import RunSymbols
    from memdeep.heap.replay.engine import replay
    from memdeep.symbols import store
    from memdeep.symbols.store import StoredSymbols

    trace = replay(capture, lambda step: None)
    start = time.perf_counter()
    stored = StoredSymbols() if names is None else store.read(names)[0]
    symbols = RunSymbols(stored, time.time())
    symbols.name_all(trace)
    frames_s = time.perf_counter() - start
    stacks = symbols.hybrid_stacks(trace, range(1, len(trace.sites.node)))
    return len(stacks), frames_s, time.perf_counter() - start


def main(way: str, path: str) -> None:
    capture, names = Path(path, "capture.bin"), Path(path, "symbols")
    if way == MEMRAY:
        print(*by_memray(capture))
    else:
        print(*by_memdeep(capture, names if way == STORED else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
