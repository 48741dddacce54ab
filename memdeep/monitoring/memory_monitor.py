"""Monitor of one process: reads its resident size at checkpoints and in the background."""

from __future__ import annotations

import atexit
import os
import threading
from datetime import datetime

from memdeep.monitoring import resident
from memdeep.monitoring.history import MAX_LABEL, History, Reading
from memdeep.monitoring.language import choose
from memdeep.monitoring.log_file import NoLog, open_log
from memdeep.monitoring.log_format import LogFormat, Thresholds, one_line
from memdeep.record import api
from memdeep.record.fork_warning import own_threads
from memdeep.record.recorder import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.monitoring.family import Family
    from memdeep.monitoring.log_file import Log

STOP_S = 5.0  # how long to wait for a look that is under way


class MemoryMonitor:
    """Log of the resident size (RSS) of this process at checkpoints, each line at once.

    ``name`` heads the report. ``log_file`` is appended to, and made with its directories where
    missing; None writes to stderr. It rotates at ``max_bytes``, keeping ``backup_count`` older
    files, if both are more than zero. From ``warning_threshold_mb`` on a line is WARNING, from
    ``critical_threshold_mb`` on CRITICAL; None means never (MB is 1024 · 1024 bytes). A further
    CRITICAL line says once per approach that the critical threshold is near: from 85 % of it on,
    but not below the warning threshold; it may come again after a reading below that.

    ``check_interval`` is in seconds and counts from `start_background_monitor` on; None or 0 means
    that there is no background monitor. ``lang`` is "zh" or "en"; None follows the locale.

    The methods may be called from any thread, and do nothing in a forked child: the monitor is
    its parent's. A log that cannot be written leaves the program running, with one line on
    stderr, once. The report keeps the first and the last 5,000 checkpoints.

    Raises ValueError if ``lang`` is another word.
    """

    def __init__(
        self,
        name: str = "memory_monitor",
        log_file: str | os.PathLike[str] | None = None,
        warning_threshold_mb: float | None = None,
        critical_threshold_mb: float | None = None,
        check_interval: float | None = 5.0,
        *,
        max_bytes: int = 0,
        backup_count: int = 5,
        lang: str | None = None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self.lang = choose(lang)
        self.check_interval_s = check_interval or 0.0
        self._pid = os.getpid()
        # A signal handler or a finaliser may set a checkpoint while its own thread sets one.
        self._lock = threading.RLock()
        self._reported = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._thresholds = Thresholds(warning_threshold_mb, critical_threshold_mb)
        start = Reading(None, resident.read_bytes(), datetime.now())
        self._history = History(start, self._thresholds.level(start.rss_bytes))
        self._format = LogFormat(start.rss_bytes, self._thresholds, self.lang)
        self._family: Family | None = None
        self._log: Log = NoLog()
        try:
            self._log = open_log(log_file, max_bytes, backup_count)
        except OSError as error:
            self._report_once(error)

    def checkpoint(self, label: str, note: str | None = None) -> None:
        """Log this point of the program; under `memdeep run` it is a marker in the trace as well.

        Never raises because of memdeep.
        """
        api.checkpoint(label, note)
        self.log(label, note)

    def log(self, label: str, note: str | None = None) -> None:
        """Log this point of the program, without a marker."""
        if not self.is_of_this_process():
            return
        try:
            with self._lock:
                rss_bytes = resident.read_bytes()
                when = datetime.now()
                text = one_line(label)
                lines = self._format.lines(text, rss_bytes, note, when)
                reading = Reading(text[:MAX_LABEL], rss_bytes, when)
                self._history.add_checkpoint(reading, self._thresholds.level(rss_bytes))
                self._write(lines)
                self._tell(rss_bytes)
        except Exception as error:
            self._report_once(error)

    def join_family(self) -> None:
        """Let the monitors of ancestors report on this one, and this one on those of children."""
        if self._family is None and self.is_of_this_process():
            from memdeep.monitoring import family

            try:
                self._family = family.of_this_process()
                self._tell(self._history.start.rss_bytes)
            except OSError as error:
                self._report_once(error)

    def start_background_monitor(self) -> None:
        """Read the resident size every ``check_interval`` seconds, in a daemon thread.

        Each reading at or above a threshold is a line in the log.
        """
        if self._thread is not None or self.check_interval_s <= 0 or not self.is_of_this_process():
            return
        self._stop = threading.Event()
        own_threads(1)
        self._thread = threading.Thread(
            target=self._watch, args=(self._stop,), name="memory-monitor", daemon=True
        )
        self._thread.start()
        # While the interpreter ends, daemon threads stand still, maybe with the lock in hand.
        atexit.register(self.stop_background_monitor)

    def stop_background_monitor(self) -> None:
        """End the thread and wait for it; checkpoints go on. May be called again, and by anyone."""
        thread, self._thread = self._thread, None
        if thread is None or not self.is_of_this_process():
            return
        self._stop.set()
        own_threads(-1)
        atexit.unregister(self.stop_background_monitor)
        if thread is not threading.current_thread():
            thread.join(STOP_S)

    def generate_report(self) -> str:
        """Return the text report on the readings so far.

        Start, now, peak, total growth, the checkpoints in order, the ten largest growths, where
        thresholds were crossed, what the monitors of children have seen, and how to read all this.
        """
        from memdeep.monitoring.report_text import Facts, render

        now = Reading(None, resident.read_bytes(), datetime.now())
        highest_bytes = resident.read_highest_bytes()
        name = one_line(self.name)
        members = () if self._family is None else self._family.members()
        facts = Facts(name, self._history, self._thresholds, now, highest_bytes, members)
        if not self.is_of_this_process():  # the lock may be held by a thread of the parent
            return render(facts, self.lang)
        with self._lock:
            self._history.add_reading(now, self._thresholds.level(now.rss_bytes))
            return render(facts, self.lang)

    def close(self) -> None:
        """Stop the background monitor and close the log; later checkpoints are not logged."""
        self.stop_background_monitor()
        if self.is_of_this_process():
            with self._lock:
                self._log.close()
                self._log = NoLog()

    def is_of_this_process(self) -> bool:
        """Return False in a forked child of the process that made this monitor."""
        return os.getpid() == self._pid

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self.check_interval_s):
            try:
                with self._lock:
                    rss_bytes = resident.read_bytes()
                    when = datetime.now()
                    level = self._thresholds.level(rss_bytes)
                    self._history.add_reading(Reading(None, rss_bytes, when), level)
                    self._write(self._format.background_lines(rss_bytes, when))
                    self._tell(rss_bytes)
            except Exception as error:
                self._report_once(error)

    def _tell(self, rss_bytes: int | None) -> None:
        if self._family is not None:
            from memdeep.monitoring.family import Member

            history = self._history
            sizes = (history.start.rss_bytes, rss_bytes, history.peak.rss_bytes)
            name, label = one_line(self.name), history.peak.label
            self._family.tell(Member(os.getpid(), name, sizes, history.count, label))

    def _write(self, lines: list[str]) -> None:
        if lines:
            self._log.write("\n".join(lines) + "\n")

    def _report_once(self, error: Exception) -> None:
        if not self._reported:
            self._reported = True
            say(f"the memory monitor cannot log: {error}")
