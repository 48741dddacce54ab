"""Memory monitor to drop into a program: `memory_checkpoint` and its relatives.

Works alone under plain `python`, where it logs the resident size (RSS) of the process. Under
`memdeep run` each call is a marker in the trace as well. Before `init_global_monitor` there is
only the marker: no file, no thread, no output. A forked child has no global monitor until it
makes one of its own; that of its parent remains with the parent, whose report has a summary of
those that its children made.
"""

from __future__ import annotations

import os

from memdeep.monitoring.language import choose
from memdeep.monitoring.log_format import begin_label, end_label
from memdeep.monitoring.memory_monitor import MemoryMonitor
from memdeep.record import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = [
    "MemoryMonitor",
    "get_global_monitor",
    "init_global_monitor",
    "memory_checkpoint",
    "memory_context",
    "memory_snapshot",
    "monitor_function",
]

_monitor: MemoryMonitor | None = None


def init_global_monitor(
    name: str = "memory_monitor",
    log_file: str | os.PathLike[str] | None = None,
    warning_threshold_mb: float | None = None,
    critical_threshold_mb: float | None = None,
    check_interval: float | None = 5.0,
    *,
    max_bytes: int = 0,
    backup_count: int = 5,
    lang: str | None = None,
) -> MemoryMonitor:
    """Make the monitor of this process and start its background thread.

    The arguments are those of `MemoryMonitor`. One made before is stopped and its log closed.
    """
    global _monitor
    monitor = MemoryMonitor(
        name,
        log_file,
        warning_threshold_mb,
        critical_threshold_mb,
        check_interval,
        max_bytes=max_bytes,
        backup_count=backup_count,
        lang=lang,
    )
    former, _monitor = get_global_monitor(), monitor
    if former is not None:
        former.close()
    monitor.join_family()
    monitor.start_background_monitor()
    return monitor


def get_global_monitor() -> MemoryMonitor | None:
    """Return the monitor that this process itself has made, or None."""
    if _monitor is not None and _monitor.is_of_this_process():
        return _monitor
    return None


def memory_checkpoint(label: str, note: str | None = None) -> None:
    """Log this point of the program, and mark it under `memdeep run`.

    ``label`` names the point; ``note`` is any text to keep beside it. Never raises because of
    memdeep.
    """
    api.checkpoint(label, note)
    monitor = get_global_monitor()
    if monitor is not None:
        monitor.log(label, note)


class memory_context(api.phase):  # noqa: N801 - used like a function, as `phase` is
    """Stretch of the program, logged where it begins and where it ends.

    The lines are labelled ``label_START`` and ``label_END``; an exception that leaves it is the
    note of the second. Under `memdeep run` it is one span named ``label``. May be nested, entered
    again while open, and used from any thread.
    """

    __slots__ = ()

    def __enter__(self) -> memory_context:
        self._log(begin_label(str(self._label)), None)
        super().__enter__()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exception_type, exception, traceback)
        note = None if exception_type is None else exception_type.__name__
        self._log(end_label(str(self._label)), note)

    def __call__(self, function: Function) -> Function:
        label = self._label
        wrapped: Function = api.wrap(function, lambda args, kwargs: memory_context(label))
        return wrapped

    def _log(self, label: str, note: str | None) -> None:
        monitor = get_global_monitor()
        if monitor is not None:
            monitor.log(label, note)


def monitor_function(label: str | None = None) -> Callable[[Function], Function]:
    """Decorate a function: each call is a `memory_context`; None takes the function's name.

    For functions, methods, coroutine functions and generators: a generator's is open from its
    first step to its last.
    """

    def decorate(function: Function) -> Function:
        name = getattr(function, "__qualname__", "?") if label is None else label
        return memory_context(name)(function)

    return decorate


def memory_snapshot(label: str, *, lang: str | None = None) -> None:
    """Print current and peak MB by `tracemalloc`, and the three lines that hold most.

    The first call begins to trace, which slows the program down and takes memory of its own;
    call `tracemalloc.start()` earlier to count from there. Needs no monitor. Under `memdeep run`
    it is a marker as well.
    """
    import sys

    from memdeep.monitoring.traced import describe

    api.checkpoint(label)
    text = describe(label, choose(lang))
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()
