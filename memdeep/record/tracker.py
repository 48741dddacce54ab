"""Starts and stops memray's tracker: the only module of `record` that knows memray."""

from memray import FileDestination, Tracker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.spec import RecordSpec


def start(spec: "RecordSpec", capture_path: str) -> Tracker:
    """Trace every allocation from now on into ``capture_path``; returns the running tracker.

    The capture stays uncompressed, so that markers can be found and replaced in place. Raises
    OSError or RuntimeError if tracing cannot start.
    """
    tracker = Tracker(
        destination=FileDestination(capture_path, overwrite=True, compress_on_exit=False),
        native_traces=spec.native,
        trace_python_allocators=spec.python_allocators,
        memory_interval_ms=spec.interval_ms,
    )
    tracker.__enter__()
    return tracker


def stop(tracker: Tracker) -> None:
    """End the trace; the capture is complete afterwards."""
    tracker.__exit__(None, None, None)
