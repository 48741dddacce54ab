"""The timeline stays within its plot, whatever was measured and however long the run."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from factories import (
    MB,
    analysed,
    frame,
    lifetimes_in,
    nested_steps,
    phase,
    program,
    report,
    run,
    tree,
)
from hypothesis import example, given
from hypothesis import strategies as st

from memdeep.model import (
    Checkpoint,
    Exit,
    MemoryLimit,
    Merged,
    Peak,
    PhaseKind,
    Report,
    Sample,
    Stretch,
)
from memdeep.model.statement import state
from memdeep.report.options import DEFAULTS
from memdeep.report.page import html, layers, timeline
from memdeep.report.page.timeline import TONES, DeathMark, Timeline, heap_with_peaks

ONE_FRAME, _ = tree([frame()])
LEFT, RIGHT, TOP, BOTTOM = 0.0, 100.0, 0.0, 100.0


def measured(*sizes: int, step_s: float = 1.0, **changes: object) -> Report:
    """A run whose RSS was read every ``step_s``; it ends with its last reading."""
    curve = tuple(Sample(place * step_s, size) for place, size in enumerate(sizes))
    points = list(program())
    points[-1] = replace(points[-1], time_s=(len(sizes) - 1) * step_s)
    return report(run=run(**{"rss_curve": curve, "checkpoints": tuple(points), **changes}))


def laid_out(made: Report) -> Timeline:
    found = timeline.lay_out(made, layers.stacked(made))
    assert found is not None
    return found


def coordinates(points: str) -> list[tuple[float, float]]:
    """The corners of a path."""
    corners: list[tuple[float, float]] = []
    for way, to in re.findall(r"([MHV])([\d. -]+)", points):
        if way == "M":
            corners.append((float(to.split()[0]), float(to.split()[1])))
        else:
            x, y = corners[-1]
            corners.append((float(to), y) if way == "H" else (x, float(to)))
    return corners


def test_without_any_reading_there_is_no_timeline() -> None:
    assert timeline.lay_out(report(), None) is None


def test_time_runs_from_left_to_right_and_bytes_from_bottom_to_top() -> None:
    corners = coordinates(laid_out(measured(0, 50, 100)).rss_points)
    (x0, y0), (x1, still), (same, y1), (x2, _), (_, y2) = corners
    assert (x0, y0) == (LEFT, BOTTOM)
    assert x2 == RIGHT
    assert x0 < x1 == same < x2
    assert TOP < y2 < y1 < y0 == still


@given(st.lists(st.integers(0, 3 * MB), min_size=2, max_size=30))
def test_no_curve_slopes_between_two_readings(sizes: list[int]) -> None:
    found = coordinates(laid_out(measured(*sizes)).rss_points)
    assert all(x0 == x1 or y0 == y1 for (x0, y0), (x1, y1) in pairwise(found))


def test_the_area_stands_on_the_axis() -> None:
    found = laid_out(measured(10, 50, 100))
    area = coordinates(found.rss_area)
    assert area[0] == (LEFT, BOTTOM)
    assert area[-1] == (RIGHT, BOTTOM)
    assert area[1:-1] == coordinates(found.rss_points)


def test_a_curve_that_was_not_measured_is_empty() -> None:
    found = laid_out(measured(1, 2))
    assert found.heap_points == ()
    only_heap = laid_out(report(heap_curve=(Sample(0.0, 1), Sample(1.0, 2))))
    assert (only_heap.rss_points, only_heap.rss_area) == ("", "")
    assert only_heap.heap_points


def test_limits_near_the_curve_are_drawn_and_far_ones_are_not() -> None:
    found = laid_out(measured(0, 100 * MB, warning_bytes=80 * MB, critical_bytes=151 * MB))
    (only,) = found.thresholds
    assert (only.size_text, only.kind) == ("80.0 MB", "warning")
    both = laid_out(measured(0, 100 * MB, warning_bytes=80 * MB, critical_bytes=150 * MB))
    assert [line.kind for line in both.thresholds] == ["warning", "critical"]
    warning, critical = both.thresholds
    assert TOP < critical.y < warning.y < BOTTOM


def test_a_limit_on_the_rss_is_drawn_and_one_on_the_address_space_is_not() -> None:
    limit = MemoryLimit(110 * MB, state("limit.cgroup", file="memory.max"))
    (line,) = laid_out(measured(0, 100 * MB, limit=limit)).thresholds
    assert (line.size_text, line.kind) == ("110.0 MB", "limit")
    mapped = replace(limit, of_address_space=True)
    assert laid_out(measured(0, 100 * MB, limit=mapped)).thresholds == ()


def test_the_file_part_of_the_rss_is_drawn_where_every_reading_tells_it() -> None:
    readings = (Sample(0.0, 80, 20), Sample(1.0, 100, 50))
    found = laid_out(measured(1, 2, rss_curve=readings))
    curve, part = coordinates(found.rss_area), coordinates(found.file_area)
    assert [x for x, _ in part] == [x for x, _ in curve]
    height = [BOTTOM - y for _, y in curve[1:-1]]
    assert [BOTTOM - y for _, y in part[1:-1]] == pytest.approx(
        [height[0] / 4, height[1] / 4, height[2] / 2], abs=0.1
    )
    torn = (readings[0], replace(readings[1], file_bytes=None))
    assert laid_out(measured(1, 2, rss_curve=torn)).file_area == ""


def test_the_peak_is_that_of_the_phases_though_no_reading_met_it() -> None:
    peaked = phase("load", peak=Peak(30 * MB, 1.5, None))
    curve = (Sample(0.0, 10 * MB), Sample(1.0, 20 * MB), Sample(2.0, 5 * MB))
    found = laid_out(replace(measured(1, 1, 1), phases=(peaked,), heap_curve=curve))
    assert found.peak is not None
    assert (found.peak.kind, found.peak.size_text, found.peak.x) == ("heap", "30.0 MB", 75.0)
    assert found.peak.y >= TOP
    assert (found.peak.x, found.peak.y) in coordinates(found.heap_points[0])


def test_a_peak_of_one_thread_alone_is_none_of_the_heap() -> None:
    of_thread = phase("load", peak=Peak(2 * MB, 1.5, None))
    assert of_thread.heap is not None
    heap = replace(of_thread.heap, process_peak=Peak(30 * MB, 1.5, None))
    curve = (Sample(0.0, 10 * MB), Sample(1.0, 20 * MB), Sample(2.0, 20 * MB))
    found = replace(measured(1, 1, 1), phases=(replace(of_thread, heap=heap),), heap_curve=curve)
    sizes = [sample.bytes for sample in heap_with_peaks(found)]
    assert sizes == [10 * MB, 20 * MB, 30 * MB, 20 * MB]


def test_without_a_heap_the_peak_is_that_of_the_rss() -> None:
    found = laid_out(measured(1 * MB, 3 * MB, 2 * MB))
    assert found.peak is not None
    assert (found.peak.kind, found.peak.size_text, found.peak.x) == ("rss", "3.0 MB", 50.0)


@pytest.mark.parametrize(
    ("end", "death"),
    [
        (Exit(None, "SIGKILL", "killed"), DeathMark(RIGHT, "SIGKILL")),
        (Exit(1, None, "failed"), None),
        (None, None),
    ],
)
def test_a_signal_marks_the_death(end: Exit | None, death: DeathMark | None) -> None:
    assert laid_out(measured(1, 2, exit=end)).death == death


def test_what_was_merged_is_marked() -> None:
    assert laid_out(measured(1, 2, 3, 4, 5)).merged is None
    merged = measured(1, 2, 3, 4, 5, merged=Merged(1.0, 70, 12))
    assert laid_out(merged).merged == 25.0
    page = b"".join(html.encode(merged, DEFAULTS)).decode()
    assert page.count('<rect class="merged" x="0" y="0" width="25.0" height="100"/>') == 1
    assert "Merged, without its detail" in page and "已合并，没有细节" in page


def test_checkpoints_are_marked_without_start_and_end() -> None:
    made = report(run=run("one", "two"), heap_curve=(Sample(0.0, 1),))
    assert laid_out(made).marks == (33.33, 66.67)


def test_many_checkpoints_are_marked_evenly() -> None:
    made = report(run=run(*["tick"] * 3000), heap_curve=(Sample(0.0, 1),))
    marks = laid_out(made).marks
    assert timeline.MAX_MARKS / 2 < len(marks) <= timeline.MAX_MARKS + 1
    steps = [after - before for before, after in zip(marks, marks[1:], strict=False)]
    assert max(steps) < 1
    assert marks[-1] > 99


def test_bands_lie_in_rows_by_depth() -> None:
    made = analysed(run("+a", "+b", "-b", "-a"), ONE_FRAME, [])
    outer, inner = laid_out(made).bands
    assert (outer.index, outer.depth, inner.index, inner.depth) == (0, 0, 1, 1)
    assert outer.x < inner.x
    assert inner.x + inner.width < outer.x + outer.width


def test_a_segments_band_is_told_from_a_spans() -> None:
    found = phase("a → b", kind=PhaseKind.SEGMENT)
    made = report([found, phase("load")], heap_curve=(Sample(0.0, 1),))
    assert {band.index for band in laid_out(made).bands if band.is_segment} == {0}


def stretched(*durations_s: float) -> tuple[Checkpoint, ...]:
    """Checkpoints that far apart."""
    points = [Checkpoint(0, "(start)", program()[0].kind, 0.0, None)]
    for place, duration_s in enumerate(durations_s, 1):
        points.append(replace(points[0], index=place, time_s=points[-1].time_s + duration_s))
    return tuple(points)


def test_bands_are_few_and_the_widest() -> None:
    points = stretched(*range(1, 1001))
    many = [phase(f"step {at}", stretches=(Stretch(at, at + 1),)) for at in range(1000)]
    made = report(many, run=run(checkpoints=points), heap_curve=(Sample(0.0, 1),))
    bands = laid_out(made).bands
    assert len(bands) == timeline.MAX_BANDS
    assert min(band.x for band in bands) > RIGHT / 4  # the first half of them is narrower


def test_repeats_too_narrow_to_tell_apart_share_a_band_and_wide_ones_do_not() -> None:
    narrow = stretched(*[1.0] * 1000, 500.0, *[1.0] * 400)
    places = [*range(1000), *range(1001, 1401)]
    step = phase("step", stretches=tuple(Stretch(place, place + 1) for place in places))
    made = report([step], run=run(checkpoints=narrow), heap_curve=(Sample(0.0, 1),))
    first, second = laid_out(made).bands
    assert (first.x, first.width) == (LEFT, pytest.approx(100 * 1000 / 1900, abs=0.1))
    assert second.x + second.width == pytest.approx(RIGHT, abs=0.1)
    wide = phase("step", stretches=tuple(Stretch(place, place + 1) for place in range(9)))
    made = report([wide], run=run(checkpoints=stretched(*[1.0] * 9)), heap_curve=(Sample(0.0, 1),))
    assert len(laid_out(made).bands) == 9


def test_very_deep_phases_have_no_band() -> None:
    steps = [*(f"+{depth}" for depth in range(9)), *(f"-{depth}" for depth in reversed(range(9)))]
    bands = laid_out(analysed(run(*steps), ONE_FRAME, [])).bands
    assert {band.depth for band in bands} == set(range(timeline.MAX_BAND_DEPTH))


@given(
    sizes=st.lists(st.integers(0, 2**50), min_size=1, max_size=12),
    step_s=st.floats(1e-6, 1e5, allow_nan=False),
    limit=st.none() | st.integers(1, 2**50),
)
@example(sizes=[0], step_s=1.0, limit=None)
@example(sizes=[0, 0], step_s=1e-6, limit=1)
def test_everything_lies_within_the_plot(
    sizes: list[int], step_s: float, limit: int | None
) -> None:
    found = laid_out(measured(*sizes, step_s=step_s, warning_bytes=limit))
    points = coordinates(found.rss_points) + coordinates(found.rss_area)
    points += [(LEFT, y) for y, _ in found.y_ticks] + [(x, BOTTOM) for x, _ in found.x_ticks]
    points += [(LEFT, line.y) for line in found.thresholds]
    points += [(found.peak.x, found.peak.y)] if found.peak is not None else []
    for x, y in points:
        assert LEFT <= x <= RIGHT
        assert TOP <= y <= BOTTOM


@given(top=st.integers(0, 2**50))
def test_the_size_axis_has_a_few_rising_ticks_from_zero_on(top: int) -> None:
    ticks = laid_out(measured(top)).y_ticks
    assert ticks[0] == (BOTTOM, "0 B")
    assert 2 <= len(ticks) <= 7
    heights = [y for y, _ in ticks]
    assert heights == sorted(set(heights), reverse=True)
    assert len({label for _, label in ticks}) == len(ticks)


@given(end_s=st.floats(1e-3, 86400 * 10, allow_nan=False))
@example(end_s=0.01)
@example(end_s=math.nextafter(0.01, 1))
@example(end_s=math.nextafter(1000, 0))
@example(end_s=300.0)
def test_the_time_axis_has_a_few_rising_ticks_from_zero_on(end_s: float) -> None:
    ticks = laid_out(measured(1, 2, step_s=end_s)).x_ticks
    assert ticks[0] == (LEFT, "0 s")
    assert 3 <= len(ticks) <= 11
    assert [x for x, _ in ticks] == sorted({x for x, _ in ticks})
    assert len({label for _, label in ticks}) == len(ticks)


@given(data=st.data())
def test_bands_lie_within_the_picture_and_point_to_their_phase(data: st.DataObject) -> None:
    steps = data.draw(nested_steps())
    made = analysed(run(*steps), ONE_FRAME, data.draw(lifetimes_in(1, len(steps) + 2)))
    found = laid_out(made)
    assert found.bands
    for band in found.bands:
        assert band.x >= LEFT
        assert band.x + band.width <= RIGHT + 0.01
        assert band.width >= 0
        assert band.depth < found.rows
        assert 0 <= band.tone < TONES
        outline = made.phases[band.index].outline
        assert band.is_segment == (outline.kind is PhaseKind.SEGMENT)
        assert band.depth == outline.depth
