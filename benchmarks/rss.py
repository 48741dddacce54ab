"""Growth of RSS in each phase under memdeep, and in the same program left alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import commands

MIB = 1 << 20


def measure(console: Console, place: Path) -> None:
    """Print RSS growth per span of the full backtest: its own reading, and memdeep's."""
    log = place / "rss.jsonl"
    run_dir = place / "rss-run"
    environment = {**os.environ, "MANUAL_BACKTEST": "true"}
    alone = [*commands.plain("1.0"), "--rss-log", str(log)]
    subprocess.run(alone, env=environment, check=True, stdout=subprocess.DEVNULL)
    tracked = commands.memdeep("1.0", run_dir, "--native")
    subprocess.run(tracked, env=environment, check=True, stdout=subprocess.DEVNULL)
    own = {line["label"]: line["rss_bytes"] for line in map(json.loads, log.open(encoding="utf-8"))}
    report = json.loads((run_dir / "report.json").read_text("utf-8"))
    labels = [point["label"] for point in report["checkpoints"]]
    table = Table(title="RSS growth per phase of the full backtest, MB")
    table.add_column("phase")
    for column in ("alone", "under memdeep", "difference"):
        table.add_column(column, justify="right")
    for phase in report["phases"]:
        start, end = labels[phase["start"]], labels[phase["end"]]
        if start in own and end in own and start != end:
            plain = (own[end] - own[start]) / MIB
            seen = phase["rss_delta_bytes"] / MIB
            name = "  " * phase["depth"] + phase["name"]
            table.add_row(name, f"{plain:+.1f}", f"{seen:+.1f}", f"{seen - plain:+.1f}")
    first = next(label for label in labels if label in own)
    tracked_first = report["checkpoints"][labels.index(first)]["rss_bytes"]
    table.add_row(
        f"(level at {first})",
        f"{own[first] / MIB:.1f}",
        f"{tracked_first / MIB:.1f}",
        f"{(tracked_first - own[first]) / MIB:+.1f}",
    )
    console.print(table)
