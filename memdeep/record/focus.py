"""Tracing of chosen phases only; outside of them the program runs at plain speed."""

import threading
from fnmatch import fnmatchcase

from memdeep.record.recorder import Recorder
from memdeep.rundir import labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.how import HowToRecord
    from memdeep.record.tracing import Tracing


MAX_NAMES = 1000  # different ones that are kept, for the sentence on a pattern that nothing matched
NAMES_SHOWN = 3
NAME_CHARACTERS = 60


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
        "_met",
        "_names",
        "_nearest",
        "_open",
        "_recorder",
        "_segment",
        "_how",
        "_tracing",
        "thread_id",
    )

    def __init__(self, how: "HowToRecord", recorder: Recorder, tracing: "Tracing") -> None:
        # Imported here, since nothing is traced yet.
        from difflib import get_close_matches

        self._nearest = get_close_matches
        self._names: dict[str, None] = {}
        self._met: set[str] = set()
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
        name = _text(label)
        stem, suffix = labels.split(name)
        with self._lock:
            self._see(stem or name)
            was_segment, self._segment = self._segment, False
            if suffix in labels.PAIRS and self._matches(stem):
                self._open.add((stem, suffix))
            elif not suffix and self._matches(name):
                self._segment = True
            self._reach(name, stem)
            if self._wanted():
                self._tracing.switch(True)
            self._recorder.checkpoint(label, note)
            if suffix in labels.OPENED_BY:
                self._open.discard((stem, labels.OPENED_BY[suffix]))
            if was_segment or suffix or self._is_over:
                self._tracing.switch(self._wanted())

    def problem(self, sentence: str) -> None:
        """Keep, for the report, a sentence on what could not be recorded."""
        self._recorder.problem(sentence)

    def begin(self, label: str) -> int:
        """Open a span."""
        name = _text(label)
        with self._lock:
            self._see(name)
            self._segment = False
            matches = self._matches(name)
            self._reach(name, name)
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

    def unmet(self) -> "list[str]":
        """Return a sentence on each pattern and label that nothing of the program matched."""
        asked = [(f"--focus {pattern}", pattern) for pattern in self._how.focus]
        asked += [("--start-at " + self._how.start_at, self._how.start_at)]
        asked += [("--stop-at " + self._how.stop_at, self._how.stop_at)]
        return [
            f"{option}: no phase or label of that name came; {self._came(name)}"
            for option, name in asked
            if name and option not in self._met
        ]

    def _see(self, name: str) -> None:
        if len(self._names) < MAX_NAMES:
            self._names[name] = None

    def _came(self, wanted: str) -> str:
        """Name a few of the names that came, and the one nearest to ``wanted``."""
        if not self._names:
            return "the program set none at all"
        names = list(self._names)
        shown = ", ".join(map(_shown, names[:NAMES_SHOWN]))
        more = len(names) - NAMES_SHOWN
        came = f"there were {shown}" + (f" and {more:,} more" if more > 0 else "")
        by_lower = {name.lower(): name for name in names}
        near = self._nearest(wanted.strip("*?").lower(), by_lower, 1)
        return f"{came}; did you mean {_shown(by_lower[near[0]])}?" if near else came

    def _matches(self, name: str) -> bool:
        matching = [pattern for pattern in self._how.focus if fnmatchcase(name, pattern)]
        self._met.update(f"--focus {pattern}" for pattern in matching)
        return bool(matching)

    def _reach(self, label: str, stem: str) -> None:
        """Note that the point where tracing starts or stops has come."""
        if self._how.start_at and self._how.start_at in (label, stem):
            self._met.add(f"--start-at {self._how.start_at}")
            self._open.add("start")
        if self._how.stop_at and self._how.stop_at in (label, stem):
            self._met.add(f"--stop-at {self._how.stop_at}")
            self._is_over = True

    def _wanted(self) -> bool:
        until_stopped = self._how.stop_at and not self._how.start_at and not self._how.focus
        return not self._is_over and bool(self._open or self._segment or until_stopped)


def _text(label: object) -> str:
    """Return the name that ``label`` stands for; "" if it has none, which the recorder reports."""
    try:
        return str(label)
    except Exception:  # the program's own
        return ""


def _shown(name: str) -> str:
    """Return ``name``, which is the program's, as it may stand on a terminal."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    return text if len(text) <= NAME_CHARACTERS else text[:NAME_CHARACTERS] + "…"
