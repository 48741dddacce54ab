"""Tracing of allocations with memray, which no other module of `record` knows."""

import os
import sys
import threading
from contextlib import suppress

import memray
from memray import FileDestination, Tracker
from memray._memray import set_log_level, start_thread_trace

from memdeep.record.descriptors import opening_high
from memdeep.record.fork_warning import own_threads

SILENT = 60  # above CRITICAL, memray's highest level: stderr is the program's

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memdeep.record.how import HowToRecord


class MemrayTracer:
    """Tracer that starts and stops memray's tracker, with a new capture each time."""

    __slots__ = ("_directory", "_is_blind", "_running", "_how", "_started")

    def __init__(self, how: "HowToRecord", directory: str) -> None:
        self._how = how
        self._directory = directory
        self._running: Tracker | None = None
        self._started = 0
        self._is_blind = False
        with suppress(ImportError):  # of memray before 1.20, which does not do this
            # What a tracker does first; later its imports might not be possible any more.
            from memray.reporters.module_tools import get_python_path_info

            get_python_path_info()

    def start(self) -> None:
        """Trace every allocation from now on. Raises OSError or RuntimeError.

        The capture stays uncompressed, so that markers can be found and replaced in place.
        """
        self._started += 1
        set_log_level(SILENT)
        name = "capture.bin" if self._started == 1 else f"capture-{self._started}.bin"
        path = f"{self._directory}/{name}"
        destination = FileDestination(path, overwrite=True, compress_on_exit=False)
        arguments = sys.argv
        # memray keeps the command line in its capture, and fails on words that are not UTF-8.
        shown = arguments[:1] if self._how.redact_args else arguments
        sys.argv = [word.encode("utf-8", "replace").decode() for word in shown]
        try:
            with opening_high((os.path.realpath(path), f"/proc/{os.getpid()}/status")):
                tracker = Tracker(
                    destination=destination,
                    native_traces=self._how.native,
                    trace_python_allocators=self._how.trace_python_allocators,
                    memory_interval_ms=self._how.interval_ms,
                )
                tracker.__enter__()
        finally:
            sys.argv = arguments
        self._running = tracker
        own_threads(1)  # memray's, which reads the RSS

    def give_way(self, on_other: "Callable[[str], None]") -> None:
        """Call ``on_other`` when the program starts a tracker of its own: there can be but one."""

        class OtherTracker(Tracker):
            def __enter__(self) -> "OtherTracker":
                on_other("tracing has stopped: the program has started a tracker of memray itself")
                super().__enter__()
                return self

        OtherTracker.__name__ = OtherTracker.__qualname__ = Tracker.__name__
        OtherTracker.__module__ = Tracker.__module__
        memray.Tracker = OtherTracker  # type: ignore[misc]

    def mark(self, _sequence: int) -> "str | None":
        """Return a sentence once if a profile function of the program's is in place now.

        One that was there between two checkpoints, or that is no function of Python's, is not seen
        here: the replay finds the allocations without frames that it leaves behind.
        """
        if self._running is not None and not self._is_blind:
            of_threads = threading._profile_hook
            if sys.getprofile() is not None or of_threads is not start_thread_trace:
                self._is_blind = True
                return (
                    "the program has set a profile function in the place of memray's: what its "
                    "threads allocate from then on may be recorded without the Python code"
                )
        return None

    def stop(self) -> None:
        """End the trace; its capture is complete afterwards.

        memray removes its profile functions, and with them those that the program has set in their
        place since; the program's are put back.
        """
        if self._running is None:
            return
        of_thread = sys.getprofile()
        of_threads = threading._profile_hook
        self._running.__exit__(None, None, None)
        self._running = None
        own_threads(-1)
        if of_thread is not None:
            sys.setprofile(of_thread)
        if of_threads is not start_thread_trace:
            threading._profile_hook = of_threads
