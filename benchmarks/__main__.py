"""`make bench`: the cost of memdeep, measured side by side with plain Python and memray.

Prints figures; nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from benchmarks import (
    checkpoints,
    comparison,
    dask,
    holders,
    monitor,
    overhead,
    page,
    processes,
    pytests,
    replay,
    reports,
    rss,
    short,
    startup,
    symbols,
    workers,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", default="0.5", help="size of the backtest (default: 0.5)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each command")
    parser.add_argument(
        "--allocations", type=int, default=300_000, help="of the page's program (default: 300000)"
    )
    parser.add_argument(
        "--children", type=int, default=1000, help="processes to start at most (default: 1000)"
    )
    parser.add_argument("--processes-only", action="store_true", help="measure processes alone")
    parser.add_argument(
        "--holders-only", action="store_true", help="measure looks at holders alone"
    )
    parser.add_argument("--dask-only", action="store_true", help="measure Dask workers alone")
    parser.add_argument("--short-only", action="store_true", help="measure short programs alone")
    parser.add_argument("--workers-only", action="store_true", help="measure workers alone")
    options = parser.parse_args()
    console = Console(width=96, highlight=False)
    console.print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    with tempfile.TemporaryDirectory(prefix="memdeep-bench-") as directory:
        place = Path(directory)
        if options.workers_only:
            workers.measure(console, place)
            workers.measure_network(console, place, 20)
            return
        if options.short_only:
            short.measure(console, place, options.rounds)
            return
        if find_spec("distributed") is not None and not options.holders_only:
            dask.measure(console, place, options.rounds)
        if options.dask_only:
            return
        if sys.platform.startswith("linux"):
            holders.measure(console, place, max(1, options.rounds // 2))
        if options.holders_only:
            return
        processes.measure(console, place, options.children, max(1, options.rounds // 2))
        if options.processes_only:
            return
        startup.measure(console, place, 4 * options.rounds)
        short.measure(console, place, options.rounds)
        overhead.measure(console, place, options.scale, options.rounds)
        overhead.measure_lighter(console, place, max(1, options.rounds // 2))
        checkpoints.measure(console, place)
        checkpoints.measure_readings(console, place, options.scale, options.rounds)
        monitor.measure(console, place)
        pytests.measure(console, place, max(2, options.rounds // 2))
        reports.measure(console, place, options.scale, options.rounds)
        comparison.measure(console, place, max(3, options.rounds // 2))
        replay.measure(console, place, max(3, options.rounds // 2))
        symbols.measure(console, place, max(1, options.rounds // 2))
        rss.measure(console, place)
        page.measure(console, place, options.allocations, options.rounds)


if __name__ == "__main__":
    main()
