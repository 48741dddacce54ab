"""`memdeep watch`: follows a run from another terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from memdeep.cli import arguments
from memdeep.live import follow
from memdeep.rundir import directory, runs


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep watch WORDS`; return its exit status."""
    path: Path | None = arguments.parser("watch").parse(words).path
    run_dir = runs.newest() if path is None else directory.existing(path)
    follow.follow(run_dir, Console(highlight=False))
    return 0
