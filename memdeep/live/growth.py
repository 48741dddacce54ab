"""Adds up, event by event, what RSS grew by in each phase of a run that is still going on.

The phases are those of `analysis.outline`, which also says how much of them depends on the future.
Only sums are kept, and of endlessly many names only those that grew most or came last.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import NamedTuple

from memdeep.analysis.outline import Outliner
from memdeep.frozen import frozen
from memdeep.model import MAIN_THREAD, Checkpoint, CheckpointKind, PhaseKind
from memdeep.rundir import journal, labels
from memdeep.rundir.journal import Event
from memdeep.rundir.threads import ThreadNames

NOW = "now"
MAX_NAME = 200
MAX_PHASES = 4096
KEPT_LARGEST = 512
KEPT_LATEST = 64
KEPT_REPEATS = 10  # of a phase
MAX_BEGUN = 256  # checkpoints that may have begun a span, beside those that have

KINDS = {
    journal.POINT: CheckpointKind.POINT,
    journal.BEGIN: CheckpointKind.BEGIN,
    journal.END: CheckpointKind.END,
}


class Repeat(NamedTuple):
    """One repeat of a phase: the checkpoint that ends it, the RSS there, and its growth in it."""

    end: int
    rss_bytes: int
    rss_delta_bytes: int


@frozen
class Growth:
    """A phase up to now; the larger ``touched``, the later it last began or ended.

    ``last`` are its last repeats that have ended, with what they grew by, as far as that is known.
    """

    name: str
    is_span: bool
    depth: int
    repeats: int
    rss_delta_bytes: int
    duration_s: float
    is_open: bool
    touched: int
    last: tuple[Repeat, ...] = ()


@frozen
class OpenPhase:
    """A phase that is open, or the last checkpoint, since when none is.

    ``sequence`` is the number of the event that it began with.
    """

    name: str
    sequence: int
    time_us: int
    is_span: bool


@dataclass(slots=True)
class _Sum:
    """The sums over the stretches of a phase."""

    repeats: int = 0
    rss_delta_bytes: int = 0
    duration_s: float = 0.0
    is_open: bool = False
    touched: int = 0
    last: list[Repeat] = field(default_factory=list)

    def add(self, begin: Checkpoint, end: Checkpoint, *, complete: bool) -> None:
        self.repeats += 1
        if begin.rss_bytes is not None and end.rss_bytes is not None:
            delta_bytes = end.rss_bytes - begin.rss_bytes
            self.rss_delta_bytes += delta_bytes
            if complete:
                self.last.append(Repeat(end.index, end.rss_bytes, delta_bytes))
                del self.last[:-KEPT_REPEATS]
        self.duration_s += max(0.0, end.time_s - begin.time_s)
        self.is_open |= not complete
        self.touched = end.index if complete else begin.index

    def merge(self, other: _Sum) -> None:
        self.repeats += other.repeats
        self.rss_delta_bytes += other.rss_delta_bytes
        self.duration_s += other.duration_s
        self.is_open |= other.is_open
        self.touched = max(self.touched, other.touched)
        self.last = sorted(self.last + other.last)[-KEPT_REPEATS:]


class LivePhases:
    """The phases of a run so far; `add` every event, in order.

    They are those of the report, with the same figures, as far as `Outliner` can know them, no
    label is longer than `MAX_NAME`, and nothing had to be ``forgotten`` (rows; a segment that may
    belong to several phases counts for each).
    """

    def __init__(self) -> None:
        self._count = 0  # of the checkpoints, that of the start left out
        self._new_sums = 0  # since the rows were last counted
        self._outliner = self._begun(None)
        self._exit: Event | None = None
        self._threads = ThreadNames()
        self._last: Event | None = None
        self._begun_by: dict[int, Event] = {}  # the checkpoint's index
        self.forgotten = 0

    def add(self, event: Event) -> None:
        """Take in ``event``."""
        if event.kind == journal.START and not self._count:
            self._outliner = self._begun(event.rss_bytes)
        elif event.kind == journal.EXIT:
            self._exit = event
        elif event.kind in KINDS:
            self._count += 1
            self._note(event)
            self._outliner.add(
                Checkpoint(
                    index=self._count,
                    label=_cut(event.label),
                    kind=KINDS[event.kind],
                    time_s=event.time_us / 1e6,
                    rss_bytes=event.rss_bytes,
                    thread=self._threads.of(event),
                    span=event.span,
                    task=event.task,
                    task_span=event.task_span,
                )
            )
            if self._new_sums >= MAX_PHASES // 4:
                self._forget()

    def all(
        self, now_us: int, rss_bytes: int | None, until: str = NOW, *, died: bool = True
    ) -> list[Growth]:
        """List every phase as if the run ended now, at a point called ``until``; parents first.

        ``rss_bytes`` is that of the program alone at ``now_us``, None where it is not known; what
        it said itself on leaving counts more, as RSS falls while a process is taken apart.
        ``died`` as in `analysis.outline`: a run that goes on may still die here.
        """
        if self._exit is not None:
            now_us, rss_bytes, until = self._exit.time_us, self._exit.rss_bytes, labels.RUN_END
        point = CheckpointKind.POINT
        end = Checkpoint(self._count + 1, until, point, now_us / 1e6, rss_bytes)
        return [
            Growth(
                name=row.name,
                is_span=row.kind is PhaseKind.SPAN,
                depth=depth,
                repeats=row.sum.repeats,
                rss_delta_bytes=row.sum.rss_delta_bytes,
                duration_s=row.sum.duration_s,
                is_open=row.sum.is_open,
                touched=row.sum.touched,
                last=tuple(row.sum.last),
            )
            for depth, row in self._outliner.until(end, died=died).walk()
        ]

    def where(self) -> tuple[str, ...]:
        """The names of the spans that the main thread is in, outermost first."""
        return tuple(span.name for span in self._outliner.where(MAIN_THREAD))

    def open(self) -> tuple[OpenPhase, ...]:
        """The spans that the main thread is in, outermost first; in none, the last checkpoint.

        Before the first checkpoint there is neither.
        """
        spans = self._outliner.where(MAIN_THREAD)
        begun = [(span.name, self._begun_by[span.begin.index]) for span in spans]
        if not begun and self._last is not None:
            return (OpenPhase(self._last.label, self._last.sequence, self._last.time_us, False),)
        return tuple(OpenPhase(name, event.sequence, event.time_us, True) for name, event in begun)

    def _note(self, event: Event) -> None:
        """Keep the events that open spans began with."""
        self._last = event
        if event.kind == journal.END:
            return
        self._begun_by[self._count] = event
        if len(self._begun_by) > 2 * MAX_BEGUN:
            open_now = {span.begin.index for span in self._outliner.where(MAIN_THREAD)}
            latest = self._count - MAX_BEGUN
            self._begun_by = {
                index: event
                for index, event in self._begun_by.items()
                if index > latest or index in open_now
            }

    def _begun(self, rss_bytes: int | None) -> Outliner[_Sum]:
        start = Checkpoint(0, labels.RUN_START, CheckpointKind.POINT, 0.0, rss_bytes)
        return Outliner(start, self._new_sum)

    def _new_sum(self) -> _Sum:
        self._new_sums += 1
        return _Sum()

    def _forget(self) -> None:
        """Drop the phases that neither grew much nor came lately, if there are too many."""
        self._new_sums = 0
        rows = [row for some in self._outliner.rows() for _, row in some.walk()]
        if len(rows) <= MAX_PHASES // 2:
            return
        largest = heapq.nlargest(KEPT_LARGEST, rows, key=lambda row: abs(row.sum.rss_delta_bytes))
        latest = heapq.nlargest(KEPT_LATEST, rows, key=lambda row: row.sum.touched)
        kept = {id(row) for row in (*largest, *latest)}
        for some in self._outliner.rows():
            self.forgotten += some.keep(lambda row: id(row) in kept)


def _cut(label: str) -> str:
    """Shorten a long label, but not the suffix by which it finds the other one of its pair."""
    if len(label) <= MAX_NAME:
        return label
    suffix = label[len(label) - len(labels.split(label)[1]) :]
    return f"{label[: MAX_NAME - 1 - len(suffix)]}…{suffix}"
