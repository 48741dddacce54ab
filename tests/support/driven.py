"""Follows a run in the process of a test, as far as its capture has been written."""

from __future__ import annotations

import os
import time
from array import array
from pathlib import Path

from running import wait_until

from memdeep.follow.lines import LiveLines
from memdeep.heap.replay._replay import Replay
from memdeep.rundir import live
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.live import Live


class Driven:
    """The run in ``path``; `update` replays what was written since, and writes `live.json`."""

    def __init__(self, path: Path) -> None:
        self.run_dir = RunDirectory(path)
        wait_until(self.run_dir.capture().exists)
        self._file = os.open(self.run_dir.capture(), os.O_RDONLY)
        self._lines = LiveLines(self.run_dir)
        self.engine = Replay()

    def update(self) -> Live:
        while content := os.pread(self._file, 1 << 20, self.engine.position()).rstrip(b"\0"):
            self.engine.feed(content)
        found = self._lines.update(
            self.engine, time.time(), array("q", self.engine.sequences(0)), 0
        )
        live.write(self.run_dir.live, found)
        assert live.read(self.run_dir.live) == found
        return found

    def close(self) -> None:
        self._lines.__exit__()
        os.close(self._file)
