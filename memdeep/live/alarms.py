"""Decides when somebody is to be told of a run: over a threshold, or growing without end.

Growth is without end where it goes on at the same pace: see `is_steady`. A program that fills its
caches and then keeps its memory is not told of, however much it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memdeep.frozen import frozen
from memdeep.live.growth import Growth, LivePhases
from memdeep.run.progress import Progress
from memdeep.rundir import journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.tail import Tail

WARNING, CRITICAL, GROWTH = "warning", "critical", "growth"
LOOK_S = 1.0  # between two looks at the phases
REARMED_RATIO = 0.95  # of a threshold: below it, the next time over it is another one
MOST_TOLD = 1000  # phases, so that nothing grows without end here

READINGS = 10  # that growth is judged by
LEAST_REPEATS = READINGS + 2  # of a phase: the first ones warm up
MOST_FALLING = 1  # of the steps between the readings
LEAST_PACE = 0.6  # of the second half, by that of the first: less is slowing down
LEAST_PHASE_BYTES, LEAST_PHASE_SHARE = 8 << 20, 0.02
LEAST_WITHIN = 0.5  # of what memory grew by from one end of a phase to the next
LEAST_RUN_BYTES, LEAST_RUN_SHARE = 32 << 20, 0.05
LEAST_WINDOW_S = 30.0  # of those that the last half of a run is divided into

WITHIN = " › "


@frozen
class Alarm:
    """Something to tell of a run, ``elapsed_s`` after its start.

    ``size_bytes`` is its memory then, by PSS where ``is_pss``. ``phases`` are the open ones,
    outermost first. A threshold has its ``limit_bytes``. Of growth ``grown`` is the phase that
    grows with each of its ``repeats``, "" for the run as a whole; it grew by ``growth_bytes`` over
    the last readings, ``slope_bytes`` from one to the next.
    """

    kind: str
    elapsed_s: float
    size_bytes: int
    is_pss: bool
    phases: tuple[str, ...]
    limit_bytes: int | None = None
    grown: str = ""
    repeats: int | None = None
    growth_bytes: int | None = None
    slope_bytes: int | None = None


def is_steady(readings: Sequence[int], least_bytes: int, least_share: float) -> bool:
    """Tell if memory grows, from one reading to the next, without an end in sight.

    It has grown by ``least_bytes`` and by ``least_share`` of the first reading; no more than one
    step fell or stayed; and the second half of the steps grew by at least 0.6 of what the first
    half did. Fewer than ten readings tell nothing.
    """
    if len(readings) < READINGS:
        return False
    steps = [after - before for before, after in zip(readings, readings[1:], strict=False)]
    grown = readings[-1] - readings[0]
    if grown < max(least_bytes, least_share * readings[0]):
        return False
    if sum(step <= 0 for step in steps) > MOST_FALLING:
        return False
    half = len(steps) // 2
    first, second = sum(steps[:half]), sum(steps[-half:])
    return second >= LEAST_PACE * first


class Alarms:
    """What is to be told of the run in ``run_dir``; `update` gives each alarm once.

    A threshold is told of whenever memory rises over it, but once in each phase; growth once of
    each phase, and once of the run.
    """

    def __init__(
        self, run_dir: RunDirectory, warning_bytes: int | None, critical_bytes: int | None
    ) -> None:
        self._journal = Tail(run_dir.journal)
        self._phases = LivePhases()
        self._levels = [
            _Level(kind, limit_bytes)
            for kind, limit_bytes in ((WARNING, warning_bytes), (CRITICAL, critical_bytes))
            if limit_bytes is not None
        ]
        self._told: set[tuple[str, str]] = set()
        self._troughs = Troughs()
        self._looked_s = 0.0
        self._now_us = 0
        self.start: Event | None = None

    def close(self) -> None:
        self._journal.close()

    def update(self, progress: Progress) -> Iterator[Alarm]:
        """Take in a reading of the program; cheap to call often."""
        for level in self._levels:
            if level.is_crossed(progress.size_bytes):
                self._read()
                yield from self._once(level.kind, progress, limit_bytes=level.limit_bytes)
        if progress.size_bytes:
            self._troughs.add(round(progress.elapsed_s * 1000), progress.size_bytes)
        if progress.elapsed_s - self._looked_s >= LOOK_S:
            self._looked_s = progress.elapsed_s
            if self._read():
                yield from self._growing_phases(progress)
            yield from self._growing_run(progress)

    def _growing_phases(self, progress: Progress) -> Iterator[Alarm]:
        for path, growth in _innermost(self._phases.all(self._now_us, None, died=False)):
            grown = growth.last[-1].rss_bytes - growth.last[0].rss_bytes
            yield from self._once(
                GROWTH,
                progress,
                grown=WITHIN.join(path),
                repeats=growth.repeats,
                growth_bytes=grown,
                slope_bytes=grown // (len(growth.last) - 1),
            )

    def _growing_run(self, progress: Progress) -> Iterator[Alarm]:
        readings = self._troughs.of_last_half()
        if is_steady(readings, LEAST_RUN_BYTES, LEAST_RUN_SHARE):
            grown = readings[-1] - readings[0]
            yield from self._once(
                GROWTH, progress, growth_bytes=grown, slope_bytes=grown // (len(readings) - 1)
            )

    def _once(
        self,
        kind: str,
        progress: Progress,
        *,
        limit_bytes: int | None = None,
        grown: str = "",
        repeats: int | None = None,
        growth_bytes: int | None = None,
        slope_bytes: int | None = None,
    ) -> Iterator[Alarm]:
        """Yield the alarm unless it was told of this phase already."""
        phases = self._phases.where()
        told = kind, grown if kind == GROWTH else WITHIN.join(phases)
        if told in self._told or len(self._told) >= MOST_TOLD:
            return
        self._told.add(told)
        yield Alarm(
            kind,
            progress.elapsed_s,
            progress.size_bytes,
            progress.is_pss,
            phases,
            limit_bytes,
            grown,
            repeats,
            growth_bytes,
            slope_bytes,
        )

    def _read(self) -> bool:
        """Read the journal on; tell whether there was more."""
        is_more = False
        while lines := self._journal.next_lines():
            is_more = True
            for event in journal.decode(lines)[0]:
                if event.kind == journal.START and self.start is None:
                    self.start = event
                self._now_us = max(self._now_us, event.time_us)
                self._phases.add(event)
        return is_more


@dataclass(slots=True)
class _Level:
    """A threshold; ``is_over`` from when memory rose over it until it fell well below it."""

    kind: str
    limit_bytes: int
    is_over: bool = False

    def is_crossed(self, size_bytes: int) -> bool:
        """Take in a reading; tell if it is the first one over the threshold."""
        before = self.is_over
        if size_bytes >= self.limit_bytes:
            self.is_over = True
        elif size_bytes < REARMED_RATIO * self.limit_bytes:
            self.is_over = False
        return self.is_over and not before


class Troughs:
    """The lowest reading of each period of a run; the period doubles when the cells run out."""

    CELLS = 8 * READINGS

    def __init__(self) -> None:
        self._period_ms = 1000
        self._values: list[int | None] = []

    def add(self, time_ms: int, value: int) -> None:
        """Note a reading."""
        while time_ms // self._period_ms >= self.CELLS:
            self._period_ms *= 2
            pairs = range(0, len(self._values), 2)
            self._values = [_lowest(self._values[at : at + 2]) for at in pairs]
        place = time_ms // self._period_ms
        self._values.extend([None] * (place + 1 - len(self._values)))
        self._values[place] = _lowest([self._values[place], value])

    def of_last_half(self) -> list[int]:
        """Return the lowest of each tenth of the last half of the run; none if that is too short.

        The period that is not over yet is left out.
        """
        over = self._values[:-1]
        size = len(over) // (2 * READINGS)
        if not size or size * self._period_ms < LEAST_WINDOW_S * 1000:
            return []
        last = over[-size * READINGS :]
        found = [_lowest(last[at : at + size]) for at in range(0, len(last), size)]
        return [value for value in found if value is not None]


def _lowest(values: Sequence[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _innermost(growths: Sequence[Growth]) -> list[tuple[tuple[str, ...], Growth]]:
    """Return the phases that grow with each repeat, by path; of one in another the inner one."""
    path: list[str] = []
    found = []
    for growth in growths:
        path[growth.depth :] = [growth.name]
        if _grows(growth):
            found.append((tuple(path), growth))
    paths = [path for path, _ in found]
    return [
        (path, growth)
        for path, growth in found
        if not any(len(other) > len(path) and other[: len(path)] == path for other in paths)
    ]


def _grows(growth: Growth) -> bool:
    """Tell if memory grows with each repeat of a phase, for the larger part within it."""
    if not growth.is_span or growth.repeats < LEAST_REPEATS:
        return False
    readings = [repeat.rss_bytes for repeat in growth.last]
    if not is_steady(readings, LEAST_PHASE_BYTES, LEAST_PHASE_SHARE):
        return False
    within = sum(repeat.rss_delta_bytes for repeat in growth.last[1:])
    return within >= LEAST_WITHIN * (readings[-1] - readings[0])
