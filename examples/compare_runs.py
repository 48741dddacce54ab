"""Compare two runs phase by phase, from their report.json: before and after a fix.

    python examples/compare_runs.py BEFORE_DIR AFTER_DIR [--most-mb MB]

With --most-mb the exit status is 1 if the second run's peak RSS is above that: a gate for CI.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

MIB = 1 << 20
SCHEMA = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--most-mb", type=float, help="fail if the second peak RSS is above this")
    options = parser.parse_args()
    before, after = load(options.before), load(options.after)
    print(f"{'RSS before':>12} {'after':>12} {'change':>12}  phase")
    old = {phase["name"]: phase for phase in before["phases"]}
    for phase in after["phases"]:
        if phase["name"] in old:
            show(phase["name"], old[phase["name"]]["rss_delta_bytes"], phase["rss_delta_bytes"])
    show("(peak of the whole run)", before["peak_rss_bytes"], after["peak_rss_bytes"])
    if options.most_mb is None:
        return 0
    if after["peak_rss_bytes"] is None:
        raise SystemExit("The peak RSS of the second run is not known.")
    return 1 if after["peak_rss_bytes"] > options.most_mb * MIB else 0


def load(run_dir: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run_dir / "report.json").read_text("utf-8"))
    if report["schema"] != SCHEMA:
        raise SystemExit(f"{run_dir} is of another memdeep: run `memdeep report {run_dir}` first.")
    return report


def show(name: str, before_bytes: int | None, after_bytes: int | None) -> None:
    if before_bytes is None or after_bytes is None:
        return
    figures = (before_bytes, after_bytes, after_bytes - before_bytes)
    print(" ".join(f"{figure / MIB:+9.1f} MB" for figure in figures), f" {name}")


if __name__ == "__main__":
    sys.exit(main())
