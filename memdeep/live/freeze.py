"""Makes a report of a run that goes on, in a process of its own: the program is not stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from memdeep.rundir.directory import RunDirectory


class Freezer:
    """Makes one report at a time, each in a directory of its own within the run directory."""

    def __init__(self, run_dir: RunDirectory) -> None:
        self._run_dir = run_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._target = run_dir
        self.made: Path | None = None  # the page of the last report
        self.has_failed = False

    @property
    def is_busy(self) -> bool:
        """Tell whether a report is being made; note the page when it is."""
        if self._process is None:
            return False
        status = self._process.poll()
        if status is None:
            return True
        self._process = None
        page = self._target.html
        self.has_failed = status != 0 or not page.exists()
        self.made = None if self.has_failed else page
        return False

    def start(self) -> None:
        """Begin a report on the run as it is now, unless one is being made."""
        if self.is_busy:
            return
        self.made, self.has_failed = None, False
        self._target = self._run_dir.frozen(time.strftime("%Y%m%d-%H%M%S"))
        words = [sys.executable, "-m", "memdeep", "report", str(self._run_dir.path)]
        try:
            self._process = subprocess.Popen(
                [*words, "-o", str(self._target.path), "--quiet", "--no-open"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C that ends the watching is not meant for it
            )
        except OSError:
            self.has_failed = True
