"""The timeline stays within its plot, whatever was measured and however long the run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from factories import (
    MB,
    analysed,
    frame,
    hostile_report,
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

from memdeep.model import Checkpoint, Exit, MemoryLimit, PhaseKind, Report, Sample, Stretch
from memdeep.report import timeline
from memdeep.report.timeline import PLOT_HEIGHT, PLOT_WIDTH, PLOT_X, PLOT_Y, TONES, Timeline

ONE_FRAME, _ = tree([frame()])
BOTTOM = PLOT_Y + PLOT_HEIGHT
RIGHT = PLOT_X + PLOT_WIDTH


def measured(*sizes: int, step_s: float = 1.0, **changes: object) -> Report:
    """A run whose RSS was read every ``step_s``; it ends with its last reading."""
    curve = tuple(Sample(place * step_s, size) for place, size in enumerate(sizes))
    points = list(program())
    points[-1] = replace(points[-1], time_s=(len(sizes) - 1) * step_s)
    return report(run=run(**{"rss_curve": curve, "checkpoints": tuple(points), **changes}))


def laid_out(made: Report) -> Timeline:
    found = timeline.lay_out(made)
    assert found is not None
    return found


def coordinates(points: str) -> list[tuple[float, float]]:
    pairs = [point.split(",") for point in points.split()]
    return [(float(x), float(y)) for x, y in pairs]


def test_without_any_reading_there_is_no_timeline() -> None:
    assert timeline.lay_out(report()) is None


def test_time_runs_from_left_to_right_and_bytes_from_bottom_to_top() -> None:
    (x0, y0), (x1, y1), (x2, y2) = coordinates(laid_out(measured(0, 50, 100)).rss_points)
    assert (x0, y0) == (PLOT_X, BOTTOM)
    assert x2 == RIGHT
    assert x0 < x1 < x2
    assert PLOT_Y < y2 < y1 < y0


def test_the_area_stands_on_the_axis() -> None:
    found = laid_out(measured(10, 50, 100))
    area = coordinates(found.rss_area)
    assert area[0] == (PLOT_X, BOTTOM)
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
    assert [(label, kind) for _, label, kind in found.thresholds] == [("80.0 MB", "warning")]
    both = laid_out(measured(0, 100 * MB, warning_bytes=80 * MB, critical_bytes=150 * MB))
    assert [kind for _, _, kind in both.thresholds] == ["warning", "critical"]
    warning, critical = (y for y, _, _ in both.thresholds)
    assert PLOT_Y < critical < warning < BOTTOM


def test_the_limit_in_force_is_drawn_if_rss_counts_for_it() -> None:
    limit = MemoryLimit(150 * MB, "memory.max of its cgroup")
    found = laid_out(measured(0, 100 * MB, warning_bytes=80 * MB, limit=limit))
    assert [kind for _, _, kind in found.thresholds] == ["warning", "limit"]
    far = replace(limit, bytes=151 * MB)
    of_addresses = replace(limit, of_address_space=True)
    for other in (far, of_addresses):
        assert laid_out(measured(0, 100 * MB, limit=other)).thresholds == ()


@pytest.mark.parametrize(
    ("end", "death"),
    [
        (Exit(None, "SIGKILL", "killed"), (RIGHT, "SIGKILL")),
        (Exit(1, None, "failed"), None),
        (None, None),
    ],
)
def test_a_signal_marks_the_death(end: Exit | None, death: tuple[float, str] | None) -> None:
    assert laid_out(measured(1, 2, exit=end)).death == death


def test_checkpoints_are_marked_without_start_and_end() -> None:
    made = report(run=run("one", "two"), heap_curve=(Sample(0.0, 1),))
    marks = laid_out(made).marks
    assert [label for _, label in marks] == ["one", "two"]
    assert [x for x, _ in marks] == sorted(x for x, _ in marks)


def test_at_most_two_hundred_checkpoints_are_marked() -> None:
    made = report(run=run(*["tick"] * 300), heap_curve=(Sample(0.0, 1),))
    assert len(laid_out(made).marks) == timeline.MAX_MARKS


def test_bands_lie_in_rows_below_the_plot_by_depth() -> None:
    made = analysed(run("+a", "+b", "-b", "-a"), ONE_FRAME, [])
    outer, inner = laid_out(made).bands
    assert (outer.label, outer.depth, inner.label, inner.depth) == ("a", 0, "b", 1)
    assert BOTTOM < outer.y < outer.y + outer.height <= inner.y
    assert outer.x < inner.x
    assert inner.x + inner.width < outer.x + outer.width


def test_a_segments_band_is_told_from_a_spans() -> None:
    found = phase("a → b", kind=PhaseKind.SEGMENT)
    made = report([found, phase("load")], heap_curve=(Sample(0.0, 1),))
    assert {band.label for band in laid_out(made).bands} == {"… a → b", "load"}


def test_bands_are_few_and_the_longest() -> None:
    points = [Checkpoint(0, "(start)", program()[0].kind, 0.0, None)]
    for place in range(1, 1001):
        points.append(replace(points[0], index=place, time_s=points[-1].time_s + place))
    stretches = tuple(Stretch(place, place + 1) for place in range(1000))
    made = report(
        [phase("step", stretches=stretches)],
        run=run(checkpoints=tuple(points)),
        heap_curve=(Sample(0.0, 1),),
    )
    bands = laid_out(made).bands
    assert len(bands) == timeline.MAX_BANDS
    assert min(band.x for band in bands) > PLOT_X + PLOT_WIDTH / 3


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
    points += [(PLOT_X, y) for y, _ in found.y_ticks] + [(x, BOTTOM) for x, _ in found.x_ticks]
    points += [(PLOT_X, y) for y, _, _ in found.thresholds]
    for x, y in points:
        assert PLOT_X <= x <= RIGHT
        assert PLOT_Y <= y <= BOTTOM


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
    assert ticks[0] == (PLOT_X, "0 s")
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
        assert band.x >= PLOT_X
        assert band.x + band.width <= RIGHT + 1
        assert band.y + band.height <= found.height
        assert band.width >= 1
        assert 0 <= band.tone < TONES
        assert band.label.endswith(made.phases[band.index].name)


def test_a_hostile_label_is_carried_as_it_is() -> None:
    made = hostile_report()
    labels = {band.label for band in laid_out(made).bands}
    assert {found.name for found in made.phases} <= labels
