"""Writes checkpoints: a line in the journal, and a marker at the same place of memray's trace.

memray writes a record into its trace, in program order, whenever the name of the current thread
is set. A checkpoint sets it to a numbered name and back. Knows neither memray nor the report.
"""

import os
import sys
import threading
import time
from itertools import count

from memdeep.record.appending import AppendedFile
from memdeep.rundir import journal, marker
from memdeep.rundir.labels import RUN_END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from memdeep.record.holders import HolderReader
    from memdeep.record.mappings import MappingReader
    from memdeep.record.rss import RssReader

STOPPED_LABEL = "(tracing stopped)"


class Recorder:
    """Records the checkpoints of this process into the journal at ``journal_path``.

    ``read_rss`` returns the resident bytes of the process, or None; ``mappings``, if it is given,
    reads at some checkpoints what they are, and ``holders`` who holds the objects. Spans are
    numbered from ``first_span`` on; ends of others are not recorded: they began in the parent of a
    forked process. Nothing here raises into the program: the first failure is one line on stderr,
    and recording goes on where it can.

    The functions it needs are kept in the object from the start on: a program may put others in
    the place of `time.monotonic_ns` or `os.write`, in every module that has them by that name.
    """

    __slots__ = (
        "_current_thread",
        "_first_loss",
        "_first_span",
        "_getpid",
        "_holders",
        "_journal",
        "_main_id",
        "_modules",
        "_losses",
        "_mappings",
        "_monotonic_ns",
        "_on_mark",
        "_pid",
        "_read_rss",
        "_sequence",
        "_spans",
        "_start_ns",
        "_task_span",
        "_task_spans",
        "thread_id",
    )

    def __init__(
        self,
        journal_path: str,
        read_rss: "RssReader",
        mappings: "MappingReader | None" = None,
        holders: "HolderReader | None" = None,
        *,
        first_span: int = 1,
    ) -> None:
        """Raises OSError if the journal cannot be opened."""
        self._journal = AppendedFile(os.path.abspath(journal_path))
        self._read_rss = read_rss
        self._mappings = mappings
        self._holders = holders
        self._current_thread = threading.current_thread
        self._getpid = os.getpid
        self._monotonic_ns = time.monotonic_ns
        self._pid = os.getpid()
        self._sequence = count(1)
        self._first_span = first_span
        self._spans = count(first_span)
        self._losses = count(1)
        self._first_loss = ""
        self._on_mark: Callable[[int], None] | None = None
        self._start_ns = time.monotonic_ns()
        self.thread_id = threading.get_ident
        self._main_id = threading.main_thread().ident
        self._modules = sys.modules
        self._task_span: ContextVar[int] | None = None  # of the current task, or where it was made
        self._task_spans: dict[int, int] = {}  # by open span, the one around it
        resident = self._read_rss()
        self._journal.write(
            journal.encode_start(self._pid, resident, self._start_ns, time.time_ns())
        )
        self._read_mappings(journal.POINT, 0, resident)

    def after_each(self, on_mark: "Callable[[int], None]") -> None:
        """Call ``on_mark`` with the sequence number of each event, after it was recorded."""
        self._on_mark = on_mark

    def checkpoint(self, label: str, note: "str | None") -> None:
        """A plain point."""
        self._record(journal.POINT, label, note, 0, self._task())

    def begin(self, label: str) -> int:
        """Open a span; the number returned closes it."""
        span = next(self._spans)
        task = self._task()
        around = self._enter(span) if task else 0
        self._record(journal.BEGIN, label, None, span, task, around)
        return span

    def end(
        self, label: str, span: int, exception_type: "type[BaseException] | None" = None
    ) -> None:
        """Close the span ``span``, which an exception of that type has left."""
        if span < self._first_span:
            return
        # A generator that is closed is no failure.
        raised = None if exception_type is GeneratorExit else exception_type
        if span in self._task_spans:
            self._leave(span)
        self._record(journal.END, label, _name(raised), span, self._task())

    def next_span(self) -> int:
        """Return a number above those of all spans that were begun."""
        return next(self._spans)

    def unmet(self) -> "list[str]":
        """Return a sentence on each checkpoint that objects were asked for at and never came."""
        return [] if self._holders is None else self._holders.unmet()

    def exit(self, uncaught: "type[BaseException] | None" = None, failed_request: str = "") -> None:
        """The program has ended; called once, before the tracker stops."""
        lost = next(self._losses) - 1
        if lost:
            self.problem(f"{lost:,} checkpoints could not be recorded: {self._first_loss}")
        for untold in () if self._holders is None else self._holders.rest():
            self.problem(untold)
        self._record(journal.EXIT, failed_request, _name(uncaught), 0)

    def close(self) -> None:
        """Close the files, after `exit`: the process goes on unrecorded."""
        self._journal.close()
        self._read_rss.close()
        if self._holders is not None:
            self._holders.close()

    def trace(self, *, from_start: bool) -> None:
        """Tracing is about to start."""
        self._record(journal.TRACE, "", journal.FROM_START if from_start else None, 0)

    def untrace(self) -> None:
        """Tracing has stopped, though the program goes on."""
        self._record(journal.UNTRACE, "", None, 0)

    def problem(self, sentence: str) -> None:
        """Keep, for the report, a sentence on what could not be recorded."""
        self._record(journal.PROBLEM, sentence, None, 0)

    def _task(self) -> int:
        """A number for the task of an event loop that runs this; 0 outside of tasks."""
        try:
            events = self._modules.get("asyncio.events")
            loop = None if events is None else events._get_running_loop()
            if loop is None:
                return 0
            task = self._modules["asyncio.tasks"].current_task(loop)
            return 0 if task is None else id(task)
        except Exception:  # asyncio is being imported, or is not as it was
            return 0

    def _enter(self, span: int) -> int:
        """Note in the task's context that it is in ``span``; return the span it was in before.

        A task begins with a copy of the context of the one that made it.
        """
        try:
            if self._task_span is None:
                self._task_span = self._modules["contextvars"].ContextVar("memdeep's span")
            around = self._task_span.get(0)
            self._task_span.set(span)
            self._task_spans[span] = around
            return around
        except Exception:
            return 0

    def _leave(self, span: int) -> None:
        around = self._task_spans.pop(span, 0)
        if self._task_span is not None:
            self._task_span.set(around)

    def _record(
        self,
        kind: str,
        label: str,
        note: "str | None",
        span: int,
        task: int = 0,
        task_span: int = 0,
    ) -> None:
        try:
            if self._getpid() != self._pid:
                return  # a forked child: its memory is not in this trace
            sequence = next(self._sequence)
            thread = self._thread()
            strand = journal.NO_STRAND
            if task or thread._ident != self._main_id:  # type: ignore[attr-defined]
                ident = thread._ident  # type: ignore[attr-defined]
                strand = (0 if ident == self._main_id else ident, task, task_span)
            # memray watches `_name`; the property `name` would also rename the thread for the
            # operating system from Python 3.14 on.
            name = thread._name  # type: ignore[attr-defined]
            time_us = (self._monotonic_ns() - self._start_ns) // 1000
            resident = self._read_rss()
            self._read_mappings(kind, sequence, resident)
            trouble = self._read_holders(kind, sequence, str(label), resident[0], span)
            # The journal goes first: a marker whose label was lost would be of no use.
            self._journal.write(
                journal.encode_event(
                    kind,
                    sequence,
                    time_us,
                    resident,
                    str(label),
                    None if note is None else str(note),
                    str(name),
                    span,
                    strand,
                )
            )
            thread._name = marker.name(sequence)  # type: ignore[attr-defined]
            thread._name = name  # type: ignore[attr-defined]
            if self._on_mark is not None:
                self._on_mark(sequence)
            if trouble:
                self.problem(trouble)
        except Exception as error:
            if next(self._losses) == 1:
                self._first_loss = _reason(error)
                say(f"a checkpoint could not be recorded: {self._first_loss}")

    def _read_mappings(self, kind: str, sequence: int, resident: journal.Resident) -> None:
        """Before the marker: what the reading itself allocates is gone when that is written."""
        rss_bytes, file_bytes = resident
        if self._mappings is None or rss_bytes is None or file_bytes is None:
            return
        if kind in journal.CHECKPOINTS or kind == journal.EXIT:
            self._mappings(sequence, (self._read_rss.space_bytes, rss_bytes, file_bytes))

    def _read_holders(
        self, kind: str, sequence: int, label: str, rss_bytes: "int | None", span: int
    ) -> "str | None":
        """Before the marker, as for the mappings; return a sentence where it could not be done."""
        if self._holders is None or rss_bytes is None:
            return None
        if kind == journal.TRACE:
            self._holders.start(rss_bytes)
        elif kind == journal.BEGIN:
            self._holders.begin(span, rss_bytes)
        elif kind in (journal.POINT, journal.END, journal.EXIT):
            name = RUN_END if kind == journal.EXIT else label
            return self._holders(sequence, name, rss_bytes, span)
        return None

    def _thread(self) -> threading.Thread:
        """The thread that runs this, as `threading` has it."""
        ident = self.thread_id()
        if ident in threading._active:  # type: ignore[attr-defined]
            return self._current_thread()
        # Not one of `threading`'s, where asking for it would put it on the list of threads that
        # the program sees. memray takes the name of any object that has the thread's number.
        thread = threading.Thread(name="(unnamed)", daemon=True)
        thread._ident = ident  # type: ignore[attr-defined]
        return thread


def _name(exception_type: "type[BaseException] | None") -> "str | None":
    # By way of `type`: a metaclass of the program's must not run here.
    return None if exception_type is None else type.__dict__["__name__"].__get__(exception_type)


def _reason(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # it is the program's own
        return type(error).__name__


def say(sentence: str) -> None:
    """One line on the real stderr, even where the program has replaced `sys.stderr`."""
    stream = sys.__stderr__
    if stream is not None:
        try:
            stream.write(f"memdeep: {sentence}\n")
            stream.flush()
        except (OSError, ValueError):
            pass
