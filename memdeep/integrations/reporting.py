"""Asks the process that makes reports (`reporter`), which is started when it is first needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from memdeep.frozen import field, frozen
from memdeep.inprocess.watcher import orphaned
from memdeep.integrations import reporter


@frozen
class Answer:
    """Sentences to show, and problems to show beside them; ``figures`` are those of a test."""

    told: list[str]
    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] | None = None


class Reporter:
    """The process that judges tests and makes the report of a session."""

    def __init__(self) -> None:
        self._paths = [path for path in sys.path if os.path.isabs(path)]
        self._pipes: tuple[IO[str], IO[str]] | None = None

    def start(self) -> None:
        """Start it, unless it was. Raises OSError where that cannot be."""
        if self._pipes is not None:
            return
        own = str(Path(reporter.__file__).parents[2])
        shell = subprocess.Popen(
            # A test might count the children of its process.
            orphaned(reporter.__file__, *self._paths, own, ends="2>/dev/null &"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        assert shell.stdin is not None and shell.stdout is not None
        self._pipes = shell.stdin, shell.stdout
        shell.wait()

    def ask(self, what: str, **values: Any) -> Answer:
        """Ask, and wait for the answer; where there is none, ``told`` says so."""
        try:
            self.start()
            assert self._pipes is not None
            to, back = self._pipes
            to.write(json.dumps({"ask": what, **values}) + "\n")
            to.flush()
            return Answer(**json.loads(back.readline()))
        except (OSError, ValueError) as error:
            return Answer([f"memdeep failed to {what} (a bug in memdeep): {error}"])

    def close(self) -> None:
        """Let it end."""
        for pipe in self._pipes or ():
            pipe.close()
        self._pipes = None
