"""Lays out the timeline of RSS and heap with the phases as bands, in the units of an SVG view box.

Knows no colours and no template.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memdeep.model import Phase, PhaseKind, Report, Run, Sample
from memdeep.report import units
from memdeep.report.thinning import thin

WIDTH = 1200
PLOT_X = 76
PLOT_WIDTH = WIDTH - PLOT_X - 16
PLOT_Y = 14
PLOT_HEIGHT = 240
BAND_HEIGHT = 18
BAND_GAP = 2
AXIS_HEIGHT = 26
MAX_BAND_DEPTH = 4
MAX_BANDS = 400
MAX_MARKS = 200
MAX_POINTS = 1500
TONES = 6
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, slots=True)
class Band:
    """One stretch of a phase; ``index`` is the phase's, ``tone`` one of six colours."""

    index: int
    x: float
    y: float
    width: float
    height: float
    label: str
    tone: int
    depth: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything to draw; points are texts for SVG's ``points``, of the heap one for each piece."""

    width: int
    height: int
    plot_x: int
    plot_y: int
    plot_width: int
    plot_height: int
    end_s: float
    rss_points: str
    rss_area: str
    anon_area: str
    heap_points: tuple[str, ...]
    bands: tuple[Band, ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    marks: tuple[tuple[float, str], ...]
    thresholds: tuple[tuple[float, str, str], ...]
    peak: tuple[float, float] | None
    death: tuple[float, str] | None


def lay_out(report: Report) -> Timeline | None:
    """The timeline of a run, or None if nothing was measured over time."""
    run = report.run
    curves = (*run.rss_curve, *report.heap_curve)
    if not curves:
        return None
    end_s = max([sample.time_s for sample in curves] + [run.checkpoints[-1].time_s, 1e-3])
    known_limits = [(value, kind) for value, kind in _limits(run) if value is not None]
    top = max(sample.bytes for sample in curves)
    shown_limits = [(value, kind) for value, kind in known_limits if value <= 1.5 * top]
    top_bytes = max([top] + [value for value, _ in shown_limits]) * 1.05 or 1.0

    def x(time_s: float) -> float:
        return round(PLOT_X + PLOT_WIDTH * min(1.0, max(0.0, time_s / end_s)), 1)

    def y(size: float) -> float:
        return round(PLOT_Y + PLOT_HEIGHT * (1 - size / top_bytes), 1)

    bands = _bands(report, x)
    rows = max((band.depth for band in bands), default=-1) + 1
    bands_height = rows * (BAND_HEIGHT + BAND_GAP)
    rss = _points(run.rss_curve, x, y)
    return Timeline(
        width=WIDTH,
        height=PLOT_Y + PLOT_HEIGHT + AXIS_HEIGHT + bands_height,
        plot_x=PLOT_X,
        plot_y=PLOT_Y,
        plot_width=PLOT_WIDTH,
        plot_height=PLOT_HEIGHT,
        end_s=end_s,
        rss_points=" ".join(rss),
        rss_area=_area(rss),
        anon_area=_area(_points(_anonymous(run.rss_curve), x, y)),
        heap_points=tuple(" ".join(_points(piece, x, y)) for piece in _heap_pieces(report)),
        bands=bands,
        y_ticks=tuple((y(value), units.size(value)) for value in _size_ticks(top_bytes)),
        x_ticks=tuple((x(value), _tick_label(value)) for value in _time_ticks(end_s)),
        marks=tuple((x(point.time_s), point.label) for point in run.checkpoints[1:-1][:MAX_MARKS]),
        thresholds=tuple((y(value), units.size(value), kind) for value, kind in shown_limits),
        peak=_peak(report, x, y),
        death=_death(report, x),
    )


def _limits(run: Run) -> Sequence[tuple[int | None, str]]:
    limits = [(run.warning_bytes, "warning"), (run.critical_bytes, "critical")]
    # A limit on address space is none on what the curves show.
    if run.limit is not None and not run.limit.of_address_space:
        limits.append((run.limit.bytes, "limit"))
    return limits


def _anonymous(curve: Sequence[Sample]) -> list[Sample]:
    """The RSS without what maps files, as far as that is known."""
    return [
        Sample(sample.time_s, sample.bytes - sample.file_bytes)
        for sample in curve
        if sample.file_bytes is not None
    ]


def _peak(
    report: Report, x: Callable[[float], float], y: Callable[[float], float]
) -> tuple[float, float] | None:
    """Where the highest heap is, or the highest RSS where no heap is known."""
    curve = report.heap_curve or report.run.rss_curve
    highest = max(curve, key=lambda sample: sample.bytes)
    return x(highest.time_s), y(highest.bytes)


def _heap_pieces(report: Report) -> list[Sequence[Sample]]:
    """The heap's curve, cut where it was not traced."""
    points = report.run.checkpoints
    spans = [(points[part.start].time_s, points[part.end].time_s) for part in report.heap.traced]
    pieces = [
        [sample for sample in report.heap_curve if start_s <= sample.time_s <= end_s]
        for start_s, end_s in spans
    ]
    return [piece for piece in pieces if piece]


def _points(
    samples: Sequence[Sample], x: Callable[[float], float], y: Callable[[float], float]
) -> list[str]:
    return [f"{x(sample.time_s)},{y(sample.bytes)}" for sample in thin(samples, MAX_POINTS)]


def _area(points: Sequence[str]) -> str:
    if not points:
        return ""
    floor = PLOT_Y + PLOT_HEIGHT
    first, last = points[0].split(",")[0], points[-1].split(",")[0]
    return " ".join([f"{first},{floor}", *points, f"{last},{floor}"])


def _bands(report: Report, x: Callable[[float], float]) -> tuple[Band, ...]:
    """The longest stretches, in rows by depth below the plot; neighbours differ in tone."""
    stretches = [
        (phase.outline.depth, place, stretch)
        for place, phase in enumerate(report.phases)
        if phase.outline.depth < MAX_BAND_DEPTH
        for stretch in phase.outline.stretches
    ]
    checkpoints = report.run.checkpoints
    stretches.sort(
        key=lambda item: checkpoints[item[2].start].time_s - checkpoints[item[2].end].time_s
    )
    bands = []
    for depth, place, stretch in stretches[:MAX_BANDS]:
        left, right = x(checkpoints[stretch.start].time_s), x(checkpoints[stretch.end].time_s)
        bands.append(
            Band(
                index=place,
                x=left,
                y=PLOT_Y + PLOT_HEIGHT + AXIS_HEIGHT + depth * (BAND_HEIGHT + BAND_GAP),
                width=round(max(1.0, right - left), 1),
                height=BAND_HEIGHT,
                label=_band_label(report.phases[place]),
                tone=place % TONES,
                depth=depth,
            )
        )
    return tuple(sorted(bands, key=lambda band: (band.depth, band.x)))


def _band_label(phase: Phase) -> str:
    return phase.name if phase.outline.kind is PhaseKind.SPAN else f"… {phase.name}"


def _death(report: Report, x: Callable[[float], float]) -> tuple[float, str] | None:
    end = report.run.exit
    if end is None or end.signal is None:
        return None
    return x(report.run.checkpoints[-1].time_s), end.signal


def _size_ticks(top: float) -> list[int]:
    """Round sizes up to ``top``, at most seven of them."""
    unit = 1
    while top / unit >= 1024:
        unit *= 1024
    step = next((s for s in _STEPS if top / unit / s <= 6), _STEPS[-1]) * unit
    return [value * step for value in range(int(top // step) + 1)]


def _time_ticks(end_s: float) -> list[float]:
    """Round times up to ``end_s``, about ten of them at most."""
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
