"""Makes `live.json` of a replay that follows a growing capture: bytes alive by line, each second.

The lines, the phases and the figures at a checkpoint are those that the report will have. Work and
memory go by the stacks and lines of the program, not by its duration.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING

from memdeep.follow.charged import ChargedNodes
from memdeep.frozen import frozen
from memdeep.heap.replay.trace import UNKNOWN_FRAME, line_numbers
from memdeep.live.growth import LivePhases, OpenPhase
from memdeep.live.progress import FIRST_PERIOD_MS, RunProgress
from memdeep.loading.code import origins_of
from memdeep.model import Frame, Origin, RawFrame
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.live import (
    MOST_LINES,
    MOST_PHASES,
    Live,
    LiveCurve,
    LiveLag,
    LiveLimit,
    LiveLine,
    LiveMemory,
    LivePhase,
    LiveProcess,
    LiveRest,
)
from memdeep.sources.lines import read_sources

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Now, Replay

MINUTE_MS = 60_000
KEPT_EVERY_MS = 2_000  # of the figures by line, to tell the growth of the last minute
CELLS = 240  # of a curve
LEAST_SHARE = 1e-4  # of the heap: a smaller line is one of the others
MOST_GAP_MS = 5_000  # between two readings of the heap, for what lies between them to be known
POLL_S = 0.05  # at most, to read what the program and its parent have written
MOST_HELD = 4096  # events that wait for their markers
LATE_MS = 200  # between an event and the record of its time
LEAST_SPAN_MS = 5_000  # of the growth that tells how long the rest of the limit lasts
LEAST_GROWTH_BYTES = 1 << 20  # in that span: less is no growth


class LiveLines:
    """The figures by line of the run in ``run_dir``; `update` brings them up to date.

    With ``with_source`` False no source line is in them. Use as a context manager: it keeps files
    open.
    """

    def __init__(self, run_dir: RunDirectory, *, with_source: bool = True) -> None:
        self._phases = HeldPhases()
        self._progress = RunProgress(run_dir, self._phases, CELLS)
        self._with_source = with_source
        self._nodes: ChargedNodes | None = None
        self._begun: Sequence[int] = ()
        self._noted = 0  # of them
        self._reached = -1  # the highest of them
        self._firsts: dict[int, int] = {}
        self._curve = HeapCurve()
        self._earlier = Earlier()
        self._resident: deque[tuple[int, int]] = deque()
        self._texts: dict[int, str | None] = {}

    def __enter__(self) -> LiveLines:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files of the run that were read on."""
        self._progress.__exit__()

    def forget_segments(self) -> None:
        """Read the segments of the replay anew: they were merged."""
        self._noted = 0
        self._firsts.clear()

    def update(
        self,
        engine: Replay,
        now_s: float,
        begun: Sequence[int],
        behind_bytes: int | None = None,
    ) -> Live:
        """Return the run as ``engine`` has it now, ``now_s`` after the epoch.

        ``begun`` is the number of the event that began each segment, -1 where none is known.
        ``behind_bytes`` of the capture were not replayed yet, None if that is not known. Raises
        CaptureError if `meta.json` is damaged.
        """
        progress = self._progress
        progress.poll(POLL_S, lambda event: None)
        self._phases.begun(progress.start)
        self._note_resident()
        head = engine.header()
        if head is None or progress.meta is None:
            return self._live(now_s, _NO_FIGURES, LiveLag(behind_bytes, None), None)
        if self._nodes is None:
            self._nodes = ChargedNodes(origins_of(progress.meta))
        self._extend(engine, self._nodes, head["python_version"])
        self._begun = begun
        self._reached = max(self._reached, *begun[self._noted :], -1)
        self._noted = len(begun)
        now = engine.now()
        self._phases.reach(self._reached, now["time_ms"])
        time_ms = max(0, now["time_ms"] - head["start_ms"])
        heap_bytes = now["heap_bytes"]
        self._draw(now, head["start_ms"])
        self._curve.add(time_ms, heap_bytes, heap_bytes)
        figures = self._figures(engine.alive(), self._nodes, time_ms)
        lag = LiveLag(behind_bytes, max(0.0, now_s - now["time_ms"] / 1000))
        return self._live(now_s, figures, lag, heap_bytes)

    def _draw(self, now: Now, start_ms: int) -> None:
        """Draw the heap since the last time."""
        times, heaps, peaks = (
            memoryview(now["height_ms"]).cast("q"),
            memoryview(now["height_heap"]).cast("Q"),
            memoryview(now["height_peak"]).cast("Q"),
        )
        for time_ms, heap_bytes, peak_bytes in zip(times, heaps, peaks, strict=True):
            self._curve.add(max(0, time_ms - start_ms), heap_bytes, peak_bytes)

    def _extend(self, engine: Replay, nodes: ChargedNodes, python_version: int) -> None:
        """Give ``nodes`` what the tree of the replay has got since."""
        grown = engine.tree(nodes.nodes, nodes.known_frames)
        codes = {code[0]: code for code in grown["codes"]}
        of_frames = memoryview(grown["frame_code"]).cast("I")
        offsets = memoryview(grown["frame_offset"]).cast("i")
        by_code: dict[int, list[int]] = {}
        for place, code in enumerate(of_frames):
            by_code.setdefault(code, []).append(place)
        raw: list[RawFrame] = [UNKNOWN_FRAME] * len(of_frames)
        for code, places in by_code.items():
            if code in codes:
                _, function, filename, first, table = codes[code]
                found = line_numbers(table, first, python_version, [offsets[at] for at in places])
                for place, line in zip(places, found, strict=True):
                    raw[place] = function, filename, line
        nodes.add_frames(raw)
        nodes.add_nodes(
            memoryview(grown["node_parent"]).cast("I"), memoryview(grown["node_frame"]).cast("I")
        )

    def _figures(self, alive: Mapping[str, bytes], nodes: ChargedNodes, time_ms: int) -> _Figures:
        """Add up what is alive by line, and by the open phases."""
        opened = self._phases.open()[-MOST_PHASES:]
        born = memoryview(alive["born"]).cast("I")
        sizes = memoryview(alive["bytes"]).cast("q")
        held, counts = _by_line(nodes, alive)
        in_phase, grown = held, []
        for phase in opened:
            first = self._first_segment(phase)
            is_new = [segment >= first for segment in born]
            grown.append(sum(compress(sizes, is_new)))
            if phase is opened[-1]:
                in_phase, _ = _by_line(nodes, alive, is_new)
        minute_s, earlier = self._earlier.minute_ago(time_ms)
        minute = array("q", held)
        for line, size in enumerate(earlier):
            minute[line] -= size
        self._earlier.keep(time_ms, held)
        return _Figures(
            nodes.frames, held, in_phase, minute, counts, minute_s, opened, tuple(grown)
        )

    def _first_segment(self, phase: OpenPhase) -> int:
        """Return the first segment of the replay that lies in ``phase``."""
        known = self._firsts.get(phase.sequence)
        if known is not None:
            return known
        try:
            first = self._begun.index(phase.sequence)
        except ValueError:  # it has no marker: nothing was traced when it began
            first = len(self._begun)
            while first and self._begun[first - 1] > phase.sequence:
                first -= 1
        if first < len(self._begun):
            if len(self._firsts) > MOST_HELD:
                self._firsts.clear()
            self._firsts[phase.sequence] = first
        return first

    def _live(self, now_s: float, figures: _Figures, lag: LiveLag, heap_bytes: int | None) -> Live:
        progress, resident = self._progress, self._progress.resident
        meta = progress.meta
        is_running = not progress.has_ended and progress.is_alive
        lines, others = self._lines(figures, heap_bytes or 0)
        return Live(
            epoch_s=now_s,
            elapsed_s=progress.elapsed_s,
            process=LiveProcess(
                name="" if meta is None else meta.name,
                pid=None if progress.start is None else progress.start.pid,
                is_running=is_running,
                processes=resident.processes if is_running else 0,
                verdict=None if meta is None else meta.verdict,
            ),
            memory=LiveMemory(
                resident_bytes=resident.bytes,
                resident_peak_bytes=resident.peak_bytes,
                is_pss=resident.is_pss,
                heap_bytes=heap_bytes,
                heap_peak_bytes=None if heap_bytes is None else self._curve.peak_bytes,
                recorder_bytes=figures.of_recorder(),
            ),
            limit=self._limit(is_running=is_running),
            lag=lag,
            minute_s=figures.minute_s,
            phases=tuple(
                LivePhase(
                    phase.name, progress.elapsed_at_s(phase.time_us), grown_bytes, phase.is_span
                )
                for phase, grown_bytes in zip(figures.phases, figures.grown_bytes, strict=True)
            ),
            lines=lines,
            others=others,
            heap_curve=LiveCurve(self._curve.period_ms, tuple(self._curve.values)),
            resident_curve=LiveCurve(progress.curve.period_ms, tuple(progress.curve.values)),
        )

    def _lines(self, figures: _Figures, heap_bytes: int) -> tuple[tuple[LiveLine, ...], LiveRest]:
        """Return the lines that are listed, and the sums of the others."""
        held, minute = figures.held, figures.minute
        met = [
            line
            for line, frame in enumerate(figures.frames)
            if frame.origin is not Origin.MEMDEEP and (held[line] or minute[line])
        ]
        least = max(1, int(LEAST_SHARE * heap_bytes))
        sizes = {line: max(held[line], abs(minute[line])) for line in met}
        listed = sorted(
            (line for line in met if sizes[line] >= least), key=lambda line: (-sizes[line], line)
        )[:MOST_LINES]
        listed.sort(key=lambda line: (-held[line], line))
        rest = set(met).difference(listed)
        self._read_texts(figures.frames, listed)
        return tuple(
            LiveLine(
                file=(frame := figures.frames[line]).filename,
                line=frame.lineno,
                function=frame.function,
                origin=frame.origin.value,
                source=self._texts[line],
                alive_bytes=held[line],
                phase_bytes=figures.in_phase[line],
                minute_bytes=minute[line],
                allocations=figures.counts[line],
            )
            for line in listed
        ), LiveRest(
            lines=len(rest),
            alive_bytes=sum(held[line] for line in rest),
            phase_bytes=sum(figures.in_phase[line] for line in rest),
            minute_bytes=sum(minute[line] for line in rest),
            allocations=sum(figures.counts[line] for line in rest),
        )

    def _read_texts(self, frames: Sequence[Frame], listed: Sequence[int]) -> None:
        """Read the source of the lines that are listed for the first time."""
        new = [line for line in listed if line not in self._texts]
        meta = self._progress.meta
        if not new or meta is None:
            return
        asked = [frames[line] for line in new] if self._with_source else []
        found = read_sources(asked, meta.started, meta.command).lines
        for line in new:
            text = found.get((frames[line].filename, frames[line].lineno))
            self._texts[line] = None if text is None else text.strip()

    def _note_resident(self) -> None:
        """Note what is resident, about once a second, for the growth of the last minute."""
        resident, noted = self._progress.resident, self._resident
        if resident.bytes is None or (noted and resident.time_ms < noted[-1][0] + 1000):
            return
        noted.append((resident.time_ms, resident.bytes))
        while noted[-1][0] - noted[0][0] > MINUTE_MS:
            noted.popleft()

    def _limit(self, *, is_running: bool) -> LiveLimit:
        meta, resident_bytes = self._progress.meta, self._progress.resident.bytes
        if meta is None:
            return LiveLimit()
        limit_bytes = None if meta.limit_of_address_space else meta.limit_bytes
        left_bytes = growth = None
        if limit_bytes is not None and resident_bytes is not None:
            left_bytes = limit_bytes - resident_bytes
        if self._resident and is_running:
            (then_ms, then_bytes), (now_ms, now_bytes) = self._resident[0], self._resident[-1]
            if now_ms - then_ms >= LEAST_SPAN_MS:
                is_growing = now_bytes - then_bytes >= LEAST_GROWTH_BYTES
                growth = (now_bytes - then_bytes) * 1000 / (now_ms - then_ms) if is_growing else 0.0
        lasts_s = None
        if left_bytes is not None and growth:
            lasts_s = max(0, left_bytes) / growth
        return LiveLimit(
            meta.warning_bytes, meta.critical_bytes, limit_bytes, left_bytes, growth, lasts_s
        )


def _by_line(
    nodes: ChargedNodes, alive: Mapping[str, bytes], chosen: Sequence[bool] | None = None
) -> tuple[array[int], array[int]]:
    """Return the bytes alive and the allocations of each line: of all rows, or those ``chosen``."""
    from memdeep.heap.replay._replay import by_group

    node, sizes, counted = alive["node"], alive["bytes"], alive["count"]
    if chosen is not None:
        node = array("I", compress(memoryview(node).cast("I"), chosen)).tobytes()
        sizes = array("q", compress(memoryview(sizes).cast("q"), chosen)).tobytes()
        counted = array("q", compress(memoryview(counted).cast("q"), chosen)).tobytes()
    summed = by_group(node, sizes, counted, nodes.lines.tobytes())
    empty = bytes(8 * len(nodes.frames))
    held, counts = array("q", empty), array("q", empty)
    for one, size, count in zip(
        memoryview(summed["node"]).cast("I"),
        memoryview(summed["held"]).cast("q"),
        memoryview(summed["count"]).cast("q"),
        strict=True,
    ):
        held[nodes.lines[one]], counts[nodes.lines[one]] = size, count
    return held, counts


class HeldPhases(LivePhases):
    """The phases up to where the capture was replayed: an event waits for its marker.

    An event that has none, since nothing was traced then, waits for a record of a later time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Event] = deque()
        self._epoch_ms: float | None = None  # the zero of the journal's times

    def add(self, event: Event) -> None:
        """Keep ``event`` until it is reached."""
        self._waiting.append(event)
        if len(self._waiting) > MOST_HELD:
            super().add(self._waiting.popleft())

    def begun(self, start: Event | None) -> None:
        """Note the first event of the run, which has the clocks."""
        if start is not None and self._epoch_ms is None:
            self._epoch_ms = start.epoch_ns / 1e6

    def reach(self, sequence: int, time_ms: int) -> None:
        """Take in the events up to this number, and those before this time since the epoch."""
        while self._waiting and self._is_reached(self._waiting[0], sequence, time_ms):
            super().add(self._waiting.popleft())

    def _is_reached(self, event: Event, sequence: int, time_ms: int) -> bool:
        if event.sequence <= sequence:
            return True
        at_ms = (self._epoch_ms or 0) + event.time_us / 1000
        return at_ms + LATE_MS <= time_ms


class HeapCurve:
    """The highest heap of each period; None where too few moments of it are known.

    The period doubles whenever the cells run out.
    """

    def __init__(self) -> None:
        self.period_ms = FIRST_PERIOD_MS
        self.values: list[int | None] = []
        self.peak_bytes = 0
        self._at_ms = self._heap_bytes = 0

    def add(self, time_ms: int, heap_bytes: int, peak_bytes: int) -> None:
        """Note the heap at ``time_ms``, and its highest since the time noted before.

        Of a period in between it was as then, if that is not long ago.
        """
        while time_ms // self.period_ms >= CELLS:
            self.period_ms *= 2
            pairs = (self.values[at : at + 2] for at in range(0, len(self.values), 2))
            self.values = [max((v for v in pair if v is not None), default=None) for pair in pairs]
        place = time_ms // self.period_ms
        is_known = bool(self.values) and time_ms - self._at_ms <= MOST_GAP_MS
        between = self._heap_bytes if is_known else None
        self.values.extend([between] * (place + 1 - len(self.values)))
        self.values[place] = max(self.values[place] or 0, peak_bytes)
        self.peak_bytes = max(self.peak_bytes, peak_bytes)
        self._at_ms, self._heap_bytes = time_ms, heap_bytes


class Earlier:
    """The bytes alive by line at some moments of the last minute; at the start none were."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, array[int]]] = deque([(0, array("q"))])

    def minute_ago(self, time_ms: int) -> tuple[float, Sequence[int]]:
        """Return what was alive about a minute before ``time_ms``, and how many seconds before."""
        at_ms, held = min(self._kept, key=lambda kept: abs(time_ms - MINUTE_MS - kept[0]))
        return (time_ms - at_ms) / 1000, held

    def keep(self, time_ms: int, held: array[int]) -> None:
        """Keep the figures at ``time_ms`` if the last ones are of some time before."""
        if time_ms < self._kept[-1][0] + KEPT_EVERY_MS:
            return
        self._kept.append((time_ms, held))
        # Of those older than a minute one stays: the next figures may come late.
        while len(self._kept) > 1 and self._kept[1][0] <= time_ms - MINUTE_MS:
            self._kept.popleft()


@frozen
class _Figures:
    """Columns by line, and the open phases with what they keep."""

    frames: Sequence[Frame]
    held: array[int]
    in_phase: array[int]
    minute: array[int]
    counts: array[int]
    minute_s: float
    phases: tuple[OpenPhase, ...]
    grown_bytes: tuple[int, ...]

    def of_recorder(self) -> int:
        """Return the bytes that the recorder itself holds."""
        lines = enumerate(self.frames)
        return sum(self.held[line] for line, frame in lines if frame.origin is Origin.MEMDEEP)


_EMPTY: array[int] = array("q")
_NO_FIGURES = _Figures((), _EMPTY, _EMPTY, _EMPTY, _EMPTY, 0.0, (), ())
