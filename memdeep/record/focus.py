"""Tracing of chosen phases only; outside of them the program runs at plain speed."""

import threading
from fnmatch import fnmatchcase

from memdeep.record.recorder import Recorder
from memdeep.rundir import labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.how import HowToRecord
    from memdeep.record.tracing import Tracing


class Focus:
    """Recorder in front of the real one that also turns the tracer on and off.

    Tracing is on while a span is open whose name matches a pattern of ``how.focus`` (a `phase()`,
    or a pair of labels), and from a plain checkpoint that matches until the next checkpoint. With
    ``start_at`` it starts at the checkpoint or span of that label; with ``stop_at`` it stops
    there, for good.
    """

    __slots__ = (
        "_is_over",
        "_lock",
        "_open",
        "_recorder",
        "_segment",
        "_how",
        "_tracing",
        "thread_id",
    )

    def __init__(self, how: "HowToRecord", recorder: Recorder, tracing: "Tracing") -> None:
        self._how = how
        self._recorder = recorder
        self._tracing = tracing
        self._lock = threading.RLock()
        self._open: set[object] = set()
        self._segment = False
        self._is_over = False
        self.thread_id = threading.get_ident
        if how.stop_at and not how.start_at and not how.focus:
            self._tracing.switch(True, from_start=True)

    def checkpoint(self, label: str, note: "str | None") -> None:
        """Record a point, which may open or close a pair of labels."""
        label = str(label)
        stem, suffix = labels.split(label)
        with self._lock:
            was_segment, self._segment = self._segment, False
            if suffix in labels.PAIRS and self._matches(stem):
                self._open.add((stem, suffix))
            elif not suffix and self._matches(label):
                self._segment = True
            self._reach(label, stem)
            if self._wanted():
                self._tracing.switch(True)
            self._recorder.checkpoint(label, note)
            if suffix in labels.OPENED_BY:
                self._open.discard((stem, labels.OPENED_BY[suffix]))
            if was_segment or suffix or self._is_over:
                self._tracing.switch(self._wanted())

    def begin(self, label: str) -> int:
        """Open a span."""
        label = str(label)
        with self._lock:
            self._segment = False
            matches = self._matches(label)
            self._reach(label, label)
            if matches or self._wanted():
                self._tracing.switch(True)
            span = self._recorder.begin(label)
            if matches:
                self._open.add(span)
            self._tracing.switch(self._wanted())
        return span

    def end(
        self, label: str, span: int, exception_type: "type[BaseException] | None" = None
    ) -> None:
        """Close a span."""
        with self._lock:
            self._segment = False
            self._recorder.end(label, span, exception_type)
            self._open.discard(span)
            self._tracing.switch(self._wanted())

    def _matches(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._how.focus)

    def _reach(self, label: str, stem: str) -> None:
        """Note that the point where tracing starts or stops has come."""
        if self._how.start_at and self._how.start_at in (label, stem):
            self._open.add("start")
        if self._how.stop_at and self._how.stop_at in (label, stem):
            self._is_over = True

    def _wanted(self) -> bool:
        until_stopped = self._how.stop_at and not self._how.start_at and not self._how.focus
        return not self._is_over and bool(self._open or self._segment or until_stopped)
