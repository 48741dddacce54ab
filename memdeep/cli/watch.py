"""`memdeep watch`: follows a run from another terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from memdeep.cli import arguments
from memdeep.live import follow
from memdeep.live.follow import Pace
from memdeep.rundir import directory, runs


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep watch WORDS`; return its exit status."""
    parsed = arguments.parser("watch").parse(words)
    path: Path | None = parsed.path
    run_dir = runs.newest() if path is None else directory.existing(path)
    pace = Pace(once=parsed.once, every_s=parsed.every)
    follow.follow(run_dir, Console(highlight=False), pace=pace)
    return 0
