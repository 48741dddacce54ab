"""Lays out the timeline: the curves of RSS and heap, and the phases as bands below them.

Places are percent of the plot, x from the left and y from the top. Thins curves that have more
points than can be drawn. Knows no colours, no pixels and no template.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nlargest
from operator import attrgetter, itemgetter
from typing import NamedTuple

from memdeep.frozen import frozen
from memdeep.model import Phase, PhaseKind, Report, Sample
from memdeep.report.page.layers import Layer, Layers
from memdeep.report.page.thinning import MAX_POINTS, thin
from memdeep.text import units

MAX_BAND_DEPTH = 6
MAX_BANDS = 400
MAX_MARKS = 400
NARROW = 0.4  # percent of the plot: a narrower piece cannot be told from its neighbour
TONES = 6
HEADROOM = 1.05
FAR_THRESHOLD = 1.5  # times the highest reading: a line above that would flatten the curves
_bytes, _time_s = attrgetter("bytes"), attrgetter("time_s")
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@frozen
class Band:
    """A piece of the run in a phase; ``index`` is the phase, ``tone`` one of TONES colours."""

    index: int
    x: float
    width: float
    depth: int
    is_segment: bool
    tone: int


@frozen
class Threshold:
    """A horizontal line at a size; ``kind`` is ``warning``, ``critical`` or ``limit``."""

    y: float
    size_text: str
    kind: str


@frozen
class Summit:
    """The highest point of the heap, or of the RSS if no heap is known; ``kind`` says which."""

    x: float
    y: float
    kind: str
    size_text: str


@frozen
class DeathMark:
    """The end of a program that a signal killed: its place and the signal."""

    x: float
    signal: str


@frozen
class Area:
    """The area of a layer of processes, as text for SVG."""

    layer: Layer
    points: str


class Extent(NamedTuple):
    """The time that a drawing ends at, and the size that it reaches up to."""

    end_s: float
    top_bytes: float


@frozen
class Timeline:
    """Everything to draw; curves are texts for the paths of SVG in a box of 100 by 100.

    ``rss_area`` reaches from the curve to the floor; ``file_area`` is the part of it that maps
    files or is shared, empty if unknown. ``heap_points`` has a curve for each stretch that was
    traced. ``rows`` is the number of rows of bands. Where processes were started, ``areas`` are
    theirs and the program's, stacked, in place of the RSS. Up to ``merged`` the detail was merged.
    """

    end_s: float
    rss_points: str
    rss_area: str
    file_area: str
    areas: tuple[Area, ...]
    heap_points: tuple[str, ...]
    bands: tuple[Band, ...]
    rows: int
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    marks: tuple[float, ...]
    thresholds: tuple[Threshold, ...]
    peak: Summit | None
    death: DeathMark | None
    merged: float | None


@frozen
class _Scale:
    """Turns seconds and bytes into percent of the plot."""

    end_s: float
    top_bytes: float

    def x(self, time_s: float) -> float:
        return round(100 * min(1.0, max(0.0, time_s / self.end_s)), 2)

    def y(self, size_bytes: float) -> float:
        return round(100 * (1 - size_bytes / self.top_bytes), 2)


def extent(report: Report, layers: Layers | None) -> Extent | None:
    """Return what a drawing of a run must have room for; None if nothing was measured over time."""
    resident = report.run.rss_curve if layers is None else list(layers.tops())[-1]
    return _extent(report, resident, heap_with_peaks(report))


def _extent(
    report: Report, resident: Sequence[Sample], heap_curve: Sequence[Sample]
) -> Extent | None:
    drawn = [*resident, *heap_curve]
    if not drawn:
        return None
    end_s = max(*map(_time_s, drawn), report.run.checkpoints[-1].time_s, 1e-3)
    top = max(map(_bytes, drawn))
    near = [size for size, _ in _limits(report) if size is not None and size <= FAR_THRESHOLD * top]
    return Extent(end_s, max([top, *near]))


def lay_out(report: Report, layers: Layers | None, room: Extent | None = None) -> Timeline | None:
    """Return the timeline of a run, or None if nothing was measured over time.

    ``layers`` are those of its processes, None if the program was alone. ``room`` is what the
    drawing has room for: that of `extent` unless another run is to be drawn to the same scale.
    """
    run = report.run
    tops = [] if layers is None else list(layers.tops())
    resident = run.rss_curve if layers is None else tops[-1]
    heap_curve = heap_with_peaks(report)
    least = _extent(report, resident, heap_curve)
    if least is None:
        return None
    end_s, top_bytes = room or least
    highest = max(heap_curve or resident, key=_bytes, default=None)
    limits = [
        (size, kind)
        for size, kind in _limits(report)
        if size is not None and size <= least.top_bytes
    ]
    scale = _Scale(end_s, top_bytes * HEADROOM or 1.0)
    places = [scale.x(point.time_s) for point in run.checkpoints]
    bands = _bands(report, places)
    rss = thin(run.rss_curve, MAX_POINTS) if layers is None else ()
    return Timeline(
        end_s=end_s,
        rss_points=_points(rss, scale),
        rss_area=_area(rss, scale, lambda sample: sample.bytes),
        file_area=_file_area(rss, scale),
        areas=() if layers is None else _areas(layers, tops, scale),
        heap_points=tuple(
            _points(thin(piece, MAX_POINTS), scale) for piece in _heap_pieces(report, heap_curve)
        ),
        bands=bands,
        rows=max((band.depth for band in bands), default=-1) + 1,
        y_ticks=tuple(
            (scale.y(value), units.size(value)) for value in _size_ticks(scale.top_bytes)
        ),
        x_ticks=tuple((scale.x(value), _tick_label(value)) for value in _time_ticks(end_s)),
        marks=_marks(places[1:-1]),
        thresholds=tuple(Threshold(scale.y(size), units.size(size), kind) for size, kind in limits),
        peak=None
        if highest is None
        else _peak(highest, "heap" if report.heap_curve else "rss", scale),
        death=_death(report, scale),
        merged=None if run.merged is None else scale.x(run.merged.until_s),
    )


def _limits(report: Report) -> Sequence[tuple[int | None, str]]:
    run = report.run
    limits = [(run.warning_bytes, "warning"), (run.critical_bytes, "critical")]
    # A limit on the address space is not one on the RSS: a line there would mean nothing.
    if run.limit is not None and not run.limit.of_address_space:
        limits.append((run.limit.bytes, "limit"))
    return limits


def heap_with_peaks(report: Report) -> Sequence[Sample]:
    """Return the curve of the heap with the peaks of the phases; they lie between its readings.

    Without readings there is no curve.
    """
    if not report.heap_curve:
        return ()
    # Where a peak and a reading have one time, the reading is what came after it.
    return sorted([*_peaks(report), *report.heap_curve], key=_time_s)


def _heap_pieces(report: Report, curve: Sequence[Sample]) -> list[Sequence[Sample]]:
    """Return the ``curve`` of the heap with its peaks, cut where nothing was traced."""
    points = report.run.checkpoints
    spans = [(points[part.start].time_s, points[part.end].time_s) for part in report.heap.traced]
    pieces = [
        [sample for sample in curve if start_s <= sample.time_s <= end_s]
        for start_s, end_s in spans
    ]
    return [piece for piece in pieces if piece]


def _points(samples: Sequence[Sample], scale: _Scale) -> str:
    return _path(_corners(samples, scale, lambda sample: sample.bytes))


def _corners(
    samples: Sequence[Sample], scale: _Scale, size: Callable[[Sample], int]
) -> Iterator[tuple[float, float]]:
    """Yield the corners of a curve that stays at each reading until the next one.

    A slope would tell of sizes between two readings that nobody has read.
    """
    before = None
    for sample in samples:
        x, y = scale.x(sample.time_s), scale.y(size(sample))
        if before is not None:
            yield x, before
        if y != before:
            yield x, y
        before = y


def _area(samples: Sequence[Sample], scale: _Scale, size: Callable[[Sample], int]) -> str:
    if not samples:
        return ""
    first, last = scale.x(samples[0].time_s), scale.x(samples[-1].time_s)
    return _path([(first, 100), *_corners(samples, scale, size), (last, 100)])


def _path(corners: Iterable[tuple[float, float]]) -> str:
    """Return the path through ``corners`` that lie level with, or straight above, one another.

    It names each place and height once, where points for a polygon would name both at each corner.
    """
    words: list[str] = []
    at = None
    for x, y in corners:
        if at is None:
            words = [f"M{x:g} {y:g}"]
        elif x != at[0]:
            if words[-1].startswith("H"):
                words.pop()  # it goes on level
            words.append(f"H{x:g}")
        elif y != at[1]:
            words.append(f"V{y:g}")
        at = (x, y)
    return "".join(words)


def _areas(layers: Layers, tops: Sequence[Sequence[Sample]], scale: _Scale) -> tuple[Area, ...]:
    """Return the area of each layer, between its upper edge and that of the layer below."""
    floor = [Sample(time_s, 0) for time_s in layers.times_s]
    edges = [list(_corners(edge, scale, lambda one: one.bytes)) for edge in (floor, *tops)]
    return tuple(
        Area(layer, " ".join(f"{x},{y}" for x, y in [*upper, *reversed(lower)]))
        for layer, lower, upper in zip(layers.layers, edges[:-1], edges[1:], strict=True)
    )


def _file_area(samples: Sequence[Sample], scale: _Scale) -> str:
    """Return the area of file pages, or an empty text unless every reading has them."""
    if not samples or any(sample.file_bytes is None for sample in samples):
        return ""
    return _area(samples, scale, lambda sample: sample.file_bytes or 0)


def _marks(places: Iterable[float]) -> tuple[float, ...]:
    """Return the places of checkpoints; those that coincide count as one."""
    marks = dict.fromkeys(places)
    if len(marks) > MAX_MARKS:
        marks = dict.fromkeys(round(x * MAX_MARKS / 100) * 100 / MAX_MARKS for x in marks)
    return tuple(marks)


def _bands(report: Report, places: Sequence[float]) -> tuple[Band, ...]:
    """Return the widest bands, in rows by depth; neighbours differ in tone.

    ``places`` are those of the checkpoints.
    """
    pieces = [
        (round(right - left, 2), left, place)
        for place, phase in enumerate(report.phases)
        if phase.outline.depth < MAX_BAND_DEPTH
        for left, right in _pieces(phase, places)
    ]
    bands = [
        Band(
            index=place,
            x=left,
            width=width,
            depth=report.phases[place].outline.depth,
            is_segment=report.phases[place].outline.kind is PhaseKind.SEGMENT,
            tone=place % TONES,
        )
        for width, left, place in nlargest(MAX_BANDS, pieces, key=itemgetter(0))
    ]
    return tuple(sorted(bands, key=lambda band: (band.depth, band.x)))


def _pieces(phase: Phase, places: Sequence[float]) -> list[tuple[float, float]]:
    """Return left and right of each stretch of ``phase``; narrow neighbours are joined."""
    stretches = phase.outline.stretches
    if len(stretches) == 1:  # as most have, where there are very many
        return [(places[stretches[0].start], places[stretches[0].end])]
    pieces: list[tuple[float, float]] = []
    narrow_run = False
    for stretch in stretches:
        left, right = places[stretch.start], places[stretch.end]
        is_narrow = right - left < NARROW
        if narrow_run and is_narrow and left - pieces[-1][1] < NARROW:
            pieces[-1] = (pieces[-1][0], right)
        else:
            pieces.append((left, right))
        narrow_run = is_narrow
    return pieces


def _peak(highest: Sample, kind: str, scale: _Scale) -> Summit:
    return Summit(scale.x(highest.time_s), scale.y(highest.bytes), kind, units.size(highest.bytes))


def _peaks(report: Report) -> list[Sample]:
    heaps = [phase.heap for phase in report.phases if phase.heap is not None]
    peaks = [heap.process_peak or heap.peak for heap in heaps]  # not those of one thread alone
    return [Sample(peak.time_s, peak.bytes) for peak in peaks if peak.time_s is not None]


def _death(report: Report, scale: _Scale) -> DeathMark | None:
    end = report.run.exit
    if end is None or end.signal is None:
        return None
    return DeathMark(scale.x(report.run.checkpoints[-1].time_s), end.signal)


def _size_ticks(top: float) -> list[int]:
    """Return round sizes up to ``top``, at most seven."""
    unit = 1
    while top / unit >= 1000:  # as `units.size` changes its unit
        unit *= 1024
    quarters = () if unit == 1 else (unit // 4, unit // 2)
    steps = [*quarters, *(step * unit for step in _STEPS)]
    step = next((step for step in steps if top / step <= 6), steps[-1])
    return [value * step for value in range(int(top // step) + 1)]


def _time_ticks(end_s: float) -> list[float]:
    """Return round times up to ``end_s``, at most about ten."""
    if end_s > 300:
        steps = [60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400]
        step = next((float(s) for s in steps if end_s / s <= 10), end_s / 10)
    else:
        power = 10 ** math.floor(math.log10(end_s / 10))
        step = next(power * s for s in (1, 2, 5, 10) if end_s / (power * s) <= 10)
    return [step * number for number in range(int(end_s / step + 1e-9) + 1)]


def _tick_label(seconds: float) -> str:
    if seconds >= 60:
        return units.duration(seconds)
    return f"{seconds:.3g} s"
