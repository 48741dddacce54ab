"""Writes `monitor.log`: each checkpoint of the running program as a line, for `tail -f`.

The parent writes it from the journal, so that it costs the program nothing.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from datetime import datetime, timedelta

from memdeep.errors import OutputError
from memdeep.monitoring import language
from memdeep.monitoring.log_format import LogFormat, Thresholds, begin_label, end_label
from memdeep.rundir import journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.journal import Event
from memdeep.rundir.tail import Tail

BACKGROUND_S = 5.0
MOST_S = 0.25  # for the new checkpoints, at each look at the program
MIB = 1 << 20
MOST_BYTES = 32 * MIB  # of weeks of checkpoints, the newer half stays


class MonitorLog:
    """Log of one run; `update` appends the checkpoints since the last call.

    ``last_label`` is the label of the last checkpoint logged.
    """

    def __init__(
        self, run_dir: RunDirectory, warning_bytes: int | None, critical_bytes: int | None
    ) -> None:
        self._path = run_dir.log
        self._tail = Tail(run_dir.journal)
        self._thresholds = Thresholds(_megabytes(warning_bytes), _megabytes(critical_bytes))
        self._format: LogFormat | None = None
        self._started = datetime.now().astimezone()
        self._looked_s = 0.0
        self.last_label: str | None = None
        self._append("")

    def update(self, size_bytes: int, elapsed_s: float) -> None:
        """Log the new checkpoints, and every BACKGROUND_S the size if it is above a threshold.

        Lines that cannot be written are dropped, as the program must go on.
        """
        lines = self._new_lines(time.monotonic() + MOST_S)
        if self._format is not None and elapsed_s - self._looked_s >= BACKGROUND_S:
            self._looked_s = elapsed_s
            lines.extend(self._format.background_lines(size_bytes, datetime.now().astimezone()))
        self._append_all(lines)

    def _new_lines(self, until_s: float, most_bytes: float = math.inf) -> list[str]:
        """Return the lines of new checkpoints, up to a moment, or to that size of the journal.

        Many threads set checkpoints faster than they are read here.
        """
        lines = []
        while (
            self._tail.read_bytes < most_bytes
            and time.monotonic() < until_s
            and (content := self._tail.next_lines())
        ):
            for event in journal.decode(content)[0]:
                lines.extend(self._checkpoint(event))
        return lines

    def _append_all(self, lines: list[str]) -> None:
        if lines:
            self._append("\n".join(lines) + "\n")

    def _append(self, text: str) -> None:
        with suppress(OSError, OutputError):
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(text)
                is_too_long = file.tell() > MOST_BYTES
            if is_too_long:
                self._leave_newer()

    def _leave_newer(self) -> None:
        """Leave the newer half, from a whole line on. Raises OSError or OutputError."""
        with open(self._path, "rb") as file:
            file.seek(-MOST_BYTES // 2, os.SEEK_END)
            file.readline()
            write_atomically(self._path, file.read())

    def close(self) -> None:
        """Log the checkpoints that are there by now, and close the journal."""
        self._append_all(self._new_lines(math.inf, self._tail.size_bytes()))
        self._tail.close()

    def _checkpoint(self, event: Event) -> list[str]:
        if event.kind == journal.START:
            lang = language.choose(None)
            self._format = LogFormat(event.rss_bytes, self._thresholds, lang)
            self._started = datetime.fromtimestamp(event.epoch_ns / 1e9).astimezone()
        if self._format is None or event.kind not in journal.CHECKPOINTS:
            return []
        when = self._started + timedelta(microseconds=event.time_us)
        self.last_label = label = event.label
        if event.kind == journal.BEGIN:
            label = begin_label(label)
        elif event.kind == journal.END:
            label = end_label(label)
        return self._format.lines(label, event.rss_bytes, event.note, when)


def _megabytes(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / MIB
