"""Has the captures of a run replayed while they grow, by a process beside it: `memdeep.follow`.

Nothing depends on it. If it cannot be started, or dies, the captures grow and are read afterwards.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from memdeep.record import tree
from memdeep.rundir.directory import RunDirectory

# A program that is over by then, or allocates so little, is not worth a process beside it.
WORTH_S = 5.0
WORTH_BYTES = 16 << 20
LOOK_S = 0.25
MOST_STARTS = 4
AGAIN_S = 2.0  # after it died
MAX_TOLD_BYTES = 4096


class Following:
    """Follows the run in ``run_dir`` once that is worth it; call `look` often, `end` once.

    ``disk_bytes`` is what the captures shall take of the disk, None for no bound. Detail that is
    older than ``last_s`` is merged, unless that is 0.
    """

    def __init__(
        self,
        run_dir: RunDirectory,
        disk_bytes: int | None,
        *,
        last_s: float = 0.0,
        with_source: bool = True,
    ) -> None:
        self._run_dir = run_dir
        self._worth_bytes = min(WORTH_BYTES, (disk_bytes or WORTH_BYTES) // 2)
        room = Path(__file__).parents[1]
        paths = [path for path in sys.path if os.path.isabs(path)]
        self._command = [
            *(sys.executable, "-I", str(room / "follow" / "__main__.py")),
            *(str(run_dir.path.absolute()), str(self._worth_bytes), str(disk_bytes or 0)),
            *(str(last_s), "source" if with_source else "no-source", str(room.parent), *paths),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._told: BinaryIO | None = None
        self._next_s = 0.0
        self._starts = 0

    def look(self, now_s: float) -> None:
        """Start it if it is time; ``now_s`` is since the program's start."""
        if now_s < self._next_s or self._starts == MOST_STARTS:
            return
        self._next_s = now_s + LOOK_S
        if self._process is not None:
            if self._process.poll() is not None:
                self._process = None
                self._next_s = now_s + AGAIN_S
            return
        capture = self._run_dir.capture()
        with suppress(OSError):
            if now_s >= WORTH_S or capture.stat().st_size >= self._worth_bytes:
                self._start()

    def _start(self) -> None:
        """Start it, out of reach of the terminal's signals. Raises OSError."""
        self._starts += 1
        if self._told is None:
            self._told = tempfile.TemporaryFile()  # noqa: SIM115 - `wait` closes it
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._told,
            # It is no process of a program that is recorded, though memdeep itself may be one.
            env={name: value for name, value in os.environ.items() if name != tree.VARIABLE},
            start_new_session=True,
        )

    def end(self) -> None:
        """Tell it that the program has ended."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it has died
                self._process.send_signal(signal.SIGCONT)  # nobody waits for one that was stopped
                self._process.stdin.write(b"end\n")
                self._process.stdin.close()

    def wait(self, meanwhile: Callable[[], None]) -> tuple[str, ...]:
        """Wait until it has replayed what was left; return what it has told, in sentences.

        ``meanwhile`` is called first.
        """
        if self._process is not None:
            try:
                meanwhile()
                self._process.wait()
            except KeyboardInterrupt:  # the report goes on from the state before
                self._process.kill()
                self._process.wait()
        if self._told is None:
            return ()
        with self._told as told:
            told.seek(0)
            lines = told.read(MAX_TOLD_BYTES).decode("utf-8", "replace").splitlines()
        if self._process is None or self._process.returncode != 1 or not lines:
            return tuple(lines)
        # What it says then is a traceback.
        return (f"What replays the capture while it grows has failed: {lines[-1]}.",)
