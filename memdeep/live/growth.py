"""Adds up, event by event, what RSS grew by in each phase of a run that is still going on.

Phases are told as `analysis.outline` tells them, as far as they can be while the end is unknown:
a span that opens lies in the innermost one of its thread, or else of the main thread. Only sums
are kept, and of endlessly many names only those that grew most or came last.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from memdeep.rundir import journal, labels
from memdeep.rundir.journal import Event

START = "(start)"
END = "(end)"
NOW = "now"
MAIN_THREAD = "MainThread"
MAX_NAME = 200
MAX_OPEN = 1024
MAX_PHASES = 4096
KEPT_LARGEST = 1024
KEPT_LATEST = 64


@dataclass(frozen=True, slots=True)
class Growth:
    """A phase as it stands, what has ended and what has not; ``touched`` orders by the latest."""

    name: str
    is_span: bool
    depth: int
    repeats: int
    rss_delta_bytes: int
    duration_us: int
    is_open: bool
    touched: int


@dataclass(slots=True)
class _Phase:
    """The sums over the stretches of one name that have ended."""

    name: str
    is_span: bool
    depth: int
    number: int
    touched: int = 0
    repeats: int = 0
    rss_delta_bytes: int = 0
    duration_us: int = 0

    def standing(self, grown_bytes: int, lasting_us: int, *, is_open: bool) -> Growth:
        return Growth(
            self.name,
            self.is_span,
            self.depth,
            self.repeats + is_open,
            self.rss_delta_bytes + grown_bytes,
            self.duration_us + lasting_us,
            is_open,
            self.touched,
        )


@dataclass(slots=True)
class _Open:
    """A span that has begun, or the run (no ``phase``); ``edge`` is its last own checkpoint."""

    phase: _Phase | None
    begin: Event | None
    key: int | tuple[str, str]
    has_points: bool
    edge: str
    at: Event | None


class LivePhases:
    """The phases of a run so far; `add` every event, in order."""

    def __init__(self) -> None:
        self._root = _Open(None, None, 0, has_points=True, edge=START, at=None)
        self._open: dict[int, _Open] = {}  # by the identity of the span, oldest first
        self._by_key: dict[int | tuple[str, str], list[_Open]] = {}
        self._by_thread: dict[str, list[_Open]] = {}  # innermost last
        self._phases: dict[tuple[int, bool, str], _Phase] = {}
        self._numbers = 0
        self._exit: Event | None = None
        self.forgotten = 0

    def add(self, event: Event) -> None:
        """Take ``event`` in."""
        if event.kind == journal.START:
            self._root.at = event
        elif event.kind == journal.BEGIN and event.span is not None:
            self._begin(event, event.label, event.span, f"begin of {_cut(event.label)}")
        elif event.kind == journal.END and event.span in self._by_key:
            self._end(event, event.span, f"end of {_cut(event.label)}")
        elif event.kind == journal.POINT:
            self._point(event)
        elif event.kind == journal.EXIT:
            self._exit = event

    def all(self, now_us: int, rss_bytes: int | None, until: str = NOW) -> list[Growth]:
        """Every phase as it stands, in order of its first start; the stretch ``until`` now is last.

        ``rss_bytes`` is that of the program alone at ``now_us``, None where it is not known; what
        it said itself on leaving counts more, as RSS falls while a process is taken apart.
        """
        if self._exit is not None:
            now_us, rss_bytes, until = self._exit.time_us, self._exit.rss_bytes, END
        open_phases: dict[int, _Open] = {}
        for span in self._open.values():
            if span.phase is not None:
                open_phases.setdefault(span.phase.number, span)
        growths = []
        for phase in self._phases.values():
            begun = open_phases.get(phase.number)
            begin = begun.begin if begun is not None else None
            if begin is not None:
                grown, lasting = _grown(begin, rss_bytes), max(0, now_us - begin.time_us)
                growths.append(phase.standing(grown, lasting, is_open=True))
            elif phase.repeats:
                growths.append(phase.standing(0, 0, is_open=False))
        inner = self._innermost(MAIN_THREAD)
        if inner.has_points and inner.at is not None:
            depth = inner.phase.depth + 1 if inner.phase is not None else 0
            stretch = _Phase(f"{inner.edge} → {until}", False, depth, 0, self._numbers)
            grown, lasting = _grown(inner.at, rss_bytes), max(0, now_us - inner.at.time_us)
            growths.append(stretch.standing(grown, lasting, is_open=True))
        return growths

    def where(self) -> tuple[str, ...]:
        """The names of the spans that the main thread is in, outermost first."""
        spans = self._by_thread.get(MAIN_THREAD, ())
        return tuple(span.phase.name for span in spans if span.phase is not None)

    def _point(self, event: Event) -> None:
        stem, suffix = labels.split(event.label)
        opening = (stem, labels.OPENED_BY.get(suffix, ""))
        if suffix in labels.PAIRS:
            inner = self._innermost(event.thread)
            if inner.key == (stem, suffix):  # begun again without an end: it was none
                self._close(inner, event.thread)
            self._begin(event, stem, (stem, suffix), _cut(event.label))
        elif opening in self._by_key:
            self._end(event, opening, _cut(event.label))
        else:
            inner = self._innermost(event.thread)
            self._segment(inner, event, _cut(event.label))
            inner.has_points = True
            inner.edge, inner.at = _cut(event.label), event

    def _begin(self, event: Event, name: str, key: int | tuple[str, str], edge: str) -> None:
        parent = self._innermost(event.thread)
        if parent.has_points:
            self._segment(parent, event, edge)
        phase = self._phase(parent, _cut(name), is_span=True)
        span = _Open(phase, event, key, has_points=False, edge=edge, at=event)
        if len(self._open) >= MAX_OPEN:  # spans that never end, as of generators left alone
            oldest = next(iter(self._open.values()))
            self._close(oldest, _thread(oldest))
        self._open[id(span)] = span
        self._by_key.setdefault(key, []).append(span)
        self._by_thread.setdefault(_thread(span), []).append(span)

    def _end(self, event: Event, key: int | tuple[str, str], edge: str) -> None:
        span = self._by_key[key][-1]
        thread = _thread(span)
        if span.has_points:
            self._segment(span, event, edge)
        was_innermost = self._by_thread[thread][-1] is span
        self._close(span, thread)
        if span.phase is not None and span.begin is not None:
            self._add(span.phase, span.begin, event)
        if was_innermost:
            parent = self._innermost(thread)
            parent.edge, parent.at = edge, event

    def _close(self, span: _Open, thread: str | None) -> None:
        self._open.pop(id(span), None)
        _discard(self._by_key, span.key, span)
        _discard(self._by_thread, thread or "", span)

    def _innermost(self, thread: str | None) -> _Open:
        spans = self._by_thread.get(thread or "") or self._by_thread.get(MAIN_THREAD)
        return spans[-1] if spans else self._root

    def _segment(self, span: _Open, event: Event, edge: str) -> None:
        if span.at is not None:
            phase = self._phase(span, f"{span.edge} → {edge}", is_span=False)
            self._add(phase, span.at, event)

    def _add(self, phase: _Phase, begin: Event, end: Event) -> None:
        self._numbers += 1
        phase.touched = self._numbers
        phase.repeats += 1
        phase.rss_delta_bytes += _grown(begin, end.rss_bytes)
        phase.duration_us += max(0, end.time_us - begin.time_us)

    def _phase(self, parent: _Open, name: str, *, is_span: bool) -> _Phase:
        number = parent.phase.number if parent.phase is not None else 0
        depth = parent.phase.depth + 1 if parent.phase is not None else 0
        phase = self._phases.get((number, is_span, name))
        self._numbers += 1
        if phase is None:
            if len(self._phases) >= MAX_PHASES:
                self._forget()
            phase = _Phase(name, is_span, depth, self._numbers)
            self._phases[number, is_span, name] = phase
        phase.touched = self._numbers
        return phase

    def _forget(self) -> None:
        """Drop the phases that neither grew much nor came lately nor are open."""
        phases = self._phases.values()
        kept = {span.phase.number for span in self._open.values() if span.phase is not None}
        largest = heapq.nlargest(KEPT_LARGEST, phases, key=lambda one: abs(one.rss_delta_bytes))
        latest = heapq.nlargest(KEPT_LATEST, phases, key=lambda one: one.touched)
        kept.update(phase.number for phase in (*largest, *latest))
        self.forgotten += len(self._phases) - len(kept)
        self._phases = {key: one for key, one in self._phases.items() if one.number in kept}


def _thread(span: _Open) -> str:
    return (span.begin.thread if span.begin is not None else None) or ""


def _discard(lists: dict[Any, list[_Open]], key: Any, span: _Open) -> None:
    """Take ``span`` out of the list at ``key``, and the list away with its last one."""
    spans = lists.get(key, [])
    for place in range(len(spans) - 1, -1, -1):
        if spans[place] is span:
            del spans[place]
            break
    if not spans:
        lists.pop(key, None)


def _grown(begin: Event, rss_bytes: int | None) -> int:
    if begin.rss_bytes is None or rss_bytes is None:
        return 0
    return rss_bytes - begin.rss_bytes


def _cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
