"""`memdeep watch`: follows a run from another terminal, or in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from memdeep import pipeline
from memdeep.cli import arguments
from memdeep.live import follow
from memdeep.live.follow import Pace
from memdeep.rundir import directory, runs
from memdeep.rundir.directory import RunDirectory
from memdeep.text.language import spoken


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep watch WORDS`; return its exit status."""
    parsed = arguments.parser("watch").parse(words)
    path: Path | None = parsed.path
    run_dir = runs.newest() if path is None else directory.existing(path)
    if parsed.web:
        return _serve(run_dir, parsed.port)
    pace = Pace(once=parsed.once, every_s=parsed.every)
    follow.follow(run_dir, Console(highlight=False), pace=pace)
    return 0


def _serve(run_dir: RunDirectory, port: int) -> int:
    """Serve the page of a run until somebody types Ctrl-C. Raises OutputError."""
    from memdeep.live.web import WebWatch

    language = spoken()
    name = run_dir.path.absolute().name
    with WebWatch(run_dir, pipeline.live_page(name), port) as server:
        print(language.say("watch.served", address=server.address), flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
        print(language.say("watch.stopped"))
    return 0
