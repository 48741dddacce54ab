"""`memdeep watch`: follows a run from another terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from memdeep.cli import arguments
from memdeep.live import follow
from memdeep.rundir import directory


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep watch WORDS`; return its exit status."""
    parser = arguments.parser("watch")
    parser.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR")
    path: Path | None = parser.parse_args(words).path
    run_dir = follow.newest() if path is None else directory.existing(path)
    follow.follow(run_dir, Console(highlight=False))
    return 0
