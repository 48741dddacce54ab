"""Traces allocations with memray: the only module of `record` that knows it."""

import sys

from memray import FileDestination, Tracker
from memray._memray import set_log_level

from memdeep.record.descriptors import opening_high

SILENT = 60  # above CRITICAL, memray's highest level: stderr is the program's

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.spec import RecordSpec


class MemrayTracer:
    """Starts and stops memray's tracker, each time with a capture of its own."""

    __slots__ = ("_directory", "_running", "_spec", "_started")

    def __init__(self, spec: "RecordSpec", directory: str) -> None:
        self._spec = spec
        self._directory = directory
        self._running: Tracker | None = None
        self._started = 0

    def start(self) -> None:
        """Trace every allocation from now on. Raises OSError or RuntimeError.

        The capture stays uncompressed, so that markers can be found and replaced in place.
        """
        self._started += 1
        set_log_level(SILENT)
        name = "capture.bin" if self._started == 1 else f"capture-{self._started}.bin"
        destination = FileDestination(
            f"{self._directory}/{name}", overwrite=True, compress_on_exit=False
        )
        arguments = sys.argv
        # memray keeps the command line in its capture, and fails on words that are not UTF-8.
        shown = arguments[:1] if self._spec.hides_arguments else arguments
        sys.argv = [word.encode("utf-8", "replace").decode() for word in shown]
        try:
            with opening_high():
                tracker = Tracker(
                    destination=destination,
                    native_traces=self._spec.native,
                    trace_python_allocators=self._spec.python_allocators,
                    memory_interval_ms=self._spec.interval_ms,
                )
                tracker.__enter__()
        finally:
            sys.argv = arguments
        self._running = tracker

    def stop(self) -> None:
        """End the trace; its capture is complete afterwards."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None
